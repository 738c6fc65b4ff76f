/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "plugins/at/cellular_pin.h"
#include "southbound/cellular.h"

static struct tg_bytes line(const char *text)
{
    return tg_bytes_str(text);
}

/* --- lines ------------------------------------------------------------------------------------------- */

static void test_registration_lines(void **state)
{
    static const struct {
        const char *text;
        bool answer, ok, cell;
        int stat, act;
        uint32_t area;
    } cases[] = {
        {"+CREG: 1", false, true, false, 1, TG_CELL_NONE, 0},
        {"+CREG: 0,1", true, true, false, 1, TG_CELL_NONE, 0},
        {"+CREG: 2,5,\"00C3\",\"01A2B3C4\",7", true, true, true, 5, 7, 0xC3},
        {"+CEREG: 5,\"00C3\",\"01A2B3C4\",9", false, true, true, 5, 9, 0xC3},
        {"+CEREG: 1,00C3,01A2B3C4,7", false, true, true, 1, 7, 0xC3}, /* without quotes */
        {"+CGREG: 2,3,,,,0,17", true, true, false, 3, TG_CELL_NONE, 0},
        {"+C5GREG: 1,\"00C3AB\",\"1A2B3C4D5\",11", false, true, true, 1, 11, 0xC3AB},
        {"+CREG: 11", false, false, false, 0, 0, 0},
        {"+CREG: 0,99", true, false, false, 0, 0, 0},
        {"+CREG:", false, false, false, 0, 0, 0},
        {"+CREG: \"1", false, false, false, 0, 0, 0},
        {"+CREG: 1,\"XYZ\",\"1\",7", false, true, false, 1, 7, 0},
        {"+CSQ: 1,2", false, false, false, 0, 0, 0},
        {"+CREG: 1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6", false, false, false, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tg_cell_registration r = {0};
        print_message("%s\n", cases[i].text);
        assert_int_equal(tg_cell_registration(line(cases[i].text), cases[i].answer, &r), cases[i].ok);
        if (!cases[i].ok)
            continue;
        assert_int_equal(tg_cell_registration_is_answer(line(cases[i].text)), cases[i].answer);
        assert_int_equal(r.stat, cases[i].stat);
        assert_int_equal(r.act, cases[i].act);
        assert_int_equal(r.has_cell, cases[i].cell);
        if (r.has_cell)
            assert_int_equal(r.area, cases[i].area);
    }
}

static void test_signal_lines(void **state)
{
    struct tg_cell_signal s;
    int32_t rssi = 0;
    (void)state;
    assert_true(tg_cell_csq(line("+CSQ: 0,99"), &rssi));
    assert_int_equal(rssi, -1130);
    assert_true(tg_cell_csq(line("+CSQ: 31,0"), &rssi));
    assert_int_equal(rssi, -510);
    assert_true(tg_cell_csq(line("+CSQ: 99,99"), &rssi));
    assert_int_equal(rssi, TG_CELL_NONE);
    assert_true(tg_cell_csq(line("+CSQ: 32,99"), &rssi));
    assert_int_equal(rssi, TG_CELL_NONE);
    assert_true(tg_cell_csq(line("+CSQ: 191,99"), &rssi));
    assert_int_equal(rssi, -250);
    assert_false(tg_cell_csq(line("+CSQ: -5,99"), &rssi));
    assert_false(tg_cell_csq(line("+CSQ: 5"), &rssi));
    assert_false(tg_cell_csq(line("+CSQ: 999,1"), &rssi));
    assert_true(tg_cell_cesq(line("+CESQ: 63,0,96,49,34,97"), &s));
    assert_int_equal(s.rssi, -480);
    assert_int_equal(s.rscp, -250);
    assert_int_equal(s.ecno, 0);
    assert_int_equal(s.rsrq, -30);
    assert_int_equal(s.rsrp, -440);
    assert_true(tg_cell_cesq(line("+CESQ: 99,99,255,255,20,50,255,255,255"), &s));
    assert_int_equal(s.rssi, TG_CELL_NONE);
    assert_int_equal(s.rscp, TG_CELL_NONE);
    assert_int_equal(s.rsrq, -100);
    assert_int_equal(s.rsrp, -910);
    assert_false(tg_cell_cesq(line("+CESQ: 99,99,255,255,20"), &s));
    assert_false(tg_cell_cesq(line("+CESQ: 99,99,255,255,20,x"), &s));
}

static void test_clock_lines(void **state)
{
    static const char *const wrong[] = {"+CCLK: \"26/13/01,00:00:00+00\"",
                                        "+CCLK: \"26/02/29,00:00:00+00\"",
                                        "+CCLK: \"26/02/28,24:00:00+00\"",
                                        "+CCLK: \"26/02/28,10:00:00+99\"",
                                        "+CCLK: \"26/02/28,10:00:00 08\"",
                                        "+CCLK: \"\"",
                                        "+CCLK: 26",
                                        "+CCLK: \"2026/02/28,10:00:00+08\""};
    struct tg_cell_clock c;
    (void)state;
    assert_true(tg_cell_clock(line("+CCLK: \"26/11/20,15:00:00+08\""), &c));
    assert_true(c.has_zone);
    assert_int_equal(c.local_ms - c.zone_quarters * 900000, 1795179600000); /* 2026-11-20T13:00:00Z */
    assert_true(tg_cell_clock(line("+CCLK: \"26/11/20,03:00:00-40\""), &c));
    assert_int_equal(c.local_ms - c.zone_quarters * 900000, 1795179600000);
    assert_true(tg_cell_clock(line("+CCLK: \"28/02/29,00:00:00+22\""), &c));
    assert_true(tg_cell_clock(line("+CCLK: \"26/11/20,13:00:00\""), &c));
    assert_false(c.has_zone);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(tg_cell_clock(line(wrong[i]), &c));
}

static void test_sim_lines(void **state)
{
    enum tg_cell_lock lock;
    struct tg_cell_operator o;
    char text[TG_CELL_TEXT_BYTES], apn[TG_CELL_TEXT_BYTES];
    int32_t n = 0;
    (void)state;
    assert_true(tg_cell_lock(line("+CPIN: READY"), &lock, text) && lock == TG_CELL_READY);
    assert_true(tg_cell_lock(line("+CPIN: SIM PIN"), &lock, text) && lock == TG_CELL_WANTS_PIN);
    assert_true(tg_cell_lock(line("+CPIN: SIM PUK"), &lock, text) && lock == TG_CELL_WANTS_PUK);
    assert_true(tg_cell_lock(line("+CPIN: SIM PIN2"), &lock, text) && lock == TG_CELL_WANTS_OTHER);
    assert_false(tg_cell_lock(line("+CPIN: "), &lock, text));
    assert_true(tg_cell_tries(line("+CPINR: SIM PIN,2,3"), &n) && n == 2);
    assert_false(tg_cell_tries(line("+CPINR: SIM PUK,10,10"), &n));
    assert_true(tg_cell_tries(line("+UPINCNT: 1,3,10,10"), &n) && n == 1);
    assert_true(tg_cell_tries(line("+QPINC: \"SC\",3,10"), &n) && n == 3);
    assert_false(tg_cell_tries(line("+SPIC: -1"), &n));
    assert_true(tg_cell_digits(line("+CCID: 8944500102198304826F"), text));
    assert_string_equal(text, "8944500102198304826");
    assert_true(tg_cell_digits(line("\"356938035643809\""), text));
    assert_false(tg_cell_digits(line("+CCID: 89445001021983O4826"), text));
    assert_false(tg_cell_digits(line("123"), text));
    assert_true(tg_cell_operator(line("+COPS: 0,0,\"Tide, Mobile\",7"), &o) &&
                strcmp(o.name, "Tide, Mobile") == 0 && o.act == 7);
    assert_true(tg_cell_operator(line("+COPS: 0"), &o) && o.name[0] == '\0');
    assert_false(tg_cell_operator(line("+COPS: 0,0,\"a\x01\",7"), &o));
    assert_false(tg_cell_operator(line("+COPS: 0,0,\"\xff\",7"), &o));
    assert_true(tg_cell_context(line("+CGDCONT: 1,\"IP\",\"iot.example\",\"\",0,0"), 1, text, apn));
    assert_string_equal(apn, "iot.example");
    assert_false(tg_cell_context(line("+CGDCONT: 2,\"IP\",\"iot.example\""), 1, text, apn));
    assert_true(tg_cell_text(line("Revision: EG25GGBR07A08M2G"), text));
    assert_string_equal(text, "EG25GGBR07A08M2G");
    assert_false(tg_cell_text(line("\x1b[2J"), text));
}

/* --- the conversation ------------------------------------------------------------------------------------ */

/* A modem that knows these answers; everything else is ERROR. */
struct script {
    const char *command, *answer; /* answer: NULL = OK alone; "!10" = +CME ERROR: 10 */
};

static struct script present[24];
static char heard[64][64];
static size_t heard_count;

static void set(const char *command, const char *answer)
{
    size_t i = 0;
    while (i < 24 && present[i].command && strcmp(present[i].command, command) != 0)
        i++;
    assert_true(i < 24);
    present[i] = (struct script){command, answer};
}

static void modem(void)
{
    memset(present, 0, sizeof present);
    set("AT+CGSN", "356938035643809");
    set("AT+CPIN?", "+CPIN: READY");
    set("AT+CCID", "+CCID: 8944500102198304826");
    set("AT+CFUN?", "+CFUN: 1");
    set("AT+CEREG?", "+CEREG: 2,1,\"00C3\",\"01A2B3C4\",7");
    set("AT+CGREG?", "+CGREG: 2,4");
    set("AT+CREG?", "+CREG: 2,1");
    set("AT+CGATT?", "+CGATT: 1");
    set("AT+COPS?", "+COPS: 0,0,\"Tide Mobile\",7");
    set("AT+CSQ", "+CSQ: 17,99");
    set("AT+CCLK?", "+CCLK: \"26/11/20,15:00:00+08\"");
}

static void answer_one(struct tg_cellular *c, const struct tg_cellular_command *command, int64_t now)
{
    struct tg_at_result r = {.status = TG_AT_ERROR, .code = -1};
    struct tg_bytes text;
    for (size_t i = 0; i < 24 && present[i].command; i++) {
        if (strcmp(present[i].command, command->text) != 0)
            continue;
        r.status = TG_AT_OK;
        if (present[i].answer && present[i].answer[0] == '!') {
            r.status = TG_AT_CME_ERROR;
            r.code = atoi(present[i].answer + 1);
        } else if (present[i].answer) {
            text = line(present[i].answer);
            r.lines = &text;
            r.line_count = 1;
        }
    }
    tg_cellular_result(c, &r, now);
}

/* Asks and answers until nothing is due at `now`. */
static void talk(struct tg_cellular *c, int64_t now)
{
    struct tg_cellular_command command;
    heard_count = 0;
    tg_cellular_tick(c, now);
    while (tg_cellular_next(c, now, &command)) {
        assert_true(heard_count < 64);
        snprintf(heard[heard_count++], sizeof heard[0], "%s", command.text);
        answer_one(c, &command, now);
    }
    assert_true(c->phase == TG_CELL_ASK || tg_cellular_deadline(c) > now);
}

static bool was_heard(const char *command)
{
    for (size_t i = 0; i < heard_count; i++)
        if (strcmp(heard[i], command) == 0)
            return true;
    return false;
}

static void begin(struct tg_cellular *c, const struct tg_cellular_config *config)
{
    static const struct tg_cellular_config plain = {
        .pdp_type = "IP", .cid = 1, .clock = true, .attach = true};
    tg_cellular_init(c, config ? config : &plain);
    assert_true(tg_cellular_deadline(c) == INT64_MAX);
    tg_cellular_begin(c, 0);
    talk(c, 0);
}

static void test_everything_is_asked_and_told(void **state)
{
    const struct tg_cellular_config config = {
        .pdp_type = "IP", .cid = 1, .apn = "iot.example", .auth = TG_CELL_AUTH_CHAP, .clock = true};
    struct tg_cellular c;
    char text[160];
    int64_t wall;
    uint32_t news;
    (void)state;
    modem();
    begin(&c, &config);
    assert_int_equal(c.phase, TG_CELL_RUN);
    assert_int_equal(c.uplink, TG_CELL_UPLINK_UP);
    assert_true(was_heard("AT+CGDCONT=1,\"IP\",\"iot.example\"") && was_heard("AT+CGAUTH=1,2,") &&
                was_heard("AT+CEREG=2"));
    assert_false(was_heard("AT+CFUN=1") || was_heard("AT+ICCID") || was_heard("AT+CGATT=1"));
    news = tg_cellular_take_news(&c);
    assert_int_equal(news, TG_CELL_NEWS_IDENTITY | TG_CELL_NEWS_SIM | TG_CELL_NEWS_REGISTRATION |
                               TG_CELL_NEWS_OPERATOR | TG_CELL_NEWS_SIGNAL | TG_CELL_NEWS_CLOCK);
    assert_string_equal(c.iccid, "8944500102198304826");
    assert_int_equal(c.signal.rssi, -790);
    assert_int_equal(c.signal.rsrp, TG_CELL_NONE);
    tg_cellular_describe(&c, text, sizeof text);
    assert_string_equal(text, "registered, home network, lte, Tide Mobile");
    assert_true(tg_cellular_time(&c, false, &wall) && wall == 1795179600000);
    assert_true(tg_cellular_time(&c, true, &wall) && wall == 1795186800000);
    talk(&c, 30000); /* each in its interval: not all at once again */
    assert_true(was_heard("AT+CEREG?") && was_heard("AT+CSQ"));
    assert_false(was_heard("AT+COPS?") || was_heard("AT+CCLK?") || was_heard("AT+CESQ") ||
                 was_heard("AT+CGMI"));
    set("AT+CGDCONT?", "+CGDCONT: 1,\"IP\",\"iot.example\",\"\",0,0"); /* it has it: not written again */
    tg_cellular_begin(&c, 40000);
    talk(&c, 40000);
    assert_false(was_heard("AT+CGDCONT=1,\"IP\",\"iot.example\""));
}

static void test_uplink_goes_after_a_moment_and_comes_at_once(void **state)
{
    struct tg_cellular c;
    (void)state;
    modem();
    begin(&c, NULL);
    tg_cellular_urc(&c, line("+CEREG: 2"), 1000);
    tg_cellular_urc(&c, line("+CREG: 2"), 1000);
    assert_int_equal(c.uplink, TG_CELL_UPLINK_UP);
    assert_true(tg_cellular_deadline(&c) <= 1000 + TG_CELL_DOWN_MS);
    tg_cellular_urc(&c, line("+CEREG: 1,\"00C4\",\"01A2B3C4\",7"), 1500); /* another cell: nothing happened */
    tg_cellular_tick(&c, 9000);
    assert_int_equal(c.uplink, TG_CELL_UPLINK_UP);
    tg_cellular_urc(&c, line("+CEREG: 3"), 10000);
    assert_non_null(strstr(c.trouble, "registration denied"));
    tg_cellular_tick(&c, 10000 + TG_CELL_DOWN_MS);
    assert_int_equal(c.uplink, TG_CELL_UPLINK_DOWN);
    set("AT+CEREG?", "+CEREG: 2,2");
    set("AT+CREG?", "+CREG: 2,2");
    talk(&c, 15000);
    talk(&c, 80000);
    assert_non_null(strstr(c.trouble, "check the antenna"));
    tg_cellular_urc(&c, line("+CEREG: 5"), 81000);
    assert_int_equal(c.uplink, TG_CELL_UPLINK_UP);
    assert_string_equal(c.trouble, "");
    tg_cellular_end(&c); /* the port is gone: that says nothing about the network */
    tg_cellular_tick(&c, 200000);
    assert_int_equal(c.uplink, TG_CELL_UPLINK_UP);
    assert_true(tg_cellular_deadline(&c) == INT64_MAX);
}

static void test_detached_is_attached(void **state)
{
    struct tg_cellular c;
    (void)state;
    modem();
    set("AT+CGATT?", "+CGATT: 0");
    begin(&c, NULL);
    assert_true(was_heard("AT+CGATT=1"));
    assert_non_null(strstr(c.trouble, "not attached"));
    tg_cellular_tick(&c, 60000);
    assert_int_equal(c.uplink, TG_CELL_UPLINK_DOWN);
    talk(&c, 60000);
    assert_false(was_heard("AT+CGATT=1")); /* not in every round: it blocks the port */
}

static void test_sim_states(void **state)
{
    static const struct {
        const char *answer, *trouble;
    } cases[] = {{"!10", "no SIM"},
                 {"!13", "cannot read"},
                 {"+CPIN: SIM PUK", "PUK"},
                 {"!12", "PUK"},
                 {"+CPIN: PH-NET PIN", "lock"}};
    struct tg_cellular c;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        modem();
        set("AT+CPIN?", cases[i].answer);
        begin(&c, NULL);
        assert_int_equal(c.phase, TG_CELL_SIM);
        assert_non_null(strstr(c.trouble, cases[i].trouble));
        assert_false(was_heard("AT+CPIN="));
        tg_cellular_tick(&c, TG_CELL_DOWN_MS);
        assert_int_equal(c.uplink, TG_CELL_UPLINK_DOWN);
        set("AT+CPIN?", "+CPIN: READY");
        talk(&c, TG_CELL_SIM_AGAIN_MS);
        assert_int_equal(c.phase, TG_CELL_RUN);
        set("AT+CEREG?", "!10"); /* taken out while it runs */
        set("AT+CPIN?", "!10");
        talk(&c, 120000);
        assert_string_equal(c.sim_text, "not inserted");
    }
    modem();
    set("AT+CPIN?", "!14");
    begin(&c, NULL);
    assert_int_equal(tg_cellular_deadline(&c), 1000); /* busy: soon again */
}

