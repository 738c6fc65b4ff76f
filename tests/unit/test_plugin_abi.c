/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The plugin ABI across versions: what an older header laid out is where it was; older and newer descriptions load; what cannot be
 * understood is refused with both versions and what to do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/plugin_place.h"

size_t tg_layout_old(const size_t **ret_values);
size_t tg_layout_now(const size_t **ret_values);

static void test_nothing_has_moved(void **state)
{
    const size_t *old, *now;
    size_t count = tg_layout_old(&old);
    (void)state;
    assert_int_equal(tg_layout_now(&now), count);
    for (size_t i = 0; i < count; i++)
        if (old[i] != now[i])
            fail_msg("the %zuth entry of tests/sdk/layout.c was %zu and is %zu", i, old[i], now[i]);
}

static void test_of_the_first_day(void **state)
{
    struct tg_place *p = *state;
    const struct tg_plugin *elder;
    tg_place_put(p, "elder", "elder");
    elder = tg_plugin_find(p->set, "elder", NULL);
    assert_non_null(elder);
    assert_true(elder->struct_size < sizeof *elder);
    assert_non_null(elder->write);
    /* Behind its description lies something else. */
    assert_int_equal(elder->needs, 0);
    assert_null(elder->discover);
}

static void test_of_a_later_day(void **state)
{
    struct tg_place *p = *state;
    const struct tg_plugin *later;
    tg_place_put(p, "later", "later");
    later = tg_plugin_find(p->set, "later", NULL);
    assert_non_null(later);
    assert_true(later->struct_size > sizeof *later);
    assert_string_equal(later->version, "9");
    assert_int_equal(later->needs, TG_NEEDS_STATED);
    assert_non_null(later->decode);
}

static int decline(struct tg_host_source *source, uint32_t device, const char *name,
                   const struct tg_value *value)
{
    (void)source;
    (void)device;
    (void)name;
    (void)value;
    return TG_PLUGIN_EUNSUPPORTED;
}

static void test_services_beyond_the_size_are_absent(void **state)
{
    struct tg_host host = {.struct_size = (uint32_t)sizeof host, .device_fact = decline};
    (void)state;
    assert_true(TG_HOST_HAS(&host, device_fact));
    assert_false(TG_HOST_HAS(&host, uplink)); /* there, and empty */
    host.struct_size = (uint32_t)(offsetof(struct tg_host, device_fact) + sizeof host.device_fact);
    assert_true(TG_HOST_HAS(&host, device_fact));
    host.struct_size--;
    assert_false(TG_HOST_HAS(&host, device_fact));
}

static void test_another_api(void **state)
{
    struct tg_place *p = *state;
    tg_place_put(p, "nextabi", "nextabi");
    tg_place_put(p, "lastabi", "lastabi");
    tg_place_assert_refused(p, "nextabi", TG_EVERSION,
                            "plugin API 2, this tidegate has 1; install a newer tidegate, or build the "
                            "plugin again against this one's plugin.h");
    tg_place_assert_refused(
        p, "lastabi", TG_EVERSION,
        "plugin API 0, this tidegate has 1; build the plugin again against this one's plugin.h");
}

static void test_descriptions_that_nobody_can_read(void **state)
{
    struct tg_place *p = *state;
    tg_place_put(p, "silent", "silent");
    tg_place_put(p, "endless", "endless");
    tg_place_put(p, "untyped", "untyped");
    tg_place_put(p, "choiceless", "choiceless");
    tg_place_assert_refused(p, "silent", TG_EINVAL, "tidegate_plugin() gives no description");
    tg_place_assert_refused(p, "endless", TG_EINVAL,
                            "the table of point options does not end within 256 entries");
    tg_place_assert_refused(p, "untyped", TG_EVERSION,
                            "point option \"when\" has type 11, this tidegate knows 1 to 10");
    tg_place_assert_refused(p, "choiceless", TG_EINVAL,
                            "point option \"which\" is one of several, and names none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_has_moved),
        cmocka_unit_test_setup_teardown(test_of_the_first_day, tg_place_setup, tg_place_teardown),
        cmocka_unit_test_setup_teardown(test_of_a_later_day, tg_place_setup, tg_place_teardown),
        cmocka_unit_test(test_services_beyond_the_size_are_absent),
        cmocka_unit_test_setup_teardown(test_another_api, tg_place_setup, tg_place_teardown),
        cmocka_unit_test_setup_teardown(test_descriptions_that_nobody_can_read, tg_place_setup,
                                        tg_place_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
