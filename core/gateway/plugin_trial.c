/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/plugin_trial.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/base/plural.h"
#include "core/base/sample.h"
#include "core/gateway/command.h"
#include "core/gateway/router.h"
#include "northbound/format_json.h"
#include "southbound/plugin_host.h"

#define GOOD_BYE_MS                                                                                          \
    5000 /* what a plugin may take to come back, well above the second that plugin.h asks for */

struct trial_device {
    enum tg_device_state state;
    uint64_t samples;
    char text[200]; /* of the last state */
};

struct trial;

struct trial_source {
    struct trial *trial;
    const struct tg_config_source *config;
    struct tg_source_host *host; /* NULL before its start and after its end */
    struct trial_device *devices;
    bool open;
    char text[200]; /* why it is not open */
};

struct trial {
    struct tg_trial *ask;
    struct tg_loop loop;
    struct tg_deadline deadline; /* of the trial, then of the good-bye */
    uv_signal_t signals[2];
    struct trial_source *sources;
    uint32_t source_count, running;
    uint64_t samples, good; /* good: with at least one value */
    int64_t began_ms;
    bool enough, ending;
};

/* --- printing --------------------------------------------------------------------------------------------- */

static void put_value(const struct tg_value *v)
{
    uint8_t text[6 * TG_TEXT_MAX_BYTES + 64];
    struct tg_writer w = tg_writer_init(text, sizeof text);
    tg_format_json_value(&w, v);
    fwrite(text, 1, w.len, stdout);
}

static void put_string(const char *text)
{
    size_t len = text ? strlen(text) : 0;
    struct tg_value v = tg_value_text(text, len);
    if (text)
        put_value(&v); /* cut at 1 KiB */
    else
        fputs("null", stdout);
}

static void head(const struct trial *t, const char *event, const char *where, int64_t wall_ms)
{
    char stamp[TG_CLOCK_ISO8601_BYTES];
    tg_clock_iso8601(wall_ms && !tg_stamp_is_boot(wall_ms) ? wall_ms : tg_clock_wall_ms(), stamp);
    if (!t->ask->json) {
        printf("%s %-8s %s", stamp, event, where);
        return;
    }
    printf("{\"event\":\"%s\",\"ts\":\"%s\",\"%s\":", event, stamp,
           strcmp(event, "sample") == 0 || strcmp(event, "state") == 0 || strcmp(event, "fact") == 0 ||
                   strcmp(event, "answer") == 0
               ? "device"
               : "source");
    put_string(where);
}

/* `,"name":TEXT` or ` name TEXT`; nothing for a text that is not there. */
static void field(const struct trial *t, const char *name, const char *text)
{
    if (!text)
        return;
    if (t->ask->json) {
        printf(",\"%s\":", name);
        put_string(text);
    } else {
        printf(" ");
        put_string(text);
    }
}

/* As field(), for a word that needs no quotation marks for people. */
static void word(const struct trial *t, const char *name, const char *text)
{
    if (t->ask->json)
        field(t, name, text);
    else
        printf(" %s", text);
}

static void tail(const struct trial *t)
{
    puts(t->ask->json ? "}" : "");
    fflush(stdout);
}

static void print_sample(const struct trial *t, const struct tg_config_device *d, int64_t time_ms,
                         const struct tg_point_value *values, uint32_t count)
{
    head(t, "sample", d->id, time_ms);
    for (int good = 1; good >= 0; good--) {
        const char *between = "";
        if (t->ask->json)
            printf(",\"%s\":{", good ? "values" : "quality");
        for (uint32_t i = 0; i < count; i++) {
            const struct tg_config_point *p = &d->points[values[i].point];
            if ((values[i].quality == TG_QUALITY_GOOD) != (good == 1))
                continue;
            if (t->ask->json)
                printf("%s\"%s\":", between, p->name);
            else
                printf("  %s=", p->name);
            if (good)
                put_value(&values[i].value);
            else
                printf(t->ask->json ? "\"%s\"" : "(%s)", tg_quality_name(values[i].quality));
            if (good && !t->ask->json && p->unit)
                printf(" %s", p->unit);
            between = ",";
        }
        if (t->ask->json)
            printf("}");
    }
    tail(t);
}

