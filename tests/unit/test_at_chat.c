/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/at_talk.h"

static void test_refused_commands(void **state)
{
    char longest[TG_AT_COMMAND_MAX_BYTES + 2];
    (void)state;
    memset(longest, 'A', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(ask("", 1000), TG_EINVAL);
    assert_int_equal(ask("AT\rAT", 1000), TG_EINVAL);
    assert_int_equal(ask("AT\n", 1000), TG_EINVAL);
    assert_int_equal(ask("AT\x1a", 1000), TG_EINVAL);
    assert_int_equal(ask("AT\x1b", 1000), TG_EINVAL);
    assert_int_equal(ask(longest, 1000), TG_EINVAL);
    longest[TG_AT_COMMAND_MAX_BYTES] = 0;
    assert_int_equal(ask(longest, 1000), 0);
    tg_at_wire_wait_tx(&w, 100);
    assert_int_equal(w.tx_len, TG_AT_COMMAND_MAX_BYTES + 1);
}

static void test_full_queue(void **state)
{
    (void)state;
    assert_int_equal(ask("AT+0", 1000), 0);
    sent("AT+0\r");
    for (int i = 0; i < TG_AT_QUEUE_MAX; i++)
        assert_int_equal(ask("AT+N", 1000), 0);
    assert_int_equal(ask("AT+X", 1000), TG_EFULL);
    assert_int_equal(tg_at_chat_pending(&w.chat), TG_AT_QUEUE_MAX + 1);
    tg_at_chat_hangup(&w.chat);
    tg_at_wire_settle(&w);
    assert_int_equal(json_array_size(w.results), TG_AT_QUEUE_MAX + 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(w.results, 0), "command")), "AT+0");
    assert_int_equal(tg_at_chat_pending(&w.chat), 0);
    assert_int_equal(ask("AT", 1000), TG_ESTATE);
}

static void test_pause_between_commands(void **state)
{
    (void)state;
    ask("AT+A", 1000);
    ask("AT+B", 1000);
    sent("AT+A\r");
    tg_at_wire_rx_str(&w, "\r\nOK\r\n");
    silent(24);
    tg_at_wire_advance(&w, 1);
    sent("AT+B\r");
}

/* A command is not sent into the middle of a line, and noise or an endless line does not hold it for ever. */
static void test_unfinished_line(void **state)
{
    (void)state;
    tg_at_wire_rx_str(&w, "+CRE");
    ask("AT+A", 1000);
    silent(50);
    tg_at_wire_rx_str(&w, "G: 1\r\n");
    assert_string_equal(list(w.urcs), "[+CREG: 1]");
    sent("AT+A\r");
    tg_at_wire_rx_str(&w, "OK\r");
    tg_at_wire_advance(&w, 100);
    tg_at_wire_rx_str(&w, "noise");
    ask("AT+B", 1000);
    silent(99);
    sent("AT+B\r");
    tg_at_wire_rx_str(&w, "+B: 1\r\nOK\r\n"); /* the noise does not stick to the answer */
    assert_string_equal(results(), "AT+A=ok; AT+B=ok[+B: 1]");
    ask("AT+C", 5000);
    for (int i = 0; w.tx_len == 0; i++) {
        assert_in_range(i, 0, 120);
        tg_at_wire_rx_str(&w, "x");
        tg_at_wire_advance(&w, 10);
    }
    sent("AT+C\r");
}

static void test_urc_inside_response(void **state)
{
    (void)state;
    ask("AT+CSQ", 1000);
    sent("AT+CSQ\r");
    tg_at_wire_rx_str(
        &w, "\r\nRING\r\n\r\n+CSQ: 1,99\r\n\r\nNO CARRIER\r\n\r\nRINGING: 1\r\n\r\nOK\r\n\r\nRING\r\n");
    assert_string_equal(results(), "AT+CSQ=ok[+CSQ: 1,99][RINGING: 1]");
    assert_string_equal(list(w.urcs), "[RING][NO CARRIER][RING]");
}

