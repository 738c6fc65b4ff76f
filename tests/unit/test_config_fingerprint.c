/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "config/config_fingerprint.h"
#include "support/host_model.h"

static const struct tg_option source_options[] = {
    {.name = "host", .type = TG_OPTION_TEXT}, {.name = "port", .type = TG_OPTION_INT}, {0}};
static const struct tg_option device_options[] = {{.name = "unit", .type = TG_OPTION_INT},
                                                  {.name = "tags", .type = TG_OPTION_TEXT_LIST},
                                                  {.name = "more", .type = TG_OPTION_TEXT_LIST},
                                                  {0}};
static const struct tg_option point_options[] = {
    {.name = "address", .type = TG_OPTION_TEXT}, {.name = "k", .type = TG_OPTION_REAL}, {0}};
static const struct tg_plugin plugin = {TG_PLUGIN_INIT(TG_THREAD_LOOP), .name = "bus",
                                        .source_options = source_options, .device_options = device_options,
                                        .point_options = point_options};
static const struct tg_option cloud_options[] = {{.name = "host", .type = TG_OPTION_TEXT}, {0}};

struct rig {
    struct tg_test_model m;
    struct tg_config_cloud clouds[2];
    struct tg_settings *cloud_settings[3];
    struct tg_config_route routes[TG_TEST_MAX_DEVICES][2];
};

static void begin(struct rig *r)
{
    memset(r, 0, sizeof *r);
    tg_test_model_init(&r->m, &plugin, 2, 2);
    for (int i = 0; i < 3; i++)
        r->cloud_settings[i] = tg_test_settings(cloud_options, NULL);
    r->clouds[0] = (struct tg_config_cloud){.name = "hub",
                                            .type = "mqtt",
                                            .common = r->cloud_settings[0],
                                            .batch = r->cloud_settings[1],
                                            .settings = r->cloud_settings[2]};
    r->clouds[1] = r->clouds[0];
    r->clouds[1].name = "lake";
    for (uint32_t d = 0; d < 2; d++) {
        for (int i = 0; i < 2; i++)
            r->routes[d][i] =
                (struct tg_config_route){.cloud = &r->clouds[i],
                                         .cloud_device_id = r->m.devices[d].id,
                                         .identity = {.kind = TG_IDENTITY_SAS_KEY, .sas_key_file = "k"}};
        r->m.devices[d].routes = r->routes[d];
        r->m.devices[d].route_count = 1;
    }
}

static void end(struct rig *r)
{
    tg_test_model_fini(&r->m);
    for (int i = 0; i < 3; i++)
        tg_settings_free(r->cloud_settings[i]);
}

static void set(struct tg_settings *s, const char *name, const char *text)
{
    assert_int_equal(tg_settings_set(s, name, text, NULL, (struct tg_settings_position){9, 9}, NULL), 0);
}

/* Each changes one thing. */
static void c_source_name(struct rig *r)
{
    r->m.source.name = "other";
}
static void c_plugin(struct rig *r)
{
    r->m.source.plugin_name = "sub";
}
static void c_source_option(struct rig *r)
{
    set(r->m.source_settings, "port", "502");
}
static void c_source_zero(struct rig *r)
{
    set(r->m.source_settings, "port", "0");
}
static void c_source_text(struct rig *r)
{
    set(r->m.source_settings, "host", "");
}
static void c_device_id(struct rig *r)
{
    r->m.devices[1].id = "d2";
}
static void c_fewer_devices(struct rig *r)
{
    r->m.source.device_count = 1;
}
static void c_list(struct rig *r)
{
    assert_int_equal(
        tg_settings_append(r->m.device_settings[0], "tags", "a", (struct tg_settings_position){1, 1}, NULL),
        0);
}
static void c_other_list(struct rig *r)
{
    assert_int_equal(
        tg_settings_append(r->m.device_settings[0], "more", "a", (struct tg_settings_position){1, 1}, NULL),
        0);
}
static void c_empty_list(struct rig *r)
{
    tg_settings_set_empty_list(r->m.device_settings[0], "tags", (struct tg_settings_position){1, 1});
}
static void c_point_name(struct rig *r)
{
    r->m.points[0][1].name = "px";
}
static void c_unit(struct rig *r)
{
    r->m.points[0][1].unit = "V";
}
static void c_empty_unit(struct rig *r)
{
    r->m.points[0][1].unit = "";
}
static void c_deadband(struct rig *r)
{
    tg_test_model_point(&r->m, 0, 0, "deadband", "1");
}
static void c_real(struct rig *r)
{
    tg_test_model_own(&r->m, 0, 0, "k", "0.5");
}
static void c_address(struct rig *r)
{
    tg_test_model_own(&r->m, 1, 1, "address", "x");
}
static void c_fewer_points(struct rig *r)
{
    r->m.devices[0].point_count = 1;
}
static void c_more_routes(struct rig *r)
{
    r->m.devices[0].route_count = 2;
}
static void c_cloud(struct rig *r)
{
    r->routes[0][0].cloud = &r->clouds[1];
}
static void c_cloud_host(struct rig *r)
{
    set(r->cloud_settings[0], "host", "h");
}
static void c_cloud_batch(struct rig *r)
{
    set(r->cloud_settings[1], "host", "h");
}
static void c_cloud_own(struct rig *r)
{
    set(r->cloud_settings[2], "host", "h");
}
static void c_cloud_id(struct rig *r)
{
    r->routes[1][0].cloud_device_id = "else";
}
static void c_key(struct rig *r)
{
    r->routes[1][0].identity.sas_key_file = "k2";
}
static void c_kind(struct rig *r)
{
    r->routes[1][0].identity.kind = TG_IDENTITY_NONE;
}
static void c_key_as_username(struct rig *r)
{
    r->routes[1][0].identity.sas_key_file = NULL;
    r->routes[1][0].identity.username = "k";
}

