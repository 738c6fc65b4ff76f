/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PDUs at every length, and the client against a server and against hostile PDUs, on a clock of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/ble/att_client.h"
#include "support/att_server.h"

/* --- PDUs -------------------------------------------------------------------------------------------------- */

static void uuids(void **state)
{
    (void)state;
    struct tg_att_uuid u, v;
    char text[TG_ATT_UUID_TEXT];
    static const char *const good[] = {"2a6e", "0x2A6E", "00002a6e-0000-1000-8000-00805f9b34fb",
                                       "00002A6E00001000800000805F9B34FB"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(tg_att_uuid_parse(tg_bytes_str(good[i]), &u), TG_OK);
        assert_int_equal(tg_att_uuid_short(&u), 0x2A6E);
        assert_string_equal(tg_att_uuid_text(&u, text), "2a6e");
    }
    assert_int_equal(tg_att_uuid_parse(tg_bytes_str("6E400001-b5a3-f393-e0a9-e50e24dcca9e"), &u), TG_OK);
    assert_int_equal(tg_att_uuid_short(&u), 0);
    assert_string_equal(tg_att_uuid_text(&u, text), "6e400001-b5a3-f393-e0a9-e50e24dcca9e");
    uint8_t wire[16];
    for (size_t i = 0; i < 16; i++)
        wire[i] = u.bytes[15 - i];
    assert_int_equal(tg_att_uuid_read(tg_bytes(wire, 16), &v), TG_OK);
    assert_true(tg_att_uuid_eq(&u, &v));
    static const char *const bad[] = {"",
                                      "0000",
                                      "2a6",
                                      "2a6e0",
                                      "0x2a",
                                      "2a6g",
                                      "6E400001-b5a3-f393-e0a9-e50e24dcca9",
                                      "6E400001b5a3-f393-e0a9-e50e24dcca9e-",
                                      "-2a6e"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(tg_att_uuid_parse(tg_bytes_str(bad[i]), &u), TG_EINVAL);
    assert_int_equal(tg_att_uuid_read(tg_bytes(wire, 4), &v), TG_EPROTO);
}

struct sample {
    const char *bytes;
    size_t len, least; /* the least length that is valid */
    bool may_grow;     /* longer ones may be valid */
};

static const struct sample samples[] = {
    {"\x01\x10\x16\x00\x0a", 5, 5, false},
    {"\x02\xf7\x00", 3, 3, false},
    {"\x03\x64\x00", 3, 3, false},
    {"\x04\x0d\x00\x0f\x00", 5, 5, false},
    {"\x05\x01\x0d\x00\x02\x29", 6, 6, false},
    {"\x08\x0a\x00\x0f\x00\x03\x28", 7, 7, false},
    {"\x09\x07\x0b\x00\x12\x0c\x00\x6e\x2a", 9, 9, false},
    {"\x0a\x20\x00", 3, 3, false},
    {"\x0b\x41\x42", 3, 1, true},
    {"\x0c\x20\x00\x16\x00", 5, 5, false},
    {"\x0d\x42", 2, 1, true},
    {"\x10\x01\x00\xff\xff\x00\x28", 7, 7, false},
    {"\x10\x01\x00\xff\xff\x00\x00", 7, 7, false}, /* a type that is none */
    {"\x11\x06\x01\x00\x09\x00\x00\x18", 8, 8, false},
    {"\x12\x0d\x00\x01\x00", 5, 3, true},
    {"\x13", 1, 1, false},
    {"\x16\x20\x00\x00\x00\x41", 6, 5, true},
    {"\x17\x20\x00\x00\x00\x41", 6, 5, true},
    {"\x18\x01", 2, 2, false},
    {"\x19", 1, 1, false},
    {"\x1b\x0c\x00\x0a\x09", 5, 3, true},
    {"\x1d\x0c\x00\x0a\x09", 5, 3, true},
    {"\x1e", 1, 1, false},
    {"\x52\x0d\x00\x01", 4, 3, true},
};

static void every_length(void **state)
{
    (void)state;
    uint8_t buf[32], again[32];
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const struct sample *s = &samples[i];
        struct tg_att_pdu p;
        memset(buf, 0, sizeof buf);
        memcpy(buf, s->bytes, s->len);
        for (size_t n = 0; n <= s->len + 1; n++) {
            bool valid = n >= s->least && (n <= s->len || s->may_grow);
            int rc = tg_att_parse(tg_bytes(buf, n), &p);
            if ((rc == TG_OK) != valid)
                fail_msg("opcode %02x, %zu bytes: %d", buf[0], n, rc);
            if (!valid)
                continue;
            assert_int_equal(tg_att_encode(&p, again, sizeof again), (int)n);
            assert_memory_equal(again, buf, n);
            assert_int_equal(tg_att_encode(&p, again, n - 1), TG_ETOOBIG);
        }
    }
}