static const char *state_name(enum tg_device_state state)
{
    static const char *const names[] = {"unknown", "ok", "suspect", "down"};
    return names[state];
}

/* --- the end ---------------------------------------------------------------------------------------------- */

static void on_closed(void *user)
{
    struct trial_source *s = user;
    struct trial *t = s->trial;
    s->host = NULL;
    if (--t->running > 0)
        return;
    tg_deadline_close(&t->deadline, NULL);
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&t->signals[i], NULL);
    tg_loop_stop(&t->loop);
}

static void end(struct trial *t)
{
    if (t->ending)
        return;
    t->ending = true;
    tg_deadline_set(&t->deadline, tg_clock_mono_ms() + GOOD_BYE_MS);
    for (uint32_t i = 0; i < t->source_count; i++)
        if (t->sources[i].host)
            tg_source_host_close(t->sources[i].host, on_closed, &t->sources[i]);
}

static void on_deadline(void *user)
{
    struct trial *t = user;
    if (!t->ending) {
        end(t);
        return;
    }
    for (uint32_t i = 0; i < t->source_count; i++)
        if (t->sources[i].host)
            fprintf(stderr,
                    "tidegate plugin test: source %s: the plugin has not come back %d s after the end; in a "
                    "thread "
                    "of its own it has to look at host->stopping() between steps\n",
                    t->sources[i].config->name, GOOD_BYE_MS / 1000);
    fflush(stdout);
    _exit(TG_EXIT_NO); /* its thread cannot be taken back */
}

/* The plugin's defects that take the process with them are said as well. Only what a signal handler may call. */
static void on_crash(int number)
{
    static const char text[] =
        "tidegate plugin test: no: the plugin has crashed; to see where: gdb --args tidegate plugin test …\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    (void)n;
    (void)raise(number); /* the handler is gone: the exit status stays that of the signal */
}

static bool trial_runs;

static void on_exit_within(void)
{
    static const char text[] =
        "tidegate plugin test: no: the plugin has called exit(), which would end the gateway\n";
    ssize_t n;
    if (!trial_runs)
        return;
    fflush(stdout);
    n = write(STDERR_FILENO, text, sizeof text - 1);
    (void)n;
    _exit(TG_EXIT_NO);
}

static void watch_for_crashes(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    const struct sigaction act = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &act, NULL);
    trial_runs = atexit(on_exit_within) == 0;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct trial *t = handle->data;
    (void)number;
    if (t->ending) {
        fflush(stdout);
        _exit(TG_EXIT_NO);
    }
    end(t);
}

/* Called inside a host's callback, so the end itself comes in the next turn. */
static void look_whether_enough(struct trial *t)
{
    if (t->ending || t->enough || !t->ask->wanted || t->samples < t->ask->wanted)
        return;
    for (uint32_t i = 0; i < t->ask->send_count; i++)
        if (!t->ask->sends[i].sent || t->ask->sends[i].open > 0)
            return;
    t->enough = true;
    tg_deadline_set(&t->deadline, 0);
}

/* --- commands --------------------------------------------------------------------------------------------- */

static void answer(struct trial *t, struct tg_trial_send *s, int status, const char *json)
{
    if (s->worst == TG_PLUGIN_OK)
        s->worst = status;
    head(t, "answer", s->device, 0);
    word(t, "command", s->command);
    word(t, "status", tg_router_status_name(status));
    if (json && t->ask->json) /* a plugin's text: not taken for JSON unseen */
        field(t, "result", json);
    else
        for (const char *c = json ? json : ""; *c; c++)
            printf("%s%c", c == json ? " " : "", (unsigned char)*c < 0x20 || *c == 0x7F ? '?' : *c);
    tail(t);
    look_whether_enough(t);
}

