/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_decode - advertisements of sensors into readings. Pure: cryptography is lent by the caller as a table of functions.
 *
 * It is one call for each advertisement heard. A caller that knows the device names its format, its key and its guard (what
 * was heard of it before, against repeats and replays); one that does not passes TG_BLE_ANY_FORMAT and NULL.
 *
 *     static struct tg_ble_readings readings;
 *     switch (tg_ble_decode(TG_BLE_FORMAT_BIT(TG_BLE_BTHOME), &advert, &key, &guard, &readings)) {
 *     case TG_BLE_OK:         for (i = 0; i < readings.count; i++) use(&readings.items[i]);   break;
 *     case TG_BLE_DUPLICATE:  the device is there, with nothing new                           break;
 *     …
 *     }
 *
 * NAMES   A reading's name says what it is and does not depend on the format: temperature, humidity, battery (percent), voltage.
 *         When a format gives the same name again in one advertisement, the second is temperature_2, the third temperature_3. The
 *         list is in docs/plugins/ble-formats.md. `rssi` comes last, when the adapter told it.
 * VALUES  Decimal scales are divided, so 2506 hundredths are the double nearest to 25.06. Whole numbers stay integers. A format's
 *         own "no value" is a reading without value and quality "sensor", never a number.
 * TRUST   Everything is foreign. A frame that is not whole gives no reading, with one exception: BTHome's objects before the
 *         one that is cut or unknown are kept, as its specification says; `stopped` tells.
 * MEMORY  `struct tg_ble_readings` (about 5 KiB) belongs to the caller. Texts point into it: it is not to be copied.
 */
#ifndef TG_SOUTHBOUND_BLE_DECODE_H
#define TG_SOUTHBOUND_BLE_DECODE_H

#include <tidegate/plugin.h>

#include "southbound/ble/ble_advert.h"

#define TG_BLE_MAX_READINGS  48
#define TG_BLE_READING_BYTES 32 /* a name, with its NUL */
#define TG_BLE_TEXT_BYTES                                                                                    \
    640 /* texts of one advertisement; what does not fit ends the decoding (`stopped`) */
#define TG_BLE_MODEL_BYTES  32
#define TG_BLE_KEY_BYTES    16
#define TG_BLE_LEGACY_BYTES 12 /* key of MiBeacon version 2 and 3 */

/* --- formats ----------------------------------------------------------------------------------- */

/* In the order in which an advertisement is tried: sensors before beacons, which some sensors send along. */
enum tg_ble_format {
    TG_BLE_BTHOME,    /* BTHome version 2, service data FCD2 */
    TG_BLE_RUUVI,     /* RuuviTag data formats 3 and 5, company 0499 */
    TG_BLE_MIBEACON,  /* Xiaomi MiBeacon versions 2 to 5, service data FE95 */
    TG_BLE_ATC,       /* ATC1441, plain (13 bytes) and encrypted (8 bytes), service data 181A */
    TG_BLE_PVVX,      /* pvvx custom, plain (15 bytes) and encrypted (11 bytes), service data 181A */
    TG_BLE_GOVEE,     /* Govee thermometers, several companies */
    TG_BLE_EDDYSTONE, /* TLM, UID and URL, service data FEAA */
    TG_BLE_IBEACON,   /* company 004C */
    TG_BLE_FORMATS    /* how many there are */
};

#define TG_BLE_FORMAT_BIT(format) (1u << (unsigned)(format))
#define TG_BLE_ANY_FORMAT         ((1u << (unsigned)TG_BLE_FORMATS) - 1u)

/* "bthome", "ruuvi", …, NULL at the end: the choices of a configuration. */
extern const char *const tg_ble_format_names[TG_BLE_FORMATS + 1];
/* One sentence for people. */
const char *tg_ble_format_doc(enum tg_ble_format format);
/* False when no format has the name. */
bool tg_ble_format_parse(const char *name, enum tg_ble_format *ret_format);
/* The format may be encrypted, so that a key makes sense. */
bool tg_ble_format_takes_key(enum tg_ble_format format);