static struct tg_config_discover section;
static void c_discover(struct rig *r)
{
    section.settings = r->cloud_settings[0]; /* without a value */
    r->m.source.discover = &section;
}
static void c_discover_option(struct rig *r)
{
    section.settings = r->cloud_settings[2];
    set(r->cloud_settings[2], "host", "h"); /* which changes the cloud, too: see c_cloud_own */
    r->m.source.discover = &section;
}

static void test_every_change_is_seen(void **state)
{
    static void (*const changes[])(struct rig *) = {
        c_source_name,     c_plugin,        c_source_option,  c_source_zero, c_source_text,
        c_device_id,       c_fewer_devices, c_list,           c_other_list,  c_empty_list,
        c_point_name,      c_unit,          c_empty_unit,     c_deadband,    c_real,
        c_address,         c_fewer_points,  c_more_routes,    c_cloud,       c_cloud_host,
        c_cloud_batch,     c_cloud_own,     c_cloud_id,       c_key,         c_kind,
        c_key_as_username, c_discover,      c_discover_option};
    enum { COUNT = sizeof changes / sizeof changes[0] };
    uint64_t seen[COUNT + 1];
    struct rig r;
    (void)state;
    begin(&r);
    seen[COUNT] = tg_config_fingerprint(&r.m.source);
    end(&r);
    for (size_t i = 0; i < COUNT; i++) {
        uint32_t devices, points;
        begin(&r);
        devices = r.m.source.device_count;
        points = r.m.devices[0].point_count;
        changes[i](&r);
        seen[i] = tg_config_fingerprint(&r.m.source);
        r.m.source.device_count = devices;
        r.m.devices[0].point_count = points;
        end(&r);
    }
    for (size_t i = 0; i <= COUNT; i++)
        for (size_t k = i + 1; k <= COUNT; k++)
            if (seen[i] == seen[k])
                fail_msg("changes %zu and %zu cannot be told apart", i, k);
}

static void test_the_same_text_gives_the_same_number(void **state)
{
    struct rig a, b;
    (void)state;
    begin(&a);
    begin(&b);
    set(a.m.source_settings, "host", "h");
    assert_int_equal(
        tg_settings_set(b.m.source_settings, "host", "h", NULL, (struct tg_settings_position){77, 3}, NULL),
        0);
    b.m.source.pos.line = b.m.devices[0].pos.line = 77; /* it stands elsewhere in the file */
    assert_true(tg_config_fingerprint(&a.m.source) == tg_config_fingerprint(&b.m.source));
    end(&a);
    end(&b);
}

/* A name at the end of one device's points is not one at the beginning of the next device. */
static void test_parts_do_not_flow_into_each_other(void **state)
{
    static const struct tg_config_point points[3] = {{.name = "x"}, {.name = "x"}, {.name = "x"}};
    struct tg_config_device a[2] = {{.id = "x", .points = points, .point_count = 2},
                                    {.id = "x", .points = points, .point_count = 1}};
    struct tg_config_device b[2] = {{.id = "x", .points = points, .point_count = 1},
                                    {.id = "x", .points = points, .point_count = 2}};
    struct tg_config_source sa = {.name = "s", .plugin_name = "p", .devices = a, .device_count = 2}, sb = sa;
    (void)state;
    sb.devices = b;
    assert_true(tg_config_fingerprint(&sa) != tg_config_fingerprint(&sb));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_change_is_seen),
                                       cmocka_unit_test(test_the_same_text_gives_the_same_number),
                                       cmocka_unit_test(test_parts_do_not_flow_into_each_other)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