static void refuse(struct trial *t, struct tg_trial_send *s, int status, const char *name, const char *why)
{
    char text[TG_NAME_MAX_BYTES + 330];
    snprintf(text, sizeof text, "%.*s: %s", TG_NAME_MAX_BYTES, name, why);
    answer(t, s, status, text);
}

static void send_set(struct trial_source *src, uint32_t device, struct tg_trial_send *s, uint64_t request)
{
    const struct tg_config_device *d = &src->config->devices[device];
    const char *name;
    json_t *value;
    json_object_foreach(s->arguments, name, value)
    {
        struct tg_value v;
        uint32_t p = 0;
        char why[320];
        int rc;
        while (p < d->point_count && strcmp(d->points[p].name, name) != 0)
            p++;
        if (p == d->point_count)
            refuse(src->trial, s, TG_PLUGIN_EINVAL, name, "the device has no such point");
        else if (!tg_settings_int(d->points[p].common, "writable"))
            refuse(src->trial, s, TG_PLUGIN_EINVAL, name,
                   "the point is not writable (writable: true in the configuration)");
        else if (!tg_router_value_of(value, &v))
            refuse(src->trial, s, TG_PLUGIN_EINVAL, name,
                   "a value is a number, a boolean or a text of at most 1024 bytes");
        else if ((rc = tg_source_host_check_value(src->host, device, p, &v, why, sizeof why)) < 0)
            refuse(src->trial, s, rc, name, why);
        else {
            s->open++;
            tg_source_host_write(src->host, request, device, p, &v);
        }
    }
}

static void send_to(struct trial_source *src)
{
    struct trial *t = src->trial;
    for (uint32_t i = 0; i < t->ask->send_count; i++) {
        struct tg_trial_send *s = &t->ask->sends[i];
        for (uint32_t d = 0; d < src->config->device_count && !s->sent; d++) {
            if (strcmp(src->config->devices[d].id, s->device) != 0)
                continue;
            s->sent = true;
            if (strcmp(s->command, "set") == 0) {
                send_set(src, d, s, i);
            } else {
                s->open++;
                tg_source_host_command(src->host, i, d, s->command, s->json);
            }
        }
    }
}

/* --- what the plugin says --------------------------------------------------------------------------------- */

static int on_sample(void *user, uint32_t device, int64_t time_ms, struct tg_point_value *values,
                     uint32_t count)
{
    struct trial_source *s = user;
    struct trial *t = s->trial;
    bool good = false;
    if (t->enough || t->ending)
        return TG_OK;
    for (uint32_t i = 0; i < count; i++)
        good |= values[i].quality == TG_QUALITY_GOOD;
    t->samples++;
    t->good += good;
    s->devices[device].samples++;
    print_sample(t, &s->config->devices[device], time_ms, values, count);
    look_whether_enough(t);
    return TG_OK;
}

static void on_state(void *user, uint32_t device, enum tg_device_state state, const char *text)
{
    struct trial_source *s = user;
    s->devices[device].state = state;
    snprintf(s->devices[device].text, sizeof s->devices[device].text, "%s", text ? text : "");
    head(s->trial, "state", s->config->devices[device].id, 0);
    word(s->trial, "state", state_name(state));
    field(s->trial, "text", text);
    tail(s->trial);
}

static void on_answer(void *user, uint64_t request, int status, const char *json)
{
    struct trial *t = ((struct trial_source *)user)->trial;
    if (request >= t->ask->send_count || t->ask->sends[request].open == 0) {
        fprintf(stderr,
                "tidegate plugin test: the plugin has answered request %llu, which nobody made or which "
                "is answered already\n",
                (unsigned long long)request);
        return;
    }
    t->ask->sends[request].open--;
    answer(t, &t->ask->sends[request], status, json);
}

