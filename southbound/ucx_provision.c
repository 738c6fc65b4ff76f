/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ucx_provision.h"

#include "core/base/assert.h"

#define COMMAND_MS  5000
#define RESTART_MS  15000
#define UPLOAD_MS   20000
#define PROMPT_MS   50 /* between > and the bytes: modules lose what comes at once */
#define STARTED_MS  2000
#define LINK_MS     30000
#define SETTLE_MS   3000 /* for the second +UUNU (IPv6), which may not come */
#define PEER_MS     40000
#define REPLY_MS    30000
#define POLL_MS     2000
#define REGISTER_MS 120000
#define POLL_TEXT   "get operationstatus"

/* --- events --- */

static void tell(struct tg_ucx_provision *p, enum tg_ucx_provision_event_kind kind, const char *text)
{
    struct tg_ucx_provision_event *e;
    if (p->event_count == TG_UCX_EVENTS_MAX)
        return; /* only COMMANDs come in numbers, and input stops before this many */
    e = &p->events[(p->event_head + p->event_count++) % TG_UCX_EVENTS_MAX];
    memset(e, 0, sizeof *e);
    e->kind = kind;
    e->step = p->step;
    if (text)
        tg_ucx_redact(text, false, e->text, sizeof e->text);
}

bool tg_ucx_provision_event(struct tg_ucx_provision *p, struct tg_ucx_provision_event *ret_event)
{
    if (p->event_count == 0)
        return false;
    *ret_event = p->events[p->event_head];
    p->event_head = (p->event_head + 1) % TG_UCX_EVENTS_MAX;
    p->event_count--;
    return true;
}

static void printable(struct tg_bytes text, char *ret_text, size_t size)
{
    size_t n = text.len < size - 1 ? text.len : size - 1;
    for (size_t i = 0; i < n; i++)
        ret_text[i] = text.data[i] >= 0x20 && text.data[i] < 0x7F ? (char)text.data[i] : '?';
    ret_text[n] = '\0';
}

static void fail(struct tg_ucx_provision *p, enum tg_ucx_fault_kind kind, struct tg_bytes answer)
{
    if (p->fault.kind || p->step == TG_UCX_DONE)
        return;
    p->fault.kind = kind;
    p->fault.step = p->step;
    printable(answer, p->fault.answer, sizeof p->fault.answer);
    p->deadline_ms = INT64_MAX;
    tell(p, TG_UCX_TELL_FAILED, NULL);
}

static void fail_text(struct tg_ucx_provision *p, enum tg_ucx_fault_kind kind, const char *answer)
{
    fail(p, kind, tg_bytes_str(answer));
}

const char *tg_ucx_step_text(const struct tg_ucx_provision *p, enum tg_ucx_step step)
{
    static const char *const texts[] = {
        [TG_UCX_FIND] = "finding the module",
        [TG_UCX_RESET] = "the factory reset",
        [TG_UCX_RESTART] = "the restart",
        [TG_UCX_UPLOAD] = "the upload",
        [TG_UCX_EXTEND] = "entering extended data mode",
        [TG_UCX_WIFI] = "setting up Wi-Fi",
        [TG_UCX_NETWORK] = "joining the Wi-Fi network",
        [TG_UCX_STORE] = "storing the Wi-Fi settings",
        [TG_UCX_REGISTER] = "connecting to the provisioning service",
        [TG_UCX_ASK] = "registering",
        [TG_UCX_POLL] = "asking for the outcome of the registration",
        [TG_UCX_CLOSE] = "leaving the provisioning service",
        [TG_UCX_CLOUD] = "connecting to the cloud",
        [TG_UCX_FINISH] = "the end",
        [TG_UCX_DONE] = "done",
    };
    static const char *const files[] = {"the upload of the CA certificate", "the upload of the certificate",
                                        "the upload of the private key"};
    if (step == TG_UCX_UPLOAD && p->file < p->plan.file_count)
        return files[p->plan.files[p->file].kind];
    return texts[step];
}

/* --- commands --- */

