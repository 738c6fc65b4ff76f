/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a provisioning run stops: each command of it is refused, not answered, and answered by a restart; the module is absent,
 * speaks at another rate, is in one of its other modes; what the cloud and the network do to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/ucx_stage.h"

static const char key[] = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n";
static const char ca[] = "-----BEGIN CERTIFICATE-----\nroot\n-----END CERTIFICATE-----\n";
static const struct tg_ucx_file files[] = {
    {TG_UCX_CA, "ca.pem", {(const uint8_t *)ca, sizeof ca - 1}, "00112233445566778899AABBCCDDEEFF"},
    {TG_UCX_KEY, "key.pem", {(const uint8_t *)key, sizeof key - 1}, "ffeeddccbbaa99887766554433221100"}};
static const struct tg_ucx_mqtt broker = {.host = "broker.example",
                                          .port = 8883,
                                          .client = "c",
                                          .user = "u",
                                          .password = "hush hush",
                                          .publish = "p",
                                          .ca = "ca.pem"};
static const struct tg_ucx_plan whole = {.files = files,
                                         .file_count = 2,
                                         .ssid = "yard net",
                                         .wifi_password = "top secret",
                                         .store_wifi = true,
                                         .cloud = &broker,
                                         .hello = "hello",
                                         .command_limit_bytes = 512};

/* What is sent, in order, and how a module answers. */
static const char *const conversation[] = {
    "AT+UFACTORY",
    "AT+CPWROFF",
    "AT+USECMNG=0,0,ca.pem,59",
    "AT+USECMNG=0,2,key.pem,61",
    "ATO2",
    "AT+UWSC=0,2,\"yard net\"",
    "AT+UWSC=0,5,2",
    "AT+UWSC=0,8,\"top secret\"",
    "AT+UWSCA=0,3",
    "AT+UWSC=0,0,1",
    "AT+UWSCA=0,1",
    "AT+UDUV=0,\"hush hush\"",
    "AT+UDCP=mqtt://broker.example:8883/?client=c&user=u&passwd=%%0&pt=p&encr=3&ca=ca.pem"};
#define COMMANDS (sizeof conversation / sizeof conversation[0])

static struct ucx_stage stage;

static void upload(struct ucx_stage *s, const struct tg_ucx_file *f, const char *md5)
{
    char text[200];
    ucx_stage_feed(s, "\r\n>", 3);
    assert_true(ucx_stage_wait(s));
    assert_int_equal(s->sent_len, f->content.len);
    assert_memory_equal(s->sent, f->content.data, f->content.len);
    ucx_stage_take(s, s->sent_len);
    snprintf(text, sizeof text, "+USECMNG:0,%d,\"%s\",\"%s\"\r\nOK", (int)f->kind, f->name, md5);
    ucx_stage_say(s, 0, text);
}

static void answer(struct ucx_stage *s, size_t i)
{
    static const uint8_t connected[] = {0, 2, 2, 1, 2, 3, 4, 0, 1, 0, 0, 0, 0, 0, 0};
    if (i == 2 || i == 3) {
        upload(s, &files[i - 2], files[i - 2].md5);
        return;
    }
    if (i + 1 < COMMANDS) {
        ucx_stage_say(s, TG_EDM_AT_RESPONSE, "OK");
    } else {
        ucx_stage_say(s, TG_EDM_AT_RESPONSE, "+UDCP:1\r\nOK");
        ucx_stage_say(s, TG_EDM_AT_EVENT,
                      "+UUDPC:1,2,6,0.0.0.0,0,1.2.3.4,1"); /* the other way round as in the log */
        ucx_stage_frame(s, TG_EDM_CONNECT, connected, sizeof connected);
    }
    if (i == 1) {
        s->extended = false;
        ucx_stage_say(s, 0, "+STARTUP");
    } else if (i == 4) {
        s->extended = true;
        ucx_stage_frame(s, TG_EDM_START, "", 0);
    } else if (i == 8) {
        ucx_stage_say(s, TG_EDM_AT_EVENT, "+UUWLE:0,802AA8035ADE,11");
        ucx_stage_say(s, TG_EDM_AT_EVENT, "+UUNU:0");
    }
}

/* Plays the conversation up to the answer of command `stop`. */
static void play_until(size_t stop)
{
    ucx_stage_start(&stage, &whole);
    for (size_t i = 0; i < COMMANDS; i++) {
        if (!ucx_stage_expect(&stage, conversation[i]))
            fail_msg("instead of %s: \"%.*s\", fault %d", conversation[i], (int)stage.sent_len,
                     (const char *)stage.sent, (int)stage.run.fault.kind);
        if (i == stop)
            return;
        answer(&stage, i);
    }
}

