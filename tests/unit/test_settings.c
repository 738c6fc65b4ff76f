/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/allocator.h"
#include "core/base/settings.h"

static const char *const colours[] = {"red", "green", "blue", NULL};

static const struct tg_option table[] = {
    {.name = "flag", .type = TG_OPTION_BOOL, .default_text = "true"},
    {.name = "count",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 10,
     .flags = TG_OPTION_REQUIRED,
     .doc = "How many."},
    {.name = "at_least", .type = TG_OPTION_INT, .min = 5, .max = INT64_MAX},
    {.name = "at_most", .type = TG_OPTION_INT, .min = INT64_MIN, .max = 5},
    {.name = "ratio", .type = TG_OPTION_REAL, .default_text = "0.25"},
    {.name = "label", .type = TG_OPTION_TEXT, .min = 1, .max = 5},
    {.name = "colour", .type = TG_OPTION_ENUM, .choices = colours, .default_text = "green"},
    {.name = "every", .type = TG_OPTION_DURATION, .min = 30000, .max = 1177000, .default_text = "4m"},
    {.name = "limit", .type = TG_OPTION_SIZE, .default_text = "1MiB"},
    {.name = "file", .type = TG_OPTION_PATH},
    {.name = "secret", .type = TG_OPTION_SECRET_FILE},
    {.name = "tags", .type = TG_OPTION_TEXT_LIST, .default_text = "[a, bc]"},
    {.name = NULL},
};

static const struct tg_settings_position pos = {3, 7};

static void defaults_fill_in_and_required_is_checked(void **state)
{
    struct tg_settings *s = tg_settings_new(table);
    struct tg_error err = {0};
    const char *const *items;
    (void)state;
    assert_int_equal(tg_settings_finish(s, &err), TG_ENOTFOUND);
    assert_string_equal(err.text, "option \"count\" is required: How many.");
    assert_int_equal(tg_settings_set(s, "count", "4", NULL, pos, &err), TG_OK);
    assert_int_equal(tg_settings_finish(s, &err), TG_OK);
    assert_int_equal(tg_settings_int(s, "flag"), 1);
    assert_int_equal(tg_settings_int(s, "count"), 4);
    assert_int_equal(tg_settings_int(s, "colour"), 1);
    assert_string_equal(tg_settings_text(s, "colour"), "green");
    assert_int_equal(tg_settings_int(s, "every"), 240000);
    assert_int_equal(tg_settings_int(s, "limit"), 1048576);
    assert_true(tg_settings_real(s, "ratio") > 0.249 && tg_settings_real(s, "ratio") < 0.251);
    assert_int_equal(tg_settings_list(s, "tags", &items), 2);
    assert_string_equal(items[0], "a");
    assert_string_equal(items[1], "bc");
    assert_false(tg_settings_has(s, "label"));
    assert_null(tg_settings_text(s, "label"));
    assert_int_equal(tg_settings_position(s, "count").line, 3);
    assert_int_equal(tg_settings_position(s, "count").column, 7);
    assert_int_equal(tg_settings_position(s, "flag").line, 0);
    assert_ptr_equal(tg_settings_table(s), table);
    tg_settings_free(s);
}

static void wrong_values_say_what_is_allowed(void **state)
{
    static const struct {
        const char *name, *text;
        int code;
        const char *error;
    } bad[] = {
        {"flg", "true", TG_ENOTFOUND, "unknown option \"flg\": did you mean \"flag\"?"},
        {"quite else", "true", TG_ENOTFOUND, "unknown option \"quite else\""},
        {"count", "11", TG_ERANGE, "11 is out of range: 1 to 10 is allowed"},
        {"count", "0", TG_ERANGE, "0 is out of range: 1 to 10 is allowed"},
        {"at_least", "4", TG_ERANGE, "4 is out of range: at least 5 is allowed"},
        {"at_most", "6", TG_ERANGE, "6 is out of range: at most 5 is allowed"},
        {"every", "5s", TG_ERANGE, "5s is out of range: 30s to 1177s is allowed"},
        {"label", "", TG_ERANGE, "the text's length of 0 is out of range: 1 to 5 is allowed"},
        {"label", "sixsix", TG_ERANGE, "the text's length of 6 is out of range: 1 to 5 is allowed"},
        {"colour", "gren", TG_EINVAL, "\"gren\" is not one of red, green, blue: did you mean \"green\"?"},
        {"colour", "magenta", TG_EINVAL, "\"magenta\" is not one of red, green, blue"},
        {"file", "", TG_EINVAL, "the path is empty"},
        {"file", "a\nb", TG_EINVAL, "the path has a control character"},
        {"tags", "a", TG_EINVAL, "a sequence of texts is needed: [a, b]"},
    };
    struct tg_settings *s = tg_settings_new(table);
    struct tg_error err;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err = (struct tg_error){0};
        assert_int_equal(tg_settings_set(s, bad[i].name, bad[i].text, NULL, pos, &err), bad[i].code);
        assert_string_equal(err.text, bad[i].error);
    }
    assert_false(tg_settings_has(s, "count"));
    assert_int_equal(tg_settings_append(s, "label", "x", pos, &err), TG_EINVAL);
    assert_string_equal(err.text, "one value is needed, not a sequence");
    assert_int_equal(tg_settings_append(s, "tegs", "x", pos, &err), TG_ENOTFOUND);
    tg_settings_free(s);
}

