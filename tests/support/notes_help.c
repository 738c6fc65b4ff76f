/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/notes_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "store/notes.h"
#include "support/gate_vfs.h"
#include "support/outbox_help.h"

void notes_setup(struct notes_fixture *x)
{
    struct tg_error err = {0};
    memset(x, 0, sizeof *x);
    x->dir = tg_test_dir();
    assert_int_equal(tg_loop_init(&x->loop, &err), TG_OK);
}

void notes_open_at(struct notes_fixture *x, const char *dir)
{
    struct tg_error err = {0};
    x->closed = false;
    assert_int_equal(tg_notes_open(&x->loop, dir, &x->notes, &err), TG_OK);
}

void notes_turn_until(struct notes_fixture *x, const bool *condition)
{
    int64_t end = tg_clock_mono_ms() + NOTES_DEADLINE_MS;
    while (!*condition) {
        assert_true(tg_clock_mono_ms() < end);
        if (!uv_run(&x->loop.uv, UV_RUN_NOWAIT) || !*condition)
            usleep(1000); /* between two looks at the condition */
    }
}

void notes_on_closed(void *user)
{
    struct notes_fixture *x = user;
    x->closed = true;
}

void notes_shut(struct notes_fixture *x)
{
    tg_notes_close(x->notes, NOTES_DEADLINE_MS, notes_on_closed, x);
    notes_turn_until(x, &x->closed);
    x->notes = NULL;
}

void notes_teardown(struct notes_fixture *x)
{
    if (x->notes)
        notes_shut(x);
    tg_loop_fini(&x->loop);
    tg_test_dir_remove(x->dir);
    free(x->dir);
}

void notes_on_durable(void *user, int rc)
{
    struct notes_answer *a = user;
    assert_false(a->here);
    a->here = true;
    a->rc = rc;
}

int notes_durable(struct notes_fixture *x)
{
    struct notes_answer a = {x, false, 1};
    assert_int_equal(tg_notes_when_durable(x->notes, notes_on_durable, &a), TG_OK);
    assert_false(a.here);
    notes_turn_until(x, &a.here);
    return a.rc;
}

void notes_set(struct notes_fixture *x, const char *scope, const char *key, const char *value)
{
    assert_int_equal(tg_notes_set(x->notes, scope, key, tg_bytes_str(value)), TG_OK);
}

void notes_expect(struct notes_fixture *x, const char *scope, const char *key, const char *value)
{
    struct tg_bytes got = tg_notes_get(x->notes, scope, key);
    if (!tg_bytes_eq_str(got, value))
        fail_msg("%s %s is \"%.*s\", not \"%s\"", scope, key, (int)got.len, (const char *)got.data, value);
}

/* Standard error into a file; returns how often `text` stands in it afterwards. */
static int told_fd = -1, real_stderr = -1;

void notes_listen_to_log(void)
{
    char name[] = "/tmp/tg notes log XXXXXX";
    fflush(stderr);
    told_fd = mkstemp(name);
    assert_true(told_fd >= 0);
    unlink(name);
    real_stderr = dup(2);
    dup2(told_fd, 2);
}

void notes_stop_listening(void)
{
    fflush(stderr);
    dup2(real_stderr, 2);
    close(real_stderr);
}

int notes_told(const char *text)
{
    static char log[65536];
    int count = 0;
    ssize_t n = pread(told_fd, log, sizeof log - 1, 0);
    assert_true(n >= 0);
    log[n] = '\0';
    for (const char *p = log; (p = strstr(p, text)) != NULL; p++)
        count++;
    return count;
}

static void collect(void *user, const char *scope, const char *key, struct tg_bytes value)
{
    struct tg_buffer *b = user;
    char text[512];
    int n = snprintf(text, sizeof text, "%s:%s=%.*s ", scope, key, (int)value.len, (const char *)value.data);
    assert_in_range(n, 0, sizeof text - 1);
    assert_int_equal(tg_buffer_append(b, tg_bytes(text, (size_t)n)), TG_OK);
}

void notes_each_is(struct notes_fixture *x, const char *want)
{
    struct tg_buffer b = tg_buffer_init(4096);
    tg_notes_each(x->notes, collect, &b);
    assert_int_equal(tg_buffer_append(&b, tg_bytes("", 1)), TG_OK);
    assert_string_equal((const char *)b.data, want);
    tg_buffer_fini(&b);
}
