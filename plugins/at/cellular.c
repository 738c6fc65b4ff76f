/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/cellular.h"

#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "plugins/at/at_scripts.h"
#include "plugins/at/at_text.h"
#include "plugins/at/cellular_ppp.h"

static const char *text_of(const struct at_source *s, const char *option)
{
    const struct tg_settings *set = s->config->settings;
    return s->host->has(set, option) ? s->host->get_text(set, option) : NULL;
}

/* What stands in quotes within a command. */
static const char *quotable(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7F || *text == '"' || *text == '\\')
            return "holds a character that an AT command cannot";
    return NULL;
}

static int wrong(const struct at_source *s, const char *option, const char *why, char *error,
                 size_t error_size)
{
    snprintf(error, error_size, "source %s: %s %s", s->config->name, option, why);
    return TG_PLUGIN_EINVAL;
}

/* The first option that means something with the script alone; NULL: none is given. */
static const char *of_the_script(const struct tg_host *host, const struct tg_settings *source)
{
    static const char *const options[] = {"apn", "pin_file", "apn_password_file", "data_port",
                                          "ppp_password_file"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (host->has(source, options[i]))
            return options[i];
    return host->get_int(source, "ppp") ? "ppp" : NULL;
}

const char *at_cellular_fault(const struct tg_host *host, const struct tg_settings *source,
                              const char **ret_option)
{
    const char *user = host->has(source, "apn_user") ? host->get_text(source, "apn_user") : NULL, *fault;
    if (host->get_int(source, "script") != TG_AT_SCRIPT_CELLULAR) {
        *ret_option = of_the_script(host, source);
        return *ret_option ? "needs `script: cellular`" : NULL;
    }
    *ret_option = "apn";
    if (host->has(source, "apn") && (fault = quotable(host->get_text(source, "apn"))) != NULL)
        return fault;
    *ret_option = "apn_user";
    if ((fault = quotable(user)) != NULL)
        return fault;
    *ret_option = "apn_auth";
    return host->get_int(source, "apn_auth") != TG_CELL_AUTH_NONE && !user ? "needs apn_user" : NULL;
}

static void read_config(struct at_source *s, struct tg_cellular_config *o)
{
    static const char *const types[] = {"IP", "IPV6", "IPV4V6"};
    const struct tg_settings *set = s->config->settings;
    struct at_cellular *c = s->cellular;
    *o = (struct tg_cellular_config){.apn = text_of(s, "apn"),
                                     .pdp_type = types[s->host->get_int(set, "pdp_type")],
                                     .cid = (int32_t)s->host->get_int(set, "cid"),
                                     .auth = (enum tg_cell_auth)s->host->get_int(set, "apn_auth"),
                                     .attach = s->host->get_int(set, "attach") != 0,
                                     .clock = s->host->get_int(set, "time") != 0};
    c->user = text_of(s, "apn_user");
    c->pin_file = text_of(s, "pin_file");
    c->password_file = text_of(s, "apn_password_file");
    c->show = s->host->get_int(set, "show_identifiers") != 0;
    c->tells_uplink = s->host->get_int(set, "uplink") != 0;
    c->takes_time = o->clock;
    c->time_is_utc = s->host->get_int(set, "time") == 2;
    at_cellular_intervals(s, o);
}

int at_cellular_build(struct at_source *s, char *error, size_t error_size)
{
    struct tg_cellular_config o;
    const char *option, *fault = at_cellular_fault(s->host, s->config->settings, &option);
    bool wanted = s->host->get_int(s->config->settings, "script") == TG_AT_SCRIPT_CELLULAR;
    if (fault)
        return wrong(s, option, fault, error, error_size);
    for (uint32_t i = 0; !wanted && i < s->point_count; i++)
        if (s->points[i].cellular >= 0)
            return wrong(s, s->points[i].name, "is a point with `cellular`, which needs `script: cellular`",
                         error, error_size);
    if (!wanted)
        return TG_PLUGIN_OK;
    s->cellular = tg_calloc(1, sizeof *s->cellular);
    if (!s->cellular) {
        snprintf(error, error_size, "out of memory");
        return TG_PLUGIN_ENOMEM;
    }
    s->cellular->source = s;
    read_config(s, &o);
    tg_cellular_init(&s->cellular->core, &o);
    at_secret_init(s->cellular);
    return at_ppp_build(s->cellular, error, error_size);
}

void at_cellular_free(struct at_source *s)
{
    if (!s->cellular)
        return;
    at_ppp_free(s->cellular);
    explicit_bzero(s->cellular->secret, sizeof s->cellular->secret);
    tg_free(s->cellular);
    s->cellular = NULL;
}

void at_cellular_begin(struct at_source *s, int64_t now_ms)
{
    if (s->cellular)
        tg_cellular_begin(&s->cellular->core, now_ms);
}

void at_cellular_end(struct at_source *s)
{
    if (!s->cellular)
        return;
    tg_cellular_end(&s->cellular->core);
    s->cellular->pin_waits = false;
}

const char *at_cellular_trouble(const struct at_source *s)
{
    return s->cellular && s->cellular->core.trouble[0] ? s->cellular->core.trouble : NULL;
}

bool at_cellular_known(const struct at_source *s)
{
    const struct tg_cellular *core = s->cellular ? &s->cellular->core : NULL;
    return !core || core->trouble[0] || core->phase == TG_CELL_SET || core->phase == TG_CELL_RUN;
}

/* The state of the devices follows what stands in the way; said once in the log. */
static void tell_trouble(struct at_cellular *c, int64_t now_ms)
{
    struct at_source *s = c->source;
    if (strcmp(c->told_trouble, c->core.trouble) == 0)
        return;
    memcpy(c->told_trouble, c->core.trouble, sizeof c->told_trouble);
    if (c->core.trouble[0]) {
        s->host->log(s->host->source, strncmp(c->core.trouble, "looking", 7) == 0 ? TG_LOG_INFO : TG_LOG_WARN,
                     "%s: %s", s->port, c->core.trouble);
        if (s->state == TG_DEVICE_SUSPECT)
            s->state = TG_DEVICE_UNKNOWN; /* so that the new text is told */
    }
    at_answered(s, now_ms);
}

/* After whatever happened: decides, and tells what is new. */
static void settle(struct at_cellular *c, int64_t now_ms)
{
    uint32_t news;
    if (c->core.phase == TG_CELL_ASK)
        at_secret_decide_pin(c, now_ms);
    news = tg_cellular_take_news(&c->core);
    if (news & TG_CELL_NEWS_VERDICT)
        at_secret_verdict(c);
    if ((news & TG_CELL_NEWS_SIM) && strcmp(c->core.sim_text, "READY") == 0)
        at_secret_sim_ready(c);
    at_cellular_tell(c, news, now_ms);
    if (c->source->phase == AT_RUN)
        tell_trouble(c, now_ms);
}

void at_cellular_tick(struct at_source *s, int64_t now_ms)
{
    if (!s->cellular)
        return;
    if (s->phase == AT_RUN) {
        tg_cellular_tick(&s->cellular->core, now_ms);
        settle(s->cellular, now_ms);
    }
    at_ppp_tick(s->cellular, now_ms);
}

static bool is_response(void *source, struct tg_bytes line)
{
    struct at_source *s = source;
    return tg_cellular_is_response(&s->cellular->core, line);
}

bool at_cellular_next(struct at_source *s, int64_t now_ms, struct tg_at_command *ret)
{
    struct tg_cellular_command command;
    struct at_cellular *c = s->cellular;
    const char *text, *why;
    if (!c || !tg_cellular_next(&c->core, now_ms, &command))
        return false;
    text = command.text;
    if (command.kind != TG_CELL_PLAIN) {
        why = at_secret_complete(c, &command);
        if (why) {
            static const struct tg_at_result none = {.status = TG_AT_ABORTED, .code = -1};
            s->host->log(s->host->source, TG_LOG_WARN, "%s; %s is left out", why,
                         command.kind == TG_CELL_PIN ? "the PIN" : "the authentication of the access point");
            tg_cellular_result(&c->core, &none, now_ms);
            return false;
        }
        text = c->secret;
    }
    *ret = (struct tg_at_command){.text = text,
                                  .timeout_ms =
                                      command.timeout_ms > s->timeout_ms ? command.timeout_ms : s->timeout_ms,
                                  .is_response = is_response,
                                  .user = s};
    return true;
}

void at_cellular_result(struct at_source *s, const struct tg_at_result *r, int64_t now_ms)
{
    char shown[AT_SHOWN_BYTES], name[AT_SHOWN_BYTES];
    if (s->cellular->secret[0] && r->status != TG_AT_OK)
        s->host->log(s->host->source, TG_LOG_WARN, "%s was answered \"%s\"",
                     at_shown_command(r->command->text, name),
                     r->final.len ? at_shown(r->final, shown) : tg_at_status_name(r->status));
    at_secret_wipe(s->cellular);
    tg_cellular_result(&s->cellular->core, r, now_ms);
    if (r->status != TG_AT_HANGUP)
        settle(s->cellular, now_ms);
}

void at_cellular_urc(struct at_source *s, struct tg_bytes line, int64_t now_ms)
{
    if (!s->cellular)
        return;
    tg_cellular_urc(&s->cellular->core, line, now_ms);
    settle(s->cellular, now_ms);
}

int64_t at_cellular_deadline(const struct at_source *s)
{
    int64_t at = INT64_MAX, ppp;
    if (!s->cellular)
        return at;
    if (s->phase == AT_RUN) {
        bool idle = s->job == AT_JOB_NONE && tg_at_chat_state(&s->chat) == TG_AT_IDLE;
        at = idle || s->cellular->core.busy ? tg_cellular_deadline(&s->cellular->core) : at;
        if (s->cellular->pin_waits && s->cellular->pin_limit_ms < at)
            at = s->cellular->pin_limit_ms;
    }
    ppp = at_ppp_deadline(s->cellular);
    return ppp < at ? ppp : at;
}

const char *at_cellular_enter_pin(struct at_source *s, int64_t now_ms)
{
    struct at_cellular *c = s->cellular;
    if (!c)
        return "needs `script: cellular`";
    if (s->phase != AT_RUN)
        return "the modem does not answer";
    if (strcmp(c->core.sim_text, "SIM PIN") != 0)
        return "the SIM wants no PIN now";
    c->by_person = true;
    tg_cellular_look_at_sim(&c->core, now_ms);
    return NULL;
}
