/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/allocator.h"
#include "northbound/cloud.h"
#include "support/config_fixture.h"

static struct tg_said said;

static struct tg_config *load_text(const char *text)
{
    struct tg_config *c = NULL;
    said = (struct tg_said){.len = 0};
    if (tg_config_load_text("t.yaml", text, strlen(text), &tg_fixture_lookups, tg_fixture_say, &said, &c) !=
        TG_OK)
        print_error("%s", said.text);
    assert_int_equal(said.lines, 0);
    return c;
}

static int load_file(const char *dir, struct tg_config **ret)
{
    char path[512];
    said = (struct tg_said){.len = 0};
    snprintf(path, sizeof path, "%s/tidegate.yaml", dir);
    return tg_config_load(path, &tg_fixture_lookups, tg_fixture_say, &said, ret);
}

static char *read_source_file(const char *name)
{
    char path[4096];
    const char *root = getenv("TIDEGATE_SOURCE");
    char *text = calloc(1, 65536);
    FILE *f;
    snprintf(path, sizeof path, "%s/%s", root ? root : ".", name);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, 65535, f) > 0);
    fclose(f);
    return text;
}

static const char small[] = "clouds:\n"
                            "  - {name: hub, type: mqtt, host: broker.example}\n"
                            "sources:\n"
                            "  - name: s\n"
                            "    plugin: simulator\n"
                            "    devices:\n"
                            "      - {id: d1, clouds: [hub], points: [{name: p}]}\n";

static void a_small_file_has_all_defaults(void **state)
{
    struct tg_config *c = load_text(small);
    const struct tg_config_cloud *hub = &c->clouds[0];
    const struct tg_config_point *p;
    (void)state;
    assert_int_equal(c->cloud_count, 1);
    assert_int_equal(c->source_count, 1);
    assert_string_equal(c->file, "t.yaml");
    assert_string_equal(tg_settings_text(c->gateway, "name"), "tidegate");
    assert_string_equal(tg_settings_text(c->gateway, "http"), "off");
    assert_string_equal(tg_settings_text(c->log, "level"), "info");
    assert_int_equal(tg_settings_int(c->log, "level"), TG_LOG_INFO);
    assert_int_equal(tg_settings_int(c->outbox, "limit"), 512 * 1024 * 1024);
    assert_int_equal(tg_settings_int(c->outbox, "durability"), 0);
    assert_int_equal(tg_settings_int(c->outbox, "commit_interval"), 50);
    assert_int_equal(tg_settings_int(c->outbox, "max_age"), INT64_C(30) * 86400000);
    assert_int_equal(tg_settings_int(hub->common, "tls"), 1);
    assert_int_equal(tg_settings_int(hub->common, "keepalive"), 240000);
    assert_false(tg_settings_has(hub->common, "port"));
    assert_int_equal(tg_settings_int(hub->batch, "max_samples"), 1);
    assert_string_equal(tg_settings_text(hub->settings, "topic"), "tidegate/{device}/data");
    assert_int_equal(hub->identity.kind, TG_IDENTITY_NONE);
    assert_ptr_equal(c->sources[0].devices[0].routes[0].cloud, hub);
    assert_string_equal(c->sources[0].devices[0].routes[0].cloud_device_id, "d1");
    p = &c->sources[0].devices[0].points[0];
    assert_string_equal(p->name, "p");
    assert_null(p->unit);
    assert_int_equal(p->pos.line, 7);
    assert_int_equal(p->pos.column, 42);
    assert_string_equal(p->pos.file, "t.yaml");
    assert_false(tg_settings_has(p->common, "every"));
    tg_config_free(c);
}

