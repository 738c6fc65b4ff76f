/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * move - the backlog of one box goes on to another: out of an outbox into a file (store/backlog_file.h), and out of that into
 * another outbox, under the same numbers. Synchronous, like the outbox.
 *
 * NUMBERS   (device, seq) stays what it was: what a consumer has seen of the first box and gets again from the second is the same
 * sample. The second box goes on above the highest number that the first may have given, and takes no backlog for a device of
 * which it has given numbers itself that are among those of the file.
 */
#ifndef TG_STORE_MOVE_H
#define TG_STORE_MOVE_H

#include <stdio.h>

#include "store/outbox.h"

struct tg_move_sum {
    char gateway[TG_NAME_MAX_BYTES + 1]; /* as the file names it */
    int64_t exported_ms;
    uint32_t devices, cursors;
    uint64_t rows;
    uint64_t waiting_for_clock; /* of them, those whose time is not known yet */
    uint64_t leap;              /* numbers that each device goes on further, since they may have been given */
    bool done_before;           /* import: this very file is in the outbox already; nothing was done */
};

struct tg_move_out {
    const char *gateway; /* for the file */
    const char *device;  /* NULL = all */
    bool running;        /* a gateway has the outbox open: its memory may be ahead of the disk */
    FILE *to;
};
/* Writes what some cloud still waits for, as of one moment, also beside a running gateway. The outbox is open for reading.
 * TG_ENOTFOUND: no such device. TG_EINVAL: a name that no file can have. TG_EIO: `to` could not be written. TG_ENOSPACE: the same, or the disk of the outbox has become full meanwhile: who reads
 * on would keep the gateway from storing. */
int tg_outbox_export(struct tg_outbox *ob, const struct tg_move_out *out, struct tg_move_sum *ret_sum,
                     struct tg_error *err) TG_CHECKED;

/* Who uses the outbox in this folder: TG_EBUSY, with a text, when somebody does. */
int tg_outbox_in_use(const char *dir, struct tg_error *err) TG_CHECKED;

struct tg_move_in {
    FILE *from;       /* can be read twice: a regular file */
    const char *name; /* of it, for messages */
    bool dry;         /* only looks */
    /* Each device, with how many rows of it; may be NULL. */
    void (*each)(void *user, const char *device, uint64_t rows);
    void *user;
};
/* Checks the whole file, then takes it in: all of it in one transaction, so that nobody ever finds a part. `ob` NULL, with `dry`: an
 * outbox that does not exist yet. Close the outbox afterwards, whatever the outcome.
 * TG_ECORRUPT: the file is cut, changed, or no such file. TG_EVERSION: of a newer program. TG_EEXIST: a device has numbers of its own
 * among these, or samples that wait; `err` names it. TG_ENOSPACE. */
int tg_outbox_import(struct tg_outbox *ob, const struct tg_move_in *in, struct tg_move_sum *ret_sum,
                     struct tg_error *err) TG_CHECKED;

#endif
