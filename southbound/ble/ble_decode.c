/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ble/ble_decode.h"

#include "southbound/ble/ble_private.h"

const char *const tg_ble_format_names[TG_BLE_FORMATS + 1] = {"bthome", "ruuvi",     "mibeacon", "atc", "pvvx",
                                                             "govee",  "eddystone", "ibeacon",  NULL};

static const struct tg_ble_decoder *const decoders[TG_BLE_FORMATS] = {
    &tg_ble_bthome_decoder, &tg_ble_ruuvi_decoder, &tg_ble_mibeacon_decoder,  &tg_ble_atc_decoder,
    &tg_ble_pvvx_decoder,   &tg_ble_govee_decoder, &tg_ble_eddystone_decoder, &tg_ble_ibeacon_decoder};

static const struct {
    const char *name, *text;
} verdicts[TG_BLE_VERDICTS] = {
    [TG_BLE_OK] = {"ok", "decoded"},
    [TG_BLE_DUPLICATE] = {"duplicate", "heard before"},
    [TG_BLE_EMPTY] = {"no values", "understood, but it has no values"},
    [TG_BLE_NOT_MINE] = {"other format", "none of the formats asked for"},
    [TG_BLE_MALFORMED] = {"malformed",
                          "malformed: cut, too long, or of another device; no value is taken from it"},
    [TG_BLE_UNSUPPORTED] = {"unsupported",
                            "a version or an object that is not known; no value is taken from it"},
    [TG_BLE_NEEDS_KEY] = {"key needed", "encrypted, and there is no key of the right length for it"},
    [TG_BLE_WRONG_KEY] = {"wrong key", "the key does not fit, or the frame was changed on its way"},
    [TG_BLE_REPLAYED] = {"replayed", "its counter has not risen: an old frame, sent again"},
    [TG_BLE_PLAINTEXT] = {"plaintext",
                          "not encrypted although the device has a key: anybody may have sent it"}};

const char *tg_ble_verdict_name(enum tg_ble_verdict verdict)
{
    return (unsigned)verdict < TG_BLE_VERDICTS ? verdicts[verdict].name : "unknown";
}

const char *tg_ble_verdict_text(enum tg_ble_verdict verdict)
{
    return (unsigned)verdict < TG_BLE_VERDICTS ? verdicts[verdict].text : "unknown";
}

const char *tg_ble_stop_name(enum tg_ble_stop stop)
{
    static const char *const names[] = {"", "truncated", "unknown object", "too many"};
    return (unsigned)stop < sizeof names / sizeof *names ? names[stop] : "unknown";
}

const char *tg_ble_format_doc(enum tg_ble_format format)
{
    return (unsigned)format < TG_BLE_FORMATS ? decoders[format]->doc : "";
}

bool tg_ble_format_takes_key(enum tg_ble_format format)
{
    return (unsigned)format < TG_BLE_FORMATS && decoders[format]->takes_key;
}

bool tg_ble_format_parse(const char *name, enum tg_ble_format *ret_format)
{
    for (unsigned f = 0; f < TG_BLE_FORMATS; f++) {
        if (strcmp(tg_ble_format_names[f], name) == 0) {
            *ret_format = (enum tg_ble_format)f;
            return true;
        }
    }
    return false;
}

const char *const *tg_ble_format_reading_names(enum tg_ble_format format)
{
    static const char *const none[] = {NULL};
    return (unsigned)format < TG_BLE_FORMATS ? decoders[format]->reading_names : none;
}

/* The length without "_2" to "_48". */
static size_t base_length(const char *name)
{
    size_t n = strlen(name), k = n;
    unsigned number = 0, scale = 1;
    while (k > 0 && n - k < 2 && name[k - 1] >= '0' && name[k - 1] <= '9') {
        number += (unsigned)(name[--k] - '0') * scale;
        scale *= 10;
    }
    bool numbered = k < n && k > 1 && name[k - 1] == '_' && name[k] != '0' && number >= 2 &&
                    number <= TG_BLE_MAX_READINGS;
    return numbered ? k - 1 : n;
}

bool tg_ble_reading_known(uint32_t formats, const char *name)
{
    size_t n = base_length(name);
    if (strcmp(name, "rssi") == 0)
        return true;
    for (unsigned f = 0; f < TG_BLE_FORMATS; f++) {
        if (!(formats & TG_BLE_FORMAT_BIT(f)))
            continue;
        for (const char *const *known = decoders[f]->reading_names; *known; known++)
            if (strlen(*known) == n && memcmp(*known, name, n) == 0)
                return true;
    }
    return false;
}

/* --- guard ------------------------------------------------------------------------------------- */

/* FNV-1a. Not a secret and not a proof: who can send frames of his own gains nothing by making two of them look alike. */
static uint64_t hash_of(enum tg_ble_format format, struct tg_bytes content)
{
    uint64_t h = 14695981039346656037u ^ (uint64_t)format;
    for (size_t i = 0; i < content.len; i++)
        h = (h ^ content.data[i]) * 1099511628211u;
    return h ? h : 1;
}