/* The file that the manual opens with, without what this version refuses. */
static void the_design_example_loads(void **state)
{
    char *text = read_source_file("tests/config/good/design.yaml");
    struct tg_config *c = load_text(text);
    const struct tg_config_device *d = &c->sources[0].devices[0];
    const char *const *items;
    (void)state;
    assert_int_equal(c->cloud_count, 2);
    assert_int_equal(c->source_count, 3);
    assert_int_equal(d->routes[0].identity.kind, TG_IDENTITY_SAS_KEY);
    assert_string_equal(d->routes[0].identity.sas_key_file, "./keys/meter-1.key");
    assert_int_equal(d->point_count, 4);
    assert_string_equal(d->points[2].name, "voltage");
    assert_string_equal(d->points[2].unit, "V");
    assert_int_equal(tg_settings_int(d->points[2].common, "every"), 1000);
    assert_string_equal(tg_settings_text(d->points[2].common, "deadband"), "0.5");
    assert_string_equal(tg_settings_text(d->points[2].settings, "type"), "float32");
    assert_int_equal(tg_settings_int(d->points[3].common, "writable"), 1);
    assert_int_equal(tg_settings_list(c->sources[1].settings, "accept", &items), 2);
    assert_string_equal(items[1], "ruuvi");
    assert_string_equal(tg_settings_text(c->sources[2].settings, "script"), "cellular");
    assert_int_equal(tg_settings_int(c->clouds[0].batch, "max_bytes"), 3900);
    tg_config_free(c);
    free(text);
}

/* The other files of the folder, which the schema's test takes too. */
static void the_good_files_load(void **state)
{
    static const char *const files[] = {"tests/config/good/aliases.yaml", "tests/config/good/texts.yaml"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *text = read_source_file(files[i]);
        tg_config_free(load_text(text));
        free(text);
    }
}

static void the_annotated_example_loads(void **state)
{
    char dir[256];
    char *text = read_source_file("config/tidegate.yaml");
    struct tg_config *c = NULL;
    const struct tg_config_device *meter;
    (void)state;
    tg_fixture_dir(dir);
    tg_fixture_write(dir, "tidegate.yaml", text, 0644);
    tg_fixture_write(dir, "keys/boiler.key", "k", 0600);
    tg_fixture_write(dir, "keys/meter-1.key", "k", 0400);
    tg_fixture_write(dir, "keys/meter-1.crt", "c", 0644);
    assert_int_equal(load_file(dir, &c), TG_OK);
    assert_string_equal(said.text, "");
    meter = &c->sources[0].devices[1];
    assert_int_equal(meter->point_count, 2);
    assert_string_equal(meter->points[0].name, "voltage_l1");
    assert_int_equal(tg_settings_int(meter->points[0].common, "every"), 1000);
    assert_int_equal(meter->route_count, 2);
    assert_string_equal(meter->routes[1].cloud_device_id, "meter");
    assert_int_equal(meter->routes[0].identity.kind, TG_IDENTITY_X509);
    tg_config_free(c);
    tg_fixture_remove(dir);
    free(text);
}

/* The outbox's `drain` counts for clouds that say nothing; a point may have priority. */
static void drain_is_inherited(void **state)
{
    static const char text[] = "outbox: {drain: fair}\n"
                               "clouds:\n"
                               "  - {name: a, type: mqtt, host: h}\n"
                               "  - {name: b, type: mqtt, host: h, drain: newest-first}\n"
                               "  - {name: c, type: mqtt, host: h, drain: in-order}\n"
                               "sources:\n"
                               "  - name: s\n"
                               "    plugin: simulator\n"
                               "    devices:\n"
                               "      - id: d1\n"
                               "        clouds: [a, b, c]\n"
                               "        points: [{name: p}, {name: q, priority: high}]\n";
    struct tg_config *c = load_text(text);
    (void)state;
    assert_int_equal(c->clouds[0].drain, 1);
    assert_int_equal(c->clouds[1].drain, 2);
    assert_int_equal(c->clouds[2].drain, 0);
    assert_int_equal(tg_settings_int(c->sources[0].devices[0].points[0].common, "priority"), 0);
    assert_int_equal(tg_settings_int(c->sources[0].devices[0].points[1].common, "priority"), 1);
    tg_config_free(c);
    c = load_text(small);
    assert_int_equal(c->clouds[0].drain, 0);
    tg_config_free(c);
}

