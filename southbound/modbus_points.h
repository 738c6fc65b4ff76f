/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_points - where a Modbus value lives and what its words mean.
 *
 * ADDRESS SYNTAX
 *     table ":" number [ "." bit [ "-" bit ] ]    coil:0   discrete:5   input:0   holding:100   holding:10.3
 *     traditional [ "." bit [ "-" bit ] ]         40001   400001   30001.5   10001   00001
 *   With a table the number is an address, decimal or 0x…: of the protocol, 0 to 65535, as it stands in the
 *   request; with base 1 (manuals that count from 1) one more, 1 to 65536. A traditional number has five or six
 *   digits, of which the first is the table (0 coil, 1 discrete, 3 input, 4 holding) and the others count from
 *   1: 40001 and 400001 are both holding:0. What can be read in two ways is refused, with both readings:
 *   holding:40001 unless the base is stated; 40001 with base 0.
 *   A bit, 0 (least significant) to 15, makes the point a bool; LOW-HIGH makes it an unsigned field.
 *
 * TYPES
 *     bool                       a coil, a discrete input, a register that is not 0, or one bit of a register
 *     int16 uint16 bcd16         one register
 *     int8 uint8                 half a register (`half`: high or low)
 *     int32 uint32 float32 bcd32 two registers
 *     int64 uint64 float64       four registers
 *     int16+sf uint16+sf         SunSpec: a register and, right behind it, its power-of-ten exponent
 *     string                     `length` characters, packed as `packing` says
 *
 *   Word order: ABCD is big endian; CDAB has its words reversed; BADC has the bytes of each word swapped;
 *   DCBA both. The same rule holds over four words. Names of eight letters say it for 64 bits, in all orders that
 *   swapping bytes, words and halves makes; for 32 bits they mean what their first half does. Bits, fields and halves take the register as it is.
 *
 * Shifting is done here, on words, never through a library's float helpers, and 64-bit integers never pass
 * through a double. Values are raw: scale and offset are the host's.
 *
 * Pure: no I/O, no clock, no allocation. Any thread. Input is hostile: every function checks its bounds.
 */
#ifndef TG_SOUTHBOUND_MODBUS_POINTS_H
#define TG_SOUTHBOUND_MODBUS_POINTS_H

#include <tidegate/plugin.h>

#include "core/base/error.h"

/* In the order in which requests are made (alphabetical). */
enum tg_modbus_table {
    TG_MODBUS_COIL = 0,
    TG_MODBUS_DISCRETE = 1,
    TG_MODBUS_HOLDING = 2,
    TG_MODBUS_INPUT = 3
};

enum tg_modbus_type {
    TG_MODBUS_BOOL,
    TG_MODBUS_INT8,
    TG_MODBUS_UINT8,
    TG_MODBUS_INT16,
    TG_MODBUS_UINT16,
    TG_MODBUS_INT32,
    TG_MODBUS_UINT32,
    TG_MODBUS_INT64,
    TG_MODBUS_UINT64,
    TG_MODBUS_FLOAT32,
    TG_MODBUS_FLOAT64,
    TG_MODBUS_BCD16,
    TG_MODBUS_BCD32,
    TG_MODBUS_INT16_SF,
    TG_MODBUS_UINT16_SF,
    TG_MODBUS_STRING
};

enum tg_modbus_order {
    TG_MODBUS_ABCD,
    TG_MODBUS_CDAB,
    TG_MODBUS_BADC,
    TG_MODBUS_DCBA,
    TG_MODBUS_ABCDEFGH, /* the first four once more, by their 64-bit names */
    TG_MODBUS_GHEFCDAB,
    TG_MODBUS_BADCFEHG,
    TG_MODBUS_HGFEDCBA,
    TG_MODBUS_CDABGHEF,
    TG_MODBUS_EFGHABCD,
    TG_MODBUS_DCBAHGFE,
    TG_MODBUS_FEHGBADC,
    TG_MODBUS_ORDERS
};
enum tg_modbus_packing {                       /* of characters in registers */
                         TG_MODBUS_HIGH_FIRST, /* two a register, high byte first */
                         TG_MODBUS_LOW_FIRST,
                         TG_MODBUS_ONE_LOW, /* one a register, in the low byte */
                         TG_MODBUS_ONE_HIGH
};
enum tg_modbus_half { TG_MODBUS_HALF_LOW, TG_MODBUS_HALF_HIGH };
enum tg_modbus_encoding { TG_MODBUS_UTF8, TG_MODBUS_LATIN1 };

#define TG_MODBUS_MAX_SENTINELS  4
#define TG_MODBUS_MAX_CHARACTERS 250 /* two a register in 125 registers, the most that one read carries */
#define TG_MODBUS_TEXT_BYTES     500 /* each character at most two bytes of UTF-8 */

