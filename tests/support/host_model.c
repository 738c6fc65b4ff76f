/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/host_model.h"

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(expr, text)                                                                                  \
    do {                                                                                                     \
        if (!(expr)) {                                                                                       \
            fprintf(stderr, "host_model: %s\n", text);                                                       \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

const struct tg_option tg_test_point_options[] = {
    {.name = "every", .type = TG_OPTION_DURATION},
    {.name = "deadband", .type = TG_OPTION_TEXT},
    {.name = "min_interval", .type = TG_OPTION_DURATION},
    {.name = "max_interval", .type = TG_OPTION_DURATION},
    {.name = "scale", .type = TG_OPTION_REAL},
    {.name = "offset", .type = TG_OPTION_REAL},
    {.name = "min", .type = TG_OPTION_REAL},
    {.name = "max", .type = TG_OPTION_REAL},
    {.name = "enum", .type = TG_OPTION_TEXT_LIST, .flags = TG_OPTION_PAIRS},
    {.name = "writable", .type = TG_OPTION_BOOL, .default_text = "false"},
    {.name = "priority", .type = TG_OPTION_ENUM, .choices = (const char *const[]){"normal", "high", NULL}},
    {.name = "sum", .type = TG_OPTION_TEXT_LIST},
    {.name = "difference", .type = TG_OPTION_TEXT_LIST},
    {.name = "rate", .type = TG_OPTION_TEXT},
    {.name = "per", .type = TG_OPTION_DURATION, .default_text = "1s"},
    {.name = "counter", .type = TG_OPTION_BOOL, .default_text = "false"},
    {0}};

static void set(struct tg_settings *s, const char *name, const char *text)
{
    struct tg_error err = {0};
    REQUIRE(tg_settings_set(s, name, text, NULL, (struct tg_settings_position){1, 1}, &err) == TG_OK,
            err.text);
}

struct tg_settings *tg_test_settings(const struct tg_option *table, const char *const *pairs)
{
    struct tg_settings *s = tg_settings_new(table);
    struct tg_error err = {0};
    REQUIRE(s, "out of memory");
    for (; pairs && *pairs; pairs += 2)
        set(s, pairs[0], pairs[1]);
    REQUIRE(tg_settings_finish(s, &err) == TG_OK, err.text);
    return s;
}

void tg_test_model_init(struct tg_test_model *m, const struct tg_plugin *plugin, uint32_t devices,
                        uint32_t points)
{
    static const char *const device_names[] = {"d0", "d1", "d2", "d3"};
    static char point_names[TG_TEST_MAX_POINTS][16];
    memset(m, 0, sizeof *m);
    REQUIRE(devices <= TG_TEST_MAX_DEVICES && points <= TG_TEST_MAX_POINTS, "the model is too large");
    m->source_settings = tg_test_settings(plugin ? plugin->source_options : NULL, NULL);
    for (uint32_t p = 0; p < points; p++)
        snprintf(point_names[p], sizeof point_names[p], "p%u", (unsigned)p);
    for (uint32_t d = 0; d < devices; d++) {
        m->device_settings[d] = tg_test_settings(plugin ? plugin->device_options : NULL, NULL);
        m->devices[d] = (struct tg_config_device){.id = device_names[d],
                                                  .settings = m->device_settings[d],
                                                  .points = m->points[d],
                                                  .point_count = points};
        for (uint32_t p = 0; p < points; p++) {
            m->common[d][p] = tg_test_settings(tg_test_point_options, NULL);
            m->own[d][p] = tg_test_settings(plugin ? plugin->point_options : NULL, NULL);
            m->points[d][p] = (struct tg_config_point){
                .name = point_names[p], .common = m->common[d][p], .settings = m->own[d][p]};
        }
    }
    m->source = (struct tg_config_source){.name = "rig",
                                          .plugin_name = plugin ? plugin->name : "none",
                                          .plugin = plugin,
                                          .settings = m->source_settings,
                                          .devices = m->devices,
                                          .device_count = devices};
}

void tg_test_model_fini(struct tg_test_model *m)
{
    for (uint32_t d = 0; d < m->source.device_count; d++) {
        for (uint32_t p = 0; p < m->devices[d].point_count; p++) {
            tg_settings_free(m->common[d][p]);
            tg_settings_free(m->own[d][p]);
        }
        tg_settings_free(m->device_settings[d]);
    }
    tg_settings_free(m->source_settings);
    memset(m, 0, sizeof *m);
}

void tg_test_model_point(struct tg_test_model *m, uint32_t device, uint32_t point, const char *name,
                         const char *text)
{
    set(m->common[device][point], name, text);
}

void tg_test_model_append(struct tg_test_model *m, uint32_t device, uint32_t point, const char *name,
                          const char *text)
{
    struct tg_error err = {0};
    REQUIRE(tg_settings_append(m->common[device][point], name, text, (struct tg_settings_position){1, 1},
                               &err) == TG_OK,
            err.text);
}

void tg_test_model_own(struct tg_test_model *m, uint32_t device, uint32_t point, const char *name,
                       const char *text)
{
    set(m->own[device][point], name, text);
}

void tg_test_model_device(struct tg_test_model *m, uint32_t device, const char *name, const char *text)
{
    set(m->device_settings[device], name, text);
}