static void test_two_line_urc(void **state)
{
    (void)state;
    ask("AT+CSQ", 1000);
    sent("AT+CSQ\r");
    tg_at_wire_rx_str(&w, "\r\n+CMT: ,23\r\nOK\r\n\r\n+CSQ: 1,99\r\n\r\nOK\r\n"); /* the message says OK */
    assert_string_equal(results(), "AT+CSQ=ok[+CSQ: 1,99]");
    assert_string_equal(list(w.urcs), "[+CMT: ,23|OK]");
    tg_at_wire_rx_str(&w, "\r\n+CMT: ,1\r\n");
    tg_at_wire_advance(&w, 999);
    assert_int_equal(json_array_size(w.urcs), 0);
    tg_at_wire_advance(&w, 1); /* its second line never comes */
    assert_string_equal(list(w.urcs), "[+CMT: ,1]");
}

static void test_prompt_and_data(void **state)
{
    struct tg_at_command c = {.text = "AT+CMGS=\"1\"",
                              .prompt = "> ",
                              .data = tg_bytes("hi\x1a", 3),
                              .data_delay_ms = 50,
                              .timeout_ms = 1000};
    (void)state;
    assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
    sent("AT+CMGS=\"1\"\r");
    tg_at_wire_rx_str(&w, "AT+CMGS=\"1\"\r\r\n> ");
    silent(49);
    tg_at_wire_advance(&w, 1);
    sent("hi\x1a");
    tg_at_wire_rx_str(&w, "hi\r\n+CMGS: 1\r\n\r\nOK\r\n"); /* the data are echoed too */
    assert_string_equal(results(), "AT+CMGS=\"1\"=ok[+CMGS: 1]");
    assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
    sent("AT+CMGS=\"1\"\r");
    tg_at_wire_rx_str(&w, "\r\nERROR\r\n"); /* no prompt: the data are not sent */
    silent(500);
    assert_string_equal(results(), "AT+CMGS=\"1\"=error");
    assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
    sent("AT+CMGS=\"1\"\r");
    tg_at_wire_rx_str(&w, "\r\n> ");
    tg_at_chat_abort(&w.chat, w.now_ms);
    sent("\x1b"); /* ESC leaves the prompt, the data are kept back */
    tg_at_wire_rx_str(&w, "\r\nOK\r\n");
    silent(500);
    assert_string_equal(results(), "AT+CMGS=\"1\"=aborted");
}

/* A prompt that nobody expects: the device waits for data. The third probe leaves it with ESC. */
static void test_early_prompt(void **state)
{
    (void)state;
    ask("AT+A", 300);
    sent("AT+A\r");
    tg_at_wire_rx_str(&w, "\r\n> ");
    sent("AT\r");
    sent("AT\r");
    sent("\x1b"
         "AT\r");
    tg_at_wire_rx_str(&w, "\r\nOK\r\n");
    tg_at_wire_advance(&w, 600);
    assert_int_equal(w.synced, 1);
    assert_string_equal(results(), "AT+A=timeout");
}

/* The device is slow, not dead: its late OK and the probe's OK come one after the other, at any distance
 * below settle_ms. The next command gets neither. */
static void test_late_result(void **state)
{
    stop(state);
    for (int64_t late = 0; late <= 480; late += 40) {
        start(state);
        ask("AT+SLOW", 300);
        ask("AT+CSQ", 1000);
        sent("AT+SLOW\r");
        sent("AT\r");
        tg_at_wire_rx_str(&w, "\r\n+SLOW: 7\r\n\r\nOK\r\n"); /* late */
        tg_at_wire_advance(&w, late);
        assert_int_equal(w.tx_len, 0);
        tg_at_wire_rx_str(&w, "\r\nOK\r\n"); /* the probe's */
        sent("AT+CSQ\r");
        tg_at_wire_rx_str(&w, "\r\n+CSQ: 9,99\r\n\r\nOK\r\n");
        assert_string_equal(results(), "AT+SLOW=timeout; AT+CSQ=ok[+CSQ: 9,99]");
        stop(state);
    }
    start(state);
}

