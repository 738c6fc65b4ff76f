/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ble/gatt_plan.h"

#include "southbound/ble/gatt_known.h"

#define SERVICE_ATTRIBUTE      0x1801
#define SERVICE_DEVICE         0x180A
#define CHARACTERISTIC_CHANGED 0x2A05
#define CHARACTERISTIC_HASH    0x2B2A
#define DESCRIPTOR_CLIENT      0x2902 /* Client Characteristic Configuration: what is subscribed to */
#define CAN_TELL               (TG_GATT_NOTIFY | TG_GATT_INDICATE)

/* --- selectors and the table ----------------------------------------------------------------------- */

int tg_gatt_selector_parse(struct tg_bytes text, struct tg_gatt_selector *ret, struct tg_error *err)
{
    struct tg_gatt_selector s = {.instance = 1};
    char quote[TG_QUOTE_BYTES];
    const uint8_t *slash = text.len ? memchr(text.data, '/', text.len) : NULL;
    struct tg_bytes name = text;
    if (slash) {
        struct tg_bytes service = tg_bytes(text.data, (size_t)(slash - text.data));
        s.has_service = true;
        name = tg_bytes(slash + 1, text.len - service.len - 1);
        if (tg_att_uuid_parse(service, &s.service) < 0)
            return tg_error_set(err, TG_EINVAL,
                                "%s is no UUID of a service: allowed are 4 or 32 hexadecimal digits",
                                tg_quote(quote, (const char *)service.data, service.len));
    }
    const struct tg_gatt_known *k = tg_gatt_known_name(name);
    if (k)
        s.uuid = tg_att_uuid16(k->uuid);
    else if (tg_att_uuid_parse(name, &s.uuid) < 0)
        return tg_error_set(
            err, TG_EINVAL,
            "%s is no characteristic: allowed are a known name such as battery_level, 4 or 32 "
            "hexadecimal digits, and either after SERVICE/",
            tg_quote(quote, (const char *)name.data, name.len));
    *ret = s;
    return TG_OK;
}

static bool selects(const struct tg_gatt_table *t, const struct tg_gatt_selector *s, size_t i)
{
    const struct tg_gatt_characteristic *c = &t->characteristics[i];
    return tg_att_uuid_eq(&c->uuid, &s->uuid) &&
           (!s->has_service || tg_att_uuid_eq(&t->services[c->service].uuid, &s->service));
}

/* The table is not sorted when a service was discovered later than one behind it. */
const struct tg_gatt_characteristic *tg_gatt_table_find(const struct tg_gatt_table *t,
                                                        const struct tg_gatt_selector *s)
{
    const struct tg_gatt_characteristic *all = t->characteristics;
    for (size_t i = 0; i < t->characteristic_count; i++) {
        unsigned before = 0;
        if (!selects(t, s, i))
            continue;
        for (size_t j = 0; j < t->characteristic_count; j++)
            before += all[j].declaration < all[i].declaration && selects(t, s, j);
        if (before + 1 == s->instance)
            return &all[i];
    }
    return NULL;
}

static const struct tg_gatt_characteristic *table_at(const struct tg_gatt_table *t, uint16_t value_handle)
{
    for (size_t i = 0; i < t->characteristic_count; i++) {
        if (t->characteristics[i].value == value_handle)
            return &t->characteristics[i];
    }
    return NULL;
}

static struct tg_gatt_characteristic *find_short(struct tg_gatt_table *t, uint16_t service, uint16_t uuid)
{
    for (size_t i = 0; i < t->characteristic_count; i++) {
        struct tg_gatt_characteristic *c = &t->characteristics[i];
        if (tg_att_uuid_short(&c->uuid) == uuid &&
            tg_att_uuid_short(&t->services[c->service].uuid) == service)
            return c;
    }
    return NULL;
}

static bool service_wanted(const struct tg_gatt_plan *p, const struct tg_gatt_service *s)
{
    uint16_t v = tg_att_uuid_short(&s->uuid);
    if (v == SERVICE_ATTRIBUTE || v == SERVICE_DEVICE)
        return true;
    for (size_t i = 0; i < p->count; i++) {
        const struct tg_gatt_want *w = &p->wants[i];
        if (!w->off && (!w->selector.has_service || tg_att_uuid_eq(&w->selector.service, &s->uuid)))
            return true;
    }
    return false;
}

