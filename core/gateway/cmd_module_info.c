/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cmd_module_info - `tidegate module info|list-certificates`: asks a module what it is, in whatever mode it is, and changes nothing.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/gateway/cmd_module.h"
#include "southbound/serial_port.h"

#define ANSWER_MS 3000

struct question {
    const char *name, *command;
};

struct interview {
    const struct tg_module_args *a;
    const struct question *questions;
    size_t count, next;
    struct tg_ucx_link link;
    json_t *answers;
    int answered;
};

/* Bytes of a module are not always UTF-8. */
static json_t *line_json(struct tg_bytes line)
{
    char text[512];
    size_t n = line.len < sizeof text ? line.len : sizeof text;
    for (size_t i = 0; i < n; i++)
        text[i] = line.data[i] >= 0x20 && line.data[i] < 0x7F ? (char)line.data[i] : '?';
    return json_stringn(text, n);
}

static void take_answer(struct interview *v, const struct tg_at_result *r)
{
    json_t *lines = json_array();
    for (uint32_t i = 0; i < r->line_count; i++)
        json_array_append_new(lines, line_json(r->lines[i]));
    v->answered += r->status == TG_AT_OK;
    if (r->status != TG_AT_OK)
        json_array_append_new(lines, json_string(r->status == TG_AT_TIMEOUT ? "no answer" : "refused"));
    json_object_set_new(v->answers, v->questions[v->next].name, lines);
    v->next++;
}

/* False when it is over. */
static bool take_event(struct interview *v, const struct tg_ucx_event *e)
{
    if (e->kind == TG_UCX_EVENT_LOST) {
        tg_identity_fail(
            &v->a->identity,
            e->heard_bytes
                ? "%s: bytes come back that are no answer; is the baud rate right (115200 is these "
                  "modules' default)?"
                : "%s: nothing answers; check power, cable (TX and RX crossed) and --flow",
            v->a->port);
        return false;
    }
    if (e->kind == TG_UCX_EVENT_READY && v->next == 0)
        json_object_set_new(v->answers, "mode",
                            json_string(e->extended ? "extended data mode" : "command mode"));
    if (e->kind == TG_UCX_EVENT_RESULT)
        take_answer(v, &e->result);
    return v->next < v->count;
}

static bool ask(struct interview *v)
{
    const struct tg_at_command c = {.text = v->questions[v->next].command, .timeout_ms = ANSWER_MS};
    return tg_ucx_link_queue(&v->link, &c) == TG_OK;
}

static void run(struct interview *v, int fd)
{
    uint8_t buf[1024];
    struct tg_bytes in = {NULL, 0};
    tg_ucx_link_start(&v->link, tg_clock_mono_ms());
    for (;;) {
        struct tg_ucx_event e;
        int64_t now = tg_clock_mono_ms();
        size_t n = 0, written = 0;
        bool progress;
        do {
            progress = false;
            tg_ucx_link_tick(&v->link, now);
            while (tg_ucx_link_event(&v->link, now, &e)) {
                if (!take_event(v, &e))
                    return;
                progress = true;
            }
            n = tg_ucx_link_input(&v->link, in, now);
            in = tg_at_rest(in, n);
            if (tg_ucx_link_idle(&v->link))
                progress = ask(v) || progress;
        } while (progress || n > 0);
        struct tg_bytes out = tg_ucx_link_output(&v->link, now);
        ssize_t got =
            tg_module_turn(v->a, fd, out, &written, tg_ucx_link_deadline(&v->link), buf, sizeof buf);
        if (got < 0)
            return;
        tg_ucx_link_output_ack(&v->link, written, tg_clock_mono_ms());
        in = tg_bytes(buf, (size_t)got);
    }
}

static void print(const struct interview *v)
{
    const char *key;
    json_t *value, *line;
    size_t i;
    if (v->a->identity.common.json) {
        tg_identity_print_json(json_incref(v->answers));
        return;
    }
    json_object_foreach(v->answers, key, value)
    {
        if (json_is_string(value))
            printf("%-13s%s\n", key, json_string_value(value));
        json_array_foreach(value, i, line) printf("%-13s%s\n", i == 0 ? key : "", json_string_value(line));
        if (json_is_array(value) && json_array_size(value) == 0)
            printf("%-13snone\n", key);
    }
}

static int interview(const struct tg_module_args *a, const struct question *questions, size_t count)
{
    struct interview *v = tg_calloc(1, sizeof *v);
    int fd = v ? tg_module_open(a) : -1, rc = TG_EXIT_NO;
    if (!v)
        return tg_identity_fail(&a->identity, "out of memory");
    if (fd >= 0) {
        v->a = a;
        v->questions = questions;
        v->count = count;
        v->answers = json_object();
        tg_ucx_link_init(&v->link);
        run(v, fd);
        tg_serial_close(fd);
        if (v->answered > 0) {
            print(v);
            rc = TG_EXIT_OK;
        }
        json_decref(v->answers);
    }
    tg_free(v);
    return rc;
}

int tg_module_info(const struct tg_module_args *a)
{
    static const struct question questions[] = {{"maker", "AT+CGMI"},
                                                {"model", "AT+CGMM"},
                                                {"firmware", "AT+CGMR"},
                                                {"address", "AT+UMLA=2"},
                                                {"wifi", "AT+UWSSTAT"}};
    return interview(a, questions, sizeof questions / sizeof questions[0]);
}

int tg_module_list(const struct tg_module_args *a)
{
    static const struct question questions[] = {{"certificates", "AT+USECMNG=3"}};
    return interview(a, questions, 1);
}