static struct tg_ucx_command *add(struct tg_ucx_provision *p, const char *text)
{
    struct tg_ucx_command *c = &p->script[p->script_count++];
    struct tg_writer w = tg_writer_init(c->text, sizeof c->text);
    TG_ASSERT(p->script_count <= sizeof p->script / sizeof p->script[0]);
    c->secret = false;
    tg_write_str(&w, text);
    (void)!tg_writer_cstr(&w);
    return c;
}

/* Text behind what is there already; numbers too. */
static void append(struct tg_ucx_command *c, const char *text, bool as_parameter, struct tg_ucx_provision *p)
{
    struct tg_writer w = tg_writer_init(c->text, sizeof c->text);
    w.len = strlen(c->text);
    if (as_parameter ? !tg_ucx_write_parameter(&w, text) : (tg_write_str(&w, text), false))
        w.failed = true;
    if (tg_writer_cstr(&w) < 0)
        fail_text(p, TG_UCX_FAULT_TOO_LONG, "a parameter is too long or holds a control character");
}

static void append_number(struct tg_ucx_command *c, uint64_t number)
{
    struct tg_writer w = tg_writer_init(c->text, sizeof c->text);
    w.len = strlen(c->text);
    tg_write_u64_dec(&w, number);
    (void)!tg_writer_cstr(&w);
}

static void remember_command(struct tg_ucx_provision *p, const char *text, bool secret)
{
    char shown[TG_AT_COMMAND_MAX_BYTES + 1];
    tg_ucx_redact(text, secret, shown, sizeof shown);
    tg_ucx_redact(shown, false, p->fault.command, sizeof p->fault.command);
    tell(p, TG_UCX_TELL_COMMAND, shown);
}

static void send_next(struct tg_ucx_provision *p)
{
    const struct tg_ucx_command *c = &p->script[p->script_next++];
    struct tg_at_command command = {.text = c->text, .timeout_ms = COMMAND_MS};
    if (p->step == TG_UCX_UPLOAD && (!p->plan.keep || p->removed)) {
        command.prompt = ">";
        command.data = p->plan.files[p->file].content;
        command.data_delay_ms = PROMPT_MS;
        command.timeout_ms = UPLOAD_MS;
    }
    p->tolerant = (p->step == TG_UCX_UPLOAD && p->plan.keep && !p->removed) || p->step == TG_UCX_CLOSE ||
                  (p->step == TG_UCX_WIFI && strcmp(c->text, "AT+UWSCA=0,4") == 0);
    remember_command(p, c->text, c->secret);
    if (tg_ucx_link_queue(&p->link, &command) < 0)
        fail_text(p, TG_UCX_FAULT_TOO_LONG, "the command cannot be sent");
    else
        p->waiting_result = true;
}

static void send_data(struct tg_ucx_provision *p, uint8_t channel, const char *text)
{
    p->to_send = tg_bytes_str(text);
    p->to_channel = channel;
    remember_command(p, text, false);
}

/* --- steps --- */

static void begin(struct tg_ucx_provision *p, enum tg_ucx_step step, int64_t now_ms);

static void connect_to(struct tg_ucx_provision *p, const struct tg_ucx_mqtt *m)
{
    const char *what = "";
    p->handle = -1;
    p->has_channel = p->has_peer = p->opened = false;
    if (tg_ucx_mqtt_commands(m, p->plan.command_limit_bytes, p->script, &p->script_count, &what) < 0) {
        p->script_count = 0;
        fail_text(p, TG_UCX_FAULT_TOO_LONG, what);
    }
}

static void script_upload(struct tg_ucx_provision *p)
{
    const struct tg_ucx_file *f = &p->plan.files[p->file];
    bool removing = p->plan.keep && !p->removed;
    struct tg_ucx_command *c = add(p, removing ? "AT+USECMNG=2," : "AT+USECMNG=0,");
    append_number(c, f->kind);
    append(c, ",", false, p);
    append(c, f->name, true, p);
    if (removing)
        return;
    append(c, ",", false, p);
    append_number(c, f->content.len);
}