/* --- life ---------------------------------------------------------------------------------------------- */

static void unresolve(struct tg_gatt_plan *p)
{
    p->resolved = false;
    p->cursor = 0;
    p->step.kind = TG_GATT_STEP_IDLE;
}

static void forget(struct tg_gatt_plan *p)
{
    memset(&p->table, 0, sizeof p->table);
    p->changes_settled = false;
    p->doubtful = false;
    for (size_t i = 0; i < p->count; i++) {
        struct tg_gatt_want *w = &p->wants[i];
        w->finding = TG_GATT_UNKNOWN;
        w->handle = 0;
        w->subscribed = w->settled = w->subscribe = false;
    }
    unresolve(p);
}

void tg_gatt_plan_init(struct tg_gatt_plan *p, struct tg_gatt_want *wants, uint16_t count)
{
    memset(p, 0, sizeof *p);
    p->wants = wants;
    p->count = count;
}

void tg_gatt_plan_start(struct tg_gatt_plan *p)
{
    bool half =
        !p->table.services_known || (p->cursor && !p->resolved); /* the link was lost during discovery */
    if (p->doubtful || half)
        forget(p);
    p->mtu_done = p->hash_done = p->changes_settled = p->rediscovered = false;
    for (size_t i = 0; i < p->count; i++) {
        p->wants[i].subscribed = p->wants[i].settled = false;
        p->wants[i].code = 0;
    }
    unresolve(p);
}

void tg_gatt_plan_changed(struct tg_gatt_plan *p)
{
    unresolve(p);
}

/* --- what is next ------------------------------------------------------------------------------------- */

static void resolve_one(const struct tg_gatt_table *t, struct tg_gatt_want *w)
{
    const struct tg_gatt_characteristic *c = tg_gatt_table_find(t, &w->selector);
    w->handle = c ? c->value : 0;
    w->subscribe = false;
    if (!c) {
        w->finding = TG_GATT_ABSENT;
        return;
    }
    bool can_read = c->properties & TG_GATT_READ;
    bool can_tell = c->properties & CAN_TELL && !(c->descriptors_known && c->cccd == 0);
    w->subscribe = can_tell && (w->notify == TG_GATT_NOTIFY_TRUE ||
                                (w->notify == TG_GATT_NOTIFY_AUTO && (!w->periodic || !can_read)));
    w->finding = w->notify == TG_GATT_NOTIFY_TRUE && !can_tell ? TG_GATT_NO_NOTIFY
                 : !w->subscribe && !can_read                  ? TG_GATT_NOT_READABLE
                                                               : TG_GATT_FOUND;
    if (!can_read)
        w->due = false;
}

static bool step_discover(struct tg_gatt_plan *p, struct tg_gatt_step *s)
{
    struct tg_gatt_table *t = &p->table;
    if (!t->services_known) {
        *s = (struct tg_gatt_step){.kind = TG_GATT_STEP_SERVICES, .handle = p->cursor ? p->cursor : 1};
        return true;
    }
    for (size_t i = 0; i < t->service_count; i++) {
        struct tg_gatt_service *v = &t->services[i];
        if (v->known || !service_wanted(p, v))
            continue;
        *s = (struct tg_gatt_step){.kind = TG_GATT_STEP_CHARACTERISTICS,
                                   .handle = p->cursor ? p->cursor : v->start,
                                   .end = v->end,
                                   .characteristic = (uint8_t)i};
        return true;
    }
    return false;
}

/* What is needed until c is subscribed to; false: nothing more can be done. */
static bool step_subscribe(struct tg_gatt_plan *p, struct tg_gatt_characteristic *c, struct tg_gatt_step *s)
{
    if (!c->descriptors_known && c->value >= c->end)
        c->descriptors_known = true;
    s->characteristic = (uint8_t)(c - p->table.characteristics);
    if (!c->descriptors_known) {
        s->kind = TG_GATT_STEP_DESCRIPTORS;
        s->handle = p->cursor ? p->cursor : (uint16_t)(c->value + 1);
        s->end = c->end;
        return true;
    }
    if (c->cccd == 0)
        return false;
    s->kind = TG_GATT_STEP_SUBSCRIBE;
    s->handle = c->cccd;
    s->value[0] = c->properties & TG_GATT_NOTIFY ? 1 : 2;
    return true;
}

