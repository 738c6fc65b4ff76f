/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every vector of southbound/modbus_frames.json: the request is made byte for byte, the answer is judged as
 * the vector says, whole and cut at every byte; and no damaged answer ever yields a value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/modbus_frame.h"
#include "support/vectors.h"

struct exchange {
    const char *id;
    bool tcp;
    uint8_t question[TG_MODBUS_TCP_MAX_BYTES], reply[512];
    size_t question_len, reply_len;
    uint16_t tid;
    struct tg_modbus_request request;
    uint16_t request_words[TG_MODBUS_MAX_READ_BITS];
};

static bool load(struct exchange *x, const json_t *v, bool tcp)
{
    const char *q = json_string_value(json_object_get(v, tcp ? "tcp_request" : "rtu_request"));
    const char *r = json_string_value(json_object_get(v, tcp ? "tcp_response" : "rtu_response"));
    memset(x, 0, sizeof *x);
    x->id = json_string_value(json_object_get(v, "id"));
    x->tcp = tcp;
    if (!q || !r)
        return false;
    long qn = tg_vectors_hex(q, x->question, sizeof x->question),
         rn = tg_vectors_hex(r, x->reply, sizeof x->reply);
    assert_true(qn > 0 && rn > 0);
    x->question_len = (size_t)qn;
    x->reply_len = (size_t)rn;
    return true;
}

static enum tg_modbus_verdict check(const struct exchange *x, const uint8_t *frame, size_t len,
                                    struct tg_modbus_answer *a)
{
    return x->tcp ? tg_modbus_tcp_check(&x->request, x->tid, frame, len, a)
                  : tg_modbus_rtu_check(&x->request, frame, len, a);
}

static void request_round_trip(struct exchange *x)
{
    uint8_t again[TG_MODBUS_TCP_MAX_BYTES];
    enum tg_modbus_verdict v =
        x->tcp ? tg_modbus_tcp_parse_request(x->question, x->question_len, &x->request, x->request_words,
                                             &x->tid)
               : tg_modbus_rtu_parse_request(x->question, x->question_len, &x->request, x->request_words);
    if (v != TG_MODBUS_ANSWER)
        fail_msg("%s: request is %s", x->id, tg_modbus_verdict_name(v));
    int n = x->tcp ? tg_modbus_tcp_encode(&x->request, x->tid, again, sizeof again)
                   : tg_modbus_rtu_encode(&x->request, again, sizeof again);
    if (n != (int)x->question_len || memcmp(again, x->question, x->question_len) != 0)
        fail_msg("%s: the request is encoded differently", x->id);
}

static void compare_words(const struct exchange *x, const struct tg_modbus_answer *a, const json_t *expect)
{
    uint16_t words[TG_MODBUS_MAX_READ_BITS];
    const json_t *list = json_object_get(expect, "values"), *bits = json_object_get(expect, "bits"), *w;
    size_t i;
    if (!list && !bits)
        return;
    tg_modbus_answer_words(&x->request, a, words);
    assert_int_equal(x->request.count, json_array_size(list ? list : bits));
    json_array_foreach(list ? list : bits, i, w)
    {
        unsigned long want =
            list ? strtoul(json_string_value(w), NULL, 16) : (unsigned long)json_integer_value(w);
        if (words[i] != want)
            fail_msg("%s: value %zu is %04X", x->id, i, words[i]);
    }
}

static void run(const json_t *v, bool tcp)
{
    static struct exchange x;
    struct tg_modbus_answer a;
    const json_t *expect = json_object_get(v, "expect");
    const char *error = json_string_value(json_object_get(expect, "error"));
    if (!load(&x, v, tcp))
        return;
    request_round_trip(&x);
    for (size_t cut = 0; cut < x.reply_len; cut++) {
        enum tg_modbus_verdict part = check(&x, x.reply, cut, &a);
        size_t need = tcp ? tg_modbus_tcp_need(x.reply, cut) : tg_modbus_rtu_need(x.reply, cut);
        if (part == TG_MODBUS_ANSWER || part == TG_MODBUS_EXCEPTION)
            fail_msg("%s: believed after %zu of %zu bytes", x.id, cut, x.reply_len);
        if (!error && json_object_get(expect, "error_or_values") == NULL && need <= cut)
            fail_msg("%s: %zu bytes seem enough", x.id, cut);
    }
    enum tg_modbus_verdict got = check(&x, x.reply, x.reply_len, &a);
    if (error) {
        if (strcmp(tg_modbus_verdict_name(got), error) != 0)
            fail_msg("%s: %s instead of %s", x.id, tg_modbus_verdict_name(got), error);
    } else if (json_object_get(expect, "exception")) {
        assert_int_equal(got, TG_MODBUS_EXCEPTION);
        assert_int_equal(a.exception, json_integer_value(json_object_get(expect, "exception")));
        assert_string_equal(tg_modbus_exception_name(a.exception),
                            json_string_value(json_object_get(expect, "name")));
    } else if (json_object_get(expect, "error_or_values")) {
        if (got == TG_MODBUS_ANSWER || got == TG_MODBUS_EXCEPTION)
            fail_msg("%s: noise was believed", x.id);
    } else {
        if (got != TG_MODBUS_ANSWER)
            fail_msg("%s: %s", x.id, tg_modbus_verdict_name(got));
        compare_words(&x, &a, expect);
        /* One flipped bit anywhere: RTU refuses it, whatever it hits. */
        for (size_t bit = 0; !tcp && bit < 8 * x.reply_len; bit++) {
            x.reply[bit / 8] ^= (uint8_t)(1u << bit % 8);
            got = check(&x, x.reply, x.reply_len, &a);
            if (got == TG_MODBUS_ANSWER || got == TG_MODBUS_EXCEPTION)
                fail_msg("%s: believed with bit %zu flipped", x.id, bit);
            x.reply[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void frames(void **state)
{
    (void)state;
    json_t *root = tg_vectors_load("southbound/modbus_frames.json"), *v;
    json_t *vectors = json_object_get(root, "vectors");
    size_t i;
    assert_true(json_array_size(vectors) > 0);
    json_array_foreach(vectors, i, v)
    {
        run(v, false);
        run(v, true);
    }
    print_message("%zu vectors\n", json_array_size(vectors));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(frames)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
