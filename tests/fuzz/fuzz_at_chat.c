/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_at_chat - any bytes of a device, mixed with commands, time and faults. 0xFE n lets n·10 ms pass, 0xFD
 * n does action n; what lies between is one read. Whatever happens: every command has exactly one result,
 * views can be read, deadlines do not stand still, and a device that then answers properly is heard.
 */
#include <stdlib.h>

#include "core/base/assert.h"
#include "southbound/at_chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tg_at_urc urcs[] = {{"+CREG:", false, false},
                                        {"RING", false, false},
                                        {"NO CARRIER", false, false},
                                        {"+CMT:", .two_line = true},
                                        {"RDY", .reboot = true}};
static const uint8_t text[] = {'h', 'i', 0x1a};

static struct world {
    struct tg_at_chat chat;
    int64_t now_ms;
    unsigned queued, answered;
    unsigned touched;
} w;

static bool has_comma(void *user, struct tg_bytes line)
{
    (void)user;
    return memchr(line.data, ',', line.len) != NULL;
}

static const struct tg_at_command commands[] = {
    {.text = "AT+CSQ", .prefix = "+CSQ:", .timeout_ms = 1000},
    {.text = "AT+CREG?", .prefix = "+CREG:", .timeout_ms = 300, .is_response = has_comma},
    {.text = "AT+CMGS=\"1\"",
     .prompt = "> ",
     .data = {text, sizeof text},
     .data_delay_ms = 50,
     .timeout_ms = 2000},
    {.text = "AT+QIRD=0,16", .prefix = "+QIRD:", .announce = {.prefix = "+QIRD:"}, .timeout_ms = 500},
    {.text = "ATD*99#", .timeout_ms = 1000},
    {.text = "AT+CIMI", .timeout_ms = 1000},
    /* actions 10 and on */
    {.text = "AT+USORD=0,9",
     .prefix = "+USORD:",
     .announce = {.prefix = "+USORD:", .field = 1, .quoted = true},
     .timeout_ms = 500},
    {.text = "AT+USORB=0", .prefix = "+USORB:", .timeout_ms = 500},
    {.text = "AT+USOWB=0", .data = {text, sizeof text}, .data_at_once = true, .timeout_ms = 300},
    {.text = "AT+USOWR=0,3", .prompt = "@", .data = {text, sizeof text}, .timeout_ms = 300},
};
#define FIRST_MORE 6
#define FIRST_ACT  10

static bool own_final(void *user, struct tg_bytes line, struct tg_at_final *ret_final)
{
    (void)user;
    ret_final->code = line.len > 4 ? tg_at_code(tg_at_rest(line, 4)) : -1;
    ret_final->status = tg_bytes_starts(line, "DONE") ? TG_AT_OK : TG_AT_ERROR;
    return tg_bytes_starts(line, "DONE") || tg_bytes_starts(line, "FAIL");
}

static void touch(struct tg_bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        w.touched += b.data[i];
}

static void settle(void)
{
    struct tg_at_event ev;
    bool progress;
    do {
        struct tg_bytes out;
        progress = false;
        tg_at_chat_tick(&w.chat, w.now_ms);
        while (tg_at_chat_event(&w.chat, &ev)) {
            progress = true;
            for (uint32_t i = 0; i < ev.line_count; i++)
                touch(ev.lines[i]);
            if (ev.kind != TG_AT_EVENT_RESULT)
                continue;
            w.answered++;
            TG_ASSERT(ev.result.line_count <= TG_AT_RESPONSE_MAX_LINES);
            TG_ASSERT(ev.result.payload.len <= TG_AT_PAYLOAD_MAX_BYTES);
            for (uint32_t i = 0; i < ev.result.line_count; i++)
                touch(ev.result.lines[i]);
            touch(ev.result.final);
            touch(ev.result.payload);
        }
        out = tg_at_chat_output(&w.chat);
        touch(out);
        tg_at_chat_output_ack(&w.chat, out.len, w.now_ms);
    } while (progress);
}

static void rx(const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);
    struct tg_bytes in = tg_bytes(exact, len);
    memcpy(exact, data, len);
    settle();
    while (in.len > 0 && tg_at_chat_state(&w.chat) != TG_AT_DATA) {
        size_t n = tg_at_chat_input(&w.chat, in, w.now_ms);
        TG_ASSERT(n <= in.len);
        in = tg_at_rest(in, n);
        settle();
    }
    free(exact);
}

static void pass(int64_t ms)
{
    int64_t until = w.now_ms + ms;
    settle();
    while (w.now_ms < until) {
        int64_t at = tg_at_chat_deadline(&w.chat);
        TG_ASSERT(at > w.now_ms); /* settle() has done all that was due */
        w.now_ms = at < until ? at : until;
        settle();
    }
}

static void act(uint8_t n)
{
    switch (n % (FIRST_ACT + (sizeof commands / sizeof commands[0] - FIRST_MORE))) {
    case 6:
        tg_at_chat_abort(&w.chat, w.now_ms);
        break;
    case 7:
        tg_at_chat_sync(&w.chat, w.now_ms);
        break;
    case 8:
        tg_at_chat_hangup(&w.chat);
        break;
    case 9:
        tg_at_chat_leave_data(&w.chat, w.now_ms);
        break;
    default:
        n %= FIRST_ACT + (sizeof commands / sizeof commands[0] - FIRST_MORE);
        w.queued += tg_at_chat_queue(&w.chat, &commands[n < FIRST_ACT ? n : FIRST_MORE + n - FIRST_ACT]) == 0;
    }
    settle();
}

/* A healthy device: the probe is answered, then a command. */
static void recover(void)
{
    struct tg_at_command last = {.text = "AT+LAST", .timeout_ms = 1000};
    tg_at_chat_hangup(&w.chat);
    settle();
    TG_ASSERT(w.answered == w.queued && tg_at_chat_pending(&w.chat) == 0);
    tg_at_chat_sync(&w.chat, w.now_ms);
    pass(100);
    TG_ASSERT(tg_at_chat_state(&w.chat) == TG_AT_PROBE);
    rx((const uint8_t *)"\r\nOK\r\n", 6);
    pass(600);
    TG_ASSERT(tg_at_chat_state(&w.chat) == TG_AT_IDLE);
    TG_ASSERT(tg_at_chat_queue(&w.chat, &last) == 0);
    w.queued++;
    pass(30);
    TG_ASSERT(tg_at_chat_state(&w.chat) == TG_AT_WAIT);
    rx((const uint8_t *)"\r\nOK\r\n", 6);
    TG_ASSERT(w.answered == w.queued && tg_at_chat_state(&w.chat) == TG_AT_IDLE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tg_at_chat_config config = {.urcs = urcs, .urc_count = sizeof urcs / sizeof urcs[0]};
    size_t i = 1, from = 1;
    if (size == 0)
        return 0;
    config.numeric_results = data[0] & 1;
    config.blocks = data[0] & 2;
    config.escape = data[0] & 4;
    config.is_final = data[0] & 8 ? own_final : NULL;
    memset(&w, 0, sizeof w);
    tg_at_chat_init(&w.chat, &config);
    for (; i < size; i++) {
        if (data[i] < 0xFD || data[i] > 0xFE || i + 1 == size)
            continue;
        rx(data + from, i - from);
        if (data[i] == 0xFE)
            pass(data[i + 1] * 10);
        else
            act(data[i + 1]);
        from = ++i + 1;
    }
    if (from < size)
        rx(data + from, size - from);
    recover();
    return 0;
}
