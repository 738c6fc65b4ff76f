/* SPDX-License-Identifier: MIT
 *
 * thermometer - a thermometer on a serial line that is asked and answers (reply.h), one on each line.
 *
 *                      ┌── the port opens ──┐          ┌── a point is due, or a write waits ──┐
 *     no port ─────────┘                    └──► idle ─┘                                      └──► asked
 *        ▲                                        ▲                                                  │
 *        └── gone (unplugged, hung up) ───────────┴────────── answered, damaged, or no answer ◄──────┘
 *
 * It runs on the gateway's loop and so never blocks: the descriptor is watched, and poll() says when something is due next. One request
 * is out at a time. What comes after its time is told from what was asked for by its letter, and thrown away.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <tidegate/plugin.h>

#include "reply.h"

#define REOPEN_MS        1000
#define DEFAULT_EVERY_MS 1000
#define DOWN_AFTER       3 /* requests without a good answer */
#define NOTHING          UINT32_MAX

/* --- tables -------------------------------------------------------------------------------------- */

static const char *const bauds[] = {"1200", "2400", "9600", "19200", "115200", NULL};
static const speed_t speeds[] = {B1200, B2400, B9600, B19200, B115200};

static const struct tg_option source_options[] = {{.name = "port",
                                                   .type = TG_OPTION_PATH,
                                                   .flags = TG_OPTION_REQUIRED,
                                                   .doc = "The serial port, best by /dev/serial/by-id."},
                                                  {.name = "baud",
                                                   .type = TG_OPTION_ENUM,
                                                   .choices = bauds,
                                                   .default_text = "9600",
                                                   .doc = "The speed of the line; 8N1."},
                                                  {.name = "timeout",
                                                   .type = TG_OPTION_DURATION,
                                                   .min = 50,
                                                   .max = 10000,
                                                   .default_text = "500ms",
                                                   .doc = "How long an answer may take."},
                                                  {0}};

static const char *const quantities[] = {"temperature", "humidity", "limit", NULL};
static const char letters[] = {'T', 'H', 'L'};
enum { QUANTITY_LIMIT = 2 };

static const struct tg_option point_options[] = {{.name = "quantity",
                                                  .type = TG_OPTION_ENUM,
                                                  .choices = quantities,
                                                  .flags = TG_OPTION_REQUIRED,
                                                  .doc = "What is asked for."},
                                                 {0}};

static const struct tg_profile profiles[] = {
    {"th1", "All that the thermometer has.",
     "points:\n"
     "  - {name: temperature, quantity: temperature, unit: Cel, every: 1s}\n"
     "  - {name: humidity, quantity: humidity, unit: \"%RH\", every: 5s}\n"
     "  - {name: limit, quantity: limit, unit: Cel, every: 1m, writable: true}\n"},
    {0}};

static int check_point(const struct tg_host *host, const struct tg_settings *device,
                       const struct tg_point *point, const char **ret_option, char *error, size_t error_size)
{
    (void)device;
    if (!point->writable || host->get_int(point->settings, "quantity") == QUANTITY_LIMIT)
        return TG_PLUGIN_OK;
    *ret_option = "quantity";
    snprintf(error, error_size, "only the limit can be writable");
    return TG_PLUGIN_EINVAL;
}

/* --- an instance ----------------------------------------------------------------------------------- */

struct thermometer {
    const struct tg_host *host;
    const struct tg_source *source;
    const struct tg_device *device; /* the only one; NULL: none */
    int64_t *due_ms;                /* for each point */
    int fd;                         /* -1: no port */
    int64_t reopen_ms, deadline_ms;
    uint32_t asked;       /* the point that an answer is waited for, or NOTHING */
    uint64_t request;     /* of the write that is under way or waits */
    uint32_t write_point; /* NOTHING: none */
    double write_value;
    bool write_sent;
    char line[REPLY_MAX_BYTES];
    size_t len; /* beyond REPLY_MAX_BYTES: the line is too long and thrown away */
    unsigned misses;
    uint32_t state;
};

static void tell(struct thermometer *t, uint32_t state, const char *text)
{
    if (t->state == state)
        return;
    t->state = state;
    t->host->device_state(t->host->source, 0, state, text);
}

static char letter_of(const struct thermometer *t, uint32_t point)
{
    return letters[t->host->get_int(t->device->points[point].settings, "quantity")];
}

static void answer_write(struct thermometer *t, int status, const char *json)
{
    if (t->write_point == NOTHING)
        return;
    t->write_point = NOTHING;
    t->host->answer(t->host->source, t->request, status, json);
}

/* --- the port -------------------------------------------------------------------------------------- */

static void lose_port(struct thermometer *t, const char *why)
{
    char text[200];
    if (t->fd >= 0) {
        t->host->watch_fd(t->host->source, t->fd, 0); /* before it is closed */
        close(t->fd);
    }
    t->fd = -1;
    t->asked = NOTHING;
    t->reopen_ms = t->host->now_ms(t->host->source) + REOPEN_MS;
    snprintf(text, sizeof text, "%s: %s", t->host->get_text(t->source->settings, "port"), why);
    tell(t, TG_DEVICE_DOWN, text);
    answer_write(t, t->write_sent ? TG_PLUGIN_EUNKNOWN : TG_PLUGIN_EIO, "{\"error\":\"the port is gone\"}");
}

