/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_discover - `tidegate discover at`: which serial ports there are and, where the user wants it, what is behind them.
 *
 * Without arguments ports are listed and none is opened. A port that is named, or all with --probe, is claimed, set to each rate in
 * turn until AT is answered, and asked who it is. Only questions are sent: nothing is set on the device, not even its echo.
 */
#ifndef TG_PLUGINS_AT_DISCOVER_H
#define TG_PLUGINS_AT_DISCOVER_H

#include <tidegate/plugin.h>

/* `struct tg_plugin`.discover. */
int tg_at_discover(const struct tg_discover *request);

#endif
