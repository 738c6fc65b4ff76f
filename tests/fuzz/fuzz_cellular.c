/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_cellular - a modem that says anything: each line of the input is an answer to what is asked (from '!' on a +CME ERROR, from '?'
 * on it comes unasked). Whatever was said, texts stay within their bounds and printable, no PIN is entered unless the caller says so, and in
 * the end a healthy modem is up again.
 */
#include <stdlib.h>

#include "core/base/assert.h"
#include "southbound/cellular.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct tg_cellular *c)
{
    const char *const texts[] = {c->manufacturer, c->model, c->firmware, c->imei, c->imsi, c->iccid,
                                 c->sim_text, c->operator.name };
    char text[160];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t n = strnlen(texts[i], TG_CELL_TEXT_BYTES);
        TG_ASSERT(n < TG_CELL_TEXT_BYTES && tg_utf8_valid(tg_bytes(texts[i], n)));
    }
    tg_cellular_describe(c, text, sizeof text);
    TG_ASSERT(strnlen(text, sizeof text) < sizeof text);
    TG_ASSERT(c->phase != TG_CELL_ENTER);
}

static void say(struct tg_cellular *c, struct tg_bytes line, int64_t now)
{
    struct tg_at_result r = {.status = TG_AT_OK, .code = -1, .lines = &line, .line_count = 1};
    struct tg_cellular_command command;
    if (line.len > 0 && line.data[0] == '?') {
        tg_cellular_urc(c, tg_bytes(line.data + 1, line.len - 1), now);
        return;
    }
    if (line.len > 0 && line.data[0] == '!') {
        r.status = line.len > 2 ? TG_AT_TIMEOUT : TG_AT_CME_ERROR;
        r.code = line.len > 1 ? line.data[1] : 4;
        r.line_count = 0;
    }
    if (c->phase == TG_CELL_ASK)
        tg_cellular_pin_refuse(c, "no", now);
    if (!tg_cellular_next(c, now, &command))
        return;
    TG_ASSERT(command.kind != TG_CELL_PIN && strlen(command.text) < 128 && command.timeout_ms > 0);
    (void)tg_cellular_is_response(c, line);
    tg_cellular_result(c, &r, now);
}

static void heal(struct tg_cellular *c, int64_t now)
{
    static const struct {
        const char *command, *answer;
    } known[] = {{"AT+CPIN?", "+CPIN: READY"}, {"AT+CEREG?", "+CEREG: 0,1"}, {"AT+CGATT?", "+CGATT: 1"}};
    tg_cellular_begin(c, now);
    for (int i = 0; i < 64; i++) {
        struct tg_at_result r = {.status = TG_AT_OK, .code = -1};
        struct tg_cellular_command command;
        struct tg_bytes line;
        if (!tg_cellular_next(c, now, &command))
            break;
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
            if (strcmp(known[k].command, command.text) != 0)
                continue;
            line = tg_bytes_str(known[k].answer);
            r.lines = &line;
            r.line_count = 1;
        }
        tg_cellular_result(c, &r, now);
    }
    TG_ASSERT(c->phase == TG_CELL_RUN && c->uplink == TG_CELL_UPLINK_UP);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tg_cellular_config config = {
        .apn = "iot.example", .pdp_type = "IP", .cid = 1, .clock = true, .attach = true};
    struct tg_cellular *c = malloc(sizeof *c);
    int64_t now = 0;
    if (!c)
        return 0;
    tg_cellular_init(c, &config);
    tg_cellular_begin(c, now);
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end ? (size_t)(end - data) : size, used = end ? n + 1 : n;
        struct tg_cell_signal s;
        struct tg_cell_clock clock;
        struct tg_cell_registration r;
        uint8_t *copy = malloc(n + 1); /* of just this size: reading on is seen */
        if (!copy)
            break;
        memcpy(copy, data, n);
        say(c, tg_bytes(copy, n), now);
        (void)tg_cell_cesq(tg_bytes(copy, n), &s);
        (void)tg_cell_clock(tg_bytes(copy, n), &clock);
        (void)tg_cell_registration(tg_bytes(copy, n), true, &r);
        free(copy);
        tg_cellular_tick(c, now);
        look(c);
        now += 700 + (int64_t)(n % 7) * 9000;
        data += used;
        size -= used;
    }
    heal(c, now);
    free(c);
    return 0;
}