static void open_port(struct thermometer *t)
{
    struct termios line;
    t->fd = open(t->host->get_text(t->source->settings, "port"), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (t->fd < 0 || tcgetattr(t->fd, &line) < 0) {
        lose_port(t, strerror(errno));
        return;
    }
    cfmakeraw(&line);
    line.c_cflag |= CLOCAL | CREAD;
    cfsetspeed(&line, speeds[t->host->get_int(t->source->settings, "baud")]);
    if (tcsetattr(t->fd, TCSANOW, &line) < 0 || t->host->watch_fd(t->host->source, t->fd, TG_FD_READ) < 0) {
        lose_port(t, "it is no serial port that can be used");
        return;
    }
    t->misses = 0;
}

/* --- asking ---------------------------------------------------------------------------------------- */

static void send_request(struct thermometer *t, const char *text, uint32_t point, int64_t now_ms)
{
    size_t n = strlen(text);
    tcflush(t->fd, TCIFLUSH); /* what is left of an answer that came too late */
    t->len = 0;
    if (write(t->fd, text, n) != (ssize_t)n) { /* a request is far smaller than the line's queue */
        lose_port(t, errno == EAGAIN ? "the line takes nothing" : strerror(errno));
        return;
    }
    t->asked = point;
    t->deadline_ms = now_ms + t->host->get_int(t->source->settings, "timeout");
}

static void ask_next(struct thermometer *t, int64_t now_ms)
{
    char text[REPLY_MAX_BYTES + 2];
    uint32_t next = 0;
    if (t->write_point != NOTHING) {
        int n = snprintf(text, sizeof text, "L=%+.1f", t->write_value);
        snprintf(text + n, sizeof text - (size_t)n, "*%02X\r", reply_checksum(text, (size_t)n));
        t->write_sent = true;
        send_request(t, text, t->write_point, now_ms);
        return;
    }
    for (uint32_t p = 1; p < t->device->point_count; p++)
        if (t->due_ms[p] < t->due_ms[next])
            next = p;
    if (t->device->point_count == 0 || t->due_ms[next] > now_ms)
        return;
    t->due_ms[next] =
        now_ms + (t->device->points[next].every_ms ? t->device->points[next].every_ms : DEFAULT_EVERY_MS);
    snprintf(text, sizeof text, "%c?\r", letter_of(t, next));
    send_request(t, text, next, now_ms);
}

/* --- answers --------------------------------------------------------------------------------------- */

static void give(struct thermometer *t, uint32_t quality, double value)
{
    struct tg_point_value v = {.point = t->asked, .quality = quality};
    if (quality == TG_QUALITY_GOOD)
        v.value = tg_value_real(value);
    t->host->emit(t->host->source, 0, 0, &v, 1);
    t->asked = NOTHING;
}

static void good(struct thermometer *t)
{
    t->misses = 0;
    tell(t, TG_DEVICE_OK, NULL);
}

static void missed(struct thermometer *t, uint32_t quality, const char *why)
{
    bool writing = t->write_point != NOTHING && t->write_sent;
    t->misses++;
    tell(t, t->misses < DOWN_AFTER ? TG_DEVICE_SUSPECT : TG_DEVICE_DOWN, why);
    give(t, quality, 0);
    if (writing)
        answer_write(t, TG_PLUGIN_EUNKNOWN, "{\"error\":\"sent, and not confirmed\"}");
}

static void take_line(struct thermometer *t)
{
    double value = 0;
    bool writing = t->write_point != NOTHING && t->write_sent;
    if (t->asked == NOTHING)
        return;
    switch (t->len > REPLY_MAX_BYTES ? REPLY_DAMAGED
                                     : reply_parse(t->line, t->len, letter_of(t, t->asked), &value)) {
    case REPLY_VALUE:
        good(t);
        give(t, TG_QUALITY_GOOD, value);
        if (writing)
            answer_write(t, TG_PLUGIN_OK, NULL);
        break;
    case REPLY_ERROR:
        good(t); /* it answers */
        give(t, value == 2 ? TG_QUALITY_SENSOR : value == 1 ? TG_QUALITY_CONFIG : TG_QUALITY_DEVICE, 0);
        if (writing)
            answer_write(t, TG_PLUGIN_EDEVICE, "{\"error\":\"the thermometer does not take this value\"}");
        break;
    case REPLY_OTHER:
        break; /* ours may still come */
    case REPLY_DAMAGED:
        missed(t, TG_QUALITY_COMM, "an answer was damaged: line and speed?");
        break;
    }
}

static void thermometer_fd_ready(void *self, int fd, uint32_t events)
{
    struct thermometer *t = self;
    char bytes[64];
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || (n < 0 && events & TG_FD_HANGUP)) {
        lose_port(t, n < 0 ? strerror(errno) : "it was unplugged");
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] == '\r') {
            take_line(t);
            t->len = 0;
        } else if (t->len < REPLY_MAX_BYTES) {
            t->line[t->len++] = bytes[i];
        } else {
            t->len = REPLY_MAX_BYTES + 1;
        }
    }
}

