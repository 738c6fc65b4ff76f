/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ucx_link - one serial line to a u-connectXpress module, whatever mode it is in: commands and results, unsolicited lines, and in
 * extended data mode the connections and data of its peers. Pure: bytes and time in, events and bytes out. Whoever has the port
 * open drives it and may serve several users with it: every connection has a channel of its own.
 *
 * STATES, and what ends them
 *   OFF      tg_ucx_link_start()                                                             → FINDING
 *   FINDING  which mode the module is in, from what it answers: "AT" as text (command mode), in a frame (extended data mode),
 *            and after the escape sequence (silence, +++, silence: data mode). At most about 6 s.
 *            an answer                                                                       → SYNCING
 *            none; event LOST, with how many bytes were heard                                → OFF
 *   SYNCING  at_chat brings itself into step; event READY                                    → COMMAND or EXTENDED
 *            three probes without an answer; event LOST                                      → OFF
 *   COMMAND  tg_ucx_link_queue(); ATO2 answered OK                                           → EXTENDED
 *   EXTENDED frames; the module restarts (+STARTUP in plain text, or a start event that nobody asked for); event RESTARTED, all
 *            channels are gone                                                               → SYNCING
 *   A restart in COMMAND is told alike. A command without an answer ends with TIMEOUT, the link resynchronises (SYNCING) and
 *   says READY again.
 *
 * MEMORY AND THREADS   The struct is all there is (about 28 KiB). Texts and data of a queued command are borrowed until its result.
 * Views in an event are valid until the next call of input or tick. One thread.
 *
 *     do {
 *         tg_ucx_link_tick(&l, now);
 *         for (progress = false; tg_ucx_link_event(&l, now, &ev); progress = true) handle(&ev);
 *         n = tg_ucx_link_input(&l, left, now);          consumes nothing while an event waits
 *         left = tg_at_rest(left, n);
 *     } while (progress || n > 0);
 *     out = tg_ucx_link_output(&l, now); n = write(fd, out.data, out.len); tg_ucx_link_output_ack(&l, n, now);
 */
#ifndef TG_SOUTHBOUND_UCX_LINK_H
#define TG_SOUTHBOUND_UCX_LINK_H

#include "southbound/at_chat.h"
#include "southbound/edm_frame.h"

enum tg_ucx_mode { TG_UCX_OFF = 0, TG_UCX_FINDING, TG_UCX_SYNCING, TG_UCX_COMMAND, TG_UCX_EXTENDED };

enum tg_ucx_event_kind {
    TG_UCX_EVENT_READY = 1, /* commands flow; extended: in which mode */
    TG_UCX_EVENT_LOST,      /* no answer; heard_bytes: 0 = silence, else nothing that could be understood */
    TG_UCX_EVENT_RESULT,    /* once for every queued command */
    TG_UCX_EVENT_URC,       /* line */
    TG_UCX_EVENT_RESTARTED, /* settings that were not stored and all connections are gone; READY follows */
    TG_UCX_EVENT_STARTED,   /* extended data mode has begun: frame of type START */
    TG_UCX_EVENT_CONNECT,   /* frame */
    TG_UCX_EVENT_DISCONNECT,
    TG_UCX_EVENT_DATA
};

struct tg_ucx_event {
    enum tg_ucx_event_kind kind;
    bool extended;
    uint64_t heard_bytes;
    struct tg_bytes line;
    struct tg_edm_frame frame;
    struct tg_at_result result;
};

/* Visible so that it can be embedded; fields are read through the functions. */
struct tg_ucx_link {
    enum tg_ucx_mode mode;
    struct tg_at_chat chat;
    struct tg_edm_parser edm;
    bool extended;       /* how the module speaks, from SYNCING on */
    bool start_expected; /* after ATO2 */
    uint32_t attempt;    /* of FINDING */
    int64_t deadline_ms;
    uint64_t heard_bytes;
    uint32_t matched_ok, matched_error,
        matched_startup;   /* bytes of these texts just seen outside of frames */
    struct tg_bytes reply; /* what is left of an AT response that the chat has to see */
    uint8_t out_buf[TG_EDM_FRAME_MAX];
    size_t out_len, out_given;
    struct tg_ucx_event event;
    bool event_waits;
};

void tg_ucx_link_init(struct tg_ucx_link *l);
/* The port was opened: finds out the mode. Commands may be queued after READY. */
void tg_ucx_link_start(struct tg_ucx_link *l, int64_t now_ms);
/* The port is gone: queued commands end with HANGUP (pull the events). */
void tg_ucx_link_stop(struct tg_ucx_link *l);

/* As tg_at_chat_queue(). "ATO2" leads into extended data mode, which is told by STARTED. */
int tg_ucx_link_queue(struct tg_ucx_link *l, const struct tg_at_command *command) TG_CHECKED;
/* Data for a channel: TG_ESTATE outside of extended data mode, TG_EFULL while the last frame is not yet written out, TG_ETOOBIG
 * above TG_EDM_DATA_MAX. Copied. */
int tg_ucx_link_send(struct tg_ucx_link *l, uint8_t channel, struct tg_bytes data) TG_CHECKED;

/* Asks the module to tell the connections that are there by CONNECT again, for who finds it in extended data mode; as above. */
int tg_ucx_link_ask_connections(struct tg_ucx_link *l) TG_CHECKED;

size_t tg_ucx_link_input(struct tg_ucx_link *l, struct tg_bytes in, int64_t now_ms);
void tg_ucx_link_tick(struct tg_ucx_link *l, int64_t now_ms);
/* INT64_MIN = at once, INT64_MAX = only after input. */
int64_t tg_ucx_link_deadline(const struct tg_ucx_link *l);
bool tg_ucx_link_event(struct tg_ucx_link *l, int64_t now_ms, struct tg_ucx_event *ret_event);
struct tg_bytes tg_ucx_link_output(struct tg_ucx_link *l, int64_t now_ms);
void tg_ucx_link_output_ack(struct tg_ucx_link *l, size_t n, int64_t now_ms);

/* A command may be queued and will be sent at once: the result of the one before has been pulled. */
static inline bool tg_ucx_link_idle(const struct tg_ucx_link *l)
{
    return (l->mode == TG_UCX_COMMAND || l->mode == TG_UCX_EXTENDED) && !l->event_waits &&
           !l->chat.event_waits && tg_at_chat_pending(&l->chat) == 0;
}

#endif