static bool step_changes(struct tg_gatt_plan *p, struct tg_gatt_step *s)
{
    if (p->changes_settled)
        return false;
    struct tg_gatt_characteristic *c = find_short(&p->table, SERVICE_ATTRIBUTE, CHARACTERISTIC_CHANGED);
    *s = (struct tg_gatt_step){.service_changed = true};
    if (c && c->properties & CAN_TELL && step_subscribe(p, c, s))
        return true;
    p->changes_settled = true;
    return false;
}

static struct tg_gatt_characteristic *at(struct tg_gatt_plan *p, uint16_t handle)
{
    return (struct tg_gatt_characteristic *)(uintptr_t)table_at(&p->table, handle);
}

static bool step_wants(struct tg_gatt_plan *p, struct tg_gatt_step *s)
{
    for (size_t i = 0; i < p->count; i++) {
        struct tg_gatt_want *w = &p->wants[i];
        if (w->off || !w->subscribe || w->settled)
            continue;
        struct tg_gatt_characteristic *c = at(p, w->handle);
        *s = (struct tg_gatt_step){0};
        if (c && step_subscribe(p, c, s))
            return true;
        w->settled = true;
        resolve_one(&p->table, w); /* without a CCCD it can only be read */
    }
    for (size_t i = 0; i < p->count; i++) {
        struct tg_gatt_want *w = &p->wants[i];
        if (w->off || !w->due || w->finding != TG_GATT_FOUND)
            continue;
        *s = (struct tg_gatt_step){.kind = TG_GATT_STEP_READ, .handle = w->handle};
        return true;
    }
    return false;
}

static struct tg_gatt_step find_step(struct tg_gatt_plan *p)
{
    struct tg_gatt_step s = {.kind = TG_GATT_STEP_MTU};
    if (!p->mtu_done && !p->skip_mtu)
        return s;
    s.kind = TG_GATT_STEP_HASH;
    if (p->table.services_known && p->table.has_hash && !p->hash_done)
        return s;
    if (step_discover(p, &s))
        return s;
    s = (struct tg_gatt_step){.kind = TG_GATT_STEP_HASH};
    if (!p->hash_done && find_short(&p->table, SERVICE_ATTRIBUTE, CHARACTERISTIC_HASH))
        return s;
    for (size_t i = 0; i < p->count && !p->resolved; i++) {
        if (!p->wants[i].off)
            resolve_one(&p->table, &p->wants[i]);
    }
    p->resolved = true;
    if (step_changes(p, &s) || step_wants(p, &s))
        return s;
    return (struct tg_gatt_step){.kind = TG_GATT_STEP_IDLE};
}

struct tg_gatt_step tg_gatt_plan_next(struct tg_gatt_plan *p)
{
    p->step = find_step(p);
    return p->step;
}

int tg_gatt_plan_ask(const struct tg_gatt_step *step, struct tg_att_client *c, int64_t now_ms)
{
    switch (step->kind) {
    case TG_GATT_STEP_MTU:
        return tg_att_client_exchange_mtu(c, now_ms);
    case TG_GATT_STEP_HASH:
        return tg_att_client_find(c, CHARACTERISTIC_HASH, now_ms);
    case TG_GATT_STEP_SERVICES:
        return tg_att_client_services(c, step->handle, now_ms);
    case TG_GATT_STEP_CHARACTERISTICS:
        return tg_att_client_characteristics(c, step->handle, step->end, now_ms);
    case TG_GATT_STEP_DESCRIPTORS:
        return tg_att_client_descriptors(c, step->handle, step->end, now_ms);
    case TG_GATT_STEP_SUBSCRIBE:
        return tg_att_client_write(c, step->handle, tg_bytes(step->value, 2), now_ms);
    case TG_GATT_STEP_READ:
        return tg_att_client_read(c, step->handle, now_ms);
    default:
        return TG_ESTATE;
    }
}

/* --- answers -------------------------------------------------------------------------------------------- */

