/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_wire - what the gateway and the process of an isolated plugin (`isolation: process`) say to each other. Pure: no I/O, no
 * clock, no allocation. Both ends are this program's, but what a plugin has overwritten is hostile: everything is bounded and
 * checked, and what does not fit is TG_EPROTO, never a value.
 *
 *     frame:    u32be length (type and payload, 1 … TG_WIRE_FRAME_MAX_BYTES) · u8 type · payload
 *
 *     gateway ──► child   SOURCE { DISCOVER OPTION… } OPTION… { DEVICE OPTION… { POINT OPTION… } } RECALL… CLOCK START    the configuration
 *                         WRITE · COMMAND · INTERVAL · KEPT · CLOCK · CARRY…    at any time after it; the end of the stream means: close
 *     child ──► gateway   CONFINED · TROUBLE · OPENED · STATE · ANSWER · FACT · FOUND · UPLINK · TIME · LOG · ALIVE · NOTE ·
 *                         CARRIER · CARRIED
 *     child ──► gateway   SAMPLE                                         on a second socket, which the gateway reads only while it
 *                                                                        has room, so that answers do not wait behind samples
 *
 * Every message but SAMPLE is a fixed row of fields (plugin_wire.c, `rows`), so that writing and reading cannot differ. Numbers
 * are LEB128 (signed ones zig-zag), texts are counted and hold no NUL; whether a text is UTF-8 is the receiver's to judge.
 * Views in a message that was read point into the frame.
 */
#ifndef TG_SOUTHBOUND_PLUGIN_WIRE_H
#define TG_SOUTHBOUND_PLUGIN_WIRE_H

#include <tidegate/plugin.h>

#include "core/base/bytes.h"
#include "core/base/sample.h"

#define TG_WIRE_VERSION    1u
#define TG_WIRE_HEAD_BYTES 5u
#define TG_WIRE_FRAME_MAX_BYTES                                                                              \
    (1024u * 1024u) /* 512 values with 1 KiB of text each, and an answer of any sense, fit */

/* Which fields of the message each has stands in brackets. */
enum tg_wire_type {
    /* state: TG_WIRE_VERSION; name: of the source; text: the plugin's file; device: how many devices; flags: TG_NEEDS_… as declared;
     * number: memory limit, bytes; time_ms: interval of ALIVE; at_ms: log level */
    TG_WIRE_SOURCE = 1,
    TG_WIRE_DISCOVER, /* number: how many more may come in; the OPTIONs that follow are its `allow` patterns */
    TG_WIRE_OPTION,   /* of what came last: state: enum tg_option_type; flags: TG_WIRE_…; name; text */
    TG_WIRE_DEVICE,   /* name: its id; flags: 1 = discovered; point: how many points */
    TG_WIRE_POINT,    /* name; time_ms: interval, 0 = the plugin's own; flags: 1 = writable */
    TG_WIRE_START,    /* the configuration is whole */
    TG_WIRE_WRITE,    /* number: request; device; point; value */
    TG_WIRE_COMMAND,  /* number: request; device; name; text: JSON */
    TG_WIRE_INTERVAL,    /* device; point; time_ms */
    TG_WIRE_RECALL,      /* before START. name: key of a note; text */
    TG_WIRE_KEPT,        /* number: the NOTEs of this process that are on disk */
    TG_WIRE_CLOCK,       /* as TIME: what is used while the system has no time; also before START */
    TG_WIRE_CARRY_OPEN,  /* device: channel; text: address, secret: the frame is wiped at both ends */
    TG_WIRE_CARRY,       /* device: channel; number: message; body */
    TG_WIRE_CARRY_CLOSE, /* device: channel */

    TG_WIRE_CONFINED = 32, /* flags: TG_CONFINED_…; state: version of Landlock in force */
    TG_WIRE_TROUBLE,       /* text: why the process is about to end */
    TG_WIRE_OPENED,        /* status: 0, or open() failed; time_ms: next attempt in; text */
    TG_WIRE_STATE,         /* device; state; text */
    TG_WIRE_ANSWER,        /* number: request; status; text: JSON */
    TG_WIRE_FACT,          /* device; name; value */
    TG_WIRE_FOUND,         /* name: id; text: profile */
    TG_WIRE_UPLINK,        /* state: 1 = up; text */
    TG_WIRE_TIME,          /* time_ms: wall; at_ms: monotonic moment of it; state: uncertainty, ms */
    TG_WIRE_LOG,           /* state: level; text */
    TG_WIRE_CARRIER,       /* device: channel; state: 1 = up; text */
    TG_WIRE_CARRIED,       /* device: channel; number: message; status */
    TG_WIRE_ALIVE, /* number: samples refused so far; time_ms: how long a function has not come back, 0 = none */
    TG_WIRE_NOTE, /* name: key; text; the n-th of the process is number n */

    TG_WIRE_SAMPLE = 64 /* tg_wire_put_sample() */
};

/* flags of an OPTION */
#define TG_WIRE_ITEM       1u /* one more item of a list */
#define TG_WIRE_EMPTY_LIST 2u

struct tg_wire_message {
    uint8_t type; /* enum tg_wire_type */
    uint32_t device, point, state, flags;
    int32_t status;
    uint64_t number;
    int64_t time_ms, at_ms;
    struct tg_bytes name;
    bool has_text;
    struct tg_bytes text;
    struct tg_value value;
    struct tg_bytes body; /* any bytes */
};

struct tg_wire_frame {
    uint8_t type;
    struct tg_bytes payload;
    size_t size; /* what to consume */
};

/* The frame at the front: 1 = there, 0 = not whole yet, TG_EPROTO = a length that cannot be. */
int tg_wire_next(struct tg_bytes in, struct tg_wire_frame *ret_frame) TG_CHECKED;
/* Bytes that are needed at least to go on; for the reader's buffer. Only when tg_wire_next() said 0. */
size_t tg_wire_wants(struct tg_bytes in);

/* Room that writing takes at most. */
size_t tg_wire_message_bound(const struct tg_wire_message *m);
size_t tg_wire_sample_bound(const struct tg_point_value *values, uint32_t count);

/* Writes a whole frame; w->failed when there was no room or the frame would be longer than TG_WIRE_FRAME_MAX_BYTES. A NUL in a
 * text is the caller's mistake. */
void tg_wire_put_message(struct tg_writer *w, const struct tg_wire_message *m);
void tg_wire_put_sample(struct tg_writer *w, uint32_t device, int64_t time_ms,
                        const struct tg_point_value *values, uint32_t count);

/* TG_EPROTO for an unknown type, a field that is cut off or out of range, bytes left over. */
int tg_wire_read_message(const struct tg_wire_frame *frame, struct tg_wire_message *ret_message) TG_CHECKED;

struct tg_wire_sample {
    uint32_t device, count;
    int64_t time_ms;
    struct tg_point_value values[TG_SAMPLE_MAX_VALUES];
};
/* As above; ret_sample may be half filled after an error. Whether device and points exist is the receiver's to check. */
int tg_wire_read_sample(const struct tg_wire_frame *frame, struct tg_wire_sample *ret_sample) TG_CHECKED;

#endif
