/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/allocator.h"
#include "support/config_fixture.h"

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof(array)[0]))

static struct tg_said said, left;

static void left_out(void *user, const struct tg_config_discovered *d, const char *why)
{
    char line[512];
    (void)user;
    snprintf(line, sizeof line, "%s/%s: %s", d->source, d->id, why);
    tg_fixture_say(&left, line);
}

static int load_rc(const char *text, const struct tg_config_discovered *devices, uint32_t count,
                   struct tg_config **ret)
{
    struct tg_config_lookups lookups = tg_fixture_lookups;
    lookups.discovered = devices;
    lookups.discovered_count = count;
    lookups.left_out = left_out;
    said = left = (struct tg_said){.len = 0};
    return tg_config_load_text("t.yaml", text, strlen(text), &lookups, tg_fixture_say, &said, ret);
}

static struct tg_config *load(const char *text, const struct tg_config_discovered *devices, uint32_t count)
{
    struct tg_config *c = NULL;
    if (load_rc(text, devices, count, &c) != TG_OK)
        fail_msg("%s", said.text);
    assert_int_equal(said.lines, 0);
    return c;
}

static const char yard[] =
    "clouds:\n"
    "  - {name: hub, type: azure-iot-hub, host: h.example, identity: {sas_key_file: /k/cloud}}\n"
    "  - {name: lake, type: mqtt, host: l.example}\n"
    "sources:\n"
    "  - name: yard\n"
    "    plugin: ble\n"
    "    settings:\n"
    "      discover:\n"
    "        clouds: [hub, {name: lake, identity: {username: u, password_file: /k/lake}}]\n"
    "        identity: {sas_key_file: /k/group}\n"
    "        allow: [\"a4c1*\", \"b??\"]\n"
    "        max: 3\n"
    "        id_prefix: site7-\n"
    "    devices:\n"
    "      - {id: a4c1-named, clouds: [lake]}\n"
    "      - {id: other, clouds: [{name: hub, id: site7-a4c1-taken}]}\n";

static void the_section_is_read(void **state)
{
    struct tg_config *c = load(yard, NULL, 0);
    const struct tg_config_discover *d = c->sources[0].discover;
    const char *const *allow;
    (void)state;
    assert_non_null(d);
    assert_int_equal(tg_settings_list(d->settings, "allow", &allow), 2);
    assert_string_equal(allow[1], "b??");
    assert_int_equal(tg_settings_int(d->settings, "max"), 3);
    assert_string_equal(tg_settings_text(d->settings, "id_prefix"), "site7-");
    assert_int_equal(d->route_count, 2);
    assert_int_equal(d->pos.line, 9);
    assert_int_equal(c->sources[0].device_count, 2);
    assert_false(c->sources[0].devices[0].discovered);
    tg_config_free(c);
}

static void defaults(void **state)
{
    struct tg_config *c =
        load("clouds: [{name: hub, type: mqtt, host: h}]\n"
             "sources: [{name: s, plugin: ble, settings: {discover: {clouds: [hub], allow: ['*']}}},\n"
             "          {name: t, plugin: ble}]\n",
             NULL, 0);
    (void)state;
    assert_int_equal(tg_settings_int(c->sources[0].discover->settings, "max"), 100);
    assert_false(tg_settings_has(c->sources[0].discover->settings, "id_prefix"));
    assert_null(c->sources[1].discover);
    tg_config_free(c);
}

/* As the file's own, with the section's clouds and the profile's points. */
static void a_discovered_device_is_a_device(void **state)
{
    static const struct tg_config_discovered devices[] = {{"yard", "a4c138000001", "thermo"},
                                                          {"yard", "b01", NULL}};
    struct tg_config *c = load(yard, devices, 2);
    const struct tg_config_device *d = &c->sources[0].devices[2];
    (void)state;
    assert_int_equal(left.lines, 0);
    assert_int_equal(c->sources[0].device_count, 4);
    assert_string_equal(c->sources[0].devices[1].id, "other");
    assert_string_equal(d->id, "a4c138000001");
    assert_true(d->discovered);
    assert_int_equal(d->point_count, 2);
    assert_string_equal(d->points[0].name, "temperature");
    assert_int_equal(tg_settings_int(d->points[0].common, "every"), 5000);
    assert_int_equal(d->route_count, 2);
    assert_string_equal(d->routes[0].cloud->name, "hub");
    assert_string_equal(d->routes[0].cloud_device_id, "site7-a4c138000001");
    assert_string_equal(d->routes[0].identity.sas_key_file, "/k/group");
    assert_string_equal(d->routes[1].identity.username, "u");
    assert_string_equal(d->routes[1].cloud_device_id, "site7-a4c138000001");
    assert_string_equal(d[1].id, "b01");
    assert_int_equal(d[1].point_count, 0);
    assert_string_equal(d[1].routes[0].cloud_device_id, "site7-b01");
    tg_config_free(c);
}

