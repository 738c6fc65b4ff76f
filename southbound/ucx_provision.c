/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ucx_provision_private.h"

#define RESTART_MS 15000
#define STARTED_MS 2000
#define REFUSED_MS 8000 /* after a +UUWLD: modules try again by themselves, and again */
#define SETTLE_MS  3000 /* for the second +UUNU (IPv6), which may not come */
#define PEER_MS    40000
#define REPLY_MS   30000
#define POLL_MS    2000
#define POLL_TEXT  "get operationstatus"

/* --- what comes back --- */

static bool same_digits(struct tg_bytes hex, const char *md5)
{
    if (hex.len != TG_UCX_MD5_TEXT - 1)
        return false;
    for (size_t i = 0; i < hex.len; i++)
        if ((hex.data[i] | 0x20) != ((uint8_t)md5[i] | 0x20))
            return false;
    return true;
}

/* The text between the last two quotes of a line. */
static struct tg_bytes last_quoted(struct tg_bytes line)
{
    size_t end = line.len, begin;
    while (end > 0 && line.data[end - 1] != '"')
        end--;
    begin = end > 0 ? end - 1 : 0;
    while (begin > 0 && line.data[begin - 1] != '"')
        begin--;
    return end > 0 ? tg_bytes(line.data + begin, end - 1 - begin) : tg_bytes(NULL, 0);
}

static struct tg_bytes find_line(const struct tg_at_result *r, const char *prefix)
{
    for (uint32_t i = 0; i < r->line_count; i++)
        if (tg_bytes_starts(r->lines[i], prefix))
            return r->lines[i];
    return tg_bytes(NULL, 0);
}

/* The number behind a prefix of n bytes; -1 when there is none. */
static int32_t number_at(struct tg_bytes line, size_t n)
{
    int32_t value = 0;
    size_t from;
    while (n < line.len && line.data[n] == ' ')
        n++;
    for (from = n; n < line.len && line.data[n] >= '0' && line.data[n] <= '9' && value < 1000000; n++)
        value = value * 10 + (line.data[n] - '0');
    return n > from ? value : -1;
}

static void uploaded(struct tg_ucx_provision *p, const struct tg_at_result *r, int64_t now_ms)
{
    struct tg_bytes line = find_line(r, "+USECMNG:");
    if (p->plan.keep && !p->removed) {
        p->removed = true;
        tg_ucx_begin_(p, TG_UCX_UPLOAD, now_ms);
        return;
    }
    if (!same_digits(last_quoted(line), p->plan.files[p->file].md5)) {
        tg_ucx_fail_(p, TG_UCX_FAULT_DIGEST, line.len ? line : tg_bytes_str("no +USECMNG line"));
        return;
    }
    p->removed = false;
    p->file++;
    tg_ucx_begin_(p, TG_UCX_UPLOAD, now_ms);
}

static void is_connected(struct tg_ucx_provision *p, int64_t now_ms);

/* The last command of the step was answered. */
static void script_done(struct tg_ucx_provision *p, const struct tg_at_result *r, int64_t now_ms)
{
    switch (p->step) {
    case TG_UCX_UPLOAD:
        uploaded(p, r, now_ms);
        break;
    case TG_UCX_RESTART:
    case TG_UCX_FINISH:
        p->deadline_ms = now_ms + RESTART_MS;
        break;
    case TG_UCX_EXTEND:
        p->deadline_ms = now_ms + STARTED_MS;
        break;
    case TG_UCX_REGISTER:
    case TG_UCX_POLL:
    case TG_UCX_CLOUD:
        p->handle = number_at(find_line(r, "+UDCP:"), sizeof "+UDCP:" - 1);
        if (p->handle < 0) {
            tg_ucx_fail_text_(p, TG_UCX_FAULT_REFUSED, "no +UDCP line");
            break;
        }
        p->opened = true;
        p->deadline_ms = now_ms + PEER_MS;
        is_connected(p, now_ms);
        break;
    case TG_UCX_CLOSE:
        if (p->cloud)
            tg_ucx_begin_(p, TG_UCX_CLOUD, now_ms);
        else
            tg_ucx_tell_(p, TG_UCX_TELL_ASSIGNED, NULL);
        break;
    default:
        tg_ucx_next_(p, now_ms);
    }
}

