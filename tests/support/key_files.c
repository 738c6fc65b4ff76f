/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/key_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/net/stream.h"

static char dir[128];

int key_files_setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "%s/tidegate keys XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return mkdtemp(dir) ? tg_tls_global_init(NULL) : -1;
}

int key_files_teardown(void **state)
{
    char command[256];
    (void)state;
    tg_tls_global_fini();
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

const char *key_files_at(const char *name)
{
    static char paths[64][256];
    static unsigned next;
    char *p = paths[next++ % 64];
    snprintf(p, sizeof paths[0], "%s/%s", dir, name);
    return p;
}

void key_files_run(const char *fmt, ...)
{
    char command[2048], all[2400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    snprintf(all, sizeof all,
             "cd '%s' && umask 077 && { { %s ; } > log 2>&1 || { cat log >&2 ; exit 1 ; } ; }", dir, command);
    if (system(all) != 0)
        fail_msg("%s", command);
}

void key_files_put(const char *name, struct tg_bytes content, mode_t mode)
{
    const char *path = key_files_at(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content.data, 1, content.len, f), content.len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

struct tg_bytes key_files_get(const char *name, void *memory, size_t cap)
{
    FILE *f = fopen(key_files_at(name), "rb");
    assert_non_null(f);
    size_t n = fread(memory, 1, cap, f);
    assert_true(n < cap);
    assert_int_equal(fclose(f), 0);
    return tg_bytes(memory, n);
}
