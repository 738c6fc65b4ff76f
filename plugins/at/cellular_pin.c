/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/cellular_pin.h"

#include <stdio.h>
#include <string.h>

#define TRIES_FRESH 3

void at_pin_note_read(const char *text, struct at_pin_note *ret)
{
    struct at_pin_note n = {0};
    char outcome;
    unsigned accepted;
    memset(ret, 0, sizeof *ret);
    if (sscanf(text, "1 %32[0-9a-f] %c %1u %9u %9u", n.print, &outcome, &accepted, &n.doubts, &n.refused) !=
            5 ||
        strlen(n.print) != AT_PIN_PRINT_BYTES - 1 ||
        (outcome != AT_PIN_ACCEPTED && outcome != AT_PIN_REFUSED && outcome != AT_PIN_TRYING))
        return;
    n.outcome = outcome == AT_PIN_ACCEPTED  ? AT_PIN_ACCEPTED
                : outcome == AT_PIN_REFUSED ? AT_PIN_REFUSED
                                            : AT_PIN_TRYING;
    n.was_accepted = accepted != 0;
    *ret = n;
}

void at_pin_note_write(const struct at_pin_note *n, char ret_text[AT_PIN_NOTE_BYTES])
{
    snprintf(ret_text, AT_PIN_NOTE_BYTES, "1 %s %c %d %u %u", n->print, (char)n->outcome, n->was_accepted,
             n->doubts % 1000, n->refused % 1000);
}

static const char *decide_known(int32_t tries, bool same, const struct at_pin_note *n, bool by_person)
{
    if (tries >= TRIES_FRESH) /* nothing was refused since one was last accepted, wherever that was */
        return same && n->outcome == AT_PIN_REFUSED && !by_person
                   ? "this PIN was refused by this SIM and is not tried again: put the right one into "
                     "pin_file"
                   : NULL;
    if (same && n->outcome != AT_PIN_ACCEPTED)
        return "this PIN was refused by this SIM and is not tried again: put the right one into pin_file";
    if (n->refused > 0 || by_person)
        return NULL;
    return "one of the SIM's three tries has been used, and not by this gateway: is the PIN in pin_file "
           "right? Then `tidegate send "
           "DEVICE enter_pin` enters it once";
}

static const char *decide_unknown(bool same, const struct at_pin_note *n, bool by_person)
{
    if (same && n->outcome == AT_PIN_REFUSED)
        return "this PIN was refused by this SIM and is not tried again: put the right one into pin_file";
    if (n->refused >= 2)
        return "two PINs were refused and the third try is the last: enter the right one in a phone, then it "
               "is taken here";
    if (same && n->outcome == AT_PIN_TRYING && n->doubts > (n->was_accepted ? 1u : 0u) && !by_person)
        return "this PIN was entered once and its outcome is not known (the power went, or the modem did not "
               "answer), nor how many "
               "tries are left: if it is right, `tidegate send DEVICE enter_pin` enters it once more";
    return NULL;
}

const char *at_pin_decide(const struct at_pin_note *n, const char *print, int32_t tries, bool by_person)
{
    bool same = n->print[0] && strcmp(n->print, print) == 0;
    if (tries == 0)
        return "no try is left";
    if (tries == 1)
        return "one try is left before the SIM is locked, and it is not used here: enter the right PIN in a "
               "phone, which makes them "
               "three again";
    return tries > 1 ? decide_known(tries, same, n, by_person) : decide_unknown(same, n, by_person);
}

void at_pin_trying(struct at_pin_note *n, const char *print)
{
    bool same = strcmp(n->print, print) == 0;
    n->was_accepted = same && (n->outcome == AT_PIN_ACCEPTED || n->was_accepted);
    n->doubts = same && n->outcome == AT_PIN_TRYING ? n->doubts + 1 : 1;
    n->outcome = AT_PIN_TRYING;
    snprintf(n->print, sizeof n->print, "%s", print);
}

void at_pin_done(struct at_pin_note *n, bool accepted)
{
    n->outcome = accepted ? AT_PIN_ACCEPTED : AT_PIN_REFUSED;
    n->refused = accepted ? 0 : n->refused + 1;
    n->was_accepted = accepted;
    n->doubts = 0;
}