/* Everything that was sent while the device slept is answered in one burst. */
static void test_burst_after_sleep(void **state)
{
    (void)state;
    ask("AT+SLOW", 300);
    ask("AT+CSQ", 1000);
    sent("AT+SLOW\r");
    sent("AT\r");
    sent("AT\r");
    sent("\x1b"
         "AT\r");
    tg_at_wire_rx_str(&w, "\r\nOK\r\n\r\nOK\r\n\r\nOK\r\n");
    silent(400);
    tg_at_wire_rx_str(&w, "\r\nOK\r\n");
    sent("AT+CSQ\r");
    assert_int_equal(w.synced, 1);
    assert_int_equal(w.lost, 0);
}

static void test_urcs_pass_while_resynchronising(void **state)
{
    (void)state;
    ask("AT+CREG?", 300);
    sent("AT+CREG?\r");
    tg_at_wire_advance(&w, 300);
    tg_at_wire_rx_str(&w, "\r\n+CREG: 1,5\r\n\r\nRING\r\n"); /* the first may be the late answer */
    assert_string_equal(list(w.urcs), "[RING]");
}

static void test_device_that_does_not_answer(void **state)
{
    (void)state;
    ask("AT+A", 300);
    ask("AT+B", 300);
    sent("AT+A\r");
    sent("AT\r");
    sent("AT\r");
    sent("\x1b"
         "AT\r");
    tg_at_wire_advance(&w, 1000);
    assert_int_equal(w.lost, 1);
    assert_int_equal(tg_at_chat_state(&w.chat), TG_AT_LOST);
    silent(60000);
    tg_at_chat_sync(&w.chat, w.now_ms);
    sent("AT\r");
    tg_at_wire_rx_str(&w, "\r\nOK\r\n");
    silent(400); /* four results are owed: silence must show that they will not come */
    sent("AT+B\r");
    assert_string_equal(results(), "AT+A=timeout");
}

/* The port was opened anew because a slow device seemed dead; what it then says belongs to what it was asked
 * before. */
static void test_late_results_behind_a_reopened_port(void **state)
{
    (void)state;
    ask("AT+SLOW", 300);
    sent("AT+SLOW\r");
    sent("AT\r");
    sent("AT\r");
    sent("\x1b"
         "AT\r");
    tg_at_wire_advance(&w, 1000);
    assert_int_equal(w.lost, 1);
    tg_at_chat_hangup(&w.chat);
    tg_at_chat_sync(&w.chat, w.now_ms);
    ask("AT+CSQ", 1000);
    sent("AT\r");
    for (int i = 0; i < 5; i++) { /* AT+SLOW and four probes, 300 ms each */
        tg_at_wire_rx_str(&w, "\r\nOK\r\n");
        if (i < 4)
            silent(300);
    }
    sent("AT+CSQ\r");
    assert_string_equal(results(), "AT+SLOW=timeout");
}

static void test_first_probe_after_opening(void **state)
{
    (void)state;
    tg_at_chat_hangup(&w.chat);
    tg_at_chat_sync(&w.chat, w.now_ms);
    ask("AT+CSQ", 1000);
    sent("AT\r");
    tg_at_wire_rx_str(&w, "\r\nOK\r\n"); /* perhaps the end of what another program asked */
    silent(499);
    sent("AT+CSQ\r");
}

/* While the device talks it is not probed, but not for ever. */
static void test_probe_waits_for_quiet(void **state)
{
    int64_t began;
    (void)state;
    tg_at_chat_sync(&w.chat, w.now_ms);
    began = w.now_ms;
    while (w.tx_len == 0) {
        tg_at_wire_rx_str(&w, "\r\nboot message\r\n");
        tg_at_wire_advance(&w, 50);
    }
    assert_in_range(w.now_ms - began, 1000, 1050);
}