static void a_profile_brings_points_and_settings(void **state)
{
    struct tg_config *c = load_text("clouds: [{name: hub, type: mqtt, host: broker.example}]\n"
                                    "sources:\n"
                                    "  - name: s\n"
                                    "    plugin: modbus\n"
                                    "    settings: {transport: rtu}\n"
                                    "    devices:\n"
                                    "      - id: a\n"
                                    "        clouds: [hub]\n"
                                    "        profile: eastron-sdm630\n"
                                    "        settings: {unit: 3}\n"
                                    "      - id: b\n"
                                    "        clouds: [hub]\n"
                                    "        settings: {unit: 4, gap: 9, profile: eastron-sdm630}\n"
                                    "        points:\n"
                                    "          - {name: extra, address: \"coil:1\"}\n"
                                    "          - {name: current_l1, address: \"input:8\"}\n");
    const struct tg_config_device *a = &c->sources[0].devices[0], *b = &c->sources[0].devices[1];
    (void)state;
    assert_int_equal(a->point_count, 2);
    assert_int_equal(tg_settings_int(a->settings, "gap"), 4);
    assert_int_equal(tg_settings_int(a->settings, "unit"), 3);
    assert_string_equal(a->points[0].name, "voltage_l1");
    assert_string_equal(a->points[0].pos.file, "plugin modbus, profile eastron-sdm630");
    assert_int_equal(a->points[0].pos.line, 3);
    assert_int_equal(tg_settings_int(b->settings, "gap"), 9);
    assert_int_equal(b->point_count, 3);
    assert_string_equal(b->points[0].name, "voltage_l1");
    assert_string_equal(b->points[1].name, "current_l1");
    /* Replaced as a whole: the profile's type, unit and interval are gone. */
    assert_string_equal(tg_settings_text(b->points[1].settings, "address"), "input:8");
    assert_string_equal(tg_settings_text(b->points[1].settings, "type"), "uint16");
    assert_null(b->points[1].unit);
    assert_false(tg_settings_has(b->points[1].common, "every"));
    assert_string_equal(b->points[1].pos.file, "t.yaml");
    assert_string_equal(b->points[2].name, "extra");
    tg_config_free(c);
}

static void identities_are_inherited(void **state)
{
    struct tg_config *c =
        load_text("clouds:\n"
                  "  - {name: a, type: azure-iot-hub, host: a.example, identity: {sas_key_file: /k/cloud}}\n"
                  "  - {name: b, type: mqtt, host: b.example}\n"
                  "sources:\n"
                  "  - name: s\n"
                  "    plugin: simulator\n"
                  "    devices:\n"
                  "      - {id: one, clouds: [a, b]}\n"
                  "      - {id: two, clouds: [a], identity: {certificate: c.pem, key: /k/c.key}}\n"
                  "      - id: three\n"
                  "        identity: {sas_key_file: /k/device}\n"
                  "        clouds: [a, {name: b, id: 3rd, identity: {username: u, password_file: pw}}]\n");
    const struct tg_config_device *d = c->sources[0].devices;
    (void)state;
    assert_string_equal(d[0].routes[0].identity.sas_key_file, "/k/cloud");
    assert_int_equal(d[0].routes[1].identity.kind, TG_IDENTITY_NONE);
    assert_int_equal(d[1].routes[0].identity.kind, TG_IDENTITY_X509);
    assert_string_equal(d[1].routes[0].identity.certificate, "./c.pem");
    assert_string_equal(d[1].routes[0].identity.key, "/k/c.key");
    assert_string_equal(d[2].routes[0].identity.sas_key_file, "/k/device");
    assert_int_equal(d[2].routes[1].identity.kind, TG_IDENTITY_PASSWORD);
    assert_string_equal(d[2].routes[1].identity.username, "u");
    assert_string_equal(d[2].routes[1].identity.password_file, "./pw");
    assert_string_equal(d[2].routes[1].cloud_device_id, "3rd");
    tg_config_free(c);
}