/* --- keys ---------------------------------------------------------------------------------------- */

/* What the core needs of AES-128; plugins/ble/ble_crypto.h fills it in with wolfCrypt. Both return false when they cannot. */
struct tg_ble_crypto {
    /* AES-CCM (RFC 3610): decrypts len bytes and checks the tag; nothing is written to `out` that may be used when false. */
    bool (*ccm_decrypt)(const uint8_t key[TG_BLE_KEY_BYTES], const uint8_t *nonce, size_t nonce_len,
                        const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len, const uint8_t *tag,
                        size_t tag_len, uint8_t *out);
    /* One block of AES in the forward direction. */
    bool (*encrypt_block)(const uint8_t key[TG_BLE_KEY_BYTES], const uint8_t in[16], uint8_t out[16]);
};

/* Secret: the caller wipes it (explicit_bzero) when the device goes. */
struct tg_ble_key {
    const struct tg_ble_crypto *crypto; /* lives as long as the key */
    uint8_t bytes[TG_BLE_KEY_BYTES];
    uint8_t len; /* TG_BLE_KEY_BYTES, or TG_BLE_LEGACY_BYTES for MiBeacon versions 2 and 3 */
};

/* 32 or 24 hexadecimal digits; blanks and a line end around them are skipped. False when it is something else: say so without
 * showing it. */
bool tg_ble_key_parse(const char *text, size_t len, const struct tg_ble_crypto *crypto,
                      struct tg_ble_key *ret_key);

/* --- readings ------------------------------------------------------------------------------------ */

struct tg_ble_reading {
    char name[TG_BLE_READING_BYTES];
    const char *unit;      /* static storage; "" when there is none */
    uint32_t quality;      /* enum tg_quality: TG_QUALITY_GOOD or TG_QUALITY_SENSOR */
    uint16_t object;       /* the format's own number for it; 0 when it has none */
    struct tg_value value; /* a text points into the readings */
};

enum tg_ble_stop {
    TG_BLE_WHOLE,          /* everything was understood */
    TG_BLE_STOP_TRUNCATED, /* "truncated": the last object is cut */
    TG_BLE_STOP_OBJECT,    /* "unknown object": stop_object, whose length is not known */
    TG_BLE_STOP_FULL       /* "too many": more than TG_BLE_MAX_READINGS or TG_BLE_TEXT_BYTES */
};

struct tg_ble_readings {
    enum tg_ble_format format;
    char model[TG_BLE_MODEL_BYTES]; /* "H5075", "RuuviTag", "LYWSD03MMC", "TLM"; "" when not known */
    struct tg_ble_reading items[TG_BLE_MAX_READINGS];
    uint32_t count;
    enum tg_ble_stop stopped; /* what came before it is in items */
    uint32_t stop_object;
    uint32_t version;     /* of the format: BTHome 2, Ruuvi 3 or 5, MiBeacon 2 to 5; 0: it has none */
    uint32_t product;     /* MiBeacon's product id; 0: none */
    bool encrypted;       /* it came encrypted and was decrypted */
    bool authentic;       /* its tag was checked: somebody who has the key sent it */
    bool event;           /* sent when something happened, not at an interval (BTHome) */
    bool has_address;     /* the frame says the sender's address itself … */
    uint8_t address[6];   /* … most significant first */
    bool has_counter;     /* a packet counter, sequence number or the like */
    uint32_t counter;     /* for encrypted frames the one that must rise */
    uint8_t counter_bits; /* 8, 16 or 32: where it begins again */
    uint32_t text_len;
    char text[TG_BLE_TEXT_BYTES];
};

const char *tg_ble_stop_name(enum tg_ble_stop stop);

/* --- verdicts ------------------------------------------------------------------------------------ */

