/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a plugin may ask of its host (struct tg_host). It calls these on its instance's thread; what it says goes to the loop as mail,
 * which plugin_host.c delivers. The longer ones have files of their own: plugin_discovered.c, plugin_notes.c, plugin_carry.c.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/sample.h"
#include "southbound/plugin_host_private.h"

#define FACT_NAME_MAX_BYTES 64
#define LOG_LINES_WAITING   256 /* with on_log: more are left out, so that states and answers keep their room */

static struct tg_host_source *checked(struct tg_host_source *s)
{
    return TG_OBJECT(s, struct tg_host_source, TG_HOST_SOURCE_MAGIC);
}

/* A service that an instance at work keeps asking for: it is not stuck. */
static struct tg_host_source *alive(struct tg_host_source *source)
{
    struct tg_host_source *s = checked(source);
    atomic_fetch_add_explicit(&s->progress, 1, memory_order_relaxed);
    return s;
}

static size_t texts_size(const struct tg_point_value *values, uint32_t count)
{
    size_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (values[i].value.type == TG_VALUE_TEXT)
            n += values[i].value.text_len;
    return n;
}

bool tg_value_is_sound(const struct tg_point_value *v)
{
    if (v->quality > TG_QUALITY_DOWN || v->value.type > TG_VALUE_TEXT)
        return false;
    if (v->value.type == TG_VALUE_NONE)
        return v->quality != TG_QUALITY_GOOD;
    return v->value.type != TG_VALUE_TEXT ||
           (v->value.text_len <= TG_TEXT_MAX_BYTES && (v->value.as.text || v->value.text_len == 0));
}

/* What the plugin says counts, except a wall time that it had from a clock without one. */
static int64_t stamp_of(int64_t time_ms)
{
    bool given = time_ms != 0 && !tg_stamp_is_boot(time_ms);
    if (given && (tg_clock_plausible(time_ms) || tg_clock_source() != TG_CLOCK_NONE))
        return time_ms;
    return tg_clock_stamp();
}

static int service_emit(struct tg_host_source *source, uint32_t device, int64_t time_ms,
                        const struct tg_point_value *values, uint32_t count)
{
    struct tg_host_source *s = alive(source);
    size_t size;
    struct tg_up_mail *m;
    char *text;
    if (!tg_emit_is_sound(s, device, values, count))
        return TG_PLUGIN_EINVAL;
    size = sizeof *m + count * sizeof values[0] + texts_size(values, count);
    m = tg_blocks_take(s, size);
    if (!m)
        goto reject;
    *m = (struct tg_up_mail){.mail.cost = size, .kind = TG_MAIL_SAMPLE, .device = device, .count = count};
    m->time_ms = stamp_of(time_ms);
    memcpy(m->values, values, count * sizeof values[0]);
    text = (char *)&m->values[count];
    for (uint32_t i = 0; i < count; i++) {
        struct tg_value *v = &m->values[i].value;
        if (v->type != TG_VALUE_TEXT)
            continue;
        if (v->text_len)
            memcpy(text, v->as.text, v->text_len);
        v->as.text = text;
        text += v->text_len;
    }
    /* Counted before the loop can see it: who has seen a sample finds it in the count. */
    atomic_fetch_add_explicit(&s->emitted, 1, memory_order_relaxed);
    if (tg_mailbox_put(&s->up, &m->mail) < 0) {
        atomic_fetch_sub_explicit(&s->emitted, 1, memory_order_relaxed);
        tg_pool_give(&s->blocks, m, size);
        goto reject;
    }
    return TG_PLUGIN_OK;
reject:
    atomic_fetch_add_explicit(&s->rejected, 1, memory_order_relaxed);
    return TG_PLUGIN_EFULL;
}

void tg_put_news(struct tg_host_source *s, const struct tg_up_mail *head, const char *text)
{
    size_t len = text ? strlen(text) : 0;
    struct tg_up_mail *m = tg_malloc(sizeof *m + len + 1);
    int rc = TG_ENOMEM;
    if (m) {
        *m = *head;
        m->has_text = text != NULL;
        memcpy(m->values, text ? text : "", len + 1);
        m->mail.cost = sizeof *m + len + 1;
        rc = tg_mailbox_put(&s->news, &m->mail);
        if (rc == TG_OK)
            return;
        tg_free(m);
    }
    if (rc != TG_ESTATE) /* closed: nobody waits for it any more */
        tg_log(TG_LOG_WARN, "source", "source=%s a device state or an answer was lost: %s", s->config->name,
               tg_code_text(rc));
}

static void service_device_state(struct tg_host_source *source, uint32_t device, uint32_t state,
                                 const char *text)
{
    struct tg_host_source *s = checked(source);
    if (device < s->model.device_count && state <= TG_DEVICE_DOWN)
        tg_put_news(s, &(struct tg_up_mail){.kind = TG_MAIL_STATE, .device = device, .state = state}, text);
}

void tg_put_answer(struct tg_host_source *s, uint64_t request, int status, const char *json)
{
    tg_put_news(s, &(struct tg_up_mail){.kind = TG_MAIL_ANSWER, .request = request, .status = status}, json);
}

static void service_answer(struct tg_host_source *source, uint64_t request, int status, const char *json)
{
    tg_put_answer(checked(source), request, status, json);
}

static void service_uplink(struct tg_host_source *source, bool up, const char *text)
{
    tg_put_news(checked(source), &(struct tg_up_mail){.kind = TG_MAIL_UPLINK, .state = up}, text);
}

