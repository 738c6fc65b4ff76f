/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What Modbus masters stumble over, one behaviour a test: many descriptors, dead units, unplugged and locked
 * ports, dropped connections, slow stops, holes in register maps, busy devices and gateways.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/modbus_stage.h"

static void wait_good(struct fake_host *h, uint32_t device, unsigned times)
{
    size_t from = fake_mark(h);
    for (unsigned i = 0; i < times; i++) {
        (void)fake_expect_value(h, from, device, 0, TG_QUALITY_GOOD);
        from = fake_mark(h);
    }
}

/* libmodbus aborts the process on descriptors from 1024 up. */
static void many_descriptors(void **state)
{
    (void)state;
    enum { MANY = 1100 };
    static int fds[MANY];
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int t = STAGE_TCP; t <= STAGE_RTU_OVER_TCP; t++) {
        struct stage s;
        stage_begin(&s, (enum stage_transport)t, "2s");
        uint32_t d = stage_device(s.host, 1, 3, 10, 1, 20);
        for (int i = 0; i < MANY; i++) {
            fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
            assert_true(fds[i] >= 0);
        }
        assert_true(fds[MANY - 1] >= 1024);
        fake_start(s.host);
        wait_good(s.host, d, 3);
        fake_stop(s.host);
        assert_true(stage_check_values(s.host, d, 1, 10, 1) >= 3);
        for (int i = 0; i < MANY; i++)
            close(fds[i]);
        stage_end(&s);
    }
}

/* The number behind that word in the answer to `stats`. */
static unsigned long stats_of(struct fake_host *h, uint64_t request, uint32_t device, const char *word)
{
    fake_command(h, request, device, "stats", "");
    struct fake_event e = fake_expect_answer(h, request);
    const char *at = strstr(e.text, word);
    assert_non_null(at);
    return strtoul(at + strlen(word), NULL, 10);
}

/* Between two requests to the dead unit each of the others is asked, and it is asked ever more rarely. */
static void dead_unit(enum stage_transport transport)
{
    struct stage s;
    stage_begin(&s, transport, "250ms");
    uint32_t d[3];
    for (unsigned u = 1; u <= 3; u++)
        d[u - 1] = stage_device(s.host, u, 1, 10, 1, 10);
    peer_do(&s.peer, "lie 2 silent");
    fake_start(s.host);
    (void)fake_expect_state(s.host, 0, d[1], TG_DEVICE_DOWN);
    (void)fake_expect_value(s.host, 0, d[1], 0, TG_QUALITY_DOWN);
    wait_good(s.host, d[0], 100);
    wait_good(s.host, d[2], 2);
    fake_stop(s.host);
    json_t *log = peer_say(&s.peer, "log"), *entry;
    size_t i, asked[4] = {0}, since[4] = {1, 1, 1, 1};
    json_array_foreach(json_object_get(log, "log"), i, entry)
    {
        json_int_t unit = json_integer_value(json_array_get(entry, 0));
        assert_in_range(unit, 1, 3);
        asked[unit]++;
        if (unit == 2) {
            assert_true(since[1] > 0 && since[3] > 0);
            since[1] = since[3] = 0;
        } else {
            since[unit]++;
        }
    }
    json_decref(log);
    assert_true(asked[1] > 10 * asked[2] && asked[3] > 10 * asked[2]);
    stage_end(&s);
}

static void dead_unit_tcp(void **state)
{
    (void)state;
    dead_unit(STAGE_TCP);
}

static void dead_unit_rtu(void **state)
{
    (void)state;
    dead_unit(STAGE_RTU);
}

/* The unit comes back on its own. */
static void dead_unit_returns(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_RTU, "250ms");
    uint32_t d = stage_device(s.host, 1, 2, 10, 1, 20);
    peer_do(&s.peer, "lie 1 silent");
    fake_start(s.host);
    struct fake_event e = fake_expect_state(s.host, 0, d, TG_DEVICE_DOWN);
    assert_non_null(strstr(e.text, "unit 1, FC3 holding:10+"));
    assert_non_null(strstr(e.text, "no answer in 250 ms; probed in "));
    size_t mark = fake_mark(s.host);
    peer_do(&s.peer, "lie 1 honest");
    (void)fake_expect_state(s.host, mark, d, TG_DEVICE_OK);
    (void)fake_expect_value(s.host, mark, d, 1, TG_QUALITY_GOOD);
    stage_end(&s);
}

