/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ble/att_client.h"

#define TYPE_PRIMARY_SERVICE 0x2800
#define TYPE_CHARACTERISTIC  0x2803

void tg_att_client_init(struct tg_att_client *c, uint16_t own_mtu)
{
    *c = (struct tg_att_client){.own_mtu = own_mtu, .mtu = TG_ATT_DEFAULT_MTU};
}

/* --- requests ------------------------------------------------------------------------------------ */

static int encode(struct tg_att_client *c, const struct tg_att_pdu *p)
{
    int n = tg_att_encode(p, c->out, c->mtu);
    if (n < 0)
        return n;
    c->out_len = (uint16_t)n;
    c->work_mtu = c->mtu;
    return TG_OK;
}

static int ask(struct tg_att_client *c, enum tg_att_work work, const struct tg_att_pdu *p, int64_t now_ms)
{
    if (c->broken)
        return TG_ESTATE;
    if (c->work != TG_ATT_WORK_NONE || c->out_len)
        return TG_EBUSY;
    int rc = encode(c, p);
    if (rc < 0)
        return rc;
    c->work = (uint8_t)work;
    c->handle = p->handle;
    c->deadline_ms = now_ms + TG_ATT_TIMEOUT_MS;
    return TG_OK;
}

int tg_att_client_exchange_mtu(struct tg_att_client *c, int64_t now_ms)
{
    return ask(c, TG_ATT_WORK_MTU, &(struct tg_att_pdu){.op = TG_ATT_MTU_REQUEST, .mtu = c->own_mtu}, now_ms);
}

int tg_att_client_services(struct tg_att_client *c, uint16_t from, int64_t now_ms)
{
    return ask(c, TG_ATT_WORK_SERVICES,
               &(struct tg_att_pdu){.op = TG_ATT_READ_GROUP_REQUEST,
                                    .handle = from,
                                    .end = 0xFFFF,
                                    .uuid = tg_att_uuid16(TYPE_PRIMARY_SERVICE)},
               now_ms);
}

int tg_att_client_characteristics(struct tg_att_client *c, uint16_t from, uint16_t to, int64_t now_ms)
{
    return ask(c, TG_ATT_WORK_CHARACTERISTICS,
               &(struct tg_att_pdu){.op = TG_ATT_READ_TYPE_REQUEST,
                                    .handle = from,
                                    .end = to,
                                    .uuid = tg_att_uuid16(TYPE_CHARACTERISTIC)},
               now_ms);
}

int tg_att_client_descriptors(struct tg_att_client *c, uint16_t from, uint16_t to, int64_t now_ms)
{
    return ask(c, TG_ATT_WORK_DESCRIPTORS,
               &(struct tg_att_pdu){.op = TG_ATT_FIND_REQUEST, .handle = from, .end = to}, now_ms);
}

int tg_att_client_find(struct tg_att_client *c, uint16_t uuid, int64_t now_ms)
{
    return ask(c, TG_ATT_WORK_FIND,
               &(struct tg_att_pdu){
                   .op = TG_ATT_READ_TYPE_REQUEST, .handle = 1, .end = 0xFFFF, .uuid = tg_att_uuid16(uuid)},
               now_ms);
}

int tg_att_client_read(struct tg_att_client *c, uint16_t handle, int64_t now_ms)
{
    int rc =
        ask(c, TG_ATT_WORK_READ, &(struct tg_att_pdu){.op = TG_ATT_READ_REQUEST, .handle = handle}, now_ms);
    if (rc == TG_OK)
        c->value_len = 0;
    return rc;
}

/* The piece at c->offset of c->value. */
static struct tg_att_pdu prepare(const struct tg_att_client *c, uint16_t mtu)
{
    size_t left = (size_t)(c->value_len - c->offset), most = (size_t)(mtu - 5);
    return (struct tg_att_pdu){.op = TG_ATT_PREPARE_REQUEST,
                               .handle = c->handle,
                               .offset = c->offset,
                               .value = tg_bytes(c->value + c->offset, left < most ? left : most)};
}