/* Whether the same frame is the same measurement. An encrypted one is for good: its counter has to rise. */
static bool is_duplicate(const struct tg_ble_guard *g, uint64_t hash, const struct tg_ble_readings *r,
                         int64_t now_ms)
{
    for (size_t i = 0; i < TG_BLE_GUARD_FRAMES; i++) {
        if (g->frames[i].hash != hash)
            continue;
        int64_t age_ms = now_ms - g->frames[i].time_ms;
        if (r->has_counter && (r->encrypted || r->event || age_ms < TG_BLE_SAME_MS))
            return true;
        if (!r->has_counter && age_ms < TG_BLE_REPEAT_MS)
            return true;
    }
    return false;
}

static bool has_risen(const struct tg_ble_guard *g, const struct tg_ble_readings *r, int64_t now_ms)
{
    if (!g->has_counter || g->counter_format != (uint8_t)r->format || r->counter < TG_BLE_RESTART_BELOW)
        return true;
    if (r->counter_bits > 8)
        return r->counter > g->counter;
    /* RFC 1982: ahead by less than half of the circle. */
    uint8_t ahead = (uint8_t)(r->counter - g->counter);
    return (ahead > 0 && ahead < 128) || now_ms - g->counter_ms >= TG_BLE_SHORT_MEMORY_MS;
}

static void remember(struct tg_ble_guard *g, uint64_t hash, const struct tg_ble_readings *r, int64_t now_ms)
{
    struct tg_ble_guard_frame *slot = &g->frames[0];
    for (size_t i = 0; i < TG_BLE_GUARD_FRAMES; i++) {
        struct tg_ble_guard_frame *f = &g->frames[i];
        if (f->hash == hash) {
            slot = f;
            break;
        }
        if (slot->hash != 0 && (f->hash == 0 || f->time_ms < slot->time_ms))
            slot = f;
    }
    slot->hash = hash;
    slot->time_ms = now_ms;
    if (r->authentic) {
        g->has_counter = true;
        g->counter = r->counter;
        g->counter_ms = now_ms;
        g->counter_format = (uint8_t)r->format;
    }
}

static enum tg_ble_verdict guard(struct tg_ble_guard *g, const struct tg_ble_advert *advert,
                                 struct tg_bytes content, const struct tg_ble_readings *r)
{
    uint64_t hash = hash_of(r->format, content);
    if (is_duplicate(g, hash, r, advert->time_ms))
        return TG_BLE_DUPLICATE;
    if (r->authentic && r->has_counter && !has_risen(g, r, advert->time_ms))
        return TG_BLE_REPLAYED;
    remember(g, hash, r, advert->time_ms);
    return TG_BLE_OK;
}

/* --- decoding ------------------------------------------------------------------------------------ */

/* All that a decoder relies on being empty; the items are written whole when they are added. */
static void begin(struct tg_ble_readings *r, enum tg_ble_format format)
{
    r->format = format;
    r->model[0] = 0;
    r->count = 0;
    r->stopped = TG_BLE_WHOLE;
    r->stop_object = 0;
    r->version = 0;
    r->product = 0;
    r->encrypted = r->authentic = r->event = r->has_address = r->has_counter = false;
    memset(r->address, 0, sizeof r->address);
    r->counter = 0;
    r->counter_bits = 0;
    r->text_len = 0;
}

enum tg_ble_verdict tg_ble_decode(uint32_t formats, const struct tg_ble_advert *advert,
                                  const struct tg_ble_key *key, struct tg_ble_guard *g,
                                  struct tg_ble_readings *ret_readings)
{
    struct tg_bytes content;
    unsigned f = 0;
    begin(ret_readings, TG_BLE_FORMATS);
    while (f < TG_BLE_FORMATS && !((formats & TG_BLE_FORMAT_BIT(f)) && decoders[f]->find(advert, &content)))
        f++;
    if (f == TG_BLE_FORMATS)
        return TG_BLE_NOT_MINE;
    ret_readings->format = (enum tg_ble_format)f;
    enum tg_ble_verdict verdict =
        decoders[f]->decode(advert, content, decoders[f]->takes_key ? key : NULL, ret_readings);
    if (verdict == TG_BLE_OK && g)
        verdict = guard(g, advert, content, ret_readings);
    if (verdict != TG_BLE_OK)
        ret_readings->count = 0;
    else if (advert->rssi != TG_BLE_RSSI_UNKNOWN && ret_readings->count < TG_BLE_MAX_READINGS)
        tg_ble_add(ret_readings, "rssi", "dBm", 0, tg_value_int(advert->rssi));
    return verdict;
}

size_t tg_ble_recognise(const struct tg_ble_advert *advert,
                        struct tg_ble_candidate ret_candidates[TG_BLE_FORMATS])
{
    struct tg_ble_readings r;
    struct tg_bytes content;
    size_t n = 0;
    for (unsigned f = 0; f < TG_BLE_FORMATS; f++) {
        if (!decoders[f]->find(advert, &content))
            continue;
        struct tg_ble_candidate *c = &ret_candidates[n++];
        begin(&r, (enum tg_ble_format)f);
        c->verdict = decoders[f]->decode(advert, content, NULL, &r);
        c->format = (enum tg_ble_format)f;
        memcpy(c->model, r.model, sizeof c->model);
    }
    return n;
}