static void anchors_and_aliases_share_what_repeats(void **state)
{
    struct tg_config *c =
        load_text("clouds: [&c {name: hub, type: mqtt, host: broker.example, port: &p 1883}]\n"
                  "sources:\n"
                  "  - name: s\n"
                  "    plugin: modbus\n"
                  "    settings: {transport: tcp, port: *p}\n"
                  "    devices:\n"
                  "      - {id: a, clouds: &h [hub], settings: {unit: 1}, points: &pts\n"
                  "         [{name: x, address: 'input:1'}]}\n"
                  "      - {id: b, clouds: *h, settings: {unit: 2}, points: *pts}\n");
    (void)state;
    assert_int_equal(tg_settings_int(c->sources[0].settings, "port"), 1883);
    assert_int_equal(c->sources[0].devices[1].point_count, 1);
    assert_string_equal(c->sources[0].devices[1].points[0].name, "x");
    tg_config_free(c);
}

static void fragments_add_clouds_and_sources(void **state)
{
    char dir[256];
    struct tg_config *c = NULL;
    (void)state;
    tg_fixture_dir(dir);
    tg_fixture_write(dir, "tidegate.yaml", small, 0644);
    tg_fixture_write(dir, "conf.d/20-b.yaml",
                     "sources: [{name: s2, plugin: simulator, devices: [{id: d2, clouds: [early, hub]}]}]\n",
                     0644);
    tg_fixture_write(
        dir, "conf.d/10-a.yaml",
        "clouds: [{name: early, type: azure-iot-hub, host: a.b, identity: {sas_key_file: keys/k}}]\n", 0644);
    tg_fixture_write(dir, "conf.d/empty.yaml", "# nothing\n", 0644);
    tg_fixture_write(dir, "conf.d/.hidden.yaml", "wrong", 0644);
    tg_fixture_write(dir, "conf.d/other.txt", "wrong", 0644);
    tg_fixture_write(dir, "keys/k", "secret", 0600); /* beside the main file, where all paths start */
    assert_int_equal(load_file(dir, &c), TG_OK);
    assert_string_equal(said.text, "");
    assert_int_equal(c->cloud_count, 2);
    assert_string_equal(c->clouds[1].name, "early");
    assert_int_equal(c->source_count, 2);
    assert_ptr_equal(c->sources[1].devices[0].routes[0].cloud, &c->clouds[1]);
    tg_config_free(c);
    tg_fixture_remove(dir);
}

static void plugin_folders_start_from_the_file(void **state)
{
    struct tg_config *c = load_text("gateway: {plugin_dirs: [plugins, /opt/plugins]}\n"
                                    "clouds: [{name: hub, type: mqtt, host: h}]\nsources: []\n");
    const char *const *dirs;
    (void)state;
    assert_int_equal(tg_settings_list(c->gateway, "plugin_dirs", &dirs), 2);
    assert_string_equal(dirs[0], "./plugins");
    assert_string_equal(dirs[1], "/opt/plugins");
    tg_config_free(c);
}

static void utf8_and_windows_lines_are_fine(void **state)
{
    struct tg_config *c = load_text("\xEF\xBB\xBF# Kesselhaus, Süd\r\n"
                                    "clouds: [{name: hub, type: mqtt, host: h, topic: \"Süd/{device}\"}]\r\n"
                                    "sources:\r\n"
                                    "  - {name: s, plugin: simulator, devices: [{id: d, clouds: [hub], "
                                    "points: [{name: t, unit: °C}]}]}\r\n");
    (void)state;
    assert_string_equal(tg_settings_text(c->clouds[0].settings, "topic"), "Süd/{device}");
    assert_string_equal(c->sources[0].devices[0].points[0].unit, "°C");
    tg_config_free(c);
}

