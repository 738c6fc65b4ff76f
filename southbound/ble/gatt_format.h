/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gatt_format - what the bytes of a characteristic mean, as one short text.
 *
 *     TYPE[le|be] [@BYTE] [.BIT] [*FACTOR | /DIVISOR] [+OFFSET | -OFFSET] [?RAW]…
 *
 *     s16*0.01?8000           a signed 16-bit number in hundredths, 8000 means "no value"
 *     u8@1.3                  bit 3 of the second byte, a bool
 *     u16be@2/10-40           big endian, from the third byte; divided by ten, then less 40
 *
 *   TYPE    bool u8 s8 u16 s16 u24 s24 u32 s32 u48 u64 s64   integers, little endian unless `be`
 *           f32 f64                IEEE 754
 *           sfloat float           IEEE 11073, 16 and 32 bits, as health devices have; their NaN means "no value"
 *           utf8                   text; ends at its first NUL
 *           hex                    all bytes as hexadecimal digits
 *           temperature_measurement               2A1C in degrees Celsius, whatever unit the device sends
 *           heart_rate, heart_rate.contact, heart_rate.energy, heart_rate.rr   of 2A37; rr is the last interval in seconds
 *   BYTE    where it begins, 0 the first. More bytes than needed may follow, fewer are an error.
 *   FACTOR  decimal, kept as such: 2314*0.01 is 23.14, not 23.140000000000001. Without factor and offset an integer
 *           stays an integer.
 *   RAW     hexadecimal digits of the number as sent (8000 is 0x8000); up to four.
 *
 * Writing undoes factor and offset, rounds to the nearest integer and refuses what does not fit. Types with @, .BIT, sfloat, float and the
 * composed ones can only be read.
 *
 * Pure: no I/O, no clock, no allocation. Any thread. Values are hostile.
 */
#ifndef TG_SOUTHBOUND_BLE_GATT_FORMAT_H
#define TG_SOUTHBOUND_BLE_GATT_FORMAT_H

#include <tidegate/plugin.h>

#include "core/base/bytes.h"

#define TG_GATT_MAX_SENTINELS 4
#define TG_GATT_TEXT_BYTES    TG_TEXT_MAX_BYTES /* 512 bytes as hexadecimal */

enum tg_gatt_type {
    TG_GATT_BOOL,
    TG_GATT_UNSIGNED, /* `bytes` says how many */
    TG_GATT_SIGNED,
    TG_GATT_REAL,    /* 4 or 8 bytes */
    TG_GATT_MEDICAL, /* IEEE 11073, 2 or 4 bytes */
    TG_GATT_UTF8,
    TG_GATT_HEX,
    TG_GATT_THERMOMETER,
    TG_GATT_HEART_RATE,
    TG_GATT_HEART_CONTACT,
    TG_GATT_HEART_ENERGY,
    TG_GATT_HEART_RR
};

/* mantissa / 10^decimals */
struct tg_gatt_decimal {
    int64_t mantissa;
    uint8_t decimals; /* 0 to 15 */
};

struct tg_gatt_format {
    uint8_t type;  /* enum tg_gatt_type */
    uint8_t bytes; /* of a number */
    bool big_endian, divides, has_offset, has_factor;
    int8_t bit; /* 0 to 63, or -1 */
    uint8_t sentinel_count;
    uint16_t at;
    struct tg_gatt_decimal factor, offset;
    uint64_t sentinels[TG_GATT_MAX_SENTINELS];
};

/* TG_EINVAL with what is allowed. */
int tg_gatt_format_parse(struct tg_bytes text, struct tg_gatt_format *ret, struct tg_error *err) TG_CHECKED;

enum tg_gatt_reading {
    TG_GATT_READING_GOOD,
    TG_GATT_READING_NULL,    /* a sentinel, the NaN of IEEE 11073, a field that is not in the value */
    TG_GATT_READING_SHORT,   /* fewer bytes than the format needs */
    TG_GATT_READING_RANGE,   /* NaN or infinity */
    TG_GATT_READING_NOT_UTF8 /* or longer than a text may be */
};

/* "good", "null", "short", "range", "not_utf8". */
const char *tg_gatt_reading_name(enum tg_gatt_reading r);
/* NULL is SENSOR, RANGE is RANGE, SHORT and NOT_UTF8 are CONFIG. */
enum tg_quality tg_gatt_reading_quality(enum tg_gatt_reading r);

/* Fills *ret_value (TG_VALUE_NONE unless good); a text lives in `text`, which the caller lends, or in `bytes`. */
enum tg_gatt_reading tg_gatt_decode(const struct tg_gatt_format *f, struct tg_bytes bytes,
                                    char text[TG_GATT_TEXT_BYTES], struct tg_value *ret_value);

bool tg_gatt_format_writable(const struct tg_gatt_format *f);
/* The number of bytes written into ret_bytes (at most 512). TG_ERANGE: it does not fit; TG_EINVAL: a value of the wrong kind, or with
 * a fraction beyond what factor and offset leave, for a format of whole numbers;
 * TG_EUNSUPPORTED: such a format cannot be written. */
int tg_gatt_encode(const struct tg_gatt_format *f, const struct tg_value *value, uint8_t ret_bytes[512],
                   struct tg_error *err) TG_CHECKED;

/* --- composed characteristics ------------------------------------------------------------------- */

#define TG_GATT_MAX_RR 9 /* in an MTU of 23 */

/* 2A37 (GATT Specification Supplement, Heart Rate Measurement). */
struct tg_gatt_heart_rate {
    uint16_t bpm;
    int8_t contact; /* 0 no, 1 yes, -1 the device cannot tell */
    bool has_energy;
    uint16_t energy_kj;
    uint8_t rr_count;
    uint16_t rr_1024[TG_GATT_MAX_RR]; /* in 1/1024 s */
};
/* TG_EPROTO when it is shorter than its flags say. */
int tg_gatt_heart_rate(struct tg_bytes bytes, struct tg_gatt_heart_rate *ret) TG_CHECKED;

/* 2A1C (Temperature Measurement). */
struct tg_gatt_thermometer {
    bool fahrenheit, has_value, has_time;
    double value; /* in the unit sent */
    uint16_t year;
    uint8_t month, day, hour, minute, second;
};
int tg_gatt_thermometer(struct tg_bytes bytes, struct tg_gatt_thermometer *ret) TG_CHECKED;

#endif