/* Goes on behind `last`, or ends; an answer that does not get further would be asked for for ever. */
static bool advance(struct tg_gatt_plan *p, uint16_t last, uint16_t end)
{
    if (last >= end || last == 0xFFFF)
        return false;
    p->cursor = (uint16_t)(last + 1);
    return true;
}

static void services_done(struct tg_gatt_plan *p)
{
    p->table.services_known = true;
    p->cursor = 0;
}

static void take_services(struct tg_gatt_plan *p, const struct tg_att_pdu *pdu)
{
    struct tg_gatt_table *t = &p->table;
    uint32_t least = p->step.handle;
    for (size_t i = 0; i < tg_att_items(pdu); i++) {
        struct tg_bytes b = tg_att_item(pdu, i);
        struct tg_gatt_service s = {.start = tg_att_u16(b.data), .end = tg_att_u16(b.data + 2)};
        int rc = tg_att_uuid_read(tg_bytes(b.data + 4, b.len - 4), &s.uuid);
        if (rc < 0 || s.start < least || s.end < s.start) {
            p->doubtful = true;
            services_done(p);
            return;
        }
        if (t->service_count == TG_GATT_MAX_SERVICES) {
            t->overflow = true;
            services_done(p);
            return;
        }
        t->services[t->service_count++] = s;
        least = (uint32_t)s.end + 1;
    }
    if (!advance(p, (uint16_t)(least - 1), 0xFFFF))
        services_done(p);
}

static void characteristics_done(struct tg_gatt_plan *p)
{
    p->table.services[p->step.characteristic].known = true;
    p->cursor = 0;
}

static void take_characteristics(struct tg_gatt_plan *p, const struct tg_att_pdu *pdu)
{
    struct tg_gatt_table *t = &p->table;
    uint32_t least = p->step.handle;
    for (size_t i = 0; i < tg_att_items(pdu); i++) {
        struct tg_bytes b = tg_att_item(pdu, i);
        struct tg_gatt_characteristic c = {.declaration = tg_att_u16(b.data),
                                           .properties = b.data[2],
                                           .value = tg_att_u16(b.data + 3),
                                           .end = p->step.end,
                                           .service = p->step.characteristic};
        int rc = tg_att_uuid_read(tg_bytes(b.data + 5, b.len - 5), &c.uuid);
        if (rc < 0 || c.declaration < least || c.value <= c.declaration || c.value > p->step.end) {
            p->doubtful = true;
            characteristics_done(p);
            return;
        }
        if (t->characteristic_count == TG_GATT_MAX_CHARACTERISTICS) {
            t->overflow = true;
            characteristics_done(p);
            return;
        }
        if (t->characteristic_count) {
            struct tg_gatt_characteristic *before = &t->characteristics[t->characteristic_count - 1];
            if (before->service == c.service) /* its descriptors end where the next begins */
                before->end = (uint16_t)(c.declaration - 1);
        }
        t->characteristics[t->characteristic_count++] = c;
        least = (uint32_t)c.declaration + 1;
    }
    if (!advance(p, (uint16_t)(least - 1), p->step.end))
        characteristics_done(p);
}

static void descriptors_done(struct tg_gatt_plan *p)
{
    p->table.characteristics[p->step.characteristic].descriptors_known = true;
    p->descriptor_asks = 0;
    p->cursor = 0;
}

static void take_descriptors(struct tg_gatt_plan *p, const struct tg_att_pdu *pdu)
{
    struct tg_gatt_characteristic *c = &p->table.characteristics[p->step.characteristic];
    uint32_t least = p->step.handle;
    struct tg_att_uuid client = tg_att_uuid16(DESCRIPTOR_CLIENT), uuid;
    for (size_t i = 0; i < tg_att_items(pdu); i++) {
        struct tg_bytes b = tg_att_item(pdu, i);
        uint16_t handle = tg_att_u16(b.data);
        int rc = tg_att_uuid_read(tg_bytes(b.data + 2, b.len - 2), &uuid);
        if (rc < 0 || handle < least || handle > p->step.end)
            break;
        if (tg_att_uuid_eq(&uuid, &client)) {
            c->cccd = handle;
            break;
        }
        least = (uint32_t)handle + 1;
    }
    bool more = c->cccd == 0 && least > p->step.handle && ++p->descriptor_asks < TG_GATT_MAX_ASKS;
    if (!more || !advance(p, (uint16_t)(least - 1), p->step.end))
        descriptors_done(p);
}