static void script_wifi(struct tg_ucx_provision *p)
{
    struct tg_ucx_command *c;
    if (p->plan.keep)
        add(p, "AT+UWSCA=0,4");
    c = add(p, "AT+UWSC=0,2,");
    append(c, p->plan.ssid, true, p);
    add(p, p->plan.wifi_password ? "AT+UWSC=0,5,2" : "AT+UWSC=0,5,1");
    if (p->plan.wifi_password) {
        c = add(p, "AT+UWSC=0,8,");
        append(c, p->plan.wifi_password, true, p);
        c->secret = true;
    }
    add(p, "AT+UWSCA=0,3");
}

static void script_poll(struct tg_ucx_provision *p)
{
    struct tg_writer w = tg_writer_init(p->poll_topic, sizeof p->poll_topic);
    tg_write_str(&w, p->plan.poll_topic);
    tg_write_str(&w, p->operation);
    if (tg_writer_cstr(&w) < 0) {
        fail_text(p, TG_UCX_FAULT_TOO_LONG, "the operation id");
        return;
    }
    p->poll = *p->plan.registration;
    p->poll.publish = p->poll_topic;
    p->poll.subscribe = NULL;
    connect_to(p, &p->poll);
}

static void script_close(struct tg_ucx_provision *p)
{
    p->closing = true;
    for (size_t i = 0; i < 2; i++)
        if (p->handles[i] >= 0)
            append_number(add(p, "AT+UDCPC="), (uint64_t)p->handles[i]);
}

/* Whether the plan asks for the step at all. */
static bool wanted(const struct tg_ucx_provision *p, enum tg_ucx_step step)
{
    const struct tg_ucx_plan *n = &p->plan;
    switch (step) {
    case TG_UCX_RESET:
        return !n->keep;
    case TG_UCX_RESTART: /* files are taken in command mode only, and only a restart leads back there */
        return !n->keep || (p->link.extended && n->file_count > 0);
    case TG_UCX_UPLOAD:
        return p->file < n->file_count;
    case TG_UCX_EXTEND:
        return !p->link.extended;
    case TG_UCX_WIFI:
    case TG_UCX_NETWORK:
        return n->ssid != NULL;
    case TG_UCX_STORE:
        return n->ssid && n->store_wifi;
    case TG_UCX_REGISTER:
    case TG_UCX_ASK:
    case TG_UCX_POLL:
        return n->registration != NULL;
    case TG_UCX_CLOSE:
        return n->registration && !n->register_only;
    case TG_UCX_CLOUD:
        return p->cloud != NULL;
    case TG_UCX_FINISH:
        return n->restart;
    default:
        return true;
    }
}

static void make_script(struct tg_ucx_provision *p, int64_t now_ms)
{
    switch (p->step) {
    case TG_UCX_RESET:
        add(p, "AT+UFACTORY");
        break;
    case TG_UCX_RESTART:
    case TG_UCX_FINISH:
        add(p, "AT+CPWROFF");
        p->restarted = false;
        break;
    case TG_UCX_UPLOAD:
        script_upload(p);
        break;
    case TG_UCX_EXTEND:
        add(p, "ATO2");
        break;
    case TG_UCX_WIFI:
        script_wifi(p);
        p->linked = false;
        p->networks = 0;
        p->last_wifi[0] = '\0';
        break;
    case TG_UCX_NETWORK:
        p->deadline_ms = now_ms + (p->networks ? SETTLE_MS : LINK_MS);
        break;
    case TG_UCX_STORE:
        add(p, "AT+UWSC=0,0,1");
        add(p, "AT+UWSCA=0,1");
        break;
    case TG_UCX_REGISTER:
        p->limit_ms = now_ms + REGISTER_MS;
        connect_to(p, p->plan.registration);
        break;
    case TG_UCX_ASK:
        p->reply_len = 0;
        p->deadline_ms = now_ms + REPLY_MS;
        send_data(p, p->ask_channel, p->plan.register_body);
        break;
    case TG_UCX_POLL:
        script_poll(p);
        break;
    case TG_UCX_CLOSE:
        script_close(p);
        break;
    case TG_UCX_CLOUD:
        connect_to(p, p->cloud);
        break;
    case TG_UCX_DONE:
        tell(p, TG_UCX_TELL_DONE, NULL);
        break;
    case TG_UCX_FIND:
        break;
    }
}

