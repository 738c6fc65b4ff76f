/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/assert.h"
#include "southbound/ucx_provision_private.h"

#define COMMAND_MS  5000
#define UPLOAD_MS   20000
#define PROMPT_MS   50 /* between > and the bytes: modules lose what comes at once */
#define LINK_MS     30000
#define SETTLE_MS   3000 /* for the second +UUNU (IPv6), which may not come */
#define REPLY_MS    30000
#define REGISTER_MS 120000

/* --- events --- */

void tg_ucx_tell_(struct tg_ucx_provision *p, enum tg_ucx_provision_event_kind kind, const char *text)
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

void tg_ucx_printable_(struct tg_bytes text, char *ret_text, size_t size)
{
    size_t n = text.len < size - 1 ? text.len : size - 1;
    for (size_t i = 0; i < n; i++)
        ret_text[i] = text.data[i] >= 0x20 && text.data[i] < 0x7F ? (char)text.data[i] : '?';
    ret_text[n] = '\0';
}

void tg_ucx_fail_(struct tg_ucx_provision *p, enum tg_ucx_fault_kind kind, struct tg_bytes answer)
{
    if (p->fault.kind || p->step == TG_UCX_DONE)
        return;
    p->fault.kind = kind;
    p->fault.step = p->step;
    tg_ucx_printable_(answer, p->fault.answer, sizeof p->fault.answer);
    p->deadline_ms = INT64_MAX;
    tg_ucx_tell_(p, TG_UCX_TELL_FAILED, NULL);
}

void tg_ucx_fail_text_(struct tg_ucx_provision *p, enum tg_ucx_fault_kind kind, const char *answer)
{
    tg_ucx_fail_(p, kind, tg_bytes_str(answer));
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
        tg_ucx_fail_text_(p, TG_UCX_FAULT_TOO_LONG, "a parameter is too long or holds a control character");
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
    tg_ucx_tell_(p, TG_UCX_TELL_COMMAND, shown);
}

void tg_ucx_send_next_(struct tg_ucx_provision *p)
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
        tg_ucx_fail_text_(p, TG_UCX_FAULT_TOO_LONG, "the command cannot be sent");
    else
        p->waiting_result = true;
}

void tg_ucx_send_data_(struct tg_ucx_provision *p, uint8_t channel, const char *text)
{
    p->to_send = tg_bytes_str(text);
    p->to_channel = channel;
    remember_command(p, text, false);
}

/* --- steps --- */

static void connect_to(struct tg_ucx_provision *p, const struct tg_ucx_mqtt *m)
{
    const char *what = "";
    p->handle = -1;
    p->has_channel = p->has_peer = p->opened = false;
    if (tg_ucx_mqtt_commands(m, p->plan.command_limit_bytes, p->script, &p->script_count, &what) < 0) {
        p->script_count = 0;
        tg_ucx_fail_text_(p, TG_UCX_FAULT_TOO_LONG, what);
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
        tg_ucx_fail_text_(p, TG_UCX_FAULT_TOO_LONG, "the operation id");
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
        tg_ucx_send_data_(p, p->ask_channel, p->plan.register_body);
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
        tg_ucx_tell_(p, TG_UCX_TELL_DONE, NULL);
        break;
    case TG_UCX_FIND:
        break;
    }
}

void tg_ucx_begin_(struct tg_ucx_provision *p, enum tg_ucx_step step, int64_t now_ms)
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
        tg_ucx_tell_(p, TG_UCX_TELL_STEP, tg_ucx_step_text(p, step));
    make_script(p, now_ms);
}

void tg_ucx_next_(struct tg_ucx_provision *p, int64_t now_ms)
{
    tg_ucx_begin_(p, (enum tg_ucx_step)(p->step + 1), now_ms);
}
