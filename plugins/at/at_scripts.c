/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_scripts.h"

#include "core/base/assert.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const none_init[] = {NULL};
static const struct tg_at_urc none_urcs[] = {
    {"RDY", .reboot = true},
    {"+STARTUP", .reboot = true},
};

/* 3GPP TS 27.007: no echo, errors with their number; the rest is southbound/cellular.h. */
static const char *const cellular_init[] = {"ATE0", "AT+CMEE=1", NULL};
static const struct tg_at_urc cellular_urcs[] = {
    {"RDY", .reboot = true},      {"+STARTUP", .reboot = true}, {"^SYSSTART", .reboot = true},
    {"*PSUTTZ:", false, false},   {"+CBM:", .two_line = true},  {"+CDS:", .two_line = true},
    {"+CMT:", .two_line = true},  {"+CEREG:", false, false},    {"+CGEV:", false, false},
    {"+CGREG:", false, false},    {"+CIEV:", false, false},     {"+CLIP:", false, false},
    {"+CMTI:", false, false},     {"+CPIN:", false, false},     {"+CREG:", false, false},
    {"+CRING:", false, false},    {"+CTZE:", false, false},     {"+CTZV:", false, false},
    {"+CUSD:", false, false},     {"+PBREADY", false, false},   {"+QIND:", false, false},
    {"+UUPSDD:", false, false},   {"+UUSOCL:", false, false},   {"+UUSORD:", false, false},
    {"Call Ready", false, false}, {"CONNECT", false, false},    {"NO CARRIER", false, false},
    {"RING", false, false},       {"SMS DONE", false, false},   {"SMS Ready", false, false},
};

/* In the order of `enum value` in cellular_tell.c. */
const char *const tg_at_cellular_values[] = {"rssi",         "rscp",    "ecno",     "rsrq",     "rsrp",
                                             "registration", "roaming", "attached", "operator", "rat",
                                             "area",         "cell",    "sim",      NULL};

static const struct tg_at_builtin builtins[] = {
    {none_init, none_urcs, COUNT(none_urcs)},
    {cellular_init, cellular_urcs, COUNT(cellular_urcs)},
};
const char *const tg_at_script_names[] = {"none", "cellular", NULL};
_Static_assert(COUNT(tg_at_script_names) == COUNT(builtins) + 1, "each script has a name");

const struct tg_at_builtin *tg_at_script_builtin(int64_t index)
{
    TG_ASSERT(index >= 0 && (size_t)index < COUNT(builtins));
    return &builtins[index];
}

/* rssi = −113 + 2n dBm, 99 unknown; rsrq = −20 + n/2 dB, rsrp = −141 + n dBm, 255 unknown
 * (TS 27.007 8.5, 8.69). */
const struct tg_profile tg_at_profiles[] = {
    {"cellular", "Signal, registration and operator of a cellular modem (3GPP TS 27.007).",
     "points:\n"
     "  - {name: rssi, command: AT+CSQ, match: '^\\+CSQ: (\\d+),\\d+$', null: ['99'], type: int,\n"
     "     scale: 2, offset: -113, unit: dBm, every: 30s}\n"
     "  - {name: registration, command: 'AT+CEREG?', match: '^\\+CEREG: \\d,(\\d+)',\n"
     "     urc: '^\\+CEREG: (\\d+)(?:,\"|$)', type: int, every: 60s}\n"
     "  - {name: operator, command: 'AT+COPS?', match: '^\\+COPS: \\d,\\d,\"([^\"]*)\"', type: text, every: "
     "5m}\n"},
    {"cellular-lte", "Reference signal quality and power of an LTE modem (AT+CESQ).",
     "points:\n"
     "  - {name: rsrq, command: AT+CESQ, match: '^\\+CESQ: (?:\\d+,){4}(\\d+),\\d+$', null: ['255'], type: "
     "int,\n"
     "     scale: 0.5, offset: -20, unit: dB, every: 30s}\n"
     "  - {name: rsrp, command: AT+CESQ, match: '^\\+CESQ: (?:\\d+,){5}(\\d+)$', null: ['255'], type: int,\n"
     "     scale: 1, offset: -141, unit: dBm, every: 30s}\n"},
    {"modem",
     "All that `script: cellular` knows of a cellular modem: signal, registration, operator, cell, SIM.",
     "points:\n"
     "  - {name: rssi, cellular: rssi, unit: dBm, every: 30s}\n"
     "  - {name: rsrp, cellular: rsrp, unit: dBm, every: 30s}\n"
     "  - {name: rsrq, cellular: rsrq, unit: dB, every: 30s}\n"
     "  - {name: registration, cellular: registration, every: 5m}\n"
     "  - {name: roaming, cellular: roaming, every: 5m}\n"
     "  - {name: attached, cellular: attached, every: 5m}\n"
     "  - {name: operator, cellular: operator, every: 15m}\n"
     "  - {name: rat, cellular: rat, every: 15m}\n"
     "  - {name: area, cellular: area, every: 15m}\n"
     "  - {name: cell, cellular: cell, every: 15m}\n"
     "  - {name: sim, cellular: sim, every: 15m}\n"},
    {0},
};
