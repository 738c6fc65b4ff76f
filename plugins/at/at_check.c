/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What `tidegate check` says of a source's settings that each start would say too.
 */
#include <stdio.h>
#include <string.h>

#include "plugins/at/at_instance.h"
#include "plugins/at/at_options.h"
#include "plugins/at/at_rates.h"
#include "plugins/at/cellular.h"

static const char *commands_fault(const struct tg_host *host, const struct tg_settings *source,
                                  uint32_t *ret_index)
{
    const char *const *items = NULL, *fault = NULL;
    uint32_t count = host->get_list(source, "init", &items);
    for (*ret_index = 0; *ret_index < count; ++*ret_index)
        if ((fault = tg_at_command_fault(items[*ret_index])) != NULL)
            return fault;
    return NULL;
}

static int check_rates(const struct tg_host *host, const struct tg_settings *source, const char **ret_option,
                       char *error, size_t error_size)
{
    const char *baud = host->get_text(source, "baud"), *const *list = &baud;
    bool search = strcmp(baud, "auto") == 0;
    uint32_t count = search ? host->get_list(source, "baud_candidates", &list) : 1;
    int64_t rates[TG_AT_BAUD_MAX];
    if (count == 0 || at_rates_read(list, count, rates, error, error_size) > 0)
        return TG_PLUGIN_OK;
    *ret_option = search ? "baud_candidates" : "baud";
    return TG_PLUGIN_EINVAL;
}

int at_check_source(const struct tg_host *host, const struct tg_settings *source, const char **ret_option,
                    char *error, size_t error_size)
{
    const char *unused, **option = ret_option ? ret_option : &unused, *fault;
    uint32_t index;
    if (check_rates(host, source, option, error, error_size) < 0)
        return TG_PLUGIN_EINVAL;
    fault = commands_fault(host, source, &index);
    if (fault) {
        *option = "init";
        snprintf(error, error_size, "command %u %s", index + 1, fault);
        return TG_PLUGIN_EINVAL;
    }
    fault = at_cellular_fault(host, source, option);
    if (!fault)
        return TG_PLUGIN_OK;
    snprintf(error, error_size, "%s", fault);
    return TG_PLUGIN_EINVAL;
}
