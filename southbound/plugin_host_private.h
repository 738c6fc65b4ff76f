/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_host_private - what plugin_host.c (building, mail), plugin_services.c, plugin_requests.c and the three ways to run an instance share:
 * plugin_worker.c (a thread of its own), plugin_on_loop.c (on the loop), plugin_process.c (a process of its own). `struct tg_host_source` is the opaque type of the plugin ABI.
 */
#ifndef TG_SOUTHBOUND_PLUGIN_HOST_PRIVATE_H
#define TG_SOUTHBOUND_PLUGIN_HOST_PRIVATE_H

#include <stdatomic.h>

#include "core/base/backoff.h"
#include "core/base/mailbox.h"
#include "core/base/pool.h"
#include "southbound/plugin_host.h"

#define TG_HOST_SOURCE_MAGIC 0x50f7b057u
#define TG_SOURCE_MAX_FDS    16

enum tg_down_kind {
    TG_DOWN_COMMAND,
    TG_DOWN_WRITE,
    TG_DOWN_INTERVAL,
    TG_DOWN_KEPT,
    TG_DOWN_CLOCK,
    TG_DOWN_CARRY_OPEN, /* device: the channel; name: the address */
    TG_DOWN_CARRY,      /* device: the channel; request: the message; text: body_len bytes */
    TG_DOWN_CARRY_CLOSE
};
enum tg_mail_kind {
    TG_MAIL_SAMPLE,
    TG_MAIL_STATE,
    TG_MAIL_ANSWER,
    TG_MAIL_OPEN,
    TG_MAIL_FACT,
    TG_MAIL_DISCOVERED,
    TG_MAIL_UPLINK,
    TG_MAIL_TIME,
    TG_MAIL_NOTE,
    TG_MAIL_LOG,
    TG_MAIL_CANDIDATE,
    TG_MAIL_CARRIER, /* device: the channel; state: 1 = up */
    TG_MAIL_CARRIED  /* device: the channel; request: the message; status */
};

struct tg_up_mail {
    struct tg_mail mail;
    enum tg_mail_kind kind;
    uint32_t device, count, state; /* UPLINK: state 1 = up; TIME: state = its uncertainty, ms; LOG: level */
    int status;
    int64_t time_ms; /* TIME: `request` is the monotonic time of it */
    uint64_t request;
    bool has_text;
    struct tg_point_value values[]; /* count of them, then texts; for other kinds a NUL-terminated text */
};

struct tg_down_mail {
    struct tg_mail mail;
    uint64_t request;
    uint32_t device, point;
    enum tg_down_kind kind;
    int64_t every_ms;  /* INTERVAL */
    uint32_t body_len; /* CARRY */
    struct tg_value value;
    const char *name, *json; /* into the same allocation */
    char text[];
};

struct tg_loop_poll;
struct tg_process;

struct tg_watch {
    int fd;
    uint32_t events;
    struct tg_loop_poll *poll; /* on the loop only (plugin_on_loop.c) */
};

struct tg_source_host {
    struct tg_loop *loop;
    const struct tg_source_callbacks *cb;
    void *user;
    struct tg_host_source *source;
};

/* Written on the instance's thread, read on the loop too. */
struct tg_discovery {
    pthread_mutex_t lock;
    struct tg_source_discovery seen;
    char **told; /* ids that went to the loop since the host was made */
    uint32_t told_count;
};

#define TG_NOTES_MAX           16
#define TG_NOTE_KEY_MAX_BYTES  64
#define TG_NOTE_TEXT_MAX_BYTES 256

/* A source's notes, the instance's own copy: read and written on its thread, but for `kept`. */
struct tg_source_notes {
    struct tg_source_note {
        char key[TG_NOTE_KEY_MAX_BYTES + 1], text[TG_NOTE_TEXT_MAX_BYTES + 1]; /* key "" = free */
    } * notes; /* TG_NOTES_MAX of them (5 KB), once there is one: most sources remember nothing */
    uint64_t set;
    uint64_t set_before;       /* in a process of its own: by the processes before this one */
    atomic_uint_fast64_t kept; /* up to which number they are on disk */
};

struct tg_host_source {
    uint32_t magic;
    struct tg_source_host handle;
    const struct tg_config_source *config;
    const struct tg_plugin *plugin;
    struct tg_host services;
    struct tg_source model;
    struct tg_device *devices;
    struct tg_point *points;

    void *instance;
    bool open, reopen;
    int64_t poll_due_ms; /* of the instance; open retries too */
    struct tg_backoff open_backoff;
    struct tg_watch watches[TG_SOURCE_MAX_FDS];

    struct tg_mailbox up, news,
        down; /* samples; states, answers and opens, which must not wait behind samples; requests */
    struct tg_wakeup up_wake; /* loop: mail from the plugin */
    /* The memory of samples goes round: the instance's thread takes it from `blocks`, the loop collects it in `spent` and hands the chain
     * over in `returned` when that is empty. */
    struct tg_pool blocks;
    _Atomic(struct tg_mail *) returned;
    struct tg_mail *spent;
    size_t spent_bytes;
    struct tg_mail *held, *held_news; /* taken from `up` and `news`, not yet delivered */
    bool draining;
    atomic_uint_fast64_t emitted, rejected;
    atomic_bool stopping, open_seen;
    atomic_bool busy;     /* a function of the plugin is running */
    bool emit_told;       /* that a sample was wrong in itself; seen by the plugin's thread alone */
    atomic_uint progress; /* moves when one begins, and with services that it calls */
    struct tg_discovery discovery;
    struct tg_source_notes notes;

