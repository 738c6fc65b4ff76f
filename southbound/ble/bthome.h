/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bthome - the objects of BTHome version 2 (bthome.io/format). Pure, and inside the library.
 */
#ifndef TG_SOUTHBOUND_BTHOME_H
#define TG_SOUTHBOUND_BTHOME_H

#include <stddef.h>
#include <stdint.h>

enum tg_bthome_kind {
    TG_BTHOME_UNSIGNED,
    TG_BTHOME_SIGNED,
    TG_BTHOME_BOOL,
    TG_BTHOME_BUTTON,  /* a word: none, press, double_press … */
    TG_BTHOME_DIMMER,  /* steps, negative to the left */
    TG_BTHOME_TEXT,    /* a length byte, then UTF-8 */
    TG_BTHOME_RAW,     /* a length byte, then bytes: hexadecimal digits */
    TG_BTHOME_VERSION, /* "2.5.10", from the most significant byte down */
    TG_BTHOME_PACKET   /* the packet id: also a reading, and the frame's counter */
};

struct tg_bthome_object {
    uint8_t id, kind;
    uint8_t bytes;   /* of the value; 0: a length byte says it */
    int16_t factor;  /* raw × factor / divisor */
    int32_t divisor; /* with 1 and factor 1 the value is a whole number */
    const char *name, *unit;
};

/* NULL when the id is not known. */
const struct tg_bthome_object *tg_bthome_object(uint8_t id);

/* All names, each once, and NULL. */
extern const char *const tg_bthome_names[];

/* "press" for 1 …; NULL for a number that has no word. */
const char *tg_bthome_button(uint8_t event);

#endif