static void begin(struct tg_ucx_provision *p, enum tg_ucx_step step, int64_t now_ms)
{
    while (!wanted(p, step))
        step = (enum tg_ucx_step)(step + 1);
    explicit_bzero(p->script, sizeof p->script);
    p->step = step;
    p->script_count = p->script_next = 0;
    p->waiting_result = false;
    p->deadline_ms = INT64_MAX;
    p->fault.command[0] = '\0';
    if (step != TG_UCX_DONE)
        tell(p, TG_UCX_TELL_STEP, tg_ucx_step_text(p, step));
    make_script(p, now_ms);
}

static void next(struct tg_ucx_provision *p, int64_t now_ms)
{
    begin(p, (enum tg_ucx_step)(p->step + 1), now_ms);
}

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
        begin(p, TG_UCX_UPLOAD, now_ms);
        return;
    }
    if (!same_digits(last_quoted(line), p->plan.files[p->file].md5)) {
        fail(p, TG_UCX_FAULT_DIGEST, line.len ? line : tg_bytes_str("no +USECMNG line"));
        return;
    }
    p->removed = false;
    p->file++;
    begin(p, TG_UCX_UPLOAD, now_ms);
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
            fail_text(p, TG_UCX_FAULT_REFUSED, "no +UDCP line");
            break;
        }
        p->opened = true;
        p->deadline_ms = now_ms + PEER_MS;
        is_connected(p, now_ms);
        break;
    case TG_UCX_CLOSE:
        if (p->cloud)
            begin(p, TG_UCX_CLOUD, now_ms);
        else
            tell(p, TG_UCX_TELL_ASSIGNED, NULL);
        break;
    default:
        next(p, now_ms);
    }
}

static void on_result(struct tg_ucx_provision *p, const struct tg_at_result *r, int64_t now_ms)
{
    p->waiting_result = false;
    if (r->status == TG_AT_HANGUP)
        return;
    if (r->status == TG_AT_TIMEOUT && (!p->tolerant || p->step == TG_UCX_UPLOAD)) {
        fail(p, TG_UCX_FAULT_SILENT, tg_bytes(NULL, 0));
    } else if (r->status != TG_AT_OK && !p->tolerant) {
        fail(p, TG_UCX_FAULT_REFUSED, r->final);
    } else if (p->script_next == p->script_count) {
        script_done(p, r, now_ms);
    }
}

static void send_poll(struct tg_ucx_provision *p, int64_t now_ms)
{
    p->reply_len = 0;
    p->deadline_ms = now_ms + REPLY_MS;
    send_data(p, p->poll_channel, POLL_TEXT);
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
        next(p, now_ms);
    } else if (p->step == TG_UCX_POLL) {
        p->handles[1] = p->handle;
        p->poll_channel = p->channel;
        send_poll(p, now_ms);
    } else {
        p->connected = true;
        if (p->plan.hello)
            send_data(p, p->channel, p->plan.hello);
        else
            next(p, now_ms);
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
        printable(line, p->last_wifi, sizeof p->last_wifi);
    } else if (tg_bytes_starts(line, "+UUNU:")) {
        p->networks++;
        if (p->step == TG_UCX_NETWORK && p->networks > 1)
            next(p, now_ms);
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
            fail(p, TG_UCX_FAULT_PEER_LOST, line);
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
    tell(p, TG_UCX_TELL_REPLY, NULL);
}

struct tg_bytes tg_ucx_provision_reply(const struct tg_ucx_provision *p)
{
    return tg_bytes(p->reply, p->reply_len);
}