static void impossible_fields(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        int rc;
    } bad[] = {{"\x0a\x00\x00", 3, TG_EPROTO},             /* handle 0 */
               {"\x04\x05\x00\x04\x00", 5, TG_EPROTO},     /* a range that ends before it begins */
               {"\x05\x03\x01\x00\x02\x29", 6, TG_EPROTO}, /* a format that is none */
               {"\x09\x00\x0b\x00", 4, TG_EPROTO},         /* items of no length */
               {"\x09\x01\x0b", 3, TG_EPROTO},             /* … shorter than a handle */
               {"\x11\x06\x01\x00\x09\x00\x00\x18\x01", 9, TG_EPROTO}, /* half an item */
               {"\x18\x02", 2, TG_EPROTO},
               {"\x20\x01\x00", 3, TG_EUNSUPPORTED},
               {"\xff", 1, TG_EUNSUPPORTED}};
    struct tg_att_pdu p;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(tg_att_parse(tg_bytes(bad[i].bytes, bad[i].len), &p), bad[i].rc);
    uint8_t big[TG_ATT_MAX_MTU + 1] = {0x0B};
    assert_int_equal(tg_att_parse(tg_bytes(big, 513), &p), TG_OK);
    assert_int_equal(tg_att_parse(tg_bytes(big, 514), &p), TG_EPROTO); /* no value has more than 512 bytes */
    assert_int_equal(tg_att_encode(&(struct tg_att_pdu){.op = 0x77}, big, sizeof big), TG_EINVAL);
    assert_string_equal(tg_att_code_name(0x0F), "insufficient encryption");
    assert_string_equal(tg_att_code_name(0x77), "an unknown error");
}

/* --- conversations --------------------------------------------------------------------------------------------- */

/* Everything that is to be said is said, until an event. */
static struct tg_att_event converse(struct tg_att_client *c, struct att_server *s)
{
    struct tg_att_event e = {0};
    uint8_t answer[520];
    for (struct tg_bytes out = tg_att_client_out(c); out.len && e.kind == TG_ATT_EVENT_NONE;
         out = tg_att_client_out(c)) {
        size_t n = att_server_answer(s, out.data, out.len, answer);
        tg_att_client_sent(c);
        if (n)
            tg_att_client_receive(c, tg_bytes(answer, n), 0, &e);
    }
    return e;
}

static void long_values(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 512; len += len < 50 ? 1 : 37) {
        static struct att_server s;
        struct tg_att_client c;
        uint8_t value[512];
        for (size_t i = 0; i < sizeof value; i++)
            value[i] = (uint8_t)(i * 7 + len);
        att_server_init(&s);
        att_server_service(&s, "fff0");
        uint16_t h = att_server_characteristic(&s, "fff1", 0x0A, "", 0);
        tg_att_client_init(&c, TG_ATT_MAX_MTU);
        assert_int_equal(tg_att_client_write(&c, h, tg_bytes(value, len), 0), TG_OK);
        assert_int_equal(converse(&c, &s).kind, TG_ATT_EVENT_WRITTEN);
        assert_int_equal(att_server_at(&s, h)->len, len);
        assert_memory_equal(att_server_at(&s, h)->value, value, len);
        assert_int_equal(s.requests[0x16] > 0, len > 20);
        for (int larger = 0; larger < 2; larger++) {
            if (larger) {
                assert_int_equal(tg_att_client_exchange_mtu(&c, 0), TG_OK);
                assert_int_equal(converse(&c, &s).kind, TG_ATT_EVENT_MTU);
                assert_int_equal(c.mtu, 185);
            }
            assert_int_equal(tg_att_client_read(&c, h, 0), TG_OK);
            struct tg_att_event e = converse(&c, &s);
            assert_int_equal(e.kind, TG_ATT_EVENT_READ);
            assert_true(tg_bytes_eq(e.value, tg_bytes(value, len)));
        }
    }
}

