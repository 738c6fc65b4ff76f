/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_scan - asks unit ids whether they are there, on one link, reading only.
 *
 * One read of one register decides (function 3; a refusal is an answer too, except a gateway's 10 and 11). Only a
 * unit that answers is asked more: function 4, its identification (43/14, else 17), and for SunSpec's marker at
 * 40000, 50000 and 0. Nothing is ever written, and no unit is asked twice for what it did not answer.
 *
 * Blocking; request->stopping() is asked five times a second.
 */
#ifndef TG_PLUGINS_MODBUS_SCAN_H
#define TG_PLUGINS_MODBUS_SCAN_H

#include <tidegate/plugin.h>

#include "plugins/modbus/modbus_link.h"

#define TG_MODBUS_SCAN_UNITS 256

struct tg_modbus_found {
    uint8_t unit;
    bool holding, input; /* register 0 of these can be read */
    int32_t sunspec;     /* address of the marker, or -1 */
    struct tg_modbus_identity identity;
};

struct tg_modbus_scan {
    const struct tg_discover *request;
    struct tg_modbus_link_config config;
    bool wanted[TG_MODBUS_SCAN_UNITS];
    int64_t timeout_ms;
    uint32_t asked, damaged; /* units asked; answers that came damaged */
    uint32_t count;
    struct tg_modbus_found found[TG_MODBUS_SCAN_UNITS];
};

/* Asks every wanted unit, with a note now and then. 0 with scan->found filled, also when it was stopped; else a
 * negative error whose text names the port or host and what to do. */
int tg_modbus_scan_run(struct tg_modbus_scan *scan, struct tg_error *err) TG_CHECKED;

/* One printf-style note. */
void tg_modbus_scan_note(const struct tg_discover *request, const char *fmt, ...) TG_PRINTF(2, 3);

#endif
