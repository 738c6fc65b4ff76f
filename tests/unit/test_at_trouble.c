/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What goes wrong is counted, and the log hears of it in measure; ports are listed without opening any.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "plugins/at/at_ports.h"
#include "plugins/at/at_trouble.h"

static void test_rate_of_lines(void **state)
{
    struct at_troubles t;
    uint64_t held = 0;
    unsigned lines = 0;
    (void)state;
    at_troubles_init(&t, 0);
    for (int64_t now = 0; now < 3600000; now += 100) /* ten a second, for an hour */
        lines += at_trouble_count(&t, AT_TROUBLE_TIMEOUT, now, &held);
    assert_int_equal(lines, AT_TROUBLE_BURST + 59);
    assert_int_equal(held, 599); /* in the minute before the last line */
    assert_int_equal(t.kinds[AT_TROUBLE_TIMEOUT].count, 36000);
    assert_true(at_trouble_count(&t, AT_TROUBLE_ERROR, 3600000, &held)); /* another kind is told at once */
    assert_int_equal(held, 0);
    for (int i = 0; i < AT_TROUBLE_BURST; i++) /* and after a quiet hour all lines are there again */
        assert_true(at_trouble_count(&t, AT_TROUBLE_TIMEOUT, 7200000, &held));
    assert_false(at_trouble_count(&t, AT_TROUBLE_TIMEOUT, 7200000, &held));
}

static void test_summary(void **state)
{
    struct at_troubles t;
    uint64_t held;
    char text[400], small[12];
    (void)state;
    at_troubles_init(&t, 0);
    (void)at_trouble_count(&t, AT_TROUBLE_TIMEOUT, 5, &held);
    (void)at_trouble_count(&t, AT_TROUBLE_FLOOD, 6, &held);
    (void)at_trouble_count(&t, AT_TROUBLE_FLOOD, 7, &held);
    assert_false(at_trouble_summary(&t, AT_TROUBLE_SUMMARY_MS - 1, text, sizeof text));
    assert_true(at_trouble_summary(&t, AT_TROUBLE_SUMMARY_MS, text, sizeof text));
    assert_string_equal(text, "timeout 1, flood 2");
    assert_false(at_trouble_summary(&t, 2 * AT_TROUBLE_SUMMARY_MS, text, sizeof text)); /* nothing new */
    (void)at_trouble_count(&t, AT_TROUBLE_TYPE, 8, &held);
    assert_true(at_trouble_summary(&t, 3 * AT_TROUBLE_SUMMARY_MS, small, sizeof small));
    assert_string_equal(small, "timeout 1, ");
    for (int i = 0; i < AT_TROUBLE_KINDS; i++)
        assert_non_null(at_trouble_names[i]);
}

static void test_bucket(void **state)
{
    struct at_bucket b;
    (void)state;
    at_bucket_init(&b, 100, 200, 0);
    assert_int_equal(at_bucket_room(&b, 0), 200);
    at_bucket_take(&b, 250);
    assert_int_equal(at_bucket_room(&b, 0), -50);
    for (int64_t t = 1; t <= 500; t++) /* looking often does not lose what has grown */
        (void)at_bucket_room(&b, t);
    assert_int_equal(at_bucket_room(&b, 500), 0);
    assert_int_equal(at_bucket_room(&b, 1000), 50);
    assert_int_equal(at_bucket_room(&b, INT64_MAX / 2), 200);
}

static char dir[] = "/tmp/tidegate-ports-XXXXXX";

static void make(const char *path, const char *text)
{
    char full[300];
    snprintf(full, sizeof full, "%s/%s", dir, path);
    if (!text) {
        assert_int_equal(mkdir(full, 0700), 0);
        return;
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_ports(void **state)
{
    struct at_port ports[AT_PORTS_MAX];
    char dev[200], sys[200], path[300], command[300];
    (void)state;
    assert_non_null(mkdtemp(dir));
    static const char *const folders[] = {"dev", "dev/serial", "dev/serial/by-id",
                                          "sys", "sys/ttyS0",  "sys/ttyS1"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        make(folders[i], NULL);
    snprintf(dev, sizeof dev, "%s/dev", dir);
    snprintf(sys, sizeof sys, "%s/sys", dir);
    assert_int_equal(at_ports_list(dev, sys, ports), 0);
    make("dev/ttyUSB0", "");
    make("dev/ttyUSB1", "");
    make("dev/ttyACM0", "");
    make("dev/ttyS0", "");
    make("dev/ttyS1", "");
    make("dev/ttyS2", "");
    make("sys/ttyS0/type", "4\n");
    make("sys/ttyS1/type", "0\n"); /* no chip; and ttyS2 is not known at all */
    snprintf(path, sizeof path, "%s/serial/by-id/usb-modem", dev);
    assert_int_equal(symlink("../../ttyUSB1", path), 0);
    snprintf(path, sizeof path, "%s/serial/by-id/usb-gone", dev);
    assert_int_equal(symlink("../../ttyUSB9", path), 0);
    assert_int_equal(at_ports_list(dev, sys, ports), 4);
    assert_non_null(strstr(ports[0].path, "/by-id/usb-modem"));
    assert_string_equal(ports[0].device, "ttyUSB1");
    assert_string_equal(ports[1].device, "ttyUSB0");
    assert_string_equal(ports[2].device, "ttyACM0");
    assert_string_equal(ports[3].device, "ttyS0");
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rate_of_lines), cmocka_unit_test(test_summary),
                                       cmocka_unit_test(test_bucket), cmocka_unit_test(test_ports)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