static void what_does_not_fit_is_left_out(void **state)
{
    static const struct tg_config_discovered devices[] = {
        {"gone", "a4c101", NULL},      /* no such source */
        {"yard", "c01", NULL},         /* the allow list has changed */
        {"yard", "a4c1-named", NULL},  /* the file has it now */
        {"yard", "a4c1-taken", NULL},  /* its name in the cloud is another device's */
        {"yard", "a4c102", "no-such"}, /* another version of the plugin */
        {"yard", "a4c103", "twice"},   /* what its profile brings is wrong */
        {"yard", "a4c1/4", NULL},      /* not what an id is like */
        {"yard", "a4c105", "thermo"},  /* fits */
        {"yard", "a4c105", "thermo"},  /* again */
        {"yard", "a4c106", NULL},      /* fits */
        {"yard", "a4c107", NULL},      /* fits */
        {"yard", "a4c108", NULL},      /* one too many */
    };
    struct tg_config *c = load(yard, devices, COUNT(devices));
    const struct tg_config_source *s = &c->sources[0];
    (void)state;
    assert_int_equal(s->device_count, 5);
    assert_string_equal(s->devices[2].id, "a4c105");
    assert_int_equal(s->devices[2].point_count, 2);
    assert_string_equal(s->devices[3].id, "a4c106");
    assert_string_equal(s->devices[4].id, "a4c107");
    assert_string_equal(
        left.text,
        "gone/a4c101: the file has no such source with a discover section\n"
        "yard/c01: no pattern of the source's allow list has it any more\n"
        "yard/a4c1-named: a device of the file, or one that another source has found, has this id\n"
        "yard/a4c1-taken: another device has this id in the cloud\n"
        "yard/a4c102: profile: plugin ble has no profile \"no-such\"; it has thermo, twice, and there is no "
        "file profiles/ble/NAME.yaml of that name beside the configuration\n"
        "yard/a4c103: point name \"a\" is given twice: the first is in line 1 of the same device\n"
        "yard/a4c1/4: device id \"a4c1/4\": letters, digits and - _ . : @ are allowed, the first a letter, a "
        "digit or _\n"
        "yard/a4c105: a device of the file, or one that another source has found, has this id\n"
        "yard/a4c108: the source has as many discovered devices as its max says\n");
    tg_config_free(c);
}

/* A required setting that neither profile nor file gives; a profile that is no YAML is told once and used by none. */
static void settings_and_profiles_that_cannot_be_used(void **state)
{
    static const char text[] = "clouds: [{name: lake, type: mqtt, host: l.example}]\n"
                               "sources: [{name: bus, plugin: modbus, settings: {transport: tcp,\n"
                               "  discover: {clouds: [lake], allow: ['*']}}}]\n";
    static const struct tg_config_discovered devices[] = {
        {"bus", "m1", "eastron-sdm630"}, {"bus", "m2", "broken"}, {"bus", "m3", "broken"}};
    struct tg_config *c = load(text, devices, 3);
    (void)state;
    assert_int_equal(c->sources[0].device_count, 0);
    assert_int_equal(left.lines, 3);
    assert_non_null(strstr(left.text, "bus/m1: missing \"unit\" in the device's settings: Which unit."));
    assert_non_null(strstr(left.text, "bus/m2: not valid YAML"));
    assert_non_null(strstr(left.text, "bus/m3: profile \"broken\" of the plugin cannot be used"));
    tg_config_free(c);
}