static void on_open(void *user, bool open, const char *text, int64_t retry_ms)
{
    struct trial_source *s = user;
    s->open = open;
    snprintf(s->text, sizeof s->text, "%s", text ? text : "");
    head(s->trial, open ? "open" : "not-open", s->config->name, 0);
    field(s->trial, "text", text);
    if (!open)
        printf(s->trial->ask->json ? ",\"retry_ms\":%lld" : "; again in %lld ms", (long long)retry_ms);
    tail(s->trial);
    if (open)
        send_to(s);
}

static void on_fact(void *user, uint32_t device, const char *name, const struct tg_value *value)
{
    struct trial_source *s = user;
    head(s->trial, "fact", s->config->devices[device].id, 0);
    field(s->trial, "name", name);
    printf(s->trial->ask->json ? ",\"value\":" : " = ");
    put_value(value);
    tail(s->trial);
}

static void on_discovered(void *user, const char *id, const char *profile)
{
    struct trial_source *s = user;
    head(s->trial, "discovered", s->config->name, 0);
    word(s->trial, "id", id);
    field(s->trial, "profile", profile);
    tail(s->trial);
}

static void on_uplink(void *user, bool up, const char *text)
{
    struct trial_source *s = user;
    head(s->trial, "uplink", s->config->name, 0);
    word(s->trial, "uplink", up ? "up" : "down");
    field(s->trial, "text", text);
    tail(s->trial);
}

static void on_time(void *user, int64_t wall_ms, int64_t at_ms, uint32_t uncertainty_ms)
{
    struct trial_source *s = user;
    char stamp[TG_CLOCK_ISO8601_BYTES];
    (void)at_ms;
    tg_clock_iso8601(wall_ms, stamp);
    head(s->trial, "time", s->config->name, 0);
    word(s->trial, "time", stamp);
    printf(s->trial->ask->json ? ",\"uncertainty_ms\":%u" : " within %u ms", uncertainty_ms);
    tail(s->trial);
}

static const struct tg_source_callbacks callbacks = {.on_sample = on_sample,
                                                     .on_state = on_state,
                                                     .on_answer = on_answer,
                                                     .on_open = on_open,
                                                     .on_fact = on_fact,
                                                     .on_discovered = on_discovered,
                                                     .on_uplink = on_uplink,
                                                     .on_time = on_time};

/* --- the verdict ------------------------------------------------------------------------------------------ */

/* Each reason for a no, a line each, or as an array. Returns how many. */
static uint32_t reason(const struct trial *t, uint32_t so_far, const char *what, const char *name,
                       const char *text)
{
    char line[TG_NAME_MAX_BYTES + 400];
    snprintf(line, sizeof line, "%s%s%s%s", what, name, text[0] ? ": " : "", text);
    if (t->ask->json) {
        printf("%s", so_far ? "," : "");
        put_string(line);
    } else {
        printf("no: %s\n", line);
    }
    return so_far + 1;
}

static uint32_t reasons(const struct trial *t)
{
    char seconds[80];
    uint32_t n = 0;
    snprintf(seconds, sizeof seconds, "%llu of %llu came in %lld s; --for gives it longer",
             (unsigned long long)t->samples, (unsigned long long)t->ask->wanted,
             (long long)(tg_clock_mono_ms() - t->began_ms) / 1000);
    for (uint32_t i = 0; i < t->source_count; i++) {
        const struct trial_source *s = &t->sources[i];
        if (!s->open)
            n = reason(t, n, "not open: source ", s->config->name, s->text);
        for (uint32_t d = 0; d < s->config->device_count; d++)
            if (s->devices[d].state == TG_DEVICE_DOWN)
                n = reason(t, n, "down: device ", s->config->devices[d].id, s->devices[d].text);
    }
    for (uint32_t i = 0; i < t->ask->send_count; i++) {
        const struct tg_trial_send *s = &t->ask->sends[i];
        if (!s->sent || s->open)
            n = reason(t, n, "no answer to ", s->command,
                       s->sent ? "" : "it was not sent, its source was not open");
        else if (s->worst != TG_PLUGIN_OK)
            n = reason(t, n, "refused: ", s->command, tg_router_status_name(s->worst));
    }
    if (t->samples == 0)
        n = reason(t, n, "no sample came", "", "");
    else if (t->good == 0)
        n = reason(t, n, "no sample had a value", "", "");
    else if (t->ask->must_have && t->samples < t->ask->wanted)
        n = reason(t, n, "too few samples", "", seconds);
    return n;
}