static void long_writes_that_fail(void **state)
{
    (void)state;
    static struct att_server s;
    struct tg_att_client c;
    uint8_t value[100] = {0};
    att_server_init(&s);
    att_server_service(&s, "fff0");
    uint16_t h = att_server_characteristic(&s, "fff1", 0x0A, "old", 3);
    tg_att_client_init(&c, TG_ATT_MAX_MTU);
    s.wrong_echo = true;
    assert_int_equal(tg_att_client_write(&c, h, tg_bytes(value, sizeof value), 0), TG_OK);
    struct tg_att_event e = converse(&c, &s);
    assert_int_equal(e.kind, TG_ATT_EVENT_REFUSED);
    assert_int_equal(e.code, 0);
    assert_int_equal(s.prepared_len, 0); /* what was prepared was dropped */
    assert_memory_equal(att_server_at(&s, h)->value, "old", 3);
    s.wrong_echo = false;
    att_server_at(&s, h)->write_error = 0x13;
    assert_int_equal(tg_att_client_write(&c, h, tg_bytes(value, sizeof value), 0), TG_OK);
    e = converse(&c, &s);
    assert_int_equal(e.kind, TG_ATT_EVENT_REFUSED);
    assert_int_equal(e.code, 0x13);
    assert_int_equal(tg_att_client_write_command(&c, h, tg_bytes(value, 21)), TG_ETOOBIG);
    uint8_t large[513] = {0};
    assert_int_equal(tg_att_client_write(&c, h, tg_bytes(large, sizeof large), 0), TG_ETOOBIG);
}

static struct tg_att_event give(struct tg_att_client *c, const char *bytes, size_t len)
{
    struct tg_att_event e;
    tg_att_client_receive(c, tg_bytes(bytes, len), 0, &e);
    return e;
}

static void one_at_a_time_and_in_time(void **state)
{
    (void)state;
    struct tg_att_client c;
    struct tg_att_event e;
    tg_att_client_init(&c, TG_ATT_MAX_MTU);
    assert_int_equal(tg_att_client_read(&c, 5, 1000), TG_OK);
    assert_int_equal(tg_att_client_read(&c, 6, 1000), TG_EBUSY);
    assert_int_equal(tg_att_client_write_command(&c, 6, tg_bytes("", 0)), TG_EBUSY);
    assert_int_equal(give(&c, "\x0b\x01", 2).kind, TG_ATT_EVENT_NONE); /* it has not even been sent */
    tg_att_client_sent(&c);
    tg_att_client_tick(&c, 30999, &e);
    assert_int_equal(e.kind, TG_ATT_EVENT_NONE);
    tg_att_client_tick(&c, 31000, &e);
    assert_int_equal(e.kind, TG_ATT_EVENT_TIMEOUT);
    assert_int_equal(tg_att_client_read(&c, 6, 31000), TG_ESTATE);
    assert_int_equal(give(&c, "\x0b\x01", 2).kind, TG_ATT_EVENT_NONE); /* late: no value */
}