static void on_ready(struct tg_ucx_provision *p, bool extended, int64_t now_ms)
{
    if (p->step == TG_UCX_FIND)
        next(p, now_ms);
    else if (p->step == TG_UCX_RESTART && p->restarted && extended && p->plan.file_count > 0)
        fail_text(p, TG_UCX_FAULT_NO_RESTART, "it restarted into extended data mode");
    else if ((p->step == TG_UCX_RESTART || p->step == TG_UCX_FINISH) && p->restarted)
        next(p, now_ms);
}

static void on_link(struct tg_ucx_provision *p, const struct tg_ucx_event *e, int64_t now_ms)
{
    switch (e->kind) {
    case TG_UCX_EVENT_READY:
        on_ready(p, e->extended, now_ms);
        break;
    case TG_UCX_EVENT_LOST:
        fail(p,
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
            fail(p, TG_UCX_FAULT_RESTARTED, e->line);
        break;
    case TG_UCX_EVENT_STARTED:
        if (p->step == TG_UCX_EXTEND)
            next(p, now_ms);
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
        next(p, now_ms); /* the greeting is on the wire */
    if (p->to_send.len == 0 && !p->waiting_result && p->script_next < p->script_count &&
        tg_ucx_link_idle(&p->link))
        send_next(p);
}

size_t tg_ucx_provision_input(struct tg_ucx_provision *p, struct tg_bytes in, int64_t now_ms)
{
    struct tg_ucx_event e;
    size_t used = 0, n;
    bool progress;
    do {
        progress = false;
        n = 0;
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
        fail(p, TG_UCX_FAULT_NO_RESTART, tg_bytes(NULL, 0));
        break;
    case TG_UCX_EXTEND: /* modules whose start event was lost in the change of modes speak frames all the same */
        next(p, now_ms);
        break;
    case TG_UCX_NETWORK:
        if (p->networks > 0)
            next(p, now_ms);
        else
            fail_text(p, p->linked ? TG_UCX_FAULT_NO_NETWORK : TG_UCX_FAULT_NO_LINK, p->last_wifi);
        break;
    case TG_UCX_POLL:
        if (p->handles[1] >= 0 && p->reply_len > 0)
            send_poll(p, now_ms);
        else
            fail(p, p->handles[1] >= 0 ? TG_UCX_FAULT_NO_REPLY : TG_UCX_FAULT_NO_PEER, tg_bytes(NULL, 0));
        break;
    case TG_UCX_ASK:
        fail(p, TG_UCX_FAULT_NO_REPLY, tg_bytes(p->reply, p->reply_len));
        break;
    default:
        fail(p, TG_UCX_FAULT_NO_PEER, tg_bytes(NULL, 0));
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
            fail_text(p, TG_UCX_FAULT_VERDICT, "an answer longer than any that is known");
        break;
    case TG_UCX_VERDICT_NO:
        fail(p, TG_UCX_FAULT_VERDICT, tg_bytes(p->reply, p->reply_len));
        break;
    case TG_UCX_VERDICT_ASSIGNED:
        if (p->plan.register_only) {
            tell(p, TG_UCX_TELL_ASSIGNED, NULL);
            begin(p, TG_UCX_FINISH, now_ms);
        } else {
            begin(p, TG_UCX_CLOSE, now_ms);
        }
        break;
    case TG_UCX_VERDICT_ASSIGNING:
        if (now_ms >= p->limit_ms || !p->has_operation)
            fail(p, TG_UCX_FAULT_UNASSIGNED, tg_bytes(p->reply, p->reply_len));
        else if (p->step == TG_UCX_ASK)
            next(p, now_ms);
        else
            p->deadline_ms = now_ms + POLL_MS; /* reply_len > 0 tells it from silence */
        break;
    }
}

void tg_ucx_provision_cloud(struct tg_ucx_provision *p, const struct tg_ucx_mqtt *cloud, int64_t now_ms)
{
    p->cloud = cloud;
    if (p->step == TG_UCX_CLOSE && !ended(p))
        begin(p, TG_UCX_CLOUD, now_ms);
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
    tell(p, TG_UCX_TELL_STEP, tg_ucx_step_text(p, TG_UCX_FIND));
    tg_ucx_link_start(&p->link, now_ms);
}
