/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ucx_provision - makes a u-connectXpress module ready for one cloud connection of its own, as the application note UBX-19010078
 * does by hand: factory settings, certificates and key with their MD5, Wi-Fi, and the MQTT connection, with Azure's provisioning
 * service before it where there is one (section 3.4: register, ask for the outcome, connect to the assigned hub). Pure: it drives
 * a ucx_link; the caller moves bytes, knows the time, reads JSON.
 *
 *   FIND ─► RESET ─► RESTART ─► UPLOAD… ─► EXTEND ─► WIFI ─► NETWORK ─► REGISTER ─► ASK ⇄ POLL ─► CLOSE ─► CLOUD ─► FINISH ─► DONE
 *          AT+UFACTORY AT+CPWROFF AT+USECMNG  ATO2   AT+UWSC  +UUNU     AT+UDCP     data  data   AT+UDCPC  AT+UDCP
 *
 * A step that the plan does not ask for is passed over. Whatever goes wrong ends the run with FAILED: the step, the command
 * (redacted) and what the module said. Every step may be repeated: a new run begins at FIND, and with factory settings nothing of
 * the old one is left.
 *
 * EVENTS (pull them until there is none)
 *   STEP      a step begins                    COMMAND   a command or data was handed to the link, as text for people
 *   REPLY     bytes from the provisioning service: the caller answers with tg_ucx_provision_registered()
 *   ASSIGNED  the caller gives the connection with tg_ucx_provision_cloud()
 *   DONE      the module is connected (or registered, or restarted, as planned)
 *   FAILED    fault
 *
 * Everything the plan points to is borrowed until the end. The struct holds secrets in commands: wipe it.
 */
#ifndef TG_SOUTHBOUND_UCX_PROVISION_H
#define TG_SOUTHBOUND_UCX_PROVISION_H

#include "southbound/ucx_link.h"
#include "southbound/ucx_mqtt.h"

#define TG_UCX_FILES_MAX       3
#define TG_UCX_REPLY_MAX_BYTES 4096
#define TG_UCX_MD5_TEXT        33
#define TG_UCX_OPERATION_BYTES 257

enum tg_ucx_file_kind { TG_UCX_CA = 0, TG_UCX_CERTIFICATE = 1, TG_UCX_KEY = 2 }; /* as AT+USECMNG has them */

struct tg_ucx_file {
    enum tg_ucx_file_kind kind;
    const char *name; /* on the module */
    struct tg_bytes content;
    char md5[TG_UCX_MD5_TEXT]; /* of content, hexadecimal, either case */
};

struct tg_ucx_plan {
    bool keep; /* no factory settings: what is there stays, files of the same names are replaced */
    const struct tg_ucx_file *files;
    size_t file_count;
    const char *ssid, *wifi_password;       /* NULL: Wi-Fi stays as it is; an open network */
    bool store_wifi;                        /* also after the next start */
    const struct tg_ucx_mqtt *registration; /* the provisioning service; NULL = none */
    const char *register_body;
    const char *poll_topic;          /* what the operation id is put behind */
    const struct tg_ucx_mqtt *cloud; /* NULL: nothing, or given at ASSIGNED */
    bool register_only;              /* ends when a hub was assigned */
    const char *hello;               /* published once connected; NULL = nothing */
    bool restart;                    /* AT+CPWROFF at the end, as the application note's script does */
    size_t command_limit_bytes;
};

enum tg_ucx_step {
    TG_UCX_FIND = 0,
    TG_UCX_RESET,
    TG_UCX_RESTART,
    TG_UCX_UPLOAD,
    TG_UCX_EXTEND,
    TG_UCX_WIFI,
    TG_UCX_NETWORK,
    TG_UCX_STORE,
    TG_UCX_REGISTER,
    TG_UCX_ASK,
    TG_UCX_POLL,
    TG_UCX_CLOSE,
    TG_UCX_CLOUD,
    TG_UCX_FINISH,
    TG_UCX_DONE
};

enum tg_ucx_fault_kind {
    TG_UCX_FAULT_NONE = 0,
    TG_UCX_FAULT_ABSENT,     /* not a byte came back */
    TG_UCX_FAULT_GARBLED,    /* bytes came, no answer among them */
    TG_UCX_FAULT_SILENT,     /* the command was not answered */
    TG_UCX_FAULT_REFUSED,    /* the command was answered with an error */
    TG_UCX_FAULT_DIGEST,     /* the MD5 is another, or none came */
    TG_UCX_FAULT_NO_RESTART, /* no greeting after AT+CPWROFF */
    TG_UCX_FAULT_RESTARTED,  /* a restart that nobody asked for */
    TG_UCX_FAULT_NO_LINK,    /* no +UUWLE: the access point was not joined; answer: the last +UUWLD, if any */
    TG_UCX_FAULT_NO_NETWORK, /* joined, but no +UUNU: no address */
    TG_UCX_FAULT_NO_PEER,    /* neither connect event nor +UUDPC */
    TG_UCX_FAULT_PEER_LOST,  /* +UUDPD: the other side, or TLS, ended it */
    TG_UCX_FAULT_NO_REPLY,   /* the provisioning service says nothing */
    TG_UCX_FAULT_UNASSIGNED, /* it goes on saying `assigning` */
    TG_UCX_FAULT_VERDICT,    /* tg_ucx_provision_registered() said so */
    TG_UCX_FAULT_TOO_LONG    /* the connection does not fit the module's commands; answer: what */
};

