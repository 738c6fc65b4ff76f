/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/outbox_help.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "core/base/sample.h"

static char *make_dir(const char *parent)
{
    char *dir = NULL;
    assert_true(asprintf(&dir, "%s/tg outbox XXXXXX", parent) > 0);
    assert_non_null(mkdtemp(dir));
    return dir;
}

char *tg_test_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    return make_dir(tmp && *tmp ? tmp : "/tmp");
}

char *tg_test_memory_dir(void)
{
    return access("/dev/shm", W_OK) == 0 ? make_dir("/dev/shm") : tg_test_dir();
}

void tg_test_dir_remove(const char *dir)
{
    struct dirent *e;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(d), e->d_name, 0) != 0)
            assert_int_equal(unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR), 0);
    }
    closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

const char *tg_test_path(const char *dir, const char *name)
{
    static char paths[4][4096];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

bool tg_test_exists(const char *dir, const char *name)
{
    struct stat st;
    return lstat(tg_test_path(dir, name), &st) == 0;
}

int64_t tg_test_file_size(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

uint8_t *tg_test_slurp(const char *path, size_t *ret_len)
{
    int64_t size = tg_test_file_size(path);
    assert_true(size >= 0);
    uint8_t *data = malloc((size_t)size + 1);
    FILE *f = fopen(path, "rb");
    assert_non_null(data);
    assert_non_null(f);
    assert_int_equal(fread(data, 1, (size_t)size, f), size);
    fclose(f);
    *ret_len = (size_t)size;
    return data;
}

void tg_test_spill(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

struct tg_outbox_options tg_test_options(const char *dir)
{
    return (struct tg_outbox_options){.dir = dir, .durability = TG_DURABILITY_FULL};
}

struct tg_outbox *tg_test_open(const struct tg_outbox_options *o)
{
    struct tg_outbox *ob = NULL;
    struct tg_error err = {0};
    char aside[256];
    if (tg_outbox_open(o, &ob, aside, &err) != TG_OK)
        fail_msg("open: %s", err.text);
    if (aside[0])
        fail_msg("the database was set aside as %s: %s", aside, err.text);
    return ob;
}

struct tg_bytes tg_test_body(uint32_t device, uint64_t seq, size_t size)
{
    static uint8_t memory[70000];
    static char filler[1024];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    size_t texts = size > 24 ? (size - 24) / 1000 + 1 : 0;
    memset(filler, 'a' + (int)(seq % 26), sizeof filler);
    tg_sample_begin(&w, (int64_t)seq, (uint32_t)(2 + texts));
    tg_sample_value(&w, &(struct tg_named_value){tg_bytes_str("d"), 0, tg_value_uint(device)});
    tg_sample_value(&w, &(struct tg_named_value){tg_bytes_str("s"), 0, tg_value_uint(seq)});
    for (size_t i = 0; i < texts; i++) {
        size_t left = size > w.len + 8 ? size - w.len - 8 : 0;
        tg_sample_value(&w, &(struct tg_named_value){tg_bytes_str("t"), 0,
                                                     tg_value_text(filler, left < 1000 ? left : 1000)});
    }
    assert_false(w.failed);
    return tg_bytes(memory, w.len);
}

void tg_test_check_body(const struct tg_outbox_row *row)
{
    struct tg_sample_reader r;
    struct tg_named_value v;
    assert_int_equal(tg_sample_reader_init(&r, row->body), TG_OK);
    assert_int_equal(r.time_ms, row->seq);
    assert_int_equal(tg_sample_reader_next(&r, &v), 1);
    assert_int_equal(v.value.as.uinteger, row->device);
    assert_int_equal(tg_sample_reader_next(&r, &v), 1);
    assert_int_equal(v.value.as.uinteger, row->seq);
}

int tg_test_append(struct tg_outbox *ob, uint32_t device, uint64_t *last_id, uint64_t *last_seq, size_t size,
                   struct tg_error *err)
{
    struct tg_outbox_row row = {
        .id = *last_id + 1, .seq = *last_seq + 1, .device = device, .time_ms = 1700000000000};
    row.body = tg_test_body(device, row.seq, size);
    int code = tg_outbox_append(ob, &row, err);
    if (code == TG_OK) {
        ++*last_id;
        ++*last_seq;
    }
    return code;
}

uint32_t tg_test_random(uint64_t *state)
{
    /* SplitMix64. */
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(z >> 32);
}

static void fail_finding(void *user, const char *finding)
{
    (void)user;
    print_error("finding: %s\n", finding);
}

void tg_test_verify(struct tg_outbox *ob)
{
    struct tg_error err = {0};
    if (tg_outbox_verify(ob, fail_finding, NULL, &err) != TG_OK)
        fail_msg("verify: %s", err.text);
}

void tg_test_copy_outbox(const char *from, const char *to)
{
    struct dirent *e;
    DIR *d = opendir(from);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        size_t len = 0;
        if (strncmp(e->d_name, "outbox.", 7) != 0 || strstr(e->d_name, ".lock") || strstr(e->d_name, "-shm"))
            continue;
        uint8_t *data = tg_test_slurp(tg_test_path(from, e->d_name), &len);
        tg_test_spill(tg_test_path(to, e->d_name), data, len);
        free(data);
    }
    closedir(d);
}

void tg_test_boot_again(const char *dir)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(tg_test_path(dir, TG_OUTBOX_FILE), &db), SQLITE_OK);
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), SQLITE_OK);
    /* Before the first commit there is no table, and nothing to be told. */
    int rc = sqlite3_exec(db, "UPDATE meta SET boot_id='before the power cut'", NULL, NULL, NULL);
    assert_true(rc == SQLITE_OK || (rc == SQLITE_ERROR && strstr(sqlite3_errmsg(db), "no such table")));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}
