/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory runs out in a whole gateway: while it builds what a reload has changed, and while /metrics, /healthz and /status.json are written. The Nth
 * allocation fails, N = 1 … until a clean pass, alone and with all after it. What is missing is said or counted, nothing that was
 * accepted is lost, nothing leaks, and with memory the next reload and the next page are whole.
 *
 * The gateway runs in a thread of its own with two simulators, whose samples go on all the time and take their share of what fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "config/config_private.h"
#include "core/gateway/gateway.h"
#include "core/gateway/lookups.h"
#include "southbound/plugin_loader.h"

#define PATIENCE_MS 120000
#define PAGE_BYTES  (256 * 1024)

struct site {
    char dir[64];
    uint16_t port;
    struct tg_plugin_set *plugins;
    pthread_t thread;
    int rc;
    atomic_int third; /* the file has d3, else d2 */
    atomic_uint nth;  /* to fail once the new file has been read; 0 = none */
    atomic_bool forever;
    atomic_uint_fast64_t calls; /* when it was read */
    char page[PAGE_BYTES];
};

static struct site site;

/* --- a gateway in a thread ------------------------------------------------------------------------------- */

static void say(void *user, const char *line)
{
    (void)user;
    fprintf(stderr, "%s\n", line);
}

static int load(struct tg_config **ret_config)
{
    const struct tg_config_lookups lookups = tg_gateway_lookups(site.plugins);
    char text[2000];
    snprintf(
        text, sizeof text,
        "gateway: {name: test, state_dir: \"%s\", control_socket: \"%s/c.sock\", http: \"127.0.0.1:%u\"}\n"
        "outbox: {commit_interval: 10ms}\n"
        "clouds:\n  - {name: away, type: mqtt, host: localhost, port: 1, tls: off}\n"
        "sources:\n"
        "  - {name: s1, plugin: simulator, devices: [{id: d1, clouds: [away], settings: {every: 5ms}, "
        "points: [{name: p, signal: counter}]}]}\n"
        "  - {name: s2, plugin: simulator, devices: [{id: %s, clouds: [away], settings: {every: 20ms}, "
        "points: [{name: p, signal: counter}, {name: q, writable: true}]}]}\n",
        site.dir, site.dir, site.port, atomic_load(&site.third) ? "d3" : "d2");
    return tg_config_load_text("t.yaml", text, strlen(text), &lookups, say, NULL, ret_config);
}

static int reload(void *user, const struct tg_config_discovered *devices, uint32_t count,
                  struct tg_config **ret_config)
{
    int rc = load(ret_config);
    (void)user;
    (void)devices;
    (void)count;
    atomic_store(&site.calls, tg_alloc_stats().calls);
    tg_alloc_fail_at(atomic_load(&site.nth), atomic_load(&site.forever));
    return rc;
}

static void *run(void *user)
{
    struct tg_config *config;
    struct tg_error err = {0};
    site.rc = load(&config);
    if (site.rc == TG_OK)
        site.rc = tg_gateway_run(config, reload, NULL, &err);
    return user;
}

/* --- what it says ------------------------------------------------------------------------------------------ */

static atomic_uint begun, reloads, refused_whole,
    refused; /* lines; the log itself leaves out what it has said often */

/* tests/areas/limits.cmake has it called where tg_log() is. */
void __wrap_tg_log(enum tg_log_level level, const char *component, const char *fmt, ...) TG_PRINTF(3, 4);
void __wrap_tg_log(enum tg_log_level level, const char *component, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tg_log_v(level, component, fmt, ap);
    va_end(ap);
    atomic_fetch_add(&begun, strncmp(fmt, "running:", 8) == 0);
    atomic_fetch_add(&reloads, strncmp(fmt, "configuration reloaded:", 23) == 0);
    atomic_fetch_add(&refused_whole, strncmp(fmt, "out of memory for a reload", 26) == 0);
    atomic_fetch_add(&refused, strncmp(fmt, "after the reload:", 17) == 0);
}

static void show_and_fail(const char *what)
{
    tg_alloc_fail_at(0, 0);
    printf("the last page:\n%s\n", site.page);
    fail_msg("%s", what);
}

#define AWAIT(condition)                                                                                     \
    do {                                                                                                     \
        int64_t end_ms = tg_clock_mono_ms() + PATIENCE_MS;                                                   \
        while (!(condition)) {                                                                               \
            if (tg_clock_mono_ms() > end_ms)                                                                 \
                show_and_fail("waited in vain for: " #condition);                                            \
            usleep(1000);                                                                                    \
        }                                                                                                    \
    } while (0)

/* The status code; 0 = closed without an answer. */
static int get(const char *path)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(site.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), n;
    size_t len = 0;
    site.page[0] = '\0';
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
        dprintf(fd, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path) > 0)
        while (len < sizeof site.page - 1 &&
               (n = (int)recv(fd, site.page + len, sizeof site.page - 1 - len, 0)) > 0)
            len += (size_t)n;
    site.page[len] = '\0';
    close(fd);
    return len > 12 ? atoi(site.page + 9) : 0;
}

