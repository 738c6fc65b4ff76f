/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is more than lines: raw bytes in answers and in what is sent, prompts, final results of a device's own, data mode.
 */
#include "support/at_talk.h"

static void test_payload(void **state)
{
    struct tg_at_command c = {
        .text = "AT+QIRD", .prefix = "+QIRD:", .announce = {.prefix = "+QIRD:"}, .timeout_ms = 1000};
    char payload[5000];
    (void)state;
    memset(payload, '\n', sizeof payload);
    assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
    sent("AT+QIRD\r");
    tg_at_wire_rx_str(&w, "\r\n+QIRD: 5000\r\n");
    tg_at_wire_rx(&w, payload, sizeof payload);
    tg_at_wire_rx_str(&w, "\r\n\r\nOK\r\n");
    assert_int_equal(strlen(json_string_value(json_object_get(json_array_get(w.results, 0), "payload_hex"))),
                     2 * TG_AT_PAYLOAD_MAX_BYTES); /* bounded, and still in step */
    assert_string_equal(results(), "AT+QIRD=ok[+QIRD: 5000]");
    assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
    sent("AT+QIRD\r");
    tg_at_wire_rx_str(&w, "\r\n+QIRD: 10\r\nabc"); /* less than announced: its OK would be payload */
    sent("AT\r");
    tg_at_wire_rx_str(&w, "\r\nOK\r\n");
    tg_at_wire_advance(&w, 600);
    assert_string_equal(results(), "AT+QIRD=timeout[+QIRD: 10]");
    assert_int_equal(w.synced, 1);
}

static const char *payload_of_last(void)
{
    const json_t *r = json_array_get(w.results, json_array_size(w.results) - 1);
    return json_object_get(r, "payload_hex") ? json_string_value(json_object_get(r, "payload_hex")) : "";
}

/* +USORD: 0,5,"…": what is in the quotes is raw, even line ends, quotes and OK. */
static void test_quoted_payload(void **state)
{
    struct tg_at_command c = {.text = "AT+USORD=0,32",
                              .announce = {.prefix = "+USORD:", .field = 1, .quoted = true},
                              .timeout_ms = 1000};
    const char answer[] = "\r\n+USORD: 0,8,\"\"\r\nOK\r\n\0\"\r\n\r\nOK\r\n";
    (void)state;
    assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
    sent("AT+USORD=0,32\r");
    tg_at_wire_rx(&w, answer, sizeof answer - 1);
    assert_string_equal(payload_of_last(), "220d0a4f4b0d0a00");
    assert_string_equal(results(), "AT+USORD=0,32=ok[+USORD: 0,8,\"\"]");
    assert_int_equal(w.chat.lines.lies, 0);
    assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
    sent("AT+USORD=0,32\r");
    tg_at_wire_rx_str(&w, "\r\n+USORD: 0,2,\"abc\"\r\nOK\r\n"); /* announced too few */
    assert_true(json_is_true(json_object_get(json_array_get(w.results, 0), "payload_lied")));
    (void)results();
    assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
    sent("AT+USORD=0,32\r");
    tg_at_wire_rx_str(&w, "\r\n+USORD: 0,0,\"\"\r\nOK\r\n");
    assert_string_equal(payload_of_last(), "");
    assert_string_equal(results(), "AT+USORD=0,32=ok[+USORD: 0,0,\"\"]");
    assert_int_equal(w.chat.lines.lies, 1);
}

