/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * layout - where the first header of API 1 had its fields, by whichever header this is compiled with: LAYOUT is the function's name. A
 * structure without a size stamp may not even grow.
 */
#include <tidegate/plugin.h>

#define AT(type, member) offsetof(struct type, member)
#define ALL                                                                                                  \
    AT(tg_host, source), AT(tg_host, emit), AT(tg_host, device_state), AT(tg_host, log),                     \
        AT(tg_host, answer), AT(tg_host, watch_fd), AT(tg_host, now_ms), AT(tg_host, wall_ms),               \
        AT(tg_host, stopping), AT(tg_host, has), AT(tg_host, get_int), AT(tg_host, get_real),                \
        AT(tg_host, get_text), AT(tg_host, get_list), AT(tg_plugin, api_version),                            \
        AT(tg_plugin, thread_model), AT(tg_plugin, name), AT(tg_plugin, version), AT(tg_plugin, summary),    \
        AT(tg_plugin, source_options), AT(tg_plugin, device_options), AT(tg_plugin, point_options),          \
        AT(tg_plugin, profiles), AT(tg_plugin, check_point), AT(tg_plugin, open), AT(tg_plugin, poll),       \
        AT(tg_plugin, close), AT(tg_plugin, write), AT(tg_plugin, command), AT(tg_plugin, fd_ready),         \
        AT(tg_plugin, decode), sizeof(struct tg_value), AT(tg_value, as), sizeof(struct tg_option),          \
        AT(tg_option, min), AT(tg_option, default_text), AT(tg_option, choices), AT(tg_option, doc),         \
        sizeof(struct tg_profile), AT(tg_profile, yaml), sizeof(struct tg_point), AT(tg_point, settings),    \
        AT(tg_point, every_ms), AT(tg_point, writable), sizeof(struct tg_device), AT(tg_device, points),     \
        AT(tg_device, point_count), sizeof(struct tg_source), AT(tg_source, devices),                        \
        AT(tg_source, device_count), sizeof(struct tg_point_value), AT(tg_point_value, quality),             \
        AT(tg_point_value, value), TG_VALUE_TEXT, TG_OPTION_TEXT_LIST, TG_QUALITY_DOWN, TG_DEVICE_DOWN,      \
        TG_LOG_DEBUG, TG_THREAD_OWN, TG_FD_READ, TG_FD_WRITE, TG_FD_HANGUP, TG_OPTION_REQUIRED,              \
        TG_PLUGIN_API_VERSION, TG_TEXT_MAX_BYTES

size_t LAYOUT(const size_t **ret_values);
size_t LAYOUT(const size_t **ret_values)
{
    static const size_t values[] = {ALL};
    *ret_values = values;
    return sizeof values / sizeof values[0];
}