static bool runs(const char *device)
{
    char text[40];
    snprintf(text, sizeof text, "\"id\":\"%s\"", device);
    return get("/status.json") == 200 && strstr(site.page, text) && strstr(site.page, "\"id\":\"d1\"");
}

static json_int_t number(const char *part, const char *name)
{
    json_t *j = json_loads(strstr(site.page, "\r\n\r\n") + 4, 0, NULL);
    json_int_t value = json_integer_value(json_object_get(json_object_get(j, part), name));
    json_decref(j);
    return value;
}

/* --- reload ---------------------------------------------------------------------------------------------------- */

/* Reloads that are over: built, or refused as a whole. */
static unsigned ended(void)
{
    return atomic_load(&reloads) + atomic_load(&refused_whole);
}

static void reload_once(unsigned nth, bool forever)
{
    unsigned before = ended();
    atomic_store(&site.nth, nth);
    atomic_store(&site.forever, forever);
    kill(getpid(), SIGHUP);
    AWAIT(ended() > before);
}

static void test_a_reload_without_memory_is_made_up_for_by_the_next(void **state)
{
    (void)state;
    for (int forever = 0; forever <= 1; forever++) {
        bool reached = true;
        for (unsigned n = 1; reached; n++) {
            uint64_t calls, failed = tg_alloc_stats().failed;
            atomic_fetch_xor(&site.third, 1);
            reload_once(n, forever != 0);
            calls = tg_alloc_stats().calls - atomic_load(&site.calls);
            tg_alloc_fail_at(0, 0);
            reached = calls >= n;
            if (!reached)
                assert_int_equal(tg_alloc_stats().failed, failed);
            reload_once(0, false);
            AWAIT(runs(atomic_load(&site.third) ? "d3" : "d2"));
            assert_true(n < 2000);
        }
    }
    assert_true(atomic_load(&refused_whole) >= 2 && atomic_load(&refused) > 10);
}

/* --- pages -------------------------------------------------------------------------------------------------- */

static void test_pages_without_memory_are_refused_and_the_next_is_whole(void **state)
{
    static const struct {
        const char *path, *has;
    } pages[] = {{"/metrics", "tidegate_session_state{"},
                 {"/healthz", "ok"},
                 {"/status.json", "\"id\":\"d1\""},
                 {"/", "<html"}};
    (void)state;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        for (int forever = 0; forever <= 1; forever++)
            for (unsigned n = 1, reached = 1; reached; n++) {
                uint64_t calls = tg_alloc_stats().calls;
                int code;
                tg_alloc_fail_at(n, forever);
                code = get(pages[i].path);
                tg_alloc_fail_at(0, 0);
                reached = tg_alloc_stats().calls - calls >= n;
                if (code == 200 ? !strstr(site.page, pages[i].has) && strcmp(pages[i].path, "/metrics") != 0
                                : code != 503 && code != 500 && code != 0)
                    show_and_fail(pages[i].path);
                if (get(pages[i].path) != 200 || !strstr(site.page, pages[i].has))
                    show_and_fail(pages[i].path);
                assert_true(n < 500);
            }
}

/* --- all of it --------------------------------------------------------------------------------------------- */

static int begin(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    char folder[400];
    const char *build = getenv("TIDEGATE_BUILD"), *dirs[] = {folder};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;
    assert_non_null(build);
    snprintf(folder, sizeof folder, "%s/plugins", build);
    strcpy(site.dir, "/tmp/tg gateway XXXXXX");
    assert_non_null(mkdtemp(site.dir));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    site.port = ntohs(at.sin_port);
    close(fd);
    assert_int_equal(tg_plugin_set_new(dirs, 1, &site.plugins), TG_OK);
    assert_int_equal(pthread_create(&site.thread, NULL, run, NULL), 0);
    AWAIT(atomic_load(&begun) == 1);
    AWAIT(runs("d2"));
    return 0;
}

/* Nobody has taken a sample: what was accepted is there. */
static int end(void **state)
{
    char command[200];
    (void)state;
    AWAIT(get("/status.json") == 200);
    assert_true(number("outbox", "accepted") > 0);
    if (number("outbox", "rows") != number("outbox", "accepted"))
        show_and_fail("accepted samples are not there any more");
    kill(getpid(), SIGTERM);
    pthread_join(site.thread, NULL);
    assert_int_equal(site.rc, TG_OK);
    tg_plugin_set_free(site.plugins);
    if (tg_alloc_stats().live != 0)
        fail_msg("%lld blocks are left", (long long)tg_alloc_stats().live);
    snprintf(command, sizeof command, "rm -rf '%s'", site.dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reload_without_memory_is_made_up_for_by_the_next),
        cmocka_unit_test(test_pages_without_memory_are_refused_and_the_next_is_whole),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
