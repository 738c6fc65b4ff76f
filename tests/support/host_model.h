/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * host_model - a source with devices and points built by hand, for tests of what runs them without a file.
 *
 *     struct tg_test_model m;
 *     tg_test_model_init(&m, &plugin, 2, 3);              devices d0, d1 with points p0 … p2
 *     tg_test_model_point(&m, 0, 1, "writable", "true");
 *     … &m.source …
 *     tg_test_model_fini(&m);
 */
#ifndef TG_TESTS_SUPPORT_HOST_MODEL_H
#define TG_TESTS_SUPPORT_HOST_MODEL_H

#include "config/config.h"

#define TG_TEST_MAX_DEVICES 4
#define TG_TEST_MAX_POINTS  64

struct tg_test_model {
    struct tg_config_source source;
    struct tg_config_device devices[TG_TEST_MAX_DEVICES];
    struct tg_config_point points[TG_TEST_MAX_DEVICES][TG_TEST_MAX_POINTS];
    struct tg_settings *source_settings, *device_settings[TG_TEST_MAX_DEVICES];
    struct tg_settings *common[TG_TEST_MAX_DEVICES][TG_TEST_MAX_POINTS],
        *own[TG_TEST_MAX_DEVICES][TG_TEST_MAX_POINTS];
};

/* The points' common options as the configuration knows them. */
extern const struct tg_option tg_test_point_options[];

/* Aborts the test when it cannot. */
void tg_test_model_init(struct tg_test_model *m, const struct tg_plugin *plugin, uint32_t devices,
                        uint32_t points);
void tg_test_model_fini(struct tg_test_model *m);
/* Sets a common option of a point, an option of the plugin's for a point, for a device. */
void tg_test_model_point(struct tg_test_model *m, uint32_t device, uint32_t point, const char *name,
                         const char *text);
/* One more item of a common option that is a list. */
void tg_test_model_append(struct tg_test_model *m, uint32_t device, uint32_t point, const char *name,
                          const char *text);
void tg_test_model_own(struct tg_test_model *m, uint32_t device, uint32_t point, const char *name,
                       const char *text);
void tg_test_model_device(struct tg_test_model *m, uint32_t device, const char *name, const char *text);
/* Settings of a table: pairs of name and text, ended by NULL; then its defaults. */
struct tg_settings *tg_test_settings(const struct tg_option *table, const char *const *pairs);

#endif
