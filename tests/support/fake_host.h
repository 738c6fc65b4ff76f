/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fake_host - lends a struct tg_host to the real .so of a plugin and records what comes back.
 *
 *     struct fake_host *h = fake_host_new("modbus");
 *     fake_source_set(h, "host", "127.0.0.1");
 *     uint32_t d = fake_device(h, "meter");       fake_device_set(h, d, "unit", "1");
 *     uint32_t p = fake_point(h, d, "v", 50);     fake_point_set(h, d, p, "address", "input:0");
 *     fake_start(h);                              open, then a thread that polls
 *     fake_wait(h, predicate, user);              until something recorded makes it true
 *     fake_stop(h);  fake_host_free(h);
 *
 * A source whose plugin wants it on the loop (thread_model_of) is driven by poll(2) with fd_ready() and poll(), as the gateway does; its
 * functions must not block.
 *
 * A wait that does not end within FAKE_WAIT_S ends the test program with the record: it bounds a hanging
 * test, no assertion depends on it. Set-up mistakes end the program too.
 */
#ifndef TG_TESTS_SUPPORT_FAKE_HOST_H
#define TG_TESTS_SUPPORT_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tidegate/plugin.h>

#define FAKE_WAIT_S 120
#define FAKE_TEXT   600

enum fake_kind { FAKE_VALUE, FAKE_STATE, FAKE_ANSWER, FAKE_LOG };

struct fake_event { /* one per value, state, answer or log line */
    enum fake_kind kind;
    uint32_t device, point, quality, state, sample; /* values of one emit() share a sample number */
    struct tg_value value;                          /* a text points into `text` */
    uint64_t request;
    int status;
    char text[FAKE_TEXT];
};

struct fake_host;

struct fake_host *fake_host_new(const char *plugin);
void fake_host_free(struct fake_host *h);
const struct tg_plugin *fake_plugin(const struct fake_host *h);

void fake_source_set(struct fake_host *h, const char *option, const char *text);
void fake_source_append(struct fake_host *h, const char *option, const char *text);
uint32_t fake_device(struct fake_host *h, const char *id);
void fake_device_set(struct fake_host *h, uint32_t device, const char *option, const char *text);
void fake_device_append(struct fake_host *h, uint32_t device, const char *option, const char *text);
uint32_t fake_point(struct fake_host *h, uint32_t device, const char *name, int64_t every_ms);
void fake_point_set(struct fake_host *h, uint32_t device, uint32_t point, const char *option,
                    const char *text);
void fake_point_append(struct fake_host *h, uint32_t device, uint32_t point, const char *option,
                       const char *text);
void fake_point_writable(struct fake_host *h, uint32_t device, uint32_t point);

/* check_point() of one point; 0 or the plugin's error with its text and option. */
int fake_check(struct fake_host *h, uint32_t device, uint32_t point, const char **ret_option,
               char error[FAKE_TEXT]);
/* check_source(), check_device(): likewise. */
int fake_check_source(struct fake_host *h, const char **ret_option, char error[FAKE_TEXT]);
int fake_check_device(struct fake_host *h, uint32_t device, const char **ret_option, char error[FAKE_TEXT]);
/* open() only; 0 or the plugin's error. */
int fake_open(struct fake_host *h, char error[FAKE_TEXT]);
/* open() if needed (must succeed) and the thread. */
void fake_start(struct fake_host *h);
/* Ends the thread and close()s. */
void fake_stop(struct fake_host *h);

/* For a bench: poll() from this thread, on a clock that jumps over every wait. */
void fake_clock_jumps(struct fake_host *h);
int32_t fake_poll(struct fake_host *h);
uint64_t fake_values_emitted(const struct fake_host *h);
/* Only counts values from now on. */
void fake_record_nothing(struct fake_host *h);

/* Queued to the thread; the answer is recorded. */
void fake_write(struct fake_host *h, uint64_t request, uint32_t device, uint32_t point,
                struct tg_value value);
void fake_command(struct fake_host *h, uint64_t request, uint32_t device, const char *name, const char *json);

/* Runs `ready` under the lock after each new record, and at once. */
void fake_wait(struct fake_host *h, bool (*ready)(const struct fake_host *h, void *user), void *user);
/* One record more than `count` (of whatever kind). */
void fake_wait_more(struct fake_host *h, size_t count);

/* The record, inside `ready` or when stopped. */
size_t fake_count(const struct fake_host *h);
const struct fake_event *fake_at(const struct fake_host *h, size_t i);
/* The same, with the lock taken. */
size_t fake_mark(struct fake_host *h);
struct fake_event fake_get(struct fake_host *h, size_t i);

/* Waits for, from record `from` on: a value of a point with this quality; a state; an answer. */
struct fake_event fake_expect_value(struct fake_host *h, size_t from, uint32_t device, uint32_t point,
                                    uint32_t quality);
struct fake_event fake_expect_state(struct fake_host *h, size_t from, uint32_t device, uint32_t state);
struct fake_event fake_expect_answer(struct fake_host *h, uint64_t request);
/* Waits for a log line that contains text. */
struct fake_event fake_expect_log(struct fake_host *h, const char *text);
/* Prints the last records. */
void fake_print(const struct fake_host *h);

#endif
