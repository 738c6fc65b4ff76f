/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `outbox` of a cloud, a source or a device: how much may wait for it.
 */
#include "config/config_private.h"

void tg_config_read_quota(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                          struct tg_config_quota *quota)
{
    const struct tg_yaml_node *n = tg_config_read_node(l, file, map, "outbox", TG_YAML_MAP);
    struct tg_settings *s = n ? tg_config_new_settings(l, tg_config_quota_options) : NULL;
    struct tg_config_section section = {.what = "an \"outbox\" of a cloud, a source or a device",
                                        .settings = {s}};
    if (!s)
        return;
    tg_config_read_section(l, file, n, &section);
    if (tg_settings_has(s, "max_pending"))
        quota->max_pending = (uint64_t)tg_settings_int(s, "max_pending");
    if (tg_settings_has(s, "max_age"))
        quota->max_age_ms = tg_settings_int(s, "max_age");
    tg_settings_free(s);
}