static void unplugged_port_returns(void **state)
{
    (void)state;
    struct stage s;
    char dir[] = "/tmp/tidegate-modbus-XXXXXX", link[64];
    assert_non_null(mkdtemp(dir));
    snprintf(link, sizeof link, "%s/port", dir);
    memset(&s, 0, sizeof s);
    s.transport = STAGE_RTU;
    peer_start(&s.peer, "modbus_liar.py", (const char *[]){"--rtu", "--link", link, NULL});
    snprintf(s.port, sizeof s.port, "%s", link);
    s.host = stage_source(&s, "100ms");
    uint32_t d = stage_device(s.host, 1, 2, 10, 1, 20);
    fake_start(s.host);
    wait_good(s.host, d, 2);
    size_t mark = fake_mark(s.host);
    peer_do(&s.peer, "unplug");
    struct fake_event e = fake_expect_state(s.host, mark, d, TG_DEVICE_DOWN);
    assert_non_null(strstr(e.text, link));
    assert_non_null(strstr(e.text, "No such file or directory; is the device plugged in?; next attempt in "));
    (void)fake_expect_value(s.host, mark, d, 0, TG_QUALITY_COMM);
    (void)fake_expect_value(s.host, mark, d, 1, TG_QUALITY_COMM);
    mark = fake_mark(s.host);
    peer_do(&s.peer, "plug");
    (void)fake_expect_state(s.host, mark, d, TG_DEVICE_OK);
    wait_good(s.host, d, 2);
    (void)stage_check_values(s.host, d, 1, 10, 1);
    stage_end(&s);
    rmdir(dir);
}

static bool is_exclusive(const char *port)
{
    int fd = open(port, O_RDWR | O_NOCTTY), exclusive = 0;
    if (fd < 0 && errno == EBUSY) /* root alone is let in all the same */
        return true;
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, TIOCGEXCL, &exclusive), 0);
    close(fd);
    return exclusive != 0;
}

static void port_is_locked(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_RTU, "100ms");
    uint32_t d = stage_device(s.host, 1, 1, 10, 1, 20);
    fake_start(s.host);
    wait_good(s.host, d, 1);
    assert_true(is_exclusive(s.port)); /* also against programs that look at no lock */
    struct fake_host *second = stage_source(&s, "100ms");
    (void)stage_device(second, 1, 1, 10, 1, 20);
    fake_start(second);
    struct fake_event e = fake_expect_state(second, 0, 0, TG_DEVICE_DOWN);
    assert_non_null(strstr(e.text, "is in use by another program"));
    wait_good(s.host, d, 2); /* the first is not disturbed */
    fake_stop(s.host);
    (void)fake_expect_state(second, 0, 0, TG_DEVICE_OK); /* and when it lets go, the second gets the port */
    fake_host_free(second);
    assert_false(is_exclusive(s.port));
    stage_end(&s);
}

static void wrong_ports(void **state)
{
    (void)state;
    static const struct {
        const char *port, *text;
    } cases[] = {{"/dev/null", "is not a serial port"}, {"/dev/tidegate-none", "No such file or directory"}};
    for (size_t i = 0; i < 2; i++) {
        struct stage s = {.transport = STAGE_RTU};
        snprintf(s.port, sizeof s.port, "%s", cases[i].port);
        struct fake_host *h = stage_source(&s, "100ms");
        uint32_t d = stage_device(h, 1, 1, 10, 1, 20);
        fake_start(h);
        struct fake_event e = fake_expect_state(h, 0, d, TG_DEVICE_DOWN);
        assert_non_null(strstr(e.text, cases[i].text));
        (void)fake_expect_value(h, 0, d, 0, TG_QUALITY_COMM);
        fake_host_free(h);
    }
}