/* Lengths that are not true: more than comes, less than comes, none at all, more than anybody can hold. */
static void test_lengths_that_lie(void **state)
{
    struct tg_at_command c = {.text = "AT+QIRD", .announce = {.prefix = "+QIRD:"}, .timeout_ms = 1000};
    static const struct {
        const char *answer;
        bool lied, ends;
    } cases[] = {
        {"\r\n+QIRD: 5\r\nHELLO\r\n\r\nOK\r\n", false, true},
        {"\r\n+QIRD: 3\r\nHELLO\r\n\r\nOK\r\n", true, true},
        {"\r\n+QIRD: x\r\nHELLO\r\n\r\nOK\r\n", true, true},
        {"\r\n+QIRD: 99999999999999999999\r\nHELLO\r\n\r\nOK\r\n", true, true},
        {"\r\n+QIRD: 500\r\nHELLO\r\n\r\nOK\r\n", false, false},
        {"\r\n+QIRD: 9999999\r\nHELLO\r\n\r\nOK\r\n", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const json_t *r;
        assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
        sent("AT+QIRD\r");
        tg_at_wire_rx_str(&w, cases[i].answer);
        if (!cases[i].ends) { /* the OK went as payload: a timeout, and no value */
            tg_at_wire_advance(&w, 1000);
            sent("AT\r");
            tg_at_wire_rx_str(&w, "\r\nOK\r\n");
            tg_at_wire_advance(&w, 600);
        }
        r = json_array_get(w.results, 0);
        assert_string_equal(json_string_value(json_object_get(r, "status")),
                            cases[i].ends ? "ok" : "timeout");
        assert_int_equal(json_is_true(json_object_get(r, "payload_lied")), cases[i].lied);
        assert_int_equal(json_is_true(json_object_get(r, "payload_truncated")), !cases[i].ends);
        (void)results();
    }
}

#define RX(literal) tg_at_wire_rx(&w, literal, sizeof(literal) - 1)

/* Second generation of u-connectXpress: 01, u16, bytes, in an answer and in what is sent. */
static void test_blocks(void **state)
{
    const struct tg_at_chat_config config = {
        .urcs = urcs, .urc_count = sizeof urcs / sizeof urcs[0], .blocks = true};
    struct tg_at_command c = {.text = "AT+USORB=0,9", .prefix = "+USORB:", .timeout_ms = 1000};
    struct tg_at_command out = {.text = "AT+USOWB=0",
                                .data = tg_bytes("\x01\x00\x03\r\x01\x1a", 6),
                                .data_at_once = true,
                                .timeout_ms = 1000};
    (void)state;
    tg_at_wire_fini(&w);
    tg_at_wire_init(&w, &config);
    assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
    sent("AT+USORB=0,9\r");
    RX("\r\n+CREG:5\x01\x00\x02zz\r\n"); /* a block of a URC is not the answer's */
    RX("\r\n+USORB:0,\x01\x00\x05\r\nOK\r\r\nOK\r\n");
    assert_string_equal(payload_of_last(), "0d0a4f4b0d");
    assert_string_equal(results(), "AT+USORB=0,9=ok[+USORB:0,]");
    assert_int_equal(w.chat.counters.stray_bytes, 2);
    assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
    sent("AT+USORB=0,9\r");
    RX("\r\n\x01\x00\x01z\r\n+USORB:0\r\nOK\r\n"); /* a block of nothing */
    assert_true(json_is_true(json_object_get(json_array_get(w.results, 0), "payload_lied")));
    (void)results();
    assert_int_equal(tg_at_chat_queue(&w.chat, &out), 0);
    assert_true(tg_at_wire_wait_tx(&w, 1000));
    assert_true(tg_at_wire_take(&w, "AT+USOWB=0\x01\x00\x03\r\x01\x1a", 16));
    assert_int_equal(w.tx_len, 0);
    tg_at_wire_rx_str(&w, "\r\nOK\r\n");
    assert_string_equal(results(), "AT+USOWB=0=ok");
}

static bool done_is_final(void *user, struct tg_bytes line, struct tg_at_final *ret_final)
{
    (void)user;
    if (tg_bytes_eq_str(line, "DONE"))
        ret_final->status = TG_AT_OK;
    else if (tg_bytes_starts(line, "FAIL "))
        ret_final->status = TG_AT_ERROR, ret_final->code = tg_at_code(tg_at_rest(line, 5));
    else
        return false;
    return true;
}

static void test_finals_of_the_device(void **state)
{
    const struct tg_at_chat_config config = {.is_final = done_is_final};
    (void)state;
    tg_at_wire_fini(&w);
    tg_at_wire_init(&w, &config);
    ask("MEASURE", 1000);
    sent("MEASURE\r");
    tg_at_wire_rx_str(&w, "21.5\r\nDONE\r\n");
    ask("MEASURE", 1000);
    sent("MEASURE\r");
    tg_at_wire_rx_str(&w, "FAIL 7\r\n");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(w.results, 1), "code")), 7);
    ask("MEASURE", 1000);
    sent("MEASURE\r");
    sent("AT\r"); /* its own results count while resynchronising too */
    tg_at_wire_rx_str(&w, "22\r\nDONE\r\n");
    tg_at_wire_rx_str(&w, "DONE\r\n");
    tg_at_wire_advance(&w, 100);
    assert_int_equal(w.synced, 1);
    assert_string_equal(results(), "MEASURE=ok[21.5]; MEASURE=error; MEASURE=timeout");
}