enum tg_ble_verdict {
    TG_BLE_OK,        /* readings are there */
    TG_BLE_DUPLICATE, /* "duplicate": heard before */
    TG_BLE_EMPTY, /* "no values": understood, and it measures nothing (a device that says that it is there) */
    TG_BLE_NOT_MINE,    /* "other format": nothing of the formats asked for */
    TG_BLE_MALFORMED,   /* "malformed": cut, too long, or impossible */
    TG_BLE_UNSUPPORTED, /* "unsupported": a version or an object that is not known */
    TG_BLE_NEEDS_KEY,   /* "key needed": encrypted, and there is no key or one of the other length */
    TG_BLE_WRONG_KEY,   /* "wrong key": the tag does not fit key, address and content */
    TG_BLE_REPLAYED,    /* "replayed": its counter has not risen */
    TG_BLE_PLAINTEXT,   /* "plaintext": not encrypted although there is a key: anybody may have sent it */
    TG_BLE_VERDICTS
};

/* "ok", "duplicate", …: for counters and JSON. And a sentence for people, without a full stop. */
const char *tg_ble_verdict_name(enum tg_ble_verdict verdict);
const char *tg_ble_verdict_text(enum tg_ble_verdict verdict);

/* --- the guard of a device ------------------------------------------------------------------------ */

#define TG_BLE_GUARD_FRAMES 4 /* a device may send several frames in turn */
#define TG_BLE_REPEAT_MS                                                                                     \
    2000 /* without a counter: the same frame within this is the same measurement, heard again */
#define TG_BLE_SAME_MS                                                                                       \
    300000 /* with one: the same frame is told again after this, so that the device is not silent */
#define TG_BLE_RESTART_BELOW                                                                                 \
    100 /* an encrypted counter that has fallen below this is a device with a new battery */
#define TG_BLE_SHORT_MEMORY_MS 600000 /* counters of 8 bits wrap: what was heard longer ago is no measure */

struct tg_ble_guard_frame {
    uint64_t hash; /* of format and content; 0: free */
    int64_t time_ms;
};

/* What was accepted of one device. All zero is a guard that has heard nothing; no fini. Kept in memory only: after a restart
 * the first frame of each device is believed. */
struct tg_ble_guard {
    struct tg_ble_guard_frame frames[TG_BLE_GUARD_FRAMES]; /* the oldest makes room */
    uint32_t counter;                                      /* the last accepted of an encrypted frame */
    int64_t counter_ms;
    bool has_counter;
    uint8_t counter_format;
};

/* --- decoding ------------------------------------------------------------------------------------- */

/* One advertisement. Of the formats in the mask, the first that the advertisement has decides; when its verdict is OK,
 * *ret_readings is filled, else nothing of it may be used but `format`, `version`, `product`, `encrypted` and `model`, as
 * far as they were known (format is TG_BLE_FORMATS when NOT_MINE).
 *   key    NULL: none
 *   guard  NULL: no repeats and replays are looked for. It changes only when OK is returned. */
enum tg_ble_verdict tg_ble_decode(uint32_t formats, const struct tg_ble_advert *advert,
                                  const struct tg_ble_key *key, struct tg_ble_guard *guard,
                                  struct tg_ble_readings *ret_readings);

/* What could decode this: for people who ask what is in the air. */
struct tg_ble_candidate {
    enum tg_ble_format format;
    enum tg_ble_verdict verdict; /* without key and guard: OK, EMPTY, NEEDS_KEY, MALFORMED or UNSUPPORTED */
    char model[TG_BLE_MODEL_BYTES];
};

/* Every format that recognises the advertisement, also when a key is missing. Returns how many. */
size_t tg_ble_recognise(const struct tg_ble_advert *advert,
                        struct tg_ble_candidate ret_candidates[TG_BLE_FORMATS]);

/* The names that a format may give, without repeats (_2 …) and rssi, as a list that ends with NULL; for BTHome all of its
 * objects. For `discover` and for a hint when a configured point has a name that never comes. */
const char *const *tg_ble_format_reading_names(enum tg_ble_format format);
/* A name that one of the formats in the mask may give, repeats (_2 …) and rssi included. */
bool tg_ble_reading_known(uint32_t formats, const char *name);

#endif