static void a_failed_set_keeps_what_was_there(void **state)
{
    struct tg_settings *s = tg_settings_new(table);
    (void)state;
    assert_int_equal(tg_settings_set(s, "label", "one", NULL, pos, NULL), TG_OK);
    assert_int_equal(tg_settings_set(s, "label", "too long", NULL, pos, NULL), TG_ERANGE);
    assert_string_equal(tg_settings_text(s, "label"), "one");
    assert_int_equal(tg_settings_set(s, "label", "two", NULL, pos, NULL), TG_OK);
    assert_string_equal(tg_settings_text(s, "label"), "two");
    tg_settings_free(s);
}

static void paths_are_resolved(void **state)
{
    static const struct {
        const char *base, *text, *want;
    } cases[] = {
        {"/etc/tidegate", "ca.pem", "/etc/tidegate/ca.pem"},
        {"/etc/tidegate", "/x/y", "/x/y"},
        {NULL, "ca.pem", "ca.pem"},
        {"/", "a", "/a"},
        {".", "a", "./a"},
        {"/etc", "pkcs11:token=a", "pkcs11:token=a"},
        {"/etc", "pkcs11:token=a?pin-source=file:keys/pin", "pkcs11:token=a?pin-source=file:/etc/keys/pin"},
        {"/my site;", "pkcs11:token=a?module-path=/m&pin-source=pin",
         "pkcs11:token=a?module-path=/m&pin-source=/my%20site%3B/pin"},
        {"/etc", "pkcs11:token=a?pin-source=file:/keys/pin", "pkcs11:token=a?pin-source=file:/keys/pin"},
        {"/etc", "pkcs11:token=a?pin-source=", "pkcs11:token=a?pin-source="},
    };
    struct tg_settings *s = tg_settings_new(table);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(tg_settings_set(s, "file", cases[i].text, cases[i].base, pos, NULL), TG_OK);
        assert_string_equal(tg_settings_text(s, "file"), cases[i].want);
        assert_int_equal(tg_settings_set(s, "secret", cases[i].text, cases[i].base, pos, NULL), TG_OK);
        assert_string_equal(tg_settings_text(s, "secret"), cases[i].want);
    }
    tg_settings_free(s);
}

static void systemd_credentials_are_files(void **state)
{
    struct tg_settings *s = tg_settings_new(table);
    struct tg_error err = {0};
    (void)state;
    setenv("CREDENTIALS_DIRECTORY", "/run/credentials/tidegate.service", 1);
    assert_int_equal(tg_settings_set(s, "secret", "credential:hub", "/base", pos, &err), TG_OK);
    assert_string_equal(tg_settings_text(s, "secret"), "/run/credentials/tidegate.service/hub");
    assert_int_equal(tg_settings_set(s, "file", "credential:hub", "/base", pos, &err), TG_OK);
    assert_string_equal(tg_settings_text(s, "file"), "/base/credential:hub");
    assert_int_equal(tg_settings_set(s, "secret", "credential:../x", "/base", pos, &err), TG_EINVAL);
    assert_int_equal(tg_settings_set(s, "secret", "credential:", "/base", pos, &err), TG_EINVAL);
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(tg_settings_set(s, "secret", "credential:hub", "/base", pos, &err), TG_EINVAL);
    assert_string_equal(
        err.text,
        "a systemd credential needs LoadCredential= in the service: CREDENTIALS_DIRECTORY is not set");
    tg_settings_free(s);
}