/* A listener whose queue is full: connects are neither accepted nor refused. */
static void connect_times_out(void **state)
{
    (void)state;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int fillers[8], listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 0), 0);
    getsockname(listener, (struct sockaddr *)&a, &len);
    for (size_t i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (struct sockaddr *)&a, sizeof a);
    }
    struct stage s = {.transport = STAGE_TCP};
    snprintf(s.port, sizeof s.port, "%u", ntohs(a.sin_port));
    struct fake_host *h = stage_source(&s, "100ms");
    fake_source_set(h, "connect_timeout", "150ms");
    uint32_t d = stage_device(h, 1, 1, 10, 1, 20);
    fake_start(h);
    struct fake_event e = fake_expect_state(h, 0, d, TG_DEVICE_DOWN);
    assert_non_null(strstr(e.text, "no connection within 150 ms"));
    fake_stop(h);
    fake_host_free(h);
    for (size_t i = 0; i < 8; i++)
        close(fillers[i]);
    close(listener);
    /* and now nobody listens */
    h = stage_source(&s, "100ms");
    d = stage_device(h, 1, 1, 10, 1, 20);
    fake_start(h);
    e = fake_expect_state(h, 0, d, TG_DEVICE_DOWN);
    assert_non_null(strstr(e.text, "Connection refused"));
    fake_host_free(h);
}

/* A request that would wait a minute does not hold up the end. */
static void stop_is_prompt(void **state)
{
    (void)state;
    for (int t = STAGE_TCP; t <= STAGE_RTU_OVER_TCP; t++) {
        struct stage s;
        struct timespec before, after;
        stage_begin(&s, (enum stage_transport)t, "60s");
        (void)stage_device(s.host, 1, 1, 10, 1, 20);
        peer_do(&s.peer, "lie 1 silent");
        fake_start(s.host);
        while (stage_requests(&s, 1, 3) == 0) {
        }
        clock_gettime(CLOCK_MONOTONIC, &before);
        fake_stop(s.host);
        clock_gettime(CLOCK_MONOTONIC, &after);
        assert_true(after.tv_sec - before.tv_sec < 60 / 4); /* a fraction of what it would wait */
        stage_end(&s);
    }
}

/* A device closes connections that are idle: the next request finds out, and nobody notices. */
static void idle_connection_closed(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_TCP, "1s");
    uint32_t d = stage_device(s.host, 1, 1, 10, 1, 100);
    fake_start(s.host);
    wait_good(s.host, d, 1);
    size_t mark = fake_mark(s.host);
    for (int i = 0; i < 3; i++) {
        peer_do(&s.peer, "drop");
        wait_good(s.host, d, 2);
    }
    fake_stop(s.host);
    for (size_t i = mark; i < fake_count(s.host); i++)
        assert_true(fake_at(s.host, i)->kind == FAKE_VALUE && fake_at(s.host, i)->quality == TG_QUALITY_GOOD);
    json_t *answer = peer_say(&s.peer, "connections");
    assert_int_equal(json_integer_value(json_object_get(answer, "connections")), 4);
    json_decref(answer);
    stage_end(&s);
}

/* Points with a hole between them that must not be read: found out once, remembered. */
static void hole_is_learned(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_TCP, "1s");
    uint32_t d = stage_device(s.host, 1, 8, 10, 4, 20); /* 10, 14, … 38 */
    fake_device_set(s.host, d, "max_gap", "10");
    peer_do(&s.peer, "hole 19 20");
    fake_start(s.host);
    for (uint32_t p = 0; p < 8; p++)
        (void)fake_expect_value(s.host, 0, d, p, TG_QUALITY_GOOD);
    size_t learned = stage_requests(&s, 1, 3), mark = fake_mark(s.host);
    wait_good(s.host, d, 5);
    fake_stop(s.host);
    json_t *log = peer_say(&s.peer, "log"), *entry;
    size_t i, refused = 0;
    json_array_foreach(json_object_get(log, "log"), i, entry)
    {
        json_int_t from = json_integer_value(json_array_get(entry, 2)),
                   n = json_integer_value(json_array_get(entry, 3));
        refused += i >= learned && from <= 20 && from + n > 19;
    }
    json_decref(log);
    assert_int_equal(refused, 0);
    uint32_t sample = 0;
    for (i = mark; i < fake_count(s.host); i++) { /* still one sample a turn */
        assert_int_equal(fake_at(s.host, i)->quality, TG_QUALITY_GOOD);
        if (fake_at(s.host, i)->point == 0)
            sample = fake_at(s.host, i)->sample;
        else if (sample)
            assert_int_equal(fake_at(s.host, i)->sample, sample);
    }
    (void)stage_check_values(s.host, d, 1, 10, 4);
    stage_end(&s);
}