static void reset_stage(void)
{
    memset(&stage, 0, sizeof stage);
}

/* The greeting is out: nothing more comes. */
static void finish(void)
{
    ucx_stage_take(&stage, stage.sent_len);
    assert_false(ucx_stage_wait(&stage));
    assert_int_equal(stage.last, TG_UCX_TELL_DONE);
}

static void the_whole_way_in_reads_of_any_size(void **state)
{
    static const size_t chunks[] = {0, 1, 2, 5};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        static const uint8_t hello[] = {0xAA, 0, 8, 0, 0x36, 0, 'h', 'e', 'l', 'l', 'o', 0x55};
        reset_stage();
        stage.chunk = chunks[i];
        play_until(COMMANDS);
        assert_int_equal(stage.sent_len, sizeof hello);
        assert_memory_equal(stage.sent, hello, sizeof hello);
        finish();
        for (size_t k = 0; k < stage.command_count; k++) {
            assert_null(strstr(stage.commands[k], "secret"));
            assert_null(strstr(stage.commands[k], "hush"));
        }
    }
}

static enum tg_ucx_step step_of(size_t command)
{
    static const enum tg_ucx_step steps[COMMANDS] = {
        TG_UCX_RESET, TG_UCX_RESTART, TG_UCX_UPLOAD, TG_UCX_UPLOAD, TG_UCX_EXTEND, TG_UCX_WIFI, TG_UCX_WIFI,
        TG_UCX_WIFI,  TG_UCX_WIFI,    TG_UCX_STORE,  TG_UCX_STORE,  TG_UCX_CLOUD,  TG_UCX_CLOUD};
    return steps[command];
}

static void each_command_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COMMANDS; i++) {
        reset_stage();
        play_until(i);
        ucx_stage_say(&stage, TG_EDM_AT_RESPONSE, "ERROR");
        assert_false(ucx_stage_wait(&stage));
        assert_int_equal(stage.last, TG_UCX_TELL_FAILED);
        assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_REFUSED);
        assert_int_equal(stage.run.fault.step, step_of(i));
        assert_string_equal(stage.run.fault.answer, "ERROR");
        assert_null(strstr(stage.run.fault.command, "secret"));
        assert_null(strstr(stage.run.fault.command, "hush"));
        assert_int_equal(strncmp(stage.run.fault.command, conversation[i], 7), 0);
    }
}

static void each_command_unanswered(void **state)
{
    (void)state;
    for (size_t i = 0; i < COMMANDS; i++) {
        reset_stage();
        play_until(i);
        stage.mute = true;
        assert_false(ucx_stage_wait(&stage));
        assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_SILENT);
        assert_int_equal(stage.run.fault.step, step_of(i));
    }
}

static void a_restart_that_nobody_asked_for(void **state)
{
    (void)state;
    for (size_t i = 2; i < COMMANDS; i++) {
        reset_stage();
        play_until(i);
        ucx_stage_feed(&stage, "\r\n+STARTUP\r\n", 12); /* plain text, in whatever mode it was */
        assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_RESTARTED);
        assert_int_equal(stage.run.fault.step, step_of(i));
    }
}

static void the_md5_of_something_else(void **state)
{
    static const char *const wrong[] = {"00112233445566778899AABBCCDDEEF0", "",
                                        "00112233445566778899AABBCCDDEEFFF"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        reset_stage();
        play_until(2);
        upload(&stage, &files[0], wrong[i]);
        assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_DIGEST);
        assert_int_equal(stage.run.fault.step, TG_UCX_UPLOAD);
        assert_string_equal(stage.run.fault.command, conversation[2]);
    }
    reset_stage();
    play_until(2);
    ucx_stage_feed(&stage, "\r\n>", 3);
    assert_true(ucx_stage_wait(&stage));
    ucx_stage_take(&stage, stage.sent_len);
    ucx_stage_say(&stage, 0, "OK"); /* stored, but no word of what */
    assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_DIGEST);
}

static void absent_and_at_another_rate(void **state)
{
    (void)state;
    reset_stage();
    stage.mute = true;
    ucx_stage_start(&stage, &whole);
    assert_false(ucx_stage_wait(&stage));
    assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_ABSENT);
    assert_true(stage.now_ms < 10000);
    reset_stage();
    stage.mute = true;
    ucx_stage_start(&stage, &whole);
    ucx_stage_feed(&stage, "\xF0\x83\x18\xF8\x00\x86", 6);
    assert_false(ucx_stage_wait(&stage));
    assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_GARBLED);
    assert_int_equal(stage.run.fault.step, TG_UCX_FIND);
}

