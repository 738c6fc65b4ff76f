/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ucx_address - the address of a carried connection (tidegate/plugin.h, carry_open) taken apart into what the module's commands
 * are made of (ucx_mqtt.h). Pure.
 *
 *     mqtt://HOST:PORT/?client=…&user=…&passwd=…&pt=…&st=…&keepAlive=60&ca=…&cert=…&privKey=…&confirm=echo&settle=5000
 *
 * The names are those of the module's own URL (application note UBX-19010078); confirm and settle are not for the module. Values are
 * percent-encoded (RFC 3986); an empty one counts as absent. Each name at most once, in any order; pt is required, st with
 * confirm=echo. The texts hold the password: wipe the struct.
 */
#ifndef TG_SOUTHBOUND_UCX_ADDRESS_H
#define TG_SOUTHBOUND_UCX_ADDRESS_H

#include "southbound/ucx_mqtt.h"

#define TG_UCX_ADDRESS_MAX_BYTES 4096

struct tg_ucx_address {
    struct tg_ucx_mqtt mqtt; /* points into `text` */
    bool echo;               /* confirm=echo; else settle */
    int64_t settle_ms;
    char text[TG_UCX_ADDRESS_MAX_BYTES];
};

/* TG_EINVAL, TG_ETOOBIG; `ret_what` (static storage) says what is wrong, without any value. */
int tg_ucx_address_parse(struct tg_bytes address, struct tg_ucx_address *ret_address,
                         const char **ret_what) TG_CHECKED;

#endif