static void test_pin_is_asked_for(void **state)
{
    struct tg_cellular c;
    struct tg_cellular_command command;
    struct tg_at_result refused = {.status = TG_AT_CME_ERROR, .code = 16},
                        ok = {.status = TG_AT_OK, .code = -1}, late = {.status = TG_AT_TIMEOUT, .code = -1};
    (void)state;
    modem();
    set("AT+CPIN?", "+CPIN: SIM PIN");
    set("AT+UPINCNT", "+UPINCNT: 3,3,10,10");
    begin(&c, NULL);
    assert_int_equal(c.phase, TG_CELL_ASK);
    assert_int_equal(c.tries, 3);
    assert_true(was_heard("AT+CPINR") && !was_heard("AT+QPINC=\"SC\"") && was_heard("AT+CCID"));
    tg_cellular_pin_refuse(&c, "no", 0);
    assert_string_equal(c.trouble, "no");
    talk(&c, TG_CELL_SIM_AGAIN_MS);
    assert_int_equal(c.phase, TG_CELL_ASK);
    tg_cellular_pin_enter(&c, 21000);
    assert_true(tg_cellular_next(&c, 21000, &command) && command.kind == TG_CELL_PIN);
    (void)tg_cellular_take_news(&c);
    tg_cellular_result(&c, &refused, 21000);
    assert_int_equal(c.verdict, TG_CELL_PIN_REFUSED);
    assert_true(tg_cellular_take_news(&c) & TG_CELL_NEWS_VERDICT);
    talk(&c, 22000);
    assert_int_equal(c.phase, TG_CELL_ASK); /* the caller decides again; the core enters nothing by itself */
    tg_cellular_pin_enter(&c, 22000);
    assert_true(tg_cellular_next(&c, 22000, &command));
    tg_cellular_result(&c, &late, 22000);
    assert_int_equal(c.verdict, TG_CELL_PIN_UNKNOWN);
    talk(&c, 23000);
    tg_cellular_pin_enter(&c, 23000);
    assert_true(tg_cellular_next(&c, 23000, &command));
    tg_cellular_result(&c, &ok, 23000);
    talk(&c, 23000);
    assert_int_equal(c.phase, TG_CELL_SIM); /* taken, and not READY yet: waits */
    set("AT+CPIN?", "+CPIN: READY");
    talk(&c, 24000);
    assert_int_equal(c.phase, TG_CELL_RUN);
    set("AT+CPIN?", "+CPIN: SIM PIN"); /* it has started anew: asked at once */
    tg_cellular_begin(&c, 30000);
    talk(&c, 30000);
    assert_int_equal(c.phase, TG_CELL_ASK);
}

