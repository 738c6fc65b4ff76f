/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who has a serial port: lock files of programs that live and of those that have gone, our own, and the adapter's wait.
 */
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "southbound/serial_port.h"

struct place {
    char dir[64], lock[256], path[64];
    int master, fd;
};

/* The kernel gives the lowest number that is free, so a gateway of another test that waits for its unplugged /dev/pts/N to return would find
 * this test's terminal under that number, and lock it. With the low ones taken it is a number that nobody waits for. */
static void open_aside(struct place *p)
{
    int aside[48];
    for (size_t i = 0; i < sizeof aside / sizeof *aside; i++)
        aside[i] = posix_openpt(O_RDWR | O_NOCTTY);
    assert_int_equal(openpty(&p->master, &p->fd, p->path, NULL, NULL), 0);
    for (size_t i = 0; i < sizeof aside / sizeof *aside; i++)
        if (aside[i] >= 0)
            close(aside[i]);
}

static int begin(void **state)
{
    static struct place p;
    char name[128];
    snprintf(p.dir, sizeof p.dir, "/tmp/tidegate-locks-XXXXXX");
    assert_non_null(mkdtemp(p.dir));
    open_aside(&p);
    snprintf(name, sizeof name, "%s", p.path + strlen("/dev/"));
    *strchr(name, '/') = '_';
    snprintf(p.lock, sizeof p.lock, "%s/LCK..%s", p.dir, name);
    *state = &p;
    return 0;
}

static int end(void **state)
{
    struct place *p = *state;
    close(p->fd);
    close(p->master);
    (void)unlink(p->lock);
    return rmdir(p->dir);
}

static void write_file(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
}

static long written_pid(const char *path)
{
    char text[32] = {0};
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof text - 1, f), 11);
    fclose(f);
    /* ten columns and a line end, as the old programs want it */
    return strtol(text, NULL, 10);
}

static bool is_exclusive(int fd)
{
    int exclusive = 0;
    assert_int_equal(ioctl(fd, TIOCGEXCL, &exclusive), 0);
    return exclusive != 0;
}

static void ours(void **state)
{
    struct place *p = *state;
    char why[256];
    assert_false(is_exclusive(p->fd));
    assert_int_equal(tg_serial_claim_in(p->fd, p->path, p->dir, why, sizeof why), 0);
    assert_true(is_exclusive(p->fd)); /* also against programs that look at no lock */
    assert_int_equal(written_pid(p->lock), getpid());
    tg_serial_release_in(p->fd, p->dir);
    assert_false(is_exclusive(p->fd));
    assert_int_not_equal(access(p->lock, F_OK), 0);
    assert_int_equal(tg_serial_claim_in(p->fd, p->path, "/nonexistent", why, sizeof why),
                     0); /* flock is enough */
}

/* Somebody who lives has it, by text or as four bytes; and is named. */
static void theirs(void **state)
{
    struct place *p = *state;
    char why[256], text[16];
    int parent = (int)getppid();
    snprintf(text, sizeof text, "%10d\n", parent);
    for (int binary = 0; binary < 2; binary++) {
        write_file(p->lock, binary ? (const void *)&parent : text, binary ? sizeof parent : strlen(text));
        assert_true(tg_serial_claim_in(p->fd, p->path, p->dir, why, sizeof why) < 0);
        assert_non_null(strstr(why, p->lock));
        snprintf(text, sizeof text, "process %d", parent);
        assert_non_null(strstr(why, text));
        snprintf(text, sizeof text, "%10d\n", parent);
        assert_int_equal(access(p->lock, F_OK), 0);
    }
    tg_serial_release_in(p->fd, p->dir); /* theirs is not ours to remove */
    assert_int_equal(access(p->lock, F_OK), 0);
}

static void stale(void **state)
{
    struct place *p = *state;
    char why[256], text[16];
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    snprintf(text, sizeof text, "%10d\n", (int)child);
    write_file(p->lock, text, strlen(text));
    assert_int_equal(tg_serial_claim_in(p->fd, p->path, p->dir, why, sizeof why), 0);
    assert_int_equal(written_pid(p->lock), getpid());
}

static void second_owner(void **state)
{
    struct place *p = *state;
    char why[256];
    assert_int_equal(tg_serial_claim_in(p->fd, p->path, p->dir, why, sizeof why), 0);
    tg_serial_release_in(p->fd, p->dir);
    int other = open(p->path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(other >= 0);
    assert_int_equal(tg_serial_claim_in(p->fd, p->path, p->dir, why, sizeof why), 0);
    assert_true(tg_serial_claim_in(other, p->path, p->dir, why, sizeof why) < 0);
    assert_non_null(strstr(why, "is in use by another program or source"));
    close(other);
    assert_int_equal(written_pid(p->lock), getpid());
}

static void latency(void **state)
{
    struct place *p = *state;
    char dir[128], file[192];
    snprintf(dir, sizeof dir, "%s%s", p->dir, strrchr(p->path, '/'));
    snprintf(file, sizeof file, "%s/latency_timer", dir);
    assert_int_equal(tg_serial_latency_ms(p->path, p->dir), -1);
    assert_int_equal(mkdir(dir, 0700), 0);
    write_file(file, "16\n", 3);
    assert_int_equal(tg_serial_latency_ms(p->path, p->dir), 16);
    write_file(file, "1\n", 2);
    assert_int_equal(tg_serial_latency_ms(p->path, p->dir), 1);
    assert_int_equal(tg_serial_latency_ms("/nowhere", p->dir), -1);
    unlink(file);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ours, begin, end),
        cmocka_unit_test_setup_teardown(theirs, begin, end),
        cmocka_unit_test_setup_teardown(stale, begin, end),
        cmocka_unit_test_setup_teardown(second_owner, begin, end),
        cmocka_unit_test_setup_teardown(latency, begin, end),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