int tg_att_client_write(struct tg_att_client *c, uint16_t handle, struct tg_bytes value, int64_t now_ms)
{
    if (value.len > TG_ATT_MAX_VALUE)
        return TG_ETOOBIG;
    if (value.len + 3 <= c->mtu)
        return ask(c, TG_ATT_WORK_WRITE,
                   &(struct tg_att_pdu){.op = TG_ATT_WRITE_REQUEST, .handle = handle, .value = value},
                   now_ms);
    struct tg_att_pdu first = {
        .op = TG_ATT_PREPARE_REQUEST, .handle = handle, .value = tg_bytes(value.data, (size_t)(c->mtu - 5))};
    int rc = ask(c, TG_ATT_WORK_PREPARE, &first, now_ms);
    if (rc < 0)
        return rc;
    memcpy(c->value, value.data, value.len);
    c->value_len = (uint16_t)value.len;
    c->offset = 0;
    return TG_OK;
}

int tg_att_client_write_command(struct tg_att_client *c, uint16_t handle, struct tg_bytes value)
{
    if (c->broken)
        return TG_ESTATE;
    if (c->work != TG_ATT_WORK_NONE || c->out_len)
        return TG_EBUSY;
    return encode(c, &(struct tg_att_pdu){.op = TG_ATT_WRITE_COMMAND, .handle = handle, .value = value});
}

/* --- output -------------------------------------------------------------------------------------- */

struct tg_bytes tg_att_client_out(const struct tg_att_client *c)
{
    if (c->broken)
        return tg_bytes(NULL, 0);
    return c->answer_count ? tg_bytes(c->answers[0], c->answer_len[0]) : tg_bytes(c->out, c->out_len);
}

void tg_att_client_sent(struct tg_att_client *c)
{
    if (c->answer_count == 0) {
        c->out_len = 0;
        return;
    }
    c->answer_count--;
    memmove(c->answers[0], c->answers[1], c->answer_count * sizeof c->answers[0]);
    memmove(c->answer_len, c->answer_len + 1, c->answer_count);
}

/* --- input ---------------------------------------------------------------------------------------- */

static void broken(struct tg_att_client *c, const char *text, struct tg_att_event *e)
{
    c->broken = true;
    c->work = TG_ATT_WORK_NONE;
    c->answer_count = 0;
    c->out_len = 0;
    *e = (struct tg_att_event){.kind = TG_ATT_EVENT_BROKEN, .text = text};
}

static void answer_peer(struct tg_att_client *c, const struct tg_att_pdu *p, struct tg_att_event *e)
{
    if (c->answer_count == TG_ATT_MAX_ANSWERS) {
        broken(c, "it sends requests and indications without waiting for their answers", e);
        return;
    }
    int n = tg_att_encode(p, c->answers[c->answer_count], sizeof c->answers[0]);
    if (n > 0)
        c->answer_len[c->answer_count++] = (uint8_t)n;
}

static void take_mtu(struct tg_att_client *c, uint16_t peer)
{
    uint16_t mtu = peer < c->own_mtu ? peer : c->own_mtu;
    c->mtu = mtu < TG_ATT_DEFAULT_MTU ? TG_ATT_DEFAULT_MTU : mtu;
}

static bool is_request(uint8_t op)
{
    return op < 0x40 && op % 2 == 0 && op != TG_ATT_CONFIRMATION && op != 0;
}

static void from_peer(struct tg_att_client *c, uint8_t op, const struct tg_att_pdu *p, int rc,
                      struct tg_att_event *e)
{
    struct tg_att_pdu refusal = {.op = TG_ATT_ERROR, .request = op, .code = TG_ATT_NOT_SUPPORTED};
    if (op == TG_ATT_MTU_REQUEST && rc == TG_OK) {
        take_mtu(c, p->mtu);
        answer_peer(c, &(struct tg_att_pdu){.op = TG_ATT_MTU_RESPONSE, .mtu = c->own_mtu}, e);
        return;
    }
    if (op == TG_ATT_MTU_REQUEST)
        refusal.code = TG_ATT_INVALID_PDU;
    c->refused_requests++;
    answer_peer(c, &refusal, e);
}

