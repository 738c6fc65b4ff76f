/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ble/hci_events.h"

#include "southbound/ble/ble_private.h"

#define PACKET_EVENT  0x04
#define EVENT_LE_META 0x3E
#define SUB_LEGACY    0x02
#define SUB_EXTENDED  0x0D
#define LEGACY_HEAD   9 /* type, address type, address, length of data; RSSI comes behind the data */
#define EXTENDED_HEAD 24
#define TYPE_LEGACY   0x0010
#define ADDRESS_NONE  0xFF

const char *tg_hci_verdict_name(enum tg_hci_verdict verdict)
{
    static const char *const names[] = {"ok", "other event", "truncated"};
    return (unsigned)verdict < TG_HCI_VERDICTS ? names[verdict] : "unknown";
}

static void set_address(struct tg_hci_report *r, uint8_t type, const uint8_t *reversed)
{
    r->address_type = type;
    if (type == ADDRESS_NONE) /* anonymous */
        return;
    tg_ble_address_reverse(reversed, r->advert.address.bytes);
    r->advert.address.type = type & 1 ? TG_BLE_ADDRESS_RANDOM : TG_BLE_ADDRESS_PUBLIC;
}

static bool next_legacy(struct tg_reader *in, struct tg_hci_report *r)
{
    struct tg_bytes head = tg_read_bytes(in, LEGACY_HEAD);
    if (in->failed)
        return false;
    struct tg_bytes data = tg_read_bytes(in, head.data[8]);
    r->advert.rssi = (int8_t)tg_read_u8(in);
    r->advert.data = data.data;
    r->advert.len = data.len;
    r->legacy = true;
    r->event_type = head.data[0];
    set_address(r, head.data[1], head.data + 2);
    return !in->failed;
}

static bool next_extended(struct tg_reader *in, struct tg_hci_report *r)
{
    struct tg_bytes head = tg_read_bytes(in, EXTENDED_HEAD);
    if (in->failed)
        return false;
    struct tg_bytes data = tg_read_bytes(in, head.data[23]);
    r->advert.data = data.data;
    r->advert.len = data.len;
    r->event_type = tg_ble_u16le(head.data);
    r->legacy = r->event_type & TYPE_LEGACY;
    r->data_status = r->event_type >> 5 & 3;
    set_address(r, head.data[2], head.data + 3);
    r->primary_phy = head.data[9];
    r->secondary_phy = head.data[10];
    r->sid = head.data[11];
    r->tx_power = (int8_t)head.data[12];
    r->advert.rssi = (int8_t)head.data[13];
    return !in->failed;
}

static bool next(struct tg_hci_event *e, struct tg_hci_report *r)
{
    struct tg_reader in = tg_reader_init(e->data + e->pos, e->len - e->pos);
    memset(r, 0, sizeof *r);
    r->subevent = e->subevent;
    r->sid = TG_HCI_NO_SID;
    r->tx_power = TG_HCI_NO_POWER;
    r->advert.time_ms = e->time_ms;
    bool good = e->subevent == SUB_LEGACY ? next_legacy(&in, r) : next_extended(&in, r);
    e->pos += in.pos;
    e->left--;
    return good;
}

enum tg_hci_verdict tg_hci_event_begin(struct tg_hci_event *e, const uint8_t *packet, size_t len,
                                       int64_t time_ms)
{
    struct tg_hci_event probe = {.time_ms = time_ms};
    struct tg_hci_report report;
    if (len < 3)
        return TG_HCI_TRUNCATED;
    if (packet[0] != PACKET_EVENT || packet[1] != EVENT_LE_META)
        return TG_HCI_OTHER;
    if (packet[2] != len - 3 || len < 4)
        return TG_HCI_TRUNCATED;
    probe.subevent = packet[3];
    if (probe.subevent != SUB_LEGACY && probe.subevent != SUB_EXTENDED)
        return TG_HCI_OTHER;
    if (len < 5)
        return TG_HCI_TRUNCATED;
    probe.left = packet[4];
    probe.data = packet + 5;
    probe.len = len - 5;
    *e = probe;
    while (probe.left > 0)
        if (!next(&probe, &report))
            return TG_HCI_TRUNCATED;
    return TG_HCI_OK;
}

bool tg_hci_event_next(struct tg_hci_event *e, struct tg_hci_report *ret_report)
{
    return e->left > 0 && next(e, ret_report);
}

/* --- fragments -------------------------------------------------------------------------------- */

static struct tg_hci_fragment *slot_of(struct tg_hci_fragments *f, const struct tg_hci_report *r)
{
    for (size_t i = 0; i < TG_HCI_FRAGMENT_SLOTS; i++) {
        struct tg_hci_fragment *s = &f->slots[i];
        if (!s->used || s->sid != r->sid || s->address.type != r->advert.address.type ||
            !tg_ble_address_eq(&s->address, &r->advert.address))
            continue;
        if (r->advert.time_ms - s->time_ms < TG_HCI_FRAGMENT_MS)
            return s;
        s->used = false;
        f->dropped += !s->spoiled;
    }
    return NULL;
}

static struct tg_hci_fragment *new_slot(struct tg_hci_fragments *f, const struct tg_hci_report *r)
{
    struct tg_hci_fragment *s = &f->slots[0];
    for (size_t i = 1; i < TG_HCI_FRAGMENT_SLOTS && s->used; i++)
        if (!f->slots[i].used || f->slots[i].time_ms < s->time_ms)
            s = &f->slots[i];
    f->dropped += s->used && !s->spoiled;
    s->used = true;
    s->spoiled = false;
    s->address = r->advert.address;
    s->sid = r->sid;
    s->len = 0;
    return s;
}

static void append(struct tg_hci_fragments *f, struct tg_hci_fragment *s, const struct tg_ble_advert *a)
{
    s->time_ms = a->time_ms;
    if (s->spoiled)
        return;
    if (a->len > sizeof s->data - s->len) {
        s->spoiled = true;
        f->dropped++;
        return;
    }
    if (a->len > 0)
        memcpy(s->data + s->len, a->data, a->len);
    s->len += a->len;
}

bool tg_hci_join(struct tg_hci_fragments *f, const struct tg_hci_report *report,
                 struct tg_ble_advert *ret_advert)
{
    struct tg_hci_fragment *s;
    if (report->legacy) {
        *ret_advert = report->advert;
        return true;
    }
    s = slot_of(f, report);
    if (!s && report->data_status == TG_HCI_COMPLETE) {
        *ret_advert = report->advert;
        return true;
    }
    if (report->data_status == TG_HCI_MORE) {
        append(f, s ? s : new_slot(f, report), &report->advert);
        return false;
    }
    if (report->data_status != TG_HCI_COMPLETE) {
        f->dropped += !s || !s->spoiled;
        if (s)
            s->used = false;
        return false;
    }
    append(f, s, &report->advert);
    s->used = false;
    if (s->spoiled)
        return false;
    *ret_advert = report->advert;
    ret_advert->data = s->data;
    ret_advert->len = s->len;
    return true;
}