/* Names for option tables, NULL-terminated, in the order of the enums. */
extern const char *const tg_modbus_table_names[];
extern const char *const tg_modbus_type_names[];
extern const char *const tg_modbus_order_names[];
extern const char *const tg_modbus_packing_names[];
extern const char *const tg_modbus_half_names[];
extern const char *const tg_modbus_encoding_names[];

struct tg_modbus_point {
    uint8_t table, type, order, packing, half, encoding; /* the enums above */
    int8_t bit;                                          /* 0 to 15, or -1; of a field the lowest */
    uint8_t bits;                                        /* width of a field, 2 to 16; else 0 */
    uint8_t sentinel_count;
    uint16_t address;
    uint16_t length; /* characters of a string */
    uint16_t count;  /* registers or bits to read; set by tg_modbus_point_finish */
    uint64_t sentinels[TG_MODBUS_MAX_SENTINELS]; /* raw patterns that mean "no value" */
};

/* A zeroed point without a bit. */
void tg_modbus_point_init(struct tg_modbus_point *p);
/* Sets table, address, bit and bits. base: from where addresses count, 0 or 1, or -1 when nobody has said (then
 * 0). TG_EINVAL with what is allowed. */
int tg_modbus_point_address(struct tg_modbus_point *p, const char *text, int base,
                            struct tg_error *err) TG_CHECKED;
/* Adds a sentinel written as hexadecimal digits ("8000", "0xFFFFFFFF"). TG_EINVAL, TG_EFULL. */
int tg_modbus_point_sentinel(struct tg_modbus_point *p, const char *hex, struct tg_error *err) TG_CHECKED;
/* Checks table against type and fills `count`. ret_field (may be NULL) gets the name of the field at fault.
 */
int tg_modbus_point_finish(struct tg_modbus_point *p, const char **ret_field,
                           struct tg_error *err) TG_CHECKED;

/* Index of `word` in a NULL-terminated list of names (letter case ignored), or -1. */
int tg_modbus_name_index(const char *const *names, const char *word);

/* --- words to values ------------------------------------------------------------------------- */

enum tg_modbus_reading {
    TG_MODBUS_READING_GOOD,
    TG_MODBUS_READING_NULL,     /* a sentinel, or a scale factor that is not implemented */
    TG_MODBUS_READING_NAN,      /* NaN or infinity */
    TG_MODBUS_READING_NOT_UTF8, /* the text has bytes that are not UTF-8: perhaps encoding latin1 */
    TG_MODBUS_READING_NOT_BCD   /* a digit above 9 */
};

/* "good", "null", "nan", "not_utf8", "not_bcd". */
const char *tg_modbus_reading_name(enum tg_modbus_reading r);
/* The quality to emit: null is SENSOR, nan and not_bcd are RANGE, not_utf8 is CONFIG. */
enum tg_quality tg_modbus_reading_quality(enum tg_modbus_reading r);

/* Decodes p->count words as read, in ascending address order (for coils and discrete inputs each word is 0
 * or 1). Fills *ret_value (TG_VALUE_NONE unless good); a text lives in `text`, which the caller lends. */
enum tg_modbus_reading tg_modbus_point_decode(const struct tg_modbus_point *p, const uint16_t *words,
                                              char text[TG_MODBUS_TEXT_BYTES], struct tg_value *ret_value);

/* --- values to words ------------------------------------------------------------------------- */

enum tg_modbus_write_kind {
    TG_MODBUS_WRITE_COIL = 1,  /* words[0] is 0 or 1; FC5, or FC15 when asked for */
    TG_MODBUS_WRITE_WORDS = 2, /* count words; FC6 for one, FC16 for more */
    TG_MODBUS_WRITE_MASK = 3   /* FC22, or read, change, write: new = (old & and_mask) | or_mask */
};

struct tg_modbus_write {
    uint8_t kind;
    uint16_t count, and_mask, or_mask;
    uint16_t words[125];
};

/* What must be written so that the point reads as `value` (raw, unscaled). A real is taken by integer types when it
 * is whole but for what a unit conversion leaves (1e-6 of a step), never rounded otherwise. TG_ERANGE when it does not
 * fit the type, with the type's range in the text; TG_EINVAL for a value of the wrong kind or with a fraction;
 * TG_EUNSUPPORTED for a table or type that cannot be written. */
int tg_modbus_point_encode(const struct tg_modbus_point *p, const struct tg_value *value,
                           struct tg_modbus_write *ret_write, struct tg_error *err) TG_CHECKED;

/* --- scale ------------------------------------------------------------------------------------ */

/* value × scale + offset, as a real; a number stays what it is when scale is 1 and offset 0. For `decode`
 * and tests: readings on their way to a cloud are scaled by the host. */
struct tg_value tg_modbus_scale(struct tg_value v, double scale, double offset);
/* (value − offset) / scale; scale must not be 0. */
struct tg_value tg_modbus_unscale(struct tg_value v, double scale, double offset);

#endif