/* The opcode of the request that is outstanding. */
static uint8_t outstanding(const struct tg_att_client *c)
{
    static const uint8_t ops[] = {[TG_ATT_WORK_MTU] = TG_ATT_MTU_REQUEST,
                                  [TG_ATT_WORK_SERVICES] = TG_ATT_READ_GROUP_REQUEST,
                                  [TG_ATT_WORK_CHARACTERISTICS] = TG_ATT_READ_TYPE_REQUEST,
                                  [TG_ATT_WORK_DESCRIPTORS] = TG_ATT_FIND_REQUEST,
                                  [TG_ATT_WORK_FIND] = TG_ATT_READ_TYPE_REQUEST,
                                  [TG_ATT_WORK_READ] = TG_ATT_READ_REQUEST,
                                  [TG_ATT_WORK_BLOB] = TG_ATT_BLOB_REQUEST,
                                  [TG_ATT_WORK_WRITE] = TG_ATT_WRITE_REQUEST,
                                  [TG_ATT_WORK_PREPARE] = TG_ATT_PREPARE_REQUEST,
                                  [TG_ATT_WORK_EXECUTE] = TG_ATT_EXECUTE_REQUEST,
                                  [TG_ATT_WORK_CANCEL] = TG_ATT_EXECUTE_REQUEST};
    return ops[c->work];
}

static void done(struct tg_att_client *c, enum tg_att_event_kind kind, struct tg_att_event *e)
{
    c->work = TG_ATT_WORK_NONE;
    e->kind = kind;
    e->handle = c->handle;
}

static void read_done(struct tg_att_client *c, struct tg_att_event *e)
{
    done(c, TG_ATT_EVENT_READ, e);
    e->value = tg_bytes(c->value, c->value_len);
}

/* Goes on with a request of the same operation. */
static void carry_on(struct tg_att_client *c, enum tg_att_work work, const struct tg_att_pdu *p,
                     int64_t now_ms)
{
    c->work = (uint8_t)work;
    c->deadline_ms = now_ms + TG_ATT_TIMEOUT_MS;
    if (encode(c, p) < 0) /* UNTESTED: such a PDU fits the smallest MTU */
        c->broken = true;
}

static void cancel(struct tg_att_client *c, uint8_t code, int64_t now_ms)
{
    c->code = code;
    carry_on(c, TG_ATT_WORK_CANCEL, &(struct tg_att_pdu){.op = TG_ATT_EXECUTE_REQUEST, .flags = 0}, now_ms);
}

static void refused(struct tg_att_client *c, const struct tg_att_pdu *p, int64_t now_ms,
                    struct tg_att_event *e)
{
    bool end_of_long = p->code == TG_ATT_INVALID_OFFSET || p->code == TG_ATT_NOT_LONG;
    switch (c->work) {
    case TG_ATT_WORK_BLOB:
        if (end_of_long) {
            read_done(c, e);
            return;
        }
        break;
    case TG_ATT_WORK_PREPARE:
        cancel(c, p->code, now_ms);
        return;
    case TG_ATT_WORK_CANCEL: /* what made us cancel is what counts */
        done(c, TG_ATT_EVENT_REFUSED, e);
        e->code = c->code;
        return;
    default:
        break;
    }
    done(c, TG_ATT_EVENT_REFUSED, e);
    e->code = p->code;
}

static void more_read(struct tg_att_client *c, const struct tg_att_pdu *p, int64_t now_ms,
                      struct tg_att_event *e)
{
    size_t room = sizeof c->value - c->value_len, n = p->value.len < room ? p->value.len : room;
    if (p->value.len > (size_t)(c->mtu - 1)) {
        broken(c, "an answer is longer than the MTU allows", e);
        return;
    }
    if (n)
        memcpy(c->value + c->value_len, p->value.data, n);
    c->value_len = (uint16_t)(c->value_len + n);
    if (p->value.len < (size_t)(c->work_mtu - 1) || c->value_len == sizeof c->value) {
        read_done(c, e);
        return;
    }
    carry_on(c, TG_ATT_WORK_BLOB,
             &(struct tg_att_pdu){.op = TG_ATT_BLOB_REQUEST, .handle = c->handle, .offset = c->value_len},
             now_ms);
}

static void prepared(struct tg_att_client *c, const struct tg_att_pdu *p, int64_t now_ms)
{
    struct tg_att_pdu sent = prepare(c, c->work_mtu);
    if (p->handle != sent.handle || p->offset != sent.offset || !tg_bytes_eq(p->value, sent.value)) {
        cancel(c, 0, now_ms);
        return;
    }
    c->offset = (uint16_t)(c->offset + sent.value.len);
    if (c->offset < c->value_len) {
        struct tg_att_pdu next = prepare(c, c->mtu);
        carry_on(c, TG_ATT_WORK_PREPARE, &next, now_ms);
        return;
    }
    carry_on(c, TG_ATT_WORK_EXECUTE, &(struct tg_att_pdu){.op = TG_ATT_EXECUTE_REQUEST, .flags = 1}, now_ms);
}