/* --- the PIN ------------------------------------------------------------------------------------------------ */

#define A "0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210"

static void test_pin_decisions(void **state)
{
    static const struct {
        const char *note, *print;
        int tries;
        bool person, enters;
    } cases[] = {
        {"", A, 3, false, true},
        {"", A, -1, false, true},
        {"", A, 2, false, false}, /* somebody else's try */
        {"", A, 2, true, true},
        {"", A, 1, false, false},
        {"", A, 1, true, false}, /* the last one is nobody's here */
        {"", A, 0, true, false},
        {"1 " A " a 1 0 0", A, 3, false, true},
        {"1 " A " a 1 0 0", A, -1, false, true},
        {"1 " A " r 0 0 1", A, 2, false, false},
        {"1 " A " r 0 0 1", A, 2, true, false},
        {"1 " A " r 0 0 1", A, 3, false, false}, /* somebody made it three again: still refused */
        {"1 " A " r 0 0 1", A, 3, true, true},
        {"1 " A " r 0 0 1", A, -1, false, false},
        {"1 " A " r 0 0 1", A, -1, true, false},
        {"1 " A " r 0 0 1", B, 2, false, true}, /* the missing try is known to be A's */
        {"1 " A " r 0 0 1", B, -1, false, true},
        {"1 " A " r 0 0 2", B, -1, false, false},
        {"1 " A " r 0 0 2", B, -1, true, false},
        {"1 " A " t 0 1 0", A, 3, false, true}, /* the power went, and nothing was counted */
        {"1 " A " t 0 1 0", A, 2, false, false},
        {"1 " A " t 0 1 0", A, -1, false, false},
        {"1 " A " t 0 1 0", A, -1, true, true},
        {"1 " A " t 1 1 0", A, -1, false, true}, /* it was the right one before */
        {"1 " A " t 1 2 0", A, -1, false, false},
        {"1 nonsense", A, 3, false, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct at_pin_note n;
        print_message("%zu: %s, %d left\n", i, cases[i].note, cases[i].tries);
        at_pin_note_read(cases[i].note, &n);
        assert_int_equal(at_pin_decide(&n, cases[i].print, cases[i].tries, cases[i].person) == NULL,
                         cases[i].enters);
    }
}

static void test_pin_notes(void **state)
{
    struct at_pin_note n = {0}, again;
    char text[AT_PIN_NOTE_BYTES];
    (void)state;
    at_pin_trying(&n, A);
    at_pin_note_write(&n, text);
    assert_string_equal(text, "1 " A " t 0 1 0");
    at_pin_done(&n, false);
    at_pin_note_write(&n, text);
    assert_string_equal(text, "1 " A " r 0 0 1");
    at_pin_trying(&n, B);
    at_pin_done(&n, true);
    at_pin_trying(&n, B);
    at_pin_note_write(&n, text);
    assert_string_equal(text, "1 " B " t 1 1 0");
    at_pin_note_read(text, &again);
    assert_memory_equal(&n.print, &again.print, sizeof n.print);
    assert_true(again.was_accepted && again.doubts == 1);
}

/* --- the time ------------------------------------------------------------------------------------------------- */

static void test_offered_time(void **state)
{
    const int64_t now = tg_clock_mono_ms(), good = 1795179600000;
    (void)state;
    assert_false(tg_clock_offer(good - 60ll * 365 * 86400000, now, 0));
    assert_false(tg_clock_offer(3471292800000, now, 0)); /* 2080 */
    assert_true(tg_clock_offer(good, now, 2000));
    assert_true(tg_clock_offer(good, now, 500));
    assert_false(tg_clock_offer(good + 60000, now, 2000));              /* less certain than what is there */
    assert_true(tg_clock_offer(good + 86400000, now + 86400000, 2000)); /* a day later it is more certain */
    assert_int_equal(tg_clock_source(), TG_CLOCK_SYSTEM); /* this machine has a time: it counts */
    assert_true(llabs(tg_clock_wall_ms() - tg_clock_system_ms()) < 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registration_lines),
        cmocka_unit_test(test_signal_lines),
        cmocka_unit_test(test_clock_lines),
        cmocka_unit_test(test_sim_lines),
        cmocka_unit_test(test_everything_is_asked_and_told),
        cmocka_unit_test(test_uplink_goes_after_a_moment_and_comes_at_once),
        cmocka_unit_test(test_detached_is_attached),
        cmocka_unit_test(test_sim_states),
        cmocka_unit_test(test_pin_is_asked_for),
        cmocka_unit_test(test_pin_decisions),
        cmocka_unit_test(test_pin_notes),
        cmocka_unit_test(test_offered_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