static void on_result(struct tg_ucx_provision *p, const struct tg_at_result *r, int64_t now_ms)
{
    p->waiting_result = false;
    if (r->status == TG_AT_HANGUP)
        return;
    if (r->status == TG_AT_TIMEOUT && (!p->tolerant || p->step == TG_UCX_UPLOAD)) {
        tg_ucx_fail_(p, TG_UCX_FAULT_SILENT, tg_bytes(NULL, 0));
    } else if (r->status != TG_AT_OK && !p->tolerant) {
        tg_ucx_fail_(p, TG_UCX_FAULT_REFUSED, r->final);
    } else if (p->script_next == p->script_count) {
        script_done(p, r, now_ms);
    }
}

static void send_poll(struct tg_ucx_provision *p, int64_t now_ms)
{
    p->reply_len = 0;
    p->deadline_ms = now_ms + REPLY_MS;
    tg_ucx_send_data_(p, p->poll_channel, POLL_TEXT);
}

/* Answer, connect event and +UUDPC have all come, in whatever order. */
static void is_connected(struct tg_ucx_provision *p, int64_t now_ms)
{
    if (!p->opened || !p->has_channel || !p->has_peer)
        return;
    p->deadline_ms = INT64_MAX;
    if (p->step == TG_UCX_REGISTER) {
        p->handles[0] = p->handle;
        p->ask_channel = p->channel;
        tg_ucx_next_(p, now_ms);
    } else if (p->step == TG_UCX_POLL) {
        p->handles[1] = p->handle;
        p->poll_channel = p->channel;
        send_poll(p, now_ms);
    } else {
        p->connected = true;
        if (p->plan.hello)
            tg_ucx_send_data_(p, p->channel, p->plan.hello);
        else
            tg_ucx_next_(p, now_ms);
    }
}

static bool connecting(const struct tg_ucx_provision *p)
{
    return p->step == TG_UCX_REGISTER || p->step == TG_UCX_CLOUD ||
           (p->step == TG_UCX_POLL && p->handles[1] < 0);
}

static void on_urc(struct tg_ucx_provision *p, struct tg_bytes line, int64_t now_ms)
{
    int32_t peer = -1;
    if (tg_bytes_starts(line, "+UUWLE:")) {
        p->linked = true;
    } else if (tg_bytes_starts(line, "+UUWLD:")) {
        p->linked = false;
        tg_ucx_printable_(line, p->last_wifi, sizeof p->last_wifi);
        if (p->step == TG_UCX_NETWORK && p->networks == 0 && p->deadline_ms > now_ms + REFUSED_MS)
            p->deadline_ms = now_ms + REFUSED_MS;
    } else if (tg_bytes_starts(line, "+UUNU:")) {
        p->networks++;
        if (p->step == TG_UCX_NETWORK && p->networks > 1)
            tg_ucx_next_(p, now_ms);
        else if (p->step == TG_UCX_NETWORK)
            p->deadline_ms = now_ms + SETTLE_MS;
    } else if (tg_bytes_starts(line, "+UUDPC:")) {
        peer = number_at(line, sizeof "+UUDPC:" - 1);
        if (connecting(p) && (p->handle < 0 || peer == p->handle)) {
            p->has_peer = true;
            is_connected(p, now_ms);
        }
    } else if (tg_bytes_starts(line, "+UUDPD:") && !p->closing) {
        peer = number_at(line, sizeof "+UUDPD:" - 1);
        if ((connecting(p) && p->opened && peer == p->handle) ||
            (p->handles[0] >= 0 && peer == p->handles[0]))
            tg_ucx_fail_(p, TG_UCX_FAULT_PEER_LOST, line);
    }
}

static void on_data(struct tg_ucx_provision *p, const struct tg_edm_frame *f)
{
    size_t room = sizeof p->reply - p->reply_len;
    bool asked = p->step == TG_UCX_ASK || (p->step == TG_UCX_POLL && p->handles[1] >= 0);
    if (!asked || (f->channel != p->ask_channel && f->channel != p->poll_channel))
        return;
    room = f->bytes.len < room ? f->bytes.len : room;
    memcpy(p->reply + p->reply_len, f->bytes.data, room);
    p->reply_len += room;
    tg_ucx_tell_(p, TG_UCX_TELL_REPLY, NULL);
}

struct tg_bytes tg_ucx_provision_reply(const struct tg_ucx_provision *p)
{
    return tg_bytes(p->reply, p->reply_len);
}

static void on_ready(struct tg_ucx_provision *p, bool extended, int64_t now_ms)
{
    if (p->step == TG_UCX_FIND)
        tg_ucx_next_(p, now_ms);
    else if (p->step == TG_UCX_RESTART && p->restarted && extended && p->plan.file_count > 0)
        tg_ucx_fail_text_(p, TG_UCX_FAULT_NO_RESTART, "it restarted into extended data mode");
    else if ((p->step == TG_UCX_RESTART || p->step == TG_UCX_FINISH) && p->restarted)
        tg_ucx_next_(p, now_ms);
}

