/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_ports - which serial ports there are, without opening one. A port that has a name under serial/by-id, which survives replugging,
 * is listed by it; ttyS* only when the kernel found a chip behind them.
 */
#ifndef TG_PLUGINS_AT_PORTS_H
#define TG_PLUGINS_AT_PORTS_H

#include <stddef.h>
#include <stdint.h>

#define AT_PORTS_MAX       32
#define AT_PORT_PATH_BYTES 256

struct at_port {
    char path[AT_PORT_PATH_BYTES];
    char device[64]; /* "ttyUSB0" */
};

/* dev: normally "/dev", sys: normally "/sys/class/tty". How many; further ones are left out. */
uint32_t at_ports_list(const char *dev, const char *sys, struct at_port ret_ports[AT_PORTS_MAX]);

#endif