/* --- the instance's functions ---------------------------------------------------------------------- */

static void thermometer_close(void *self)
{
    struct thermometer *t = self;
    if (t->fd >= 0) {
        t->host->watch_fd(t->host->source, t->fd, 0);
        close(t->fd);
    }
    free(t->due_ms);
    free(t);
}

static int thermometer_open(const struct tg_host *host, const struct tg_source *source, void **ret_instance,
                            char *error, size_t error_size)
{
    struct thermometer *t = NULL;
    if (source->device_count > 1) {
        snprintf(error, error_size,
                 "a line has one thermometer: give each of the %u devices a source of its own",
                 source->device_count);
        return TG_PLUGIN_EINVAL;
    }
    t = calloc(1, sizeof *t);
    if (t)
        t->due_ms = calloc(source->device_count ? source->devices[0].point_count + 1 : 1, sizeof *t->due_ms);
    if (!t || !t->due_ms) {
        free(t);
        snprintf(error, error_size, "out of memory");
        return TG_PLUGIN_ENOMEM;
    }
    t->host = host;
    t->source = source;
    t->device = source->device_count ? &source->devices[0] : NULL;
    t->fd = -1;
    t->asked = t->write_point = NOTHING;
    *ret_instance = t;
    return TG_PLUGIN_OK;
}

static int32_t wait_for(int64_t at_ms, int64_t now_ms)
{
    int64_t wait = at_ms - now_ms;
    return wait < 0 ? 0 : wait > INT32_MAX ? INT32_MAX : (int32_t)wait;
}

static int32_t thermometer_poll(void *self, int64_t now_ms)
{
    struct thermometer *t = self;
    int64_t next_ms = INT64_MAX;
    char text[80];
    if (!t->device)
        return TG_POLL_IDLE;
    if (t->fd < 0 && now_ms >= t->reopen_ms)
        open_port(t);
    if (t->fd < 0)
        return wait_for(t->reopen_ms, now_ms);
    if (t->asked != NOTHING && now_ms >= t->deadline_ms) {
        snprintf(text, sizeof text, "no answer in %lld ms",
                 (long long)t->host->get_int(t->source->settings, "timeout"));
        missed(t, TG_QUALITY_TIMEOUT, text);
    }
    if (t->asked == NOTHING)
        ask_next(t, now_ms);
    if (t->fd < 0)
        return wait_for(t->reopen_ms, now_ms);
    if (t->asked != NOTHING)
        return wait_for(t->deadline_ms, now_ms);
    for (uint32_t p = 0; p < t->device->point_count; p++)
        if (t->due_ms[p] < next_ms)
            next_ms = t->due_ms[p];
    return next_ms == INT64_MAX ? TG_POLL_IDLE : wait_for(next_ms, now_ms);
}

static void thermometer_write(void *self, uint64_t request, uint32_t device, uint32_t point,
                              const struct tg_value *value)
{
    struct thermometer *t = self;
    double limit = value->type == TG_VALUE_INT ? (double)value->as.integer : value->as.real;
    (void)device;
    if ((value->type != TG_VALUE_INT && value->type != TG_VALUE_REAL) || !(limit >= -99.9 && limit <= 199.9))
        t->host->answer(t->host->source, request, TG_PLUGIN_EINVAL,
                        "{\"error\":\"the limit is a number from -99.9 to 199.9\"}");
    else if (t->write_point != NOTHING)
        t->host->answer(t->host->source, request, TG_PLUGIN_EFULL,
                        "{\"error\":\"another limit is being set\"}");
    else if (t->fd < 0)
        t->host->answer(t->host->source, request, TG_PLUGIN_EIO, "{\"error\":\"there is no port\"}");
    else {
        t->request = request;
        t->write_point = point;
        t->write_value = limit;
        t->write_sent = false; /* poll() follows */
    }
}

static const struct tg_plugin thermometer_plugin = {TG_PLUGIN_INIT(TG_THREAD_LOOP),
                                                    .name = "thermometer",
                                                    .version = "1.0",
                                                    .summary = "thermometers of type TH1 on serial lines",
                                                    .source_options = source_options,
                                                    .point_options = point_options,
                                                    .profiles = profiles,
                                                    .check_point = check_point,
                                                    .open = thermometer_open,
                                                    .poll = thermometer_poll,
                                                    .close = thermometer_close,
                                                    .write = thermometer_write,
                                                    .fd_ready = thermometer_fd_ready,
                                                    .needs = TG_NEEDS_STATED};
TG_PLUGIN_EXPORT(thermometer_plugin)