struct tg_ucx_fault {
    enum tg_ucx_fault_kind kind;
    enum tg_ucx_step step;
    char command[200]; /* redacted; empty = none */
    char answer[200];  /* what the module said, printable; empty = nothing */
};

enum tg_ucx_provision_event_kind {
    TG_UCX_TELL_STEP = 1,
    TG_UCX_TELL_COMMAND,
    TG_UCX_TELL_REPLY,
    TG_UCX_TELL_ASSIGNED,
    TG_UCX_TELL_DONE,
    TG_UCX_TELL_FAILED
};

struct tg_ucx_provision_event {
    enum tg_ucx_provision_event_kind kind;
    enum tg_ucx_step step;
    char text[TG_AT_COMMAND_MAX_BYTES + 1]; /* of STEP and COMMAND */
};

enum tg_ucx_verdict {
    TG_UCX_VERDICT_MORE,      /* not yet a whole answer */
    TG_UCX_VERDICT_ASSIGNING, /* with the operation id */
    TG_UCX_VERDICT_ASSIGNED,
    TG_UCX_VERDICT_NO /* the caller knows why */
};

#define TG_UCX_EVENTS_MAX 16

struct tg_ucx_provision {
    struct tg_ucx_plan plan;
    struct tg_ucx_link link;
    enum tg_ucx_step step;
    struct tg_ucx_command script[8]; /* of the step */
    size_t script_count, script_next;
    bool waiting_result;
    bool tolerant;                 /* the answer to the command that is out does not matter */
    size_t file;                   /* of UPLOAD */
    bool removed;                  /* `keep`: the old file of that name is gone */
    int64_t deadline_ms, limit_ms; /* of what the step waits for; of registering as a whole */
    uint32_t networks;             /* +UUNU seen */
    bool linked, restarted, has_channel, has_peer, opened, connected, closing;
    uint8_t channel;    /* of the connection being made */
    int32_t handle;     /* +UDCP of it; -1 = not yet known */
    int32_t handles[2]; /* of the registration's two connections, -1 = none */
    uint8_t ask_channel, poll_channel;
    bool has_operation;
    char operation[TG_UCX_OPERATION_BYTES];
    char poll_topic[TG_UCX_TOPIC_MAX_BYTES + 1];
    struct tg_ucx_mqtt poll;
    uint8_t reply[TG_UCX_REPLY_MAX_BYTES];
    size_t reply_len;
    const struct tg_ucx_mqtt *cloud;
    char last_wifi[64];      /* the last +UUWLD */
    struct tg_bytes to_send; /* data for a channel that waits for room on the line */
    uint8_t to_channel;
    struct tg_ucx_provision_event events[TG_UCX_EVENTS_MAX];
    size_t event_head, event_count;
    struct tg_ucx_fault fault;
};

void tg_ucx_provision_init(struct tg_ucx_provision *p, const struct tg_ucx_plan *plan);
/* The port is open. */
void tg_ucx_provision_start(struct tg_ucx_provision *p, int64_t now_ms);
/* Consumes all input unless events wait; call also without input, after events were taken. */
size_t tg_ucx_provision_input(struct tg_ucx_provision *p, struct tg_bytes in, int64_t now_ms);
void tg_ucx_provision_tick(struct tg_ucx_provision *p, int64_t now_ms);
int64_t tg_ucx_provision_deadline(const struct tg_ucx_provision *p);
bool tg_ucx_provision_event(struct tg_ucx_provision *p, struct tg_ucx_provision_event *ret_event);
struct tg_bytes tg_ucx_provision_output(struct tg_ucx_provision *p, int64_t now_ms);
void tg_ucx_provision_output_ack(struct tg_ucx_provision *p, size_t n, int64_t now_ms);

/* What the provisioning service has said so far; at REPLY. */
struct tg_bytes tg_ucx_provision_reply(const struct tg_ucx_provision *p);
/* The answer to REPLY. operation: with ASSIGNING; NULL or longer than TG_UCX_OPERATION_BYTES - 1 asks with the one known before. */
void tg_ucx_provision_registered(struct tg_ucx_provision *p, enum tg_ucx_verdict verdict,
                                 const char *operation, int64_t now_ms);
/* The answer to ASSIGNED. Borrowed until the end. */
void tg_ucx_provision_cloud(struct tg_ucx_provision *p, const struct tg_ucx_mqtt *cloud, int64_t now_ms);

/* "the factory reset", "the upload of the private key", …; static storage. */
const char *tg_ucx_step_text(const struct tg_ucx_provision *p, enum tg_ucx_step step);

#endif