static void on_link(struct tg_ucx_provision *p, const struct tg_ucx_event *e, int64_t now_ms)
{
    switch (e->kind) {
    case TG_UCX_EVENT_READY:
        on_ready(p, e->extended, now_ms);
        break;
    case TG_UCX_EVENT_LOST:
        tg_ucx_fail_(p,
                     p->step != TG_UCX_FIND ? TG_UCX_FAULT_SILENT
                     : e->heard_bytes       ? TG_UCX_FAULT_GARBLED
                                            : TG_UCX_FAULT_ABSENT,
                     tg_bytes(NULL, 0));
        break;
    case TG_UCX_EVENT_RESULT:
        on_result(p, &e->result, now_ms);
        break;
    case TG_UCX_EVENT_URC:
        on_urc(p, e->line, now_ms);
        break;
    case TG_UCX_EVENT_RESTARTED:
        p->restarted = true;
        if (p->step == TG_UCX_RESTART || p->step == TG_UCX_FINISH)
            p->waiting_result = false;
        else if (p->step != TG_UCX_FIND && p->step != TG_UCX_RESET)
            tg_ucx_fail_(p, TG_UCX_FAULT_RESTARTED, e->line);
        break;
    case TG_UCX_EVENT_STARTED:
        if (p->step == TG_UCX_EXTEND)
            tg_ucx_next_(p, now_ms);
        break;
    case TG_UCX_EVENT_CONNECT:
        if (connecting(p) && !p->has_channel && e->frame.connect.link != TG_EDM_BLUETOOTH) {
            p->has_channel = true;
            p->channel = e->frame.channel;
            is_connected(p, now_ms);
        }
        break;
    case TG_UCX_EVENT_DATA:
        on_data(p, &e->frame);
        break;
    case TG_UCX_EVENT_DISCONNECT:
        break; /* +UUDPD says it too, with the peer's handle */
    }
}

/* --- driving --- */

static bool ended(const struct tg_ucx_provision *p)
{
    return p->fault.kind != TG_UCX_FAULT_NONE || p->step == TG_UCX_DONE;
}

static void start_command(struct tg_ucx_provision *p, int64_t now_ms)
{
    if (ended(p))
        return;
    if (p->to_send.len > 0 && tg_ucx_link_send(&p->link, p->to_channel, p->to_send) == TG_OK)
        p->to_send = tg_bytes(NULL, 0);
    if (p->connected && p->step == TG_UCX_CLOUD && p->to_send.len == 0 && p->link.out_len == 0)
        tg_ucx_next_(p, now_ms); /* the greeting is on the wire */
    if (p->to_send.len == 0 && !p->waiting_result && p->script_next < p->script_count &&
        tg_ucx_link_idle(&p->link))
        tg_ucx_send_next_(p);
}

size_t tg_ucx_provision_input(struct tg_ucx_provision *p, struct tg_bytes in, int64_t now_ms)
{
    struct tg_ucx_event e;
    size_t used = 0, n;
    bool progress;
    do {
        progress = false;
        tg_ucx_link_tick(&p->link, now_ms);
        while (p->event_count < TG_UCX_EVENTS_MAX / 2 && tg_ucx_link_event(&p->link, now_ms, &e)) {
            if (!ended(p))
                on_link(p, &e, now_ms);
            progress = true;
        }
        start_command(p, now_ms);
        if (p->event_count >= TG_UCX_EVENTS_MAX / 2)
            break;
        n = tg_ucx_link_input(&p->link, tg_at_rest(in, used), now_ms);
        used += n;
    } while (progress || n > 0);
    return used;
}

static void overdue(struct tg_ucx_provision *p, int64_t now_ms)
{
    p->deadline_ms = INT64_MAX;
    switch (p->step) {
    case TG_UCX_RESTART:
    case TG_UCX_FINISH:
        tg_ucx_fail_(p, TG_UCX_FAULT_NO_RESTART, tg_bytes(NULL, 0));
        break;
    case TG_UCX_EXTEND: /* modules whose start event was lost in the change of modes speak frames all the same */
        tg_ucx_next_(p, now_ms);
        break;
    case TG_UCX_NETWORK:
        if (p->networks > 0)
            tg_ucx_next_(p, now_ms);
        else
            tg_ucx_fail_text_(p, p->linked ? TG_UCX_FAULT_NO_NETWORK : TG_UCX_FAULT_NO_LINK, p->last_wifi);
        break;
    case TG_UCX_POLL:
        if (p->handles[1] >= 0 && p->reply_len > 0)
            send_poll(p, now_ms);
        else
            tg_ucx_fail_(p, p->handles[1] >= 0 ? TG_UCX_FAULT_NO_REPLY : TG_UCX_FAULT_NO_PEER,
                         tg_bytes(NULL, 0));
        break;
    case TG_UCX_ASK:
        tg_ucx_fail_(p, TG_UCX_FAULT_NO_REPLY, tg_bytes(p->reply, p->reply_len));
        break;
    default:
        tg_ucx_fail_(p, TG_UCX_FAULT_NO_PEER, tg_bytes(NULL, 0));
    }
}