static void test_stray_result_while_idle(void **state)
{
    (void)state;
    tg_at_wire_rx_str(&w, "\r\nOK\r\n");
    assert_string_equal(list(w.others), "[OK]");
    ask("AT+A", 1000);
    sent("AT+A\r");
    tg_at_wire_rx_str(&w, "NA\r\nOK\r\n"); /* NA ends it, the OK behind it is nobody's */
    ask("AT+B", 1000);
    sent("AT+B\r");
    tg_at_wire_rx_str(&w, "1\r\nOK\r\n");
    assert_string_equal(results(), "AT+A=error; AT+B=ok[1]");
}

static void test_abort_without_an_end(void **state)
{
    (void)state;
    ask("AT+COPS=?", 180000);
    sent("AT+COPS=?\r");
    tg_at_chat_abort(&w.chat, w.now_ms);
    tg_at_chat_abort(&w.chat, w.now_ms);
    sent("\r");
    silent(4999);
    sent("AT\r");
    assert_string_equal(results(), "AT+COPS=?=aborted");
}

static void test_data_mode_and_back(void **state)
{
    (void)state;
    ask("ATD*99#", 1000);
    sent("ATD*99#\r");
    tg_at_wire_rx_str(&w, "\r\nCONNECT 115200\r\n~ppp\r\nOK\r\n");
    assert_string_equal(results(), "ATD*99#=ok");
    assert_int_equal(w.data_bytes, 10);
    assert_int_equal(tg_at_chat_state(&w.chat), TG_AT_DATA);
    tg_at_chat_leave_data(&w.chat, w.now_ms);
    silent(1000);
    sent("+++");
    silent(1000);
    sent("AT\r");
    tg_at_wire_rx_str(&w, "\r\nOK\r\n");
    tg_at_wire_advance(&w, 600);
    assert_int_equal(w.synced, 1);
}

static void test_reboot_is_told(void **state)
{
    (void)state;
    tg_at_wire_rx_str(&w, "\xff\0\r\nRDY\r\nRDYX\r\n");
    assert_int_equal(w.reboots, 0); /* the text ends at the NUL */
    tg_at_wire_rx(&w, "\0\r\nRDY\r\nRDYX\r\n", 14);
    assert_int_equal(w.reboots, 1);
    assert_string_equal(list(w.others), "[RDYX]");
}

static void test_response_bounds(void **state)
{
    (void)state;
    ask("AT+LOG", 1000);
    sent("AT+LOG\r");
    for (int i = 0; i < TG_AT_RESPONSE_MAX_LINES + 5; i++)
        tg_at_wire_rx_str(&w, "line\r\n");
    tg_at_wire_rx_str(&w, "OK\r\n");
    assert_int_equal(json_array_size(json_object_get(json_array_get(w.results, 0), "lines")),
                     TG_AT_RESPONSE_MAX_LINES);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(w.results, 0), "truncated")), 5);
    json_array_clear(w.results);
    ask("AT+LOG", 1000);
    sent("AT+LOG\r");
    for (int i = 0; i < 5; i++) {
        char line[2000];
        memset(line, 'x', sizeof line);
        tg_at_wire_rx(&w, line, sizeof line);
        tg_at_wire_rx_str(&w, "\r\n");
    }
    tg_at_wire_rx_str(&w, "OK\r\n");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(w.results, 0), "truncated")), 1);
}

/* An open quote holds the OK back until the device has been silent for a while. */
static void test_stray_quote(void **state)
{
    (void)state;
    ask("AT+N?", 1000);
    sent("AT+N?\r");
    tg_at_wire_rx_str(&w, "\r\n+N: \"half\r\n\r\nOK\r\n");
    assert_string_equal(results(), "");
    tg_at_wire_advance(&w, 200);
    assert_string_equal(results(), "AT+N?=ok[+N: \"half]");
}

