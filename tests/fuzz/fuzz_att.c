/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A hostile GATT server: the input is what it sends, PDU by PDU (a length byte before each), while client and plan go through their work.
 * Beside not crashing: what is parsed encodes to the same bytes, discovery ends, and the table stays in order.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "southbound/ble/gatt_format.h"
#include "southbound/ble/gatt_known.h"
#include "southbound/ble/gatt_plan.h"

static void demand(int condition)
{
    if (!condition)
        abort();
}

static void codec(struct tg_bytes b)
{
    uint8_t again[TG_ATT_MAX_MTU];
    struct tg_att_pdu p;
    if (tg_att_parse(b, &p) != TG_OK)
        return;
    demand(tg_att_encode(&p, again, sizeof again) == (int)b.len && memcmp(again, b.data, b.len) == 0);
}

static void values(struct tg_bytes b)
{
    char text[TG_GATT_TEXT_BYTES];
    struct tg_value v;
    for (const struct tg_gatt_known *k = tg_gatt_known; k->name; k++) {
        struct tg_gatt_format f;
        demand(tg_gatt_format_parse(tg_bytes_str(k->format), &f, NULL) == TG_OK);
        enum tg_gatt_reading r = tg_gatt_decode(&f, b, text, &v);
        demand((v.type == TG_VALUE_NONE) == (r != TG_GATT_READING_GOOD));
        demand(v.type != TG_VALUE_TEXT || tg_utf8_valid(tg_bytes(v.as.text, v.text_len)));
    }
}

static void formats(struct tg_bytes b)
{
    static const uint8_t zeros[16];
    char text[TG_GATT_TEXT_BYTES];
    uint8_t out[512];
    struct tg_gatt_format f;
    struct tg_gatt_selector s;
    struct tg_value v, real = tg_value_real(12.5);
    if (tg_gatt_format_parse(b, &f, NULL) == TG_OK) {
        (void)tg_gatt_decode(&f, tg_bytes(zeros, sizeof zeros), text, &v);
        demand(tg_gatt_encode(&f, &real, out, NULL) <= 512);
    }
    if (tg_gatt_selector_parse(b, &s, NULL) == TG_OK)
        demand(s.instance == 1);
}

static void in_order(const struct tg_gatt_table *t)
{
    demand(t->service_count <= TG_GATT_MAX_SERVICES &&
           t->characteristic_count <= TG_GATT_MAX_CHARACTERISTICS);
    for (size_t i = 0; i < t->service_count; i++)
        demand(t->services[i].start && t->services[i].start <= t->services[i].end);
    for (size_t i = 0; i < t->characteristic_count; i++) {
        const struct tg_gatt_characteristic *c = &t->characteristics[i];
        demand(c->service < t->service_count && c->declaration < c->value);
        demand(c->value <= t->services[c->service].end && (c->cccd == 0 || c->cccd > c->value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tg_gatt_plan plan;
    struct tg_att_client c;
    struct tg_gatt_want wants[3] = {
        {.selector = {.uuid = tg_att_uuid16(0x2A6E), .instance = 1}, .due = true},
        {.selector = {.uuid = tg_att_uuid16(0x2A19), .instance = 2}, .notify = TG_GATT_NOTIFY_TRUE},
        {.selector = {.uuid = tg_att_uuid16(0x2A37),
                      .service = tg_att_uuid16(0x180D),
                      .has_service = true,
                      .instance = 1},
         .periodic = true,
         .due = true}};
    struct tg_bytes all = tg_bytes(data, size);
    formats(all);
    tg_gatt_plan_init(&plan, wants, 3);
    tg_gatt_plan_start(&plan);
    tg_att_client_init(&c, TG_ATT_MAX_MTU);
    for (int turns = 0; all.len > 0; turns++) {
        size_t n = all.data[0] < all.len - 1 ? all.data[0] : all.len - 1;
        struct tg_bytes pdu = tg_bytes(all.data + 1, n);
        struct tg_att_event e;
        all = tg_bytes(all.data + 1 + n, all.len - 1 - n);
        codec(pdu);
        values(pdu);
        struct tg_gatt_step step = tg_gatt_plan_next(&plan);
        if (!tg_att_client_busy(&c) && step.kind != TG_GATT_STEP_IDLE && !c.broken)
            demand(tg_gatt_plan_ask(&step, &c, turns) == TG_OK || c.out_len);
        while (tg_att_client_out(&c).len) {
            codec(tg_att_client_out(&c));
            demand(tg_att_client_out(&c).len <= c.mtu || c.work_mtu > c.mtu);
            tg_att_client_sent(&c);
        }
        tg_att_client_receive(&c, pdu, turns, &e);
        demand(e.value.len <= TG_ATT_MAX_VALUE);
        if (e.kind == TG_ATT_EVENT_NOTIFIED)
            (void)tg_gatt_plan_notified(&plan, &e);
        else if (e.kind != TG_ATT_EVENT_NONE && e.kind != TG_ATT_EVENT_BROKEN)
            tg_gatt_plan_done(&plan, &e);
        in_order(&plan.table);
        if (e.kind == TG_ATT_EVENT_BROKEN) { /* the next connection */
            tg_att_client_init(&c, TG_ATT_MAX_MTU);
            tg_gatt_plan_start(&plan);
        }
    }
    return 0;
}