/* What was learned outlives the connection, and is forgotten after the time that the file states. */
static void hole_is_forgotten(void **state)
{
    (void)state;
    struct stage s;
    struct timespec before, after;
    stage_begin(&s, STAGE_TCP, "1s");
    uint32_t d = stage_device(s.host, 1, 3, 16, 4, 20); /* 16, 20, 24 */
    fake_device_set(s.host, d, "max_gap", "10");
    fake_device_set(s.host, d, "forget_holes", "2s");
    peer_do(&s.peer, "hole 18 18");
    clock_gettime(CLOCK_MONOTONIC, &before);
    fake_start(s.host);
    for (uint32_t p = 0; p < 3; p++)
        (void)fake_expect_value(s.host, 0, d, p, TG_QUALITY_GOOD);
    peer_do(&s.peer, "drop");
    wait_good(s.host, d, 3);
    unsigned long refused = stats_of(s.host, 1, d, "\"exceptions\":");
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(refused == 1 || after.tv_sec - before.tv_sec >=
                                    2); /* or the machine was so slow that it is forgotten already */
    for (uint64_t request = 2; stats_of(s.host, request, d, "\"exceptions\":") < 2; request++)
        wait_good(s.host, d, 2); /* asked again, refused again */
    assert_true(stats_of(s.host, 100000, d, "\"forgotten\":") >= 1);
    stage_end(&s);
}

/* The driver of a pty has no RS-485 mode: that is said, with what to do. */
static void no_rs485(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_RTU, "100ms");
    fake_source_set(s.host, "rs485", "true");
    uint32_t d = stage_device(s.host, 1, 1, 10, 1, 20);
    fake_start(s.host);
    struct fake_event e = fake_expect_state(s.host, 0, d, TG_DEVICE_DOWN);
    assert_non_null(
        strstr(e.text, "its driver has no RS-485 mode (Inappropriate ioctl for device); remove rs485: true"));
    stage_end(&s);
}

/* Nothing is asked before the silence that a device needs after connecting. */
static void silence_after_connecting(void **state)
{
    (void)state;
    struct stage s;
    struct timespec before, after;
    stage_begin(&s, STAGE_TCP, "1s");
    fake_source_set(s.host, "connect_delay", "400ms");
    uint32_t d = stage_device(s.host, 1, 1, 10, 1, 20);
    clock_gettime(CLOCK_MONOTONIC, &before);
    fake_start(s.host);
    (void)fake_expect_value(s.host, 0, d, 0, TG_QUALITY_GOOD);
    clock_gettime(CLOCK_MONOTONIC, &after);
    /* The plugin counts in whole milliseconds, so 400 of them may be a little less. */
    assert_true((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 398);
    stage_end(&s);
}

/* A point that the device does not have: quality config, its neighbours good, told once. */
static void missing_register(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_RTU, "1s");
    uint32_t d = stage_device(s.host, 1, 5, 10, 1, 20);
    peer_do(&s.peer, "hole 12 12");
    fake_start(s.host);
    (void)fake_expect_value(s.host, 0, d, 2, TG_QUALITY_CONFIG);
    for (uint32_t p = 0; p < 5; p++)
        if (p != 2)
            (void)fake_expect_value(s.host, 0, d, p, TG_QUALITY_GOOD);
    wait_good(s.host, d, 3);
    fake_stop(s.host);
    size_t told = 0;
    for (size_t i = 0; i < fake_count(s.host); i++) {
        const struct fake_event *e = fake_at(s.host, i);
        told += e->kind == FAKE_LOG && strstr(e->text, "point p2: exception 2 illegal_data_address") != NULL;
        assert_false(e->kind == FAKE_VALUE && e->point == 2 && e->quality == TG_QUALITY_GOOD);
        assert_false(e->kind == FAKE_STATE && e->state != TG_DEVICE_OK); /* an exception proves it alive */
    }
    assert_int_equal(told, 1);
    (void)stage_check_values(s.host, d, 1, 10, 1);
    stage_end(&s);
}

static void busy_is_asked_again(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_TCP, "1s");
    uint32_t d = stage_device(s.host, 1, 1, 10, 1, 20);
    peer_do(&s.peer, "lie 1 exception:6 3");
    fake_start(s.host);
    (void)fake_expect_value(s.host, 0, d, 0, TG_QUALITY_GOOD);
    size_t n = fake_mark(s.host);
    for (size_t i = 0; i < n; i++)
        assert_false(fake_get(s.host, i).kind == FAKE_VALUE &&
                     fake_get(s.host, i).quality != TG_QUALITY_GOOD);
    peer_do(&s.peer, "lie 1 exception:6"); /* for good: it is told in the end */
    (void)fake_expect_value(s.host, 0, d, 0, TG_QUALITY_DEVICE);
    stage_end(&s);
}