static void listed(struct tg_att_client *c, enum tg_att_event_kind kind, const struct tg_att_pdu *p,
                   struct tg_att_event *e)
{
    bool uuid16 = false, uuid128 = false;
    switch (kind) {
    case TG_ATT_EVENT_SERVICES:
        uuid16 = p->item_bytes == 6;
        uuid128 = p->item_bytes == 20;
        break;
    case TG_ATT_EVENT_CHARACTERISTICS:
        uuid16 = p->item_bytes == 7;
        uuid128 = p->item_bytes == 21;
        break;
    default: /* DESCRIPTORS are checked by the parser, FOUND has items of any length */
        uuid16 = true;
        break;
    }
    if (!uuid16 && !uuid128) {
        broken(c, "an answer to discovery has items of an impossible length", e);
        return;
    }
    done(c, kind, e);
    e->pdu = *p;
}

static void answered(struct tg_att_client *c, const struct tg_att_pdu *p, int64_t now_ms,
                     struct tg_att_event *e)
{
    switch (c->work) {
    case TG_ATT_WORK_MTU:
        take_mtu(c, p->mtu);
        done(c, TG_ATT_EVENT_MTU, e);
        break;
    case TG_ATT_WORK_SERVICES:
        listed(c, TG_ATT_EVENT_SERVICES, p, e);
        break;
    case TG_ATT_WORK_CHARACTERISTICS:
        listed(c, TG_ATT_EVENT_CHARACTERISTICS, p, e);
        break;
    case TG_ATT_WORK_DESCRIPTORS:
        listed(c, TG_ATT_EVENT_DESCRIPTORS, p, e);
        break;
    case TG_ATT_WORK_FIND:
        listed(c, TG_ATT_EVENT_FOUND, p, e);
        break;
    case TG_ATT_WORK_READ:
    case TG_ATT_WORK_BLOB:
        more_read(c, p, now_ms, e);
        break;
    case TG_ATT_WORK_PREPARE:
        prepared(c, p, now_ms);
        break;
    case TG_ATT_WORK_CANCEL:
        done(c, TG_ATT_EVENT_REFUSED, e);
        e->code = c->code;
        break;
    default: /* WRITE, EXECUTE */
        done(c, TG_ATT_EVENT_WRITTEN, e);
        break;
    }
}

void tg_att_client_receive(struct tg_att_client *c, struct tg_bytes bytes, int64_t now_ms,
                           struct tg_att_event *ret_event)
{
    struct tg_att_pdu p = {0};
    uint8_t op = bytes.len ? bytes.data[0] : 0;
    int rc = tg_att_parse(bytes, &p);
    *ret_event = (struct tg_att_event){.kind = TG_ATT_EVENT_NONE};
    if (c->broken)
        return;
    if (is_request(op)) {
        from_peer(c, op, &p, rc, ret_event);
        return;
    }
    uint8_t awaited = outstanding(c);
    bool answers = awaited && c->out_len == 0 && op == awaited + 1;
    if (rc < 0 && answers) {
        broken(c, "a malformed answer", ret_event);
        return;
    }
    if (rc == TG_OK && answers) {
        answered(c, &p, now_ms, ret_event);
        return;
    }
    if (rc == TG_OK && op == TG_ATT_ERROR && awaited && c->out_len == 0 && p.request == awaited) {
        refused(c, &p, now_ms, ret_event);
        return;
    }
    if (rc == TG_OK && (op == TG_ATT_NOTIFICATION || op == TG_ATT_INDICATION)) {
        *ret_event = (struct tg_att_event){.kind = TG_ATT_EVENT_NOTIFIED,
                                           .handle = p.handle,
                                           .value = p.value,
                                           .indicated = op == TG_ATT_INDICATION};
        if (op == TG_ATT_INDICATION)
            answer_peer(c, &(struct tg_att_pdu){.op = TG_ATT_CONFIRMATION}, ret_event);
        return;
    }
    c->ignored++;
}

void tg_att_client_tick(struct tg_att_client *c, int64_t now_ms, struct tg_att_event *ret_event)
{
    *ret_event = (struct tg_att_event){.kind = TG_ATT_EVENT_NONE};
    if (c->work == TG_ATT_WORK_NONE || now_ms < c->deadline_ms)
        return;
    broken(c, "no answer in 30 s", ret_event);
    ret_event->kind = TG_ATT_EVENT_TIMEOUT;
}