void tg_ucx_provision_tick(struct tg_ucx_provision *p, int64_t now_ms)
{
    (void)tg_ucx_provision_input(p, tg_bytes(NULL, 0), now_ms);
    if (!ended(p) && now_ms >= p->deadline_ms)
        overdue(p, now_ms);
    start_command(p, now_ms);
}

int64_t tg_ucx_provision_deadline(const struct tg_ucx_provision *p)
{
    int64_t link = tg_ucx_link_deadline(&p->link);
    return link < p->deadline_ms ? link : p->deadline_ms;
}

struct tg_bytes tg_ucx_provision_output(struct tg_ucx_provision *p, int64_t now_ms)
{
    return tg_ucx_link_output(&p->link, now_ms);
}

void tg_ucx_provision_output_ack(struct tg_ucx_provision *p, size_t n, int64_t now_ms)
{
    tg_ucx_link_output_ack(&p->link, n, now_ms);
}

void tg_ucx_provision_registered(struct tg_ucx_provision *p, enum tg_ucx_verdict verdict,
                                 const char *operation, int64_t now_ms)
{
    size_t n = operation ? strlen(operation) : 0;
    if (ended(p) || (p->step != TG_UCX_ASK && p->step != TG_UCX_POLL))
        return;
    if (n > 0 && n < sizeof p->operation && !p->has_operation) {
        memcpy(p->operation, operation, n + 1);
        p->has_operation = true;
    }
    switch (verdict) {
    case TG_UCX_VERDICT_MORE:
        if (p->reply_len == sizeof p->reply)
            tg_ucx_fail_text_(p, TG_UCX_FAULT_VERDICT, "an answer longer than any that is known");
        break;
    case TG_UCX_VERDICT_NO:
        tg_ucx_fail_(p, TG_UCX_FAULT_VERDICT, tg_bytes(p->reply, p->reply_len));
        break;
    case TG_UCX_VERDICT_ASSIGNED:
        if (p->plan.register_only) {
            tg_ucx_tell_(p, TG_UCX_TELL_ASSIGNED, NULL);
            tg_ucx_begin_(p, TG_UCX_FINISH, now_ms);
        } else {
            tg_ucx_begin_(p, TG_UCX_CLOSE, now_ms);
        }
        break;
    case TG_UCX_VERDICT_ASSIGNING:
        if (now_ms >= p->limit_ms || !p->has_operation)
            tg_ucx_fail_(p, TG_UCX_FAULT_UNASSIGNED, tg_bytes(p->reply, p->reply_len));
        else if (p->step == TG_UCX_ASK)
            tg_ucx_next_(p, now_ms);
        else
            p->deadline_ms = now_ms + POLL_MS; /* reply_len > 0 tells it from silence */
        break;
    }
}

void tg_ucx_provision_cloud(struct tg_ucx_provision *p, const struct tg_ucx_mqtt *cloud, int64_t now_ms)
{
    p->cloud = cloud;
    if (p->step == TG_UCX_CLOSE && !ended(p))
        tg_ucx_begin_(p, TG_UCX_CLOUD, now_ms);
}

void tg_ucx_provision_init(struct tg_ucx_provision *p, const struct tg_ucx_plan *plan)
{
    memset(p, 0, sizeof *p);
    p->plan = *plan;
    p->cloud = plan->cloud;
    p->deadline_ms = INT64_MAX;
    p->handle = p->handles[0] = p->handles[1] = -1;
    tg_ucx_link_init(&p->link);
}

void tg_ucx_provision_start(struct tg_ucx_provision *p, int64_t now_ms)
{
    p->step = TG_UCX_FIND;
    tg_ucx_tell_(p, TG_UCX_TELL_STEP, tg_ucx_step_text(p, TG_UCX_FIND));
    tg_ucx_link_start(&p->link, now_ms);
}