static void lists_are_bounded_and_can_be_emptied(void **state)
{
    struct tg_settings *s = tg_settings_new(table);
    struct tg_error err = {0};
    const char *const *items;
    (void)state;
    for (int i = 0; i < TG_SETTINGS_MAX_ITEMS; i++)
        assert_int_equal(tg_settings_append(s, "tags", "t", pos, &err), TG_OK);
    assert_int_equal(tg_settings_append(s, "tags", "t", pos, &err), TG_ETOOBIG);
    assert_string_equal(err.text, "more than 256 entries");
    assert_int_equal(tg_settings_list(s, "tags", &items), TG_SETTINGS_MAX_ITEMS);
    tg_settings_set_empty_list(s, "tags", pos);
    assert_true(tg_settings_has(s, "tags"));
    assert_int_equal(tg_settings_list(s, "tags", &items), 0);
    tg_settings_free(s);
}

static void tables_of_strangers_cannot_break_us(void **state)
{
    static const struct tg_option wrong_default[] = {
        {.name = "n", .type = TG_OPTION_INT, .min = 1, .max = 3, .default_text = "9"}, {.name = NULL}};
    static const struct tg_option newer[] = {{.name = "n", .type = 99}, {.name = NULL}};
    static const struct tg_option no_choices[] = {{.name = "n", .type = TG_OPTION_ENUM}, {.name = NULL}};
    struct tg_error err = {0};
    struct tg_settings *s = tg_settings_new(wrong_default);
    (void)state;
    assert_int_equal(tg_settings_finish(s, &err), TG_ERANGE);
    assert_string_equal(
        err.text,
        "the default of option \"n\" (a defect of its table): 9 is out of range: 1 to 3 is allowed");
    tg_settings_free(s);
    s = tg_settings_new(newer);
    assert_int_equal(tg_settings_set(s, "n", "1", NULL, pos, &err), TG_EUNSUPPORTED);
    tg_settings_free(s);
    s = tg_settings_new(no_choices);
    assert_int_equal(tg_settings_set(s, "n", "1", NULL, pos, &err), TG_EINVAL);
    tg_settings_free(s);
    s = tg_settings_new(NULL);
    assert_int_equal(tg_settings_set(s, "n", "1", NULL, pos, &err), TG_ENOTFOUND);
    assert_int_equal(tg_settings_finish(s, &err), TG_OK);
    tg_settings_free(s);
    tg_settings_free(NULL);
}

/* Runs `act` in a child: a programmer's mistake must abort. */
static void assert_aborts(void (*act)(struct tg_settings *s))
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        struct tg_settings *s = tg_settings_new(table);
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        act(s);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void read_unknown(struct tg_settings *s)
{
    (void)tg_settings_int(s, "no such");
}

static void read_wrong_type(struct tg_settings *s)
{
    (void)tg_settings_int(s, "label");
}

static void mistakes_of_programmers_abort(void **state)
{
    (void)state;
    assert_aborts(read_unknown);
    assert_aborts(read_wrong_type);
}

static int build_all(void)
{
    struct tg_settings *s = tg_settings_new(table);
    int rc;
    if (!s)
        return TG_ENOMEM;
    rc = tg_settings_set(s, "count", "4", NULL, pos, NULL);
    rc = rc < 0 ? rc : tg_settings_set(s, "label", "x", NULL, pos, NULL);
    rc = rc < 0 ? rc : tg_settings_set(s, "file", "x", "/base", pos, NULL);
    rc = rc < 0 ? rc : tg_settings_append(s, "tags", "x", pos, NULL);
    rc = rc < 0 ? rc : tg_settings_append(s, "tags", "y", pos, NULL);
    rc = rc < 0 ? rc : tg_settings_finish(s, NULL);
    tg_settings_free(s);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    int64_t live = tg_alloc_stats().live;
    (void)state;
    for (int forever = 0; forever < 2; forever++) {
        uint64_t nth = 1;
        int rc;
        do {
            tg_alloc_fail_at(nth++, forever);
            rc = build_all();
            tg_alloc_fail_at(0, 0);
            assert_true(rc == TG_OK || rc == TG_ENOMEM);
            assert_int_equal(tg_alloc_stats().live, live);
        } while (rc != TG_OK);
        assert_true(nth > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_in_and_required_is_checked),
        cmocka_unit_test(wrong_values_say_what_is_allowed),
        cmocka_unit_test(a_failed_set_keeps_what_was_there),
        cmocka_unit_test(paths_are_resolved),
        cmocka_unit_test(systemd_credentials_are_files),
        cmocka_unit_test(lists_are_bounded_and_can_be_emptied),
        cmocka_unit_test(tables_of_strangers_cannot_break_us),
        cmocka_unit_test(mistakes_of_programmers_abort),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
