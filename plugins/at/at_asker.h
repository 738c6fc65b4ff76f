/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_asker - asks the device on a port who it is; blocks, for command lines.
 */
#ifndef TG_PLUGINS_AT_ASKER_H
#define TG_PLUGINS_AT_ASKER_H

#include <tidegate/plugin.h>

#include "southbound/at_baud.h"
#include "southbound/at_chat.h"

#define AT_ANSWER_BYTES 200

enum at_kind {
    AT_KIND_UNOPENED, /* `error` says why */
    AT_KIND_SILENT,   /* no answer at any rate */
    AT_KIND_GENERIC,  /* answers AT */
    AT_KIND_MODEM,    /* knows +CREG */
    AT_KIND_UCX       /* a u-connectXpress module */
};
extern const char *const at_kind_names[]; /* "unopened", "silent" … */

struct at_identity {
    enum at_kind kind;
    int64_t baud;
    /* Printable ASCII without quotes; "" = not told. */
    char information[AT_ANSWER_BYTES], maker[AT_ANSWER_BYTES], model[AT_ANSWER_BYTES],
        firmware[AT_ANSWER_BYTES], serial[AT_ANSWER_BYTES];
    char sim[AT_ANSWER_BYTES]; /* the answer to AT+CPIN?, its name cut off */
    char error[400];
};

/* Claims the port, searches the rate, asks and closes. Looks at request->stopping() and tells its progress. */
void at_ask_port(const struct tg_discover *request, const char *path, const int64_t *rates,
                 uint32_t rate_count, struct at_identity *ret);

#endif