/* Behind a gateway a silent unit is exception 11: that unit backs off, the connection stays. */
static void gateway_reports_silent_target(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_TCP, "1s");
    uint32_t dead = stage_device(s.host, 1, 1, 10, 1, 20), alive = stage_device(s.host, 2, 1, 10, 1, 20);
    peer_do(&s.peer, "lie 1 exception:11");
    fake_start(s.host);
    (void)fake_expect_value(s.host, 0, dead, 0, TG_QUALITY_TIMEOUT);
    struct fake_event e = fake_expect_state(s.host, 0, dead, TG_DEVICE_DOWN);
    assert_non_null(strstr(e.text, "the gateway says gateway_target_no_response"));
    wait_good(s.host, alive, 5);
    json_t *answer = peer_say(&s.peer, "connections");
    assert_int_equal(json_integer_value(json_object_get(answer, "connections")), 1);
    json_decref(answer);
    peer_do(&s.peer, "lie 1 honest");
    (void)fake_expect_value(s.host, 0, dead, 0, TG_QUALITY_GOOD);
    stage_end(&s);
}

/* Without transaction ids an answer too many would shift all that follow: it is noticed, and the unit is
 * brought back into step before its values are believed again. */
static void answer_nobody_asked_for(void **state)
{
    (void)state;
    for (int t = STAGE_RTU; t <= STAGE_RTU_OVER_TCP; t++) {
        struct stage s;
        stage_begin(&s, (enum stage_transport)t, "100ms");
        uint32_t d = stage_device(s.host, 1, 3, 10, 7, 20);
        fake_start(s.host);
        wait_good(s.host, d, 1);
        size_t mark = fake_mark(s.host);
        peer_do(&s.peer, "lie 1 twice 1");
        struct fake_event e = fake_expect_state(s.host, mark, d, TG_DEVICE_SUSPECT);
        assert_non_null(strstr(e.text, "an answer came that nobody had asked for; asked again"));
        (void)fake_expect_state(s.host, mark, d, TG_DEVICE_OK);
        wait_good(s.host, d, 1);
        (void)stage_check_values(s.host, d, 1, 10, 7);
        stage_end(&s);
    }
}

/* Points that are due together are one sample, those of other intervals come with every nth. */
static void one_sample_per_turn(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_TCP, "1s");
    uint32_t d = stage_device(s.host, 1, 2, 10, 50, 30);
    uint32_t slow = fake_point(s.host, d, "slow", 90);
    fake_point_set(s.host, d, slow, "address", "input:200");
    fake_start(s.host);
    wait_good(s.host, d, 12);
    fake_stop(s.host);
    size_t fast = 0, slows = 0, slow_sample = 0, fast_sample = 0;
    for (size_t i = 0; i < fake_count(s.host); i++) {
        const struct fake_event *e = fake_at(s.host, i);
        if (e->kind != FAKE_VALUE)
            continue;
        if (e->point == 0) {
            fast++;
            fast_sample = e->sample;
        } else if (e->point == 1) {
            assert_int_equal(e->sample, fast_sample);
        } else {
            slow_sample = e->sample;
            slows++;
        }
    }
    assert_true(slow_sample > 0 && slows >= 2 && slows < fast);
    stage_end(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_descriptors),
        cmocka_unit_test(dead_unit_tcp),
        cmocka_unit_test(dead_unit_rtu),
        cmocka_unit_test(dead_unit_returns),
        cmocka_unit_test(unplugged_port_returns),
        cmocka_unit_test(port_is_locked),
        cmocka_unit_test(wrong_ports),
        cmocka_unit_test(connect_times_out),
        cmocka_unit_test(stop_is_prompt),
        cmocka_unit_test(idle_connection_closed),
        cmocka_unit_test(hole_is_learned),
        cmocka_unit_test(hole_is_forgotten),
        cmocka_unit_test(no_rs485),
        cmocka_unit_test(silence_after_connecting),
        cmocka_unit_test(missing_register),
        cmocka_unit_test(busy_is_asked_again),
        cmocka_unit_test(gateway_reports_silent_target),
        cmocka_unit_test(answer_nobody_asked_for),
        cmocka_unit_test(one_sample_per_turn),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
