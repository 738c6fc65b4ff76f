/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a plugin emits is looked at before it is taken. What cannot be a sample of its source is a defect of the plugin: said once,
 * or its author looks for the sample in vain.
 */
#include <stdio.h>

#include "core/base/log.h"
#include "southbound/plugin_host_private.h"

bool tg_emit_is_sound(struct tg_host_source *s, uint32_t device, const struct tg_point_value *values,
                      uint32_t count)
{
    const struct tg_device *d = device < s->model.device_count ? &s->model.devices[device] : NULL;
    char why[128] = "";
    if (!d)
        snprintf(why, sizeof why, "device %u, and there are %u", device, s->model.device_count);
    else if (count == 0 || count > TG_SAMPLE_MAX_VALUES)
        snprintf(why, sizeof why, "%u values, and 1 to %d are taken", count, TG_SAMPLE_MAX_VALUES);
    for (uint32_t i = 0; d && !why[0] && i < count; i++)
        if (values[i].point >= d->point_count)
            snprintf(why, sizeof why, "point %u, and device %.40s has %u (they count from 0)",
                     values[i].point, d->id, d->point_count);
        else if (!tg_value_is_sound(&values[i]))
            snprintf(why, sizeof why, "point %u with a value without type, or a text that is too long",
                     values[i].point);
    if (why[0] && !s->emit_told)
        tg_log(TG_LOG_ERROR, "source",
               "source=%s a defect of its plugin: it emits %s; such samples are left out", s->config->name,
               why);
    s->emit_told |= why[0] != '\0';
    return !why[0];
}