static void budget_shows_its_arithmetic(void **state)
{
    struct tg_config *c =
        load_text("clouds: [{name: hub, type: mqtt, host: h, batch: {max_samples: 20}, max_in_flight: 10}]\n"
                  "outbox: {limit: 64MiB, max_age: 2d}\n"
                  "sources:\n"
                  "  - name: s\n"
                  "    plugin: simulator\n"
                  "    devices:\n"
                  "      - {id: a, clouds: [hub], points: [{name: p}, {name: q}]}\n"
                  "      - {id: b, clouds: [hub], points: [{name: p}]}\n");
    (void)state;
    said = (struct tg_said){.len = 0};
    tg_config_budget(c, tg_fixture_say, &said);
    /* 10 × (3900 + 20 × 8) = 40600 B = 40 KiB; 2 × (90 KiB + 40600 B) = 260 KiB;
     * 22 MiB + 260 KiB + 256 KiB + 3 KiB = 23 MiB, rounded up. */
    assert_string_equal(
        said.text,
        "1 cloud, 1 source, 2 devices, 3 points\n"
        "memory: program 10 MiB + store 12 MiB\n"
        "memory: cloud hub: 2 sessions × (90 KiB TLS + 40 KiB in flight) = 260 KiB\n"
        "memory: 1 source × 256 KiB + 3 points × 1 KiB = 259 KiB\n"
        "memory: at most 23 MiB in all\n"
        "disk: outbox 64 MiB + log and reserve 24 MiB = at most 88 MiB in /var/lib/tidegate; samples are "
        "kept 2d at most\n");
    tg_config_free(c);
}

/* A thousand devices of ten points: what the model itself takes stays small. */
static void a_big_file_loads(void **state)
{
    size_t len = 0, cap = 1 << 21;
    char *text = malloc(cap);
    struct tg_config *c = NULL;
    (void)state;
    len +=
        (size_t)snprintf(text + len, cap - len,
                         "clouds: [{name: hub, type: mqtt, host: h}]\nsources:\n"
                         "  - name: s\n    plugin: modbus\n    settings: {transport: tcp}\n    devices:\n");
    for (int d = 0; d < 1000; d++) {
        len += (size_t)snprintf(text + len, cap - len,
                                "      - id: device-%d\n        clouds: [hub]\n"
                                "        settings: {unit: 1}\n        points:\n",
                                d);
        for (int p = 0; p < 10; p++)
            len += (size_t)snprintf(text + len, cap - len,
                                    "          - {name: point-%d, address: \"input:%d\", every: 1s}\n", p, p);
    }
    c = load_text(text);
    assert_int_equal(c->sources[0].device_count, 1000);
    assert_int_equal(c->sources[0].devices[999].point_count, 10);
    tg_config_free(c);
    free(text);
}

/* --- the manual --- */

static void expect_rows(const char *manual, const struct tg_option *table)
{
    for (const struct tg_option *o = table; o && o->name; o++) {
        char begin[100], end[600];
        bool found = false;
        snprintf(begin, sizeof begin, "\n| `%s` | ", o->name);
        snprintf(end, sizeof end, " | %s%s%s | %s |", o->default_text ? "`" : "",
                 o->default_text ? o->default_text : "–", o->default_text ? "`" : "", o->doc);
        for (const char *row = strstr(manual, begin); row && !found; row = strstr(row + 1, begin)) {
            const char *stop = strchr(row + 1, '\n'), *rest = strstr(row, end);
            found = rest && stop && rest + strlen(end) == stop;
        }
        if (!found)
            print_error("docs/configuration.md has no row%s… %s\n", begin, end);
        assert_true(found);
    }
}

/* Every option has its row, with the sentence and the default of its table. */
static void the_manual_has_every_option(void **state)
{
    static const struct tg_option *const tables[] = {tg_config_gateway_options,  tg_config_log_options,
                                                     tg_config_outbox_options,   tg_config_quota_options,
                                                     tg_config_cloud_options,    tg_config_batch_options,
                                                     tg_config_identity_options, tg_config_source_options,
                                                     tg_config_discover_options, tg_config_point_options};
    char *manual = read_source_file("docs/configuration.md");
    size_t types = 0;
    const struct tg_cloud_type *const *type = tg_cloud_types(&types);
    (void)state;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        expect_rows(manual, tables[t]);
    for (size_t t = 0; t < types; t++) {
        assert_non_null(strstr(manual, type[t]->config.type));
        expect_rows(manual, type[t]->config.options);
        expect_rows(manual, type[t]->config.provisioning_options);
    }
    free(manual);
}

/* --- memory --- */