static void service_offer_time(struct tg_host_source *source, int64_t wall_ms, uint32_t uncertainty_ms)
{
    tg_put_news(checked(source),
                &(struct tg_up_mail){.kind = TG_MAIL_TIME,
                                     .time_ms = wall_ms,
                                     .request = (uint64_t)tg_clock_mono_ms(),
                                     .state = uncertainty_ms},
                NULL);
}

static int service_device_fact(struct tg_host_source *source, uint32_t device, const char *name,
                               const struct tg_value *value)
{
    struct tg_host_source *s = checked(source);
    const struct tg_point_value v = {.quality = TG_QUALITY_GOOD, .value = *value};
    size_t name_len = name ? strlen(name) : 0, text_len = value->type == TG_VALUE_TEXT ? value->text_len : 0;
    struct tg_up_mail *m;
    char *text;
    if (device >= s->model.device_count || name_len == 0 || name_len > FACT_NAME_MAX_BYTES ||
        !tg_value_is_sound(&v))
        return TG_PLUGIN_EINVAL;
    m = tg_malloc(sizeof *m + sizeof v + text_len + name_len + 1);
    if (!m)
        return TG_PLUGIN_ENOMEM;
    *m = (struct tg_up_mail){.mail.cost = sizeof *m + sizeof v + text_len + name_len + 1,
                             .kind = TG_MAIL_FACT,
                             .device = device,
                             .count = 1};
    m->values[0] = v;
    text = (char *)&m->values[1];
    memcpy(text, name, name_len + 1);
    if (text_len)
        memcpy(text + name_len + 1, value->as.text, text_len);
    m->values[0].value.as = value->as;
    if (value->type == TG_VALUE_TEXT)
        m->values[0].value.as.text = text + name_len + 1;
    if (tg_mailbox_put(&s->news, &m->mail) == TG_OK)
        return TG_PLUGIN_OK;
    tg_free(m);
    return TG_PLUGIN_EFULL;
}

static void service_log(struct tg_host_source *source, uint32_t level, const char *fmt, ...) TG_PRINTF(3, 4);
static void service_log(struct tg_host_source *source, uint32_t level, const char *fmt, ...)
{
    struct tg_host_source *s = checked(source);
    char text[512];
    va_list ap;
    level = level <= TG_LOG_DEBUG ? level : TG_LOG_DEBUG;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!s->handle.cb->on_log)
        tg_log((enum tg_log_level)level, "source", "source=%s %s", s->config->name, text);
    else if (level <= (uint32_t)tg_log_level() && tg_mailbox_count(&s->news) < LOG_LINES_WAITING)
        tg_put_news(s, &(struct tg_up_mail){.kind = TG_MAIL_LOG, .state = level}, text);
}

static int service_watch_fd(struct tg_host_source *source, int fd, uint32_t events)
{
    struct tg_host_source *s = checked(source);
    struct tg_watch *w = NULL;
    for (size_t i = 0; i < TG_SOURCE_MAX_FDS; i++)
        if (s->watches[i].events && s->watches[i].fd == fd)
            w = &s->watches[i];
    for (size_t i = 0; !w && i < TG_SOURCE_MAX_FDS; i++)
        if (!s->watches[i].events && !s->watches[i].poll)
            w = &s->watches[i];
    if (!w || fd < 0)
        return TG_PLUGIN_EINVAL;
    w->fd = fd;
    w->events = events & (TG_FD_READ | TG_FD_WRITE);
    return s->services.thread_model == TG_THREAD_LOOP ? tg_on_loop_watch(s, w) : TG_PLUGIN_OK;
}

static int64_t service_now_ms(struct tg_host_source *source)
{
    (void)source;
    return tg_clock_mono_ms();
}

static int64_t service_wall_ms(struct tg_host_source *source)
{
    (void)source;
    return tg_clock_wall_ms();
}

static bool service_stopping(struct tg_host_source *source)
{
    return atomic_load_explicit(&alive(source)->stopping, memory_order_relaxed);
}

#define GETTERS                                                                                              \
    .has = tg_settings_has, .get_int = tg_settings_int, .get_real = tg_settings_real,                        \
    .get_text = tg_settings_text, .get_list = tg_settings_list

const struct tg_host *tg_source_check_host(void)
{
    static const struct tg_host host = {
        .struct_size = (uint32_t)sizeof host, .api_version = TG_PLUGIN_API_VERSION, GETTERS};
    return &host;
}

void tg_source_services(struct tg_host_source *s, uint32_t thread_model)
{
    s->services = (struct tg_host){.struct_size = (uint32_t)sizeof s->services,
                                   .api_version = TG_PLUGIN_API_VERSION,
                                   .source = s,
                                   .emit = service_emit,
                                   .device_state = service_device_state,
                                   .log = service_log,
                                   .answer = service_answer,
                                   .watch_fd = service_watch_fd,
                                   .now_ms = service_now_ms,
                                   .wall_ms = service_wall_ms,
                                   .stopping = service_stopping,
                                   GETTERS,
                                   .device_fact = service_device_fact,
                                   .discovered = tg_service_discovered,
                                   .uplink = service_uplink,
                                   .offer_time = service_offer_time,
                                   .note_set = tg_service_note_set,
                                   .note_get = tg_service_note_get,
                                   .notes_kept = tg_service_notes_kept,
                                   .carrier = tg_service_carrier,
                                   .carried = tg_service_carried,
                                   .thread_model = thread_model};
}
