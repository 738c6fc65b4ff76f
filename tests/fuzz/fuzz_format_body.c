/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_format_body - stored bodies as a damaged disk could hand them back, and templates as a person could write them:
 * every format stays in bounds, and what it writes is what it says it is: JSON and CBOR that other parsers
 * accept. Input: a template, NUL, then bodies, each after a byte with its length.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "northbound/format.h"
#include "support/senml_pack.h"

#define CHECK(x)                                                                                             \
    do {                                                                                                     \
        if (!(x))                                                                                            \
            abort();                                                                                         \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *unit_of(void *user, struct tg_bytes point)
{
    (void)user;
    return point.len % 3 == 0 ? "kWh" : point.len % 3 == 1 ? "V" : "furlong";
}

static void check(const char *name, const struct tg_writer *w)
{
    json_t *parsed = NULL;
    /* jansson knows no integers of 64 bits without a sign (decoded as reals), and no NUL in a name. */
    if (strcmp(name, "json") == 0 && memmem(w->data, w->len, "\\u0000", 6))
        return;
    if (strcmp(name, "json") == 0)
        parsed = json_loadb((const char *)w->data, w->len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    else if (strcmp(name, "senml") == 0)
        parsed = json_loadb((const char *)w->data, w->len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    else if (strcmp(name, "senml-cbor") == 0)
        parsed = senml_from_cbor(w->data, w->len);
    else
        return;
    CHECK(parsed);
    json_decref(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"json", "senml", "senml-cbor", "template"};
    static uint8_t out[32768], packed[32768];
    struct tg_format_sample samples[64];
    char text[512];
    uint32_t count = 0;
    size_t n = 0;
    while (n < size && n < sizeof text - 1 && data[n])
        n++;
    memcpy(text, data, n);
    text[n] = '\0';
    struct tg_reader r = tg_reader_init(data + n, size - n);
    (void)tg_read_u8(&r);
    while (tg_reader_left(&r) > 0 && count < 64) {
        size_t len = tg_read_u8(&r);
        samples[count] = (struct tg_format_sample){count + 1, tg_read_bytes(&r, len)};
        if (r.failed)
            break;
        count++;
    }
    bool good = tg_format_template_check(text, NULL) == TG_OK;
    for (size_t f = 0; count > 0 && f < sizeof names / sizeof names[0]; f++) {
        const struct tg_format_context c = {
            .device = "meter-1", .gateway = n % 2 ? "site-7" : NULL, .template_text = text, .unit = unit_of};
        size_t limit = n * 64;
        struct tg_writer w = tg_writer_init(out, size % 3 ? sizeof out : size);
        int rc = tg_format_find(names[f])->write(&c, samples, count, limit, &w);
        CHECK(rc != 0 && rc <= (int)count);
        CHECK(f != 3 || good || rc < 0 || !tg_utf8_valid(tg_bytes_str(text)));
        if (rc < 0)
            continue;
        CHECK(w.len <= w.cap && (rc == 1 || w.len <= limit));
        check(names[f], &w);
        struct tg_writer p = tg_writer_init(packed, sizeof packed);
        if (tg_format_deflate(tg_bytes(w.data, w.len), &p) == TG_OK)
            CHECK(p.len < w.len);
    }
    return 0;
}