static int verdict(const struct trial *t)
{
    uint32_t no;
    if (t->ask->json) {
        printf("{\"event\":\"end\",\"samples\":%llu,\"devices\":{", (unsigned long long)t->samples);
        for (uint32_t i = 0, n = 0; i < t->source_count; i++)
            for (uint32_t d = 0; d < t->sources[i].config->device_count; d++)
                printf("%s\"%s\":{\"state\":\"%s\",\"samples\":%llu}", n++ ? "," : "",
                       t->sources[i].config->devices[d].id, state_name(t->sources[i].devices[d].state),
                       (unsigned long long)t->sources[i].devices[d].samples);
        printf("},\"wrong\":[");
    } else {
        for (uint32_t i = 0; i < t->source_count; i++)
            for (uint32_t d = 0; d < t->sources[i].config->device_count; d++)
                printf("device %s: %s, %llu %s\n", t->sources[i].config->devices[d].id,
                       state_name(t->sources[i].devices[d].state),
                       (unsigned long long)t->sources[i].devices[d].samples,
                       tg_plural(t->sources[i].devices[d].samples, "sample", "samples"));
    }
    no = reasons(t);
    if (t->ask->json)
        printf("],\"ok\":%s}\n", no ? "false" : "true");
    else if (!no)
        printf("yes: %llu %s, no device down\n", (unsigned long long)t->samples,
               tg_plural(t->samples, "sample", "samples"));
    fflush(stdout);
    return no ? TG_EXIT_NO : TG_EXIT_OK;
}

/* --- the trial -------------------------------------------------------------------------------------------- */

static int begin(struct trial *t, const struct tg_config *config, struct tg_error *err)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    int rc = tg_loop_init(&t->loop, err);
    if (rc < 0)
        return rc;
    tg_deadline_init(&t->deadline, &t->loop, on_deadline, t);
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&t->loop.uv, &t->signals[i]);
        t->signals[i].data = t;
        uv_signal_start(&t->signals[i], on_signal, numbers[i]);
    }
    t->began_ms = tg_clock_mono_ms();
    tg_deadline_set(&t->deadline, t->began_ms + t->ask->for_ms);
    for (uint32_t i = 0; i < config->source_count && rc == TG_OK; i++) {
        struct trial_source *s = &t->sources[i];
        *s = (struct trial_source){.trial = t, .config = &config->sources[i], .text = "it did not get to it"};
        s->devices = tg_calloc(s->config->device_count, sizeof *s->devices);
        t->source_count++;
        rc = s->devices ? tg_source_host_new(&t->loop, s->config, &callbacks, s, &s->host, err) : TG_ENOMEM;
        t->running += rc == TG_OK;
    }
    return rc;
}

int tg_plugin_trial_run(struct tg_trial *ask, const struct tg_config *config)
{
    struct trial run = {.ask = ask}, *t = &run;
    struct tg_error err = {0};
    int rc;
    t->sources = tg_calloc(config->source_count, sizeof *t->sources);
    watch_for_crashes();
    rc = t->sources ? begin(t, config, &err) : TG_ENOMEM;
    if (rc < 0) { /* nothing of a gateway is at stake: the process ends with what it holds */
        fprintf(stderr, "tidegate plugin test: %s\n", err.text[0] ? err.text : "out of memory");
        fflush(stdout);
        _exit(TG_EXIT_NO);
    }
    tg_loop_run(&t->loop);
    tg_loop_fini(&t->loop);
    rc = verdict(t);
    trial_runs = false;
    for (uint32_t i = 0; i < t->source_count; i++)
        tg_free(t->sources[i].devices);
    tg_free(t->sources);
    return rc;
}