static void take_hash(struct tg_gatt_plan *p, const struct tg_att_event *e)
{
    struct tg_gatt_table *t = &p->table;
    bool has = e->kind == TG_ATT_EVENT_FOUND && e->pdu.item_bytes == 18;
    uint8_t hash[16] = {0};
    if (has)
        memcpy(hash, e->pdu.value.data + 2, sizeof hash);
    if (t->has_hash && (!has || memcmp(hash, t->hash, sizeof hash) != 0))
        forget(p);
    p->hash_done = true;
    t->has_hash = has;
    memcpy(t->hash, hash, sizeof hash);
}

/* The handles are not what they were. Once a connection, or a server that says so always would have us discover for ever. */
static bool stale(struct tg_gatt_plan *p, uint8_t code)
{
    if ((code != TG_ATT_INVALID_HANDLE && code != TG_ATT_OUT_OF_SYNC) || p->rediscovered)
        return false;
    p->rediscovered = true;
    forget(p);
    return true;
}

static void subscribed(struct tg_gatt_plan *p, const struct tg_att_event *e)
{
    bool ok = e->kind == TG_ATT_EVENT_WRITTEN;
    uint16_t handle = p->table.characteristics[p->step.characteristic].value;
    if (!ok && stale(p, e->code))
        return;
    if (p->step.service_changed)
        p->changes_settled = true;
    for (size_t i = 0; i < p->count; i++) {
        struct tg_gatt_want *w = &p->wants[i];
        if (w->off || !w->subscribe || w->handle != handle)
            continue;
        w->subscribed = ok;
        w->settled = true;
        w->code = ok ? 0 : e->code;
    }
}

static void was_read(struct tg_gatt_plan *p, const struct tg_att_event *e)
{
    bool ok = e->kind == TG_ATT_EVENT_READ;
    if (!ok && stale(p, e->code))
        return;
    for (size_t i = 0; i < p->count; i++) {
        struct tg_gatt_want *w = &p->wants[i];
        if (w->off || w->handle != p->step.handle || w->finding != TG_GATT_FOUND)
            continue;
        w->due = false;
        w->code = ok ? 0 : e->code;
    }
}

void tg_gatt_plan_done(struct tg_gatt_plan *p, const struct tg_att_event *e)
{
    bool refused = e->kind == TG_ATT_EVENT_REFUSED;
    enum tg_gatt_step_kind kind = p->step.kind;
    p->step.kind = TG_GATT_STEP_IDLE;
    if (refused && e->code != TG_ATT_NOT_FOUND &&
        (kind == TG_GATT_STEP_SERVICES || kind == TG_GATT_STEP_CHARACTERISTICS))
        p->doubtful = true;
    switch (kind) {
    case TG_GATT_STEP_MTU: /* refused: the default stays */
        p->mtu_done = true;
        break;
    case TG_GATT_STEP_HASH:
        take_hash(p, e);
        break;
    case TG_GATT_STEP_SERVICES:
        if (refused)
            services_done(p);
        else
            take_services(p, &e->pdu);
        break;
    case TG_GATT_STEP_CHARACTERISTICS:
        if (refused)
            characteristics_done(p);
        else
            take_characteristics(p, &e->pdu);
        break;
    case TG_GATT_STEP_DESCRIPTORS:
        if (refused)
            descriptors_done(p);
        else
            take_descriptors(p, &e->pdu);
        break;
    case TG_GATT_STEP_SUBSCRIBE:
        subscribed(p, e);
        break;
    case TG_GATT_STEP_READ:
        was_read(p, e);
        break;
    default:
        break;
    }
}

bool tg_gatt_plan_notified(struct tg_gatt_plan *p, const struct tg_att_event *e)
{
    const struct tg_gatt_characteristic *c = find_short(&p->table, SERVICE_ATTRIBUTE, CHARACTERISTIC_CHANGED);
    if (!c || c->value != e->handle)
        return false;
    p->hash_done = false;
    forget(p);
    return true;
}