static void what_is_not_an_answer(void **state)
{
    (void)state;
    struct tg_att_client c;
    tg_att_client_init(&c, TG_ATT_MAX_MTU);
    assert_int_equal(give(&c, "\x0b\x01", 2).kind, TG_ATT_EVENT_NONE);
    assert_int_equal(tg_att_client_read(&c, 5, 0), TG_OK);
    tg_att_client_sent(&c);
    assert_int_equal(give(&c, "\x13", 1).kind, TG_ATT_EVENT_NONE);
    assert_int_equal(give(&c, "\x01\x12\x05\x00\x03", 5).kind, TG_ATT_EVENT_NONE); /* of another request */
    assert_int_equal(give(&c, "\x1b\x05", 2).kind, TG_ATT_EVENT_NONE);
    assert_int_equal(give(&c, "", 0).kind, TG_ATT_EVENT_NONE);
    assert_int_equal(give(&c, "\x52\x05\x00\x01", 4).kind, TG_ATT_EVENT_NONE);
    assert_int_equal(c.ignored, 6);
    assert_int_equal(give(&c, "\x0b\x01", 2).kind, TG_ATT_EVENT_READ);
    /* Malformed answers to discovery break the bearer. */
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"\x11\x05\x01\x00\x09\x00\x18", 7}, {"\x11\x06\x01", 3}, {"\x11", 1}};
    for (size_t i = 0; i < 3; i++) {
        tg_att_client_init(&c, TG_ATT_MAX_MTU);
        assert_int_equal(tg_att_client_services(&c, 1, 0), TG_OK);
        tg_att_client_sent(&c);
        struct tg_att_event e = give(&c, bad[i].bytes, bad[i].len);
        assert_int_equal(e.kind, TG_ATT_EVENT_BROKEN);
        assert_non_null(e.text);
        assert_int_equal(tg_att_client_out(&c).len, 0);
    }
    /* An answer that the MTU does not allow. */
    char large[64] = {0x0B};
    tg_att_client_init(&c, TG_ATT_MAX_MTU);
    assert_int_equal(tg_att_client_read(&c, 5, 0), TG_OK);
    tg_att_client_sent(&c);
    assert_int_equal(give(&c, large, 24).kind, TG_ATT_EVENT_BROKEN);
}

static void the_peers_wishes(void **state)
{
    (void)state;
    struct tg_att_client c;
    tg_att_client_init(&c, 100);
    assert_int_equal(tg_att_client_read(&c, 5, 0), TG_OK);
    tg_att_client_sent(&c);
    assert_int_equal(give(&c, "\x02\x00\x02", 3).kind, TG_ATT_EVENT_NONE);
    assert_true(tg_bytes_eq(tg_att_client_out(&c), tg_bytes("\x03\x64\x00", 3)));
    assert_int_equal(c.mtu, 100);
    tg_att_client_sent(&c);
    assert_int_equal(give(&c, "\x06\x01\x00", 3).kind,
                     TG_ATT_EVENT_NONE); /* an opcode that is not known here */
    assert_true(tg_bytes_eq(tg_att_client_out(&c), tg_bytes("\x01\x06\x00\x00\x06", 5)));
    tg_att_client_sent(&c);
    assert_int_equal(give(&c, "\x02\x00", 2).kind, TG_ATT_EVENT_NONE);
    assert_true(tg_bytes_eq(tg_att_client_out(&c), tg_bytes("\x01\x02\x00\x00\x04", 5)));
    tg_att_client_sent(&c);
    /* The request was made with an MTU of 23: its full answer is followed by a blob request all the same. */
    char full[23] = {0x0B};
    assert_int_equal(give(&c, full, 23).kind, TG_ATT_EVENT_NONE);
    assert_true(tg_bytes_eq(tg_att_client_out(&c), tg_bytes("\x0c\x05\x00\x16\x00", 5)));
    /* Indications without an end. */
    struct tg_att_event e = {0};
    for (int i = 0; i < TG_ATT_MAX_ANSWERS; i++) {
        e = give(&c, "\x1d\x03\x00\x01", 4);
        assert_true(e.kind == TG_ATT_EVENT_NOTIFIED && e.indicated);
    }
    assert_int_equal(give(&c, "\x1d\x03\x00\x01", 4).kind, TG_ATT_EVENT_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuids),
        cmocka_unit_test(every_length),
        cmocka_unit_test(impossible_fields),
        cmocka_unit_test(long_values),
        cmocka_unit_test(long_writes_that_fail),
        cmocka_unit_test(one_at_a_time_and_in_time),
        cmocka_unit_test(what_is_not_an_answer),
        cmocka_unit_test(the_peers_wishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