static void the_first_source_that_found_it_keeps_it(void **state)
{
    static const char text[] =
        "clouds: [{name: lake, type: mqtt, host: l.example}]\n"
        "sources:\n"
        "  - {name: north, plugin: ble, settings: {discover: {clouds: [lake], allow: ['*'], max: 1}}}\n"
        "  - {name: south, plugin: ble, settings: {discover: {clouds: [lake], allow: ['*'], max: 1}}}\n";
    static const struct tg_config_discovered devices[] = {
        {"north", "a1", NULL}, {"south", "a1", NULL}, {"south", "a2", NULL}};
    struct tg_config *c = load(text, devices, 3);
    (void)state;
    assert_int_equal(c->sources[0].device_count, 1);
    assert_int_equal(c->sources[1].device_count, 1);
    assert_string_equal(c->sources[1].devices[0].id, "a2");
    assert_int_equal(left.lines, 1);
    assert_non_null(strstr(left.text, "south/a1: "));
    tg_config_free(c);
}

static void a_file_with_errors_stays_one(void **state)
{
    static const struct tg_config_discovered devices[] = {{"yard", "c01", NULL}};
    struct tg_config *c = NULL;
    char text[2048];
    (void)state;
    snprintf(text, sizeof text, "%s      - {id: a4c1-named, clouds: [lake]}\n", yard);
    assert_int_equal(load_rc(text, devices, 1, &c), TG_EINVAL);
    assert_int_equal(said.lines, 1);
    assert_non_null(strstr(said.text, "device id \"a4c1-named\" is given twice"));
    assert_null(c);
}

static void many_are_quick(void **state)
{
    static char ids[TG_CONFIG_MAX_DISCOVERED][16];
    static struct tg_config_discovered devices[TG_CONFIG_MAX_DISCOVERED];
    struct tg_config *c;
    (void)state;
    for (int i = 0; i < TG_CONFIG_MAX_DISCOVERED; i++) {
        snprintf(ids[i], sizeof ids[i], "b%d", i);
        devices[i] = (struct tg_config_discovered){"s", ids[i], "thermo"};
    }
    c = load("clouds: [{name: hub, type: mqtt, host: h}]\n"
             "sources: [{name: s, plugin: ble, settings: {discover: {clouds: [hub], allow: ['b*'], max: "
             "10000}}}]\n",
             devices, COUNT(devices));
    assert_int_equal(c->sources[0].device_count, TG_CONFIG_MAX_DISCOVERED);
    assert_string_equal(c->sources[0].devices[TG_CONFIG_MAX_DISCOVERED - 1].id, "b9999");
    tg_config_free(c);
}

static void the_budget_counts_who_may_come(void **state)
{
    static const struct tg_config_discovered devices[] = {{"yard", "b01", NULL}};
    struct tg_config *c = load(yard, devices, 1);
    (void)state;
    said = (struct tg_said){.len = 0};
    tg_config_budget(c, tg_fixture_say, &said);
    assert_non_null(strstr(said.text, "2 clouds, 1 source, 3 devices, 0 points\n"));
    assert_non_null(strstr(said.text, "up to 2 more devices by discovery"));
    assert_non_null(strstr(said.text, "cloud hub: 4 sessions")); /* one of the file, one known, two to come */
    assert_non_null(strstr(said.text, "cloud lake: 4 sessions"));
    tg_config_free(c);
}

static void every_allocation_may_fail(void **state)
{
    static const struct tg_config_discovered devices[] = {
        {"yard", "a4c101", "thermo"}, {"yard", "a4c102", "twice"}, {"yard", "b01", NULL}};
    int64_t live = tg_alloc_stats().live;
    (void)state;
    for (int forever = 0; forever < 2; forever++) {
        uint64_t nth = 1;
        int rc;
        do {
            struct tg_config *c = NULL;
            tg_alloc_fail_at(nth++, forever);
            rc = load_rc(yard, devices, 3, &c);
            tg_alloc_fail_at(0, 0);
            if (rc == TG_OK)
                tg_config_free(c);
            else
                assert_int_equal(rc, TG_ENOMEM);
            assert_int_equal(tg_alloc_stats().live, live);
        } while (rc != TG_OK);
        assert_true(nth > 40);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_section_is_read),
        cmocka_unit_test(defaults),
        cmocka_unit_test(a_discovered_device_is_a_device),
        cmocka_unit_test(what_does_not_fit_is_left_out),
        cmocka_unit_test(settings_and_profiles_that_cannot_be_used),
        cmocka_unit_test(the_first_source_that_found_it_keeps_it),
        cmocka_unit_test(a_file_with_errors_stays_one),
        cmocka_unit_test(many_are_quick),
        cmocka_unit_test(the_budget_counts_who_may_come),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