/* Left in extended data mode by a run that was interrupted. */
static void found_in_extended_data_mode(void **state)
{
    (void)state;
    reset_stage();
    stage.extended = true;
    ucx_stage_start(&stage, &whole);
    for (size_t i = 0; i < COMMANDS; i++) {
        assert_true(ucx_stage_expect(&stage, conversation[i]));
        answer(&stage, i);
    }
    finish();
}

/* With --no-reset: only the restart leads out of extended data mode, where files cannot be taken; old ones go first. */
static void kept_settings(void **state)
{
    struct tg_ucx_plan plan = whole;
    (void)state;
    plan.keep = true;
    plan.file_count = 1;
    plan.ssid = NULL;
    reset_stage();
    stage.extended = true;
    ucx_stage_start(&stage, &plan);
    assert_true(ucx_stage_expect(&stage, "AT+CPWROFF"));
    answer(&stage, 1);
    assert_true(ucx_stage_expect(&stage, "AT+USECMNG=2,0,ca.pem"));
    ucx_stage_say(&stage, 0, "ERROR"); /* there was none */
    assert_true(ucx_stage_expect(&stage, conversation[2]));
    answer(&stage, 2);
    assert_true(ucx_stage_expect(&stage, "ATO2"));
    answer(&stage, 4);
    assert_true(ucx_stage_expect(&stage, conversation[11]));
}

static void what_the_network_does(void **state)
{
    (void)state;
    reset_stage();
    play_until(8);
    ucx_stage_say(&stage, TG_EDM_AT_RESPONSE, "OK");
    assert_false(ucx_stage_wait(&stage)); /* nothing is sent while it waits for the network */
    assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_NO_LINK);
    assert_string_equal(stage.run.fault.answer, "");
    reset_stage();
    play_until(8);
    ucx_stage_say(&stage, TG_EDM_AT_RESPONSE, "OK");
    ucx_stage_say(&stage, TG_EDM_AT_EVENT, "+UUWLD:0,4");
    assert_false(ucx_stage_wait(&stage));
    assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_NO_LINK);
    assert_string_equal(stage.run.fault.answer, "+UUWLD:0,4");
    reset_stage();
    play_until(8);
    ucx_stage_say(&stage, TG_EDM_AT_RESPONSE, "OK");
    ucx_stage_say(&stage, TG_EDM_AT_EVENT, "+UUWLE:0,802AA8035ADE,11");
    assert_false(ucx_stage_wait(&stage));
    assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_NO_NETWORK);
    assert_int_equal(stage.run.fault.step, TG_UCX_NETWORK);
}

static void what_the_cloud_does(void **state)
{
    (void)state;
    reset_stage();
    play_until(COMMANDS - 1);
    ucx_stage_say(&stage, TG_EDM_AT_RESPONSE, "+UDCP:3\r\nOK");
    ucx_stage_say(&stage, TG_EDM_AT_EVENT, "+UUDPD:1"); /* another's */
    assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_NONE);
    ucx_stage_say(&stage, TG_EDM_AT_EVENT, "+UUDPD:3");
    assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_PEER_LOST);
    reset_stage();
    play_until(COMMANDS - 1);
    ucx_stage_say(&stage, TG_EDM_AT_RESPONSE, "+UDCP:3\r\nOK");
    assert_false(ucx_stage_wait(&stage));
    assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_NO_PEER);
    reset_stage();
    play_until(COMMANDS - 1);
    ucx_stage_say(&stage, TG_EDM_AT_RESPONSE, "OK"); /* no handle */
    assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_REFUSED);
}

static void too_long_for_the_module(void **state)
{
    struct tg_ucx_plan plan = whole;
    (void)state;
    plan.command_limit_bytes = 64; /* not even the names of the certificates fit */
    plan.ssid = NULL;
    plan.file_count = 0;
    plan.keep = true;
    reset_stage();
    stage.extended = true;
    ucx_stage_start(&stage, &plan);
    assert_false(ucx_stage_wait(&stage));
    assert_int_equal(stage.run.fault.kind, TG_UCX_FAULT_TOO_LONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_whole_way_in_reads_of_any_size),
                                       cmocka_unit_test(each_command_refused),
                                       cmocka_unit_test(each_command_unanswered),
                                       cmocka_unit_test(a_restart_that_nobody_asked_for),
                                       cmocka_unit_test(the_md5_of_something_else),
                                       cmocka_unit_test(absent_and_at_another_rate),
                                       cmocka_unit_test(found_in_extended_data_mode),
                                       cmocka_unit_test(kept_settings),
                                       cmocka_unit_test(what_the_network_does),
                                       cmocka_unit_test(what_the_cloud_does),
                                       cmocka_unit_test(too_long_for_the_module)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