/* The port takes no byte (flow control): the command times out, nothing of it is sent later. */
static void test_port_that_takes_nothing(void **state)
{
    struct tg_at_command c = {.text = "AT+A", .timeout_ms = 300};
    struct tg_at_event ev;
    (void)state;
    assert_int_equal(tg_at_chat_queue(&w.chat, &c), 0);
    tg_at_chat_tick(&w.chat, 0);
    assert_int_equal(tg_at_chat_output(&w.chat).len, 5);
    tg_at_chat_output_ack(&w.chat, 2, 100);
    assert_int_equal(tg_at_chat_deadline(&w.chat), 300);
    tg_at_chat_tick(&w.chat, 300);
    assert_int_equal(tg_at_chat_output(&w.chat).len, 0);
    assert_true(tg_at_chat_event(&w.chat, &ev));
    assert_int_equal(ev.result.status, TG_AT_TIMEOUT);
}

/* Nothing that a device sends breaks the bounds: 200 kB of structured noise, then it answers again. */
static void test_noise(void **state)
{
    static const char *const words[] = {"\r",      "\n",   "OK",      "ERROR",        "+CREG: 1", "\"",
                                        "> ",      "AT+A", "+CMT: 1", "RDY",          "\xff",     "0",
                                        "CONNECT", ",",    "x\r\n",   "+CME ERROR: 3"};
    uint32_t r = 1;
    (void)state;
    for (int i = 0; i < 50000; i++) {
        r = r * 1664525u + 1013904223u;
        tg_at_wire_rx_str(&w, words[r >> 28]);
        if ((r >> 8) % 40 == 0 && tg_at_chat_pending(&w.chat) < 4)
            ask("AT+A", 100);
        if (tg_at_chat_state(&w.chat) == TG_AT_DATA)
            tg_at_chat_leave_data(&w.chat, w.now_ms);
        if (tg_at_chat_state(&w.chat) == TG_AT_LOST)
            tg_at_chat_sync(&w.chat, w.now_ms);
        tg_at_wire_advance(&w, (r >> 4) % 8);
        w.tx_len = 0;
        json_array_clear(w.results);
        json_array_clear(w.urcs);
        json_array_clear(w.others);
    }
    tg_at_chat_sync(&w.chat, w.now_ms);
    tg_at_wire_advance(&w, 100);
    w.answer_probes = true;
    tg_at_wire_advance(&w, 10000);
    while (tg_at_chat_pending(&w.chat) > 0) {
        tg_at_wire_advance(&w, 1000);
        w.tx_len = 0;
    }
    tg_at_wire_advance(&w, 5000);
    json_array_clear(w.results);
    w.tx_len = 0;
    ask("AT+LAST", 1000);
    sent("AT+LAST\r");
    tg_at_wire_rx_str(&w, "+LAST: 1\r\nOK\r\n");
    assert_string_equal(results(), "AT+LAST=ok[+LAST: 1]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refused_commands),
        TEST(test_full_queue),
        TEST(test_pause_between_commands),
        TEST(test_unfinished_line),
        TEST(test_urc_inside_response),
        TEST(test_two_line_urc),
        TEST(test_prompt_and_data),
        TEST(test_early_prompt),
        TEST(test_late_result),
        TEST(test_burst_after_sleep),
        TEST(test_urcs_pass_while_resynchronising),
        TEST(test_device_that_does_not_answer),
        TEST(test_late_results_behind_a_reopened_port),
        TEST(test_first_probe_after_opening),
        TEST(test_probe_waits_for_quiet),
        TEST(test_stray_result_while_idle),
        TEST(test_abort_without_an_end),
        TEST(test_data_mode_and_back),
        TEST(test_reboot_is_told),
        TEST(test_response_bounds),
        TEST(test_stray_quote),
        TEST(test_port_that_takes_nothing),
        TEST(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
