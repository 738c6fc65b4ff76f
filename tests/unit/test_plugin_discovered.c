/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "support/host_rig.h"

static const struct tg_option section_options[] = {
    {.name = "allow", .type = TG_OPTION_TEXT_LIST}, {.name = "max", .type = TG_OPTION_INT}, {0}};
static const struct tg_profile profiles[] = {{"thermo", "", ""}, {0}};

static struct tg_config_discover section;
static struct tg_plugin with_profiles;

/* The levers plugin with a profile, in a source that lets a4c1… in, so many of them. */
static void begin(struct tg_host_rig *r, const struct tg_plugin *plugin, const char *max)
{
    const char *pairs[] = {"max", max, NULL};
    struct tg_settings *s = tg_test_settings(section_options, pairs);
    assert_int_equal(tg_settings_append(s, "allow", "b0*", (struct tg_settings_position){0}, NULL), 0);
    assert_int_equal(tg_settings_append(s, "allow", "a4c1??", (struct tg_settings_position){0}, NULL), 0);
    section = (struct tg_config_discover){.settings = s};
    with_profiles = *plugin;
    with_profiles.profiles = profiles;
    tg_rig_begin(r, &with_profiles);
    r->model.source.discover = &section;
}

static void end(struct tg_host_rig *r)
{
    tg_rig_end(r);
    tg_settings_free((struct tg_settings *)(uintptr_t)section.settings);
}

static int say(const struct tg_host *h, const char *id, const char *profile)
{
    return h->discovered(h->source, id, profile);
}

static void announce(const struct tg_host *h)
{
    char longest[200];
    assert_true(TG_HOST_HAS(h, discovered));
    assert_int_equal(say(h, "a4c101", "thermo"), TG_PLUGIN_OK);
    assert_int_equal(say(h, "a4c102", NULL), TG_PLUGIN_OK);
    assert_int_equal(say(h, "a4c101", "thermo"), TG_PLUGIN_OK); /* again: nothing */
    assert_int_equal(say(h, "a4c101", NULL), TG_PLUGIN_OK);
    assert_int_equal(say(h, "d0", NULL), TG_PLUGIN_OK); /* a device of the file, whatever the patterns say */
    assert_int_equal(say(h, "a4c1", NULL), TG_PLUGIN_EDENIED);
    assert_int_equal(say(h, "A4C101", NULL), TG_PLUGIN_EDENIED);
    assert_int_equal(say(h, "A4C101", NULL), TG_PLUGIN_EDENIED);
    assert_int_equal(say(h, NULL, NULL), TG_PLUGIN_EINVAL);
    assert_int_equal(say(h, "", NULL), TG_PLUGIN_EINVAL);
    assert_int_equal(say(h, "a4c1/x", NULL), TG_PLUGIN_EINVAL);
    assert_int_equal(say(h, "-4c103", NULL), TG_PLUGIN_EINVAL);
    assert_int_equal(say(h, "a4c103", "thermos"), TG_PLUGIN_EINVAL);
    memset(longest, 'b', sizeof longest);
    longest[TG_NAME_MAX_BYTES + 1] = '\0';
    assert_int_equal(say(h, longest, NULL), TG_PLUGIN_EINVAL);
    assert_int_equal(say(h, "b0", NULL), TG_PLUGIN_OK);
    assert_int_equal(say(h, "b01", NULL), TG_PLUGIN_EFULL); /* max is 3 */
    assert_int_equal(say(h, "b0", NULL), TG_PLUGIN_OK);
}

static void test_what_is_let_in(void **state)
{
    struct tg_host_rig r;
    struct tg_source_discovery seen;
    begin(&r, *state, "3");
    tg_levers.in_open = announce;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.opens == 1); /* told after what open() told */
    assert_int_equal(r.found, 3);
    assert_string_equal(r.found_ids[0], "a4c101");
    assert_string_equal(r.found_profiles[0], "thermo");
    assert_string_equal(r.found_ids[1], "a4c102");
    assert_string_equal(r.found_profiles[1], "(none)");
    assert_string_equal(r.found_ids[2], "b0");
    assert_true(tg_source_host_discovery(r.host, &seen));
    assert_int_equal(seen.used, 3);
    assert_int_equal(seen.max, 3);
    assert_int_equal(seen.denied, 2);
    assert_int_equal(seen.without_room, 1);
    assert_int_equal(seen.candidate_count, 3);
    assert_string_equal(seen.candidates[0].id, "a4c1");
    assert_false(seen.candidates[0].allowed);
    assert_string_equal(seen.candidates[2].id, "b01");
    assert_true(seen.candidates[2].allowed);
    end(&r);
}

static void announce_one_more(const struct tg_host *h)
{
    assert_int_equal(say(h, "b0", NULL), TG_PLUGIN_OK);
    assert_int_equal(say(h, "b1", NULL), TG_PLUGIN_EDENIED);
    assert_int_equal(say(h, "b02", NULL), TG_PLUGIN_EFULL);
}

static void test_those_of_before_count(void **state)
{
    struct tg_host_rig r;
    begin(&r, *state, "2");
    r.model.devices[0].discovered = true;
    tg_levers.in_open = announce_one_more;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.opens == 1);
    assert_int_equal(r.found, 1);
    end(&r);
}

static void try_without_section(const struct tg_host *h)
{
    assert_int_equal(say(h, "a4c101", NULL), TG_PLUGIN_EUNSUPPORTED);
}

static void test_a_source_without_the_section(void **state)
{
    struct tg_host_rig r;
    struct tg_source_discovery seen;
    begin(&r, *state, "2");
    r.model.source.discover = NULL;
    tg_levers.in_open = try_without_section;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.opens == 1);
    assert_int_equal(r.found, 0);
    assert_false(tg_source_host_discovery(r.host, &seen));
    end(&r);
}

static void crowd(const struct tg_host *h)
{
    char id[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "z%d", i);
        assert_int_equal(say(h, id, NULL), TG_PLUGIN_EDENIED);
    }
}

static void test_candidates_are_bounded(void **state)
{
    struct tg_host_rig r;
    struct tg_source_discovery seen;
    bool newest = false;
    begin(&r, *state, "2");
    tg_levers.in_open = crowd;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.opens == 1);
    assert_true(tg_source_host_discovery(r.host, &seen));
    assert_int_equal(seen.denied, 1000);
    assert_int_equal(seen.candidate_count, TG_SOURCE_CANDIDATES);
    for (uint32_t i = 0; i < seen.candidate_count; i++)
        newest = newest || strcmp(seen.candidates[i].id, "z999") == 0;
    assert_true(newest);
    assert_int_equal(r.found, 0);
    end(&r);
}

static void announce_without_memory(const struct tg_host *h)
{
    for (uint64_t nth = 1; nth <= 3; nth++) {
        tg_alloc_fail_at(nth, 1);
        assert_int_equal(say(h, "b0", NULL), TG_PLUGIN_ENOMEM);
        tg_alloc_fail_at(0, 0);
    }
    assert_int_equal(say(h, "b0", NULL), TG_PLUGIN_OK);
}

static void test_no_memory(void **state)
{
    struct tg_host_rig r;
    (void)state;
    begin(&r, &tg_levers_loop, "2"); /* on the loop: nobody else allocates meanwhile */
    tg_levers.in_open = announce_without_memory;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.opens == 1);
    assert_int_equal(r.found, 1);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TG_RIG_BOTH(test_what_is_let_in), TG_RIG_BOTH(test_those_of_before_count),
        TG_RIG_BOTH(test_a_source_without_the_section), TG_RIG_BOTH(test_candidates_are_bounded),
        cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
