/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cellular_pin - whether a PIN may be entered, and what is remembered about it. Three wrong ones lock a SIM, and a site is far away, so:
 *
 *   - What is about to be tried is on disk before it is tried; a PIN that was refused is not tried again, after a restart neither.
 *   - The last try belongs to a person: with one left nothing is entered, whoever asks.
 *   - With two left nothing is entered, unless the missing one is known to be another PIN from this file, or a person asks (enter_pin).
 *   - A PIN whose outcome is not known (power went) counts as refused, unless the modem says that three tries are left, or it was
 *     accepted before; that once.
 *
 * What is remembered of a PIN is a keyed hash with the SIM's number in it (docs/adr/0029-cellular.md says what that is worth). Pure, but for
 * nothing; no secret in it.
 */
#ifndef TG_PLUGINS_AT_CELLULAR_PIN_H
#define TG_PLUGINS_AT_CELLULAR_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AT_PIN_PRINT_BYTES 33 /* 32 hex digits */
#define AT_PIN_NOTE_BYTES  64

struct at_pin_note {
    char print[AT_PIN_PRINT_BYTES]; /* of the PIN that was tried last; "" = none was ever */
    enum { AT_PIN_ACCEPTED = 'a', AT_PIN_REFUSED = 'r', AT_PIN_TRYING = 't' } outcome;
    bool was_accepted; /* this same PIN, before it was tried last */
    uint32_t doubts;   /* tries of it without a known outcome */
    uint32_t refused;  /* PINs refused since one was accepted */
};

/* "" and what is malformed give an empty note. */
void at_pin_note_read(const char *text, struct at_pin_note *ret);
void at_pin_note_write(const struct at_pin_note *n, char ret_text[AT_PIN_NOTE_BYTES]);

/* NULL: enter it; else why not, for people. tries: left, negative = the modem does not tell. by_person: somebody asks for it. */
const char *at_pin_decide(const struct at_pin_note *n, const char *print, int32_t tries, bool by_person);
/* The note as it must be on disk before the PIN is entered, and after its outcome. */
void at_pin_trying(struct at_pin_note *n, const char *print);
void at_pin_done(struct at_pin_note *n, bool accepted);

#endif