/* A device in data mode: what probes say it takes for data, until "+++" between guard times. */
static void test_escape_before_lost(void **state)
{
    const struct tg_at_chat_config config = {.escape = true};
    int64_t before;
    (void)state;
    tg_at_wire_fini(&w);
    tg_at_wire_init(&w, &config);
    tg_at_chat_sync(&w.chat, w.now_ms);
    sent("AT\r");
    sent("AT\r");
    sent("\x1b"
         "AT\r");
    before = w.now_ms;
    sent("+++");
    assert_true(w.now_ms - before >= 1000 + 1100); /* the probe's second, then the guard time */
    before = w.now_ms;
    sent("AT\r");
    assert_true(w.now_ms - before >= 1100);
    tg_at_wire_rx_str(&w, "\r\nOK\r\n");
    tg_at_wire_advance(&w, 600);
    assert_int_equal(w.synced, 1);
    assert_int_equal(w.lost, 0);
    tg_at_chat_sync(&w.chat, w.now_ms);
    sent("AT\r");
    sent("AT\r");
    sent("\x1b"
         "AT\r");
    sent("+++");
    sent("AT\r");
    tg_at_wire_advance(&w, 1000);
    assert_int_equal(w.lost, 1);
    silent(60000);
}

/* A prompt that the device shows before it has got the command does not let the data out ahead of it. */
static void test_prompt_ahead_of_the_command(void **state)
{
    struct tg_at_command c = {
        .text = "AT+CMGS=\"1\"", .prompt = "> ", .data = tg_bytes("hi\x1a", 3), .timeout_ms = 1000};
    struct tg_at_event ev;
    (void)state;
    assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
    tg_at_chat_tick(&w.chat, w.now_ms); /* not written out yet */
    assert_int_equal(tg_at_chat_input(&w.chat, tg_bytes_str("> "), w.now_ms), 2);
    tg_at_chat_tick(&w.chat, w.now_ms);
    assert_false(tg_at_chat_event(&w.chat, &ev));
    assert_true(tg_bytes_starts(tg_at_chat_output(&w.chat), "AT+CMGS"));
    assert_int_equal(w.chat.counters.early_prompts, 1);
    sent("AT+CMGS=\"1\"\r");
    silent(100);
    tg_at_wire_rx_str(&w, "\r\n> ");
    sent("hi\x1a");
    silent(500);
    tg_at_wire_advance(
        &w, 501); /* no result: the device may still wait for data, so ESC goes ahead of the first probe */
    sent("\x1b"
         "AT\r");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_payload),
        TEST(test_quoted_payload),
        TEST(test_lengths_that_lie),
        TEST(test_blocks),
        TEST(test_finals_of_the_device),
        TEST(test_escape_before_lost),
        TEST(test_prompt_ahead_of_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
