/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * backlog_file - the file in which a backlog goes from one box to another (docs/disk-format.md, "A backlog on its way"): the grammar
 * of its lines. Pure: no I/O, no clock, no allocation.
 *
 * JSON Lines of printable ASCII: each line is an array of a word, numbers and texts; texts have no escapes.
 *
 *     ["tidegate-backlog",1,"GATEWAY",EXPORTED_MS]                        first; 1 is the version of the format
 *     ["device","NAME",LAST_SEQ]                                          numbered from 0
 *     ["cloud",DEVICE,"NAME",ACKED_SEQ,[gap: FIRST,LAST,COUNT,REASONS],TELL_SEQ,[the same of what it tells]]
 *     ["ahead",CURSOR,FIRST,LAST]                                         CURSOR: clouds numbered from 0 over all devices
 *     ["row",DEVICE,SEQ,TIME_MS,PRIORITY,"BODY"]                          in the order they were stored; base64
 *     ["end",ROWS,"SHA256"]                                               last; of all bytes before this line
 *
 * All kinds come in this order. What the grammar cannot say (that numbers rise, that a device exists) is for the reader's
 * owner to check.
 */
#ifndef TG_STORE_BACKLOG_FILE_H
#define TG_STORE_BACKLOG_FILE_H

#include "core/base/gap.h"

#define TG_BACKLOG_VERSION     1
#define TG_BACKLOG_TEXT_MAX    TG_NAME_MAX_BYTES
#define TG_BACKLOG_DIGEST_SIZE 64 /* hex */
/* A body of TG_SAMPLE_MAX_BYTES in base64 and some numbers. */
#define TG_BACKLOG_LINE_MAX (TG_SAMPLE_MAX_BYTES / 3 * 4 + 512)

enum tg_backlog_kind {
    TG_BACKLOG_HEAD = 0,
    TG_BACKLOG_DEVICE,
    TG_BACKLOG_CLOUD,
    TG_BACKLOG_AHEAD,
    TG_BACKLOG_ROW,
    TG_BACKLOG_END
};

/* One line. Which members count, the grammar above says; the others are 0. */
struct tg_backlog_line {
    enum tg_backlog_kind kind;
    uint32_t version; /* HEAD */
    uint32_t index;   /* the device of CLOUD and ROW, the cursor of AHEAD */
    /* The name of the gateway, device or cloud, or the digest: a view into the line. */
    struct tg_bytes text;
    uint64_t first, last;    /* AHEAD */
    uint64_t seq;            /* LAST_SEQ, ACKED_SEQ, SEQ, or the number of ROWS */
    int64_t time_ms;         /* HEAD, ROW */
    struct tg_gap gap, tell; /* CLOUD */
    uint64_t tell_seq;
    bool urgent;          /* ROW */
    struct tg_bytes body; /* ROW: in the memory that was lent */
};

/* Reads a line, without its line feed. `memory` (TG_SAMPLE_MAX_BYTES) takes the body of a ROW. TG_ECORRUPT: it is none; *ret_why (static)
 * says what is wrong with it. TG_EVERSION: a HEAD of a newer version. */
int tg_backlog_parse(struct tg_bytes line, uint8_t *memory, struct tg_backlog_line *ret_line,
                     const char **ret_why) TG_CHECKED;

/* Writes a line with its line feed: at most TG_BACKLOG_LINE_MAX bytes. What of a gateway's name cannot be in a text becomes `_`; other
 * texts are names already (tg_name_is_valid()). Errors show in w->failed. */
void tg_backlog_write(struct tg_writer *w, const struct tg_backlog_line *line);

#endif