    /* own thread */
    pthread_t thread;
    bool thread_started;
    int event_fd;           /* wakes the thread */
    struct tg_wakeup ended; /* the thread is about to return */
    /* on the loop */
    struct tg_deadline deadline;
    struct tg_wakeup turn; /* run the instance in the next loop turn */

    /* in a process of its own */
    struct tg_process *process;

    void (*closed)(void *user);
    void *closed_user;
};

/* One round of the instance: opens it if needed, gives it waiting requests, polls it when due. Sets poll_due_ms. Runs on the
 * instance's thread. */
void tg_instance_round(struct tg_host_source *s);
void tg_instance_close(struct tg_host_source *s);
/* Around functions that are called outside of a round (fd_ready). */
void tg_instance_enter(struct tg_host_source *s);
void tg_instance_leave(struct tg_host_source *s);

/* --- plugin_services.c: on the instance's thread --- */

/* Fills s->services. thread_model: enum tg_thread_model. */
void tg_source_services(struct tg_host_source *s, uint32_t thread_model);
/* What is stored must be readable again: a plugin's mistake is refused. */
bool tg_value_is_sound(const struct tg_point_value *v);
/* Takes `head` with the text into the mailbox of news; what is lost is logged. */
void tg_put_news(struct tg_host_source *s, const struct tg_up_mail *head, const char *text);
/* The same with the answer to a request. */
void tg_put_answer(struct tg_host_source *s, uint64_t request, int status, const char *json);

/* plugin_carry.c */
void tg_service_carrier(struct tg_host_source *source, uint32_t channel, bool up, const char *text);
void tg_service_carried(struct tg_host_source *source, uint32_t channel, uint64_t message, int status);
static inline bool tg_down_is_carry(const struct tg_down_mail *m)
{
    return m->kind >= TG_DOWN_CARRY_OPEN;
}
/* On the loop: tells what the plugin said. */
void tg_carry_deliver(struct tg_host_source *s, const struct tg_up_mail *m);
void tg_carry_give(struct tg_host_source *s, const struct tg_down_mail *m);
struct tg_wire_message;
/* In the process of an isolated plugin: what the gateway wants carried. False: the message says something else. An address is wiped. */
bool tg_carry_take(struct tg_source_host *h, const struct tg_wire_message *m);
/* Frees a request; an address is wiped. */
void tg_down_free(struct tg_down_mail *m);

/* plugin_discovered.c */
void tg_discovery_init(struct tg_host_source *s);
void tg_discovery_fini(struct tg_host_source *s);
int tg_service_discovered(struct tg_host_source *source, const char *id, const char *profile);

/* plugin_notes.c */
void tg_source_notes_recall(struct tg_host_source *s);
void tg_source_notes_fini(struct tg_host_source *s);
int tg_service_note_set(struct tg_host_source *source, const char *key, const char *text);
int tg_service_note_get(struct tg_host_source *source, const char *key, char *ret_text, size_t size);
bool tg_service_notes_kept(struct tg_host_source *source);
/* The table alone, for a note that an isolated plugin's process has set: counts it. TG_EFULL. */
int tg_source_note_put(struct tg_host_source *s, const char *key, const char *text) TG_CHECKED;
/* Nothing has to be answered, and nothing is lost when it does not arrive. */
static inline bool tg_down_is_news(const struct tg_down_mail *m)
{
    return m->kind == TG_DOWN_KEPT || m->kind == TG_DOWN_CLOCK;
}

/* When these fail, tg_source_host_ended() is or will be called: `s` is theirs to end. */
int tg_worker_start(struct tg_host_source *s, struct tg_error *err) TG_CHECKED;
void tg_worker_wake(void *source);
int tg_on_loop_start(struct tg_host_source *s, struct tg_error *err) TG_CHECKED;
/* plugin_process.c */
bool tg_process_wanted(const struct tg_config_source *config);
int tg_process_start(struct tg_host_source *s, struct tg_error *err) TG_CHECKED;
void tg_process_stop(struct tg_host_source *s);
void tg_process_resume(struct tg_host_source *s);
void tg_process_stats(const struct tg_process *p, struct tg_process_stats *ret_stats);
int tg_on_loop_watch(struct tg_host_source *s, struct tg_watch *w);
/* Ends the thread / the handles, then calls tg_source_host_ended(). */
void tg_worker_stop(struct tg_host_source *s);
void tg_on_loop_stop(struct tg_host_source *s);
void tg_source_host_ended(struct tg_host_source *s);

/* --- plugin_blocks.c: the memory of samples on their way to the loop --- */

/* On the instance's thread; NULL = out of memory. */
void *tg_blocks_take(struct tg_host_source *s, size_t size) TG_CHECKED;
/* On the loop: a mail that is dealt with, of whatever kind. */
void tg_blocks_spend(struct tg_host_source *s, struct tg_up_mail *m);
/* On the loop, after some: offers them to the instance's thread. */
void tg_blocks_return(struct tg_host_source *s);
/* The instance has ended. */
void tg_blocks_fini(struct tg_host_source *s);

/* --- plugin_check.c --- */

/* How the source's instance is run, enum tg_thread_model; a plugin that says nonsense is run as its description states. */
uint32_t tg_source_thread_model(const struct tg_config_source *config);

/* --- plugin_emit.c --- */

/* May be a sample of this source; else that is said, once. */
bool tg_emit_is_sound(struct tg_host_source *s, uint32_t device, const struct tg_point_value *values,
                      uint32_t count);

#endif