static int load_all_kinds(const char *text)
{
    struct tg_config *c = NULL;
    int rc =
        tg_config_load_text("t.yaml", text, strlen(text), &tg_fixture_lookups, tg_fixture_say, &said, &c);
    if (rc == TG_OK)
        tg_config_free(c);
    else
        assert_null(c);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    static const char text[] =
        "gateway: {name: g, plugin_dirs: [a, b]}\n"
        "clouds:\n"
        "  - {name: a, type: azure-iot-hub, host: a.example, identity: {sas_key_file: k}}\n"
        "  - {name: b, type: mqtt, host: b.example, batch: {max_samples: 2}, outbox: {max_pending: 5}}\n"
        "sources:\n"
        "  - name: s\n"
        "    outbox: {max_age: 2d}\n"
        "    plugin: modbus\n"
        "    settings: {transport: tcp}\n"
        "    devices:\n"
        "      - {id: one, clouds: [a, {name: b, id: x}], settings: {unit: 1, profile: eastron-sdm630},\n"
        "         points: [{name: current_l1, address: &a 'input:1'}, {name: z, address: *a}]}\n";
    int64_t live = tg_alloc_stats().live;
    (void)state;
    for (int forever = 0; forever < 2; forever++) {
        uint64_t nth = 1;
        int rc;
        do {
            said = (struct tg_said){.len = 0};
            tg_alloc_fail_at(nth++, forever);
            rc = load_all_kinds(text);
            tg_alloc_fail_at(0, 0);
            if (rc == TG_ENOMEM)
                assert_string_equal(said.text,
                                    "out of memory while reading the configuration: nothing was changed\n");
            else
                assert_int_equal(rc, TG_OK);
            assert_int_equal(tg_alloc_stats().live, live);
        } while (rc != TG_OK);
        assert_true(nth > 40);
    }
}

/* For a plugin by itself: what its devices do not need is passed over, right or wrong. */
static void the_sources_of_one_plugin(void **state)
{
    struct tg_config_lookups only = tg_fixture_lookups;
    struct tg_config *c = NULL;
    const char text[] = "clouds: [{name: hub, type: no-such, colour: red}]\n"
                        "sources:\n"
                        "  - {name: other, plugin: no-such, settings: {odd: 1}}\n"
                        "  - {name: rehearsal, plugin: simulator, devices: [\n"
                        "      {id: a}, {id: b, clouds: [nowhere], identity: {odd: 1}}]}\n";
    const char none[] = "sources: [{name: other, plugin: no-such}]\n";
    (void)state;
    only.only_plugin = "simulator";
    said = (struct tg_said){.len = 0};
    assert_int_equal(tg_config_load_text("t.yaml", text, sizeof text - 1, &only, tg_fixture_say, &said, &c),
                     TG_OK);
    assert_int_equal(said.lines, 0);
    assert_int_equal(c->cloud_count, 0);
    assert_int_equal(c->source_count, 1);
    assert_string_equal(c->sources[0].name, "rehearsal");
    assert_int_equal(c->sources[0].device_count, 2);
    assert_int_equal(c->sources[0].devices[1].route_count, 0);
    tg_config_free(c);
    assert_int_equal(tg_config_load_text("t.yaml", none, sizeof none - 1, &only, tg_fixture_say, &said, &c),
                     TG_EINVAL);
    assert_string_equal(said.text, "t.yaml:1:1: no entry of sources has plugin: simulator\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_file_has_all_defaults),
        cmocka_unit_test(the_design_example_loads),
        cmocka_unit_test(the_good_files_load),
        cmocka_unit_test(the_annotated_example_loads),
        cmocka_unit_test(drain_is_inherited),
        cmocka_unit_test(a_profile_brings_points_and_settings),
        cmocka_unit_test(identities_are_inherited),
        cmocka_unit_test(anchors_and_aliases_share_what_repeats),
        cmocka_unit_test(fragments_add_clouds_and_sources),
        cmocka_unit_test(plugin_folders_start_from_the_file),
        cmocka_unit_test(utf8_and_windows_lines_are_fine),
        cmocka_unit_test(budget_shows_its_arithmetic),
        cmocka_unit_test(a_big_file_loads),
        cmocka_unit_test(the_sources_of_one_plugin),
        cmocka_unit_test(the_manual_has_every_option),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
