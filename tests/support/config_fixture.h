/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_fixture - plugins and cloud types as a configuration test needs them: tables with every type of
 * option, profiles good and bad, checks that refuse. No plugin is loaded and no cloud code is linked.
 *
 *   plugins      modbus (profiles eastron-sdm630, broken, list, wrong), at, ble, simulator
 *   cloud types  azure-iot-hub (SAS key, X.509), mqtt (none, password, X.509), gcp-iot-core (JWT)
 */
#ifndef TG_TESTS_CONFIG_FIXTURE_H
#define TG_TESTS_CONFIG_FIXTURE_H

#include "config/config.h"
#include "config/config_private.h"

extern const struct tg_config_lookups tg_fixture_lookups;
extern const struct tg_plugin *const tg_fixture_plugins[];
extern const size_t tg_fixture_plugin_count;
extern const struct tg_config_cloud_type *const tg_fixture_types[];
extern const size_t tg_fixture_type_count;

/* Everything that was said, one line each, in `text`. */
struct tg_said {
    char text[65536];
    size_t len;
    unsigned lines;
};
void tg_fixture_say(void *user, const char *line);

/* A folder of the test's own under $TMPDIR, removed with all in it by tg_fixture_remove(). */
void tg_fixture_dir(char ret_dir[256]);
void tg_fixture_remove(const char *dir);
/* Writes dir/name (folders in name are made) with that mode. */
void tg_fixture_write(const char *dir, const char *name, const char *text, unsigned mode);

#endif
