/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_child - the program `tidegate-plugin-host`: the process of one isolated plugin. The gateway starts it (plugin_process.h);
 * by hand it does nothing.
 *
 * It reads the configuration from its first socket, takes away from itself what the plugin has not declared, loads the plugin and
 * runs it with the same host as the gateway does in-process: the host's callbacks become messages, messages become its calls.
 * Samples wait in the host's mailbox while the second socket takes none. Nothing of the gateway is inherited but standard error.
 * It ends when the first socket ends, and is killed by the kernel when the gateway dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "southbound/plugin_child_model.h"
#include "southbound/plugin_confine.h"
#include "southbound/plugin_host_private.h"
#include "southbound/plugin_loader.h"
#include "southbound/plugin_process.h"

#define READ_BYTES         65536
#define CONTROL_WAIT_BYTES (256 * 1024) /* so much unsent: it waits until the gateway has read */
#define SAMPLES_FULL_BYTES (64 * 1024)  /* so much unsent: samples stay in the mailbox */
#define EXIT_TROUBLE       1

struct port {
    dev_t device;
    ino_t node;
    struct timespec
        changed; /* numbers of nodes are given again: a pty's, a port's that is unplugged for a moment */
    bool there, is_device;
};

struct child {
    struct tg_loop loop;
    struct tg_child_outline outline;
    struct tg_child_model model;
    struct tg_buffer raw; /* the configuration's frames */
    struct tg_buffer in, control_out, samples_out;
    struct tg_source_host *host;
    uv_poll_t control, samples;
    uv_timer_t beat;
    uv_prepare_t before_wait;
    int samples_events, control_events;
    bool samples_waited; /* one was refused: the mailbox holds it */
    bool closing;
    int exit_code;
    /* how long a function has been at work */
    unsigned progress;
    int64_t busy_ms, beat_at_ms;
    struct port ports[TG_CHILD_PATHS_MAX];
    uint32_t confined;
    struct tg_source_note recalled[TG_NOTES_MAX]; /* before the host is there */
    uint32_t recalled_count;
};

static void begin_close(struct child *c, int exit_code);

/* --- sending ----------------------------------------------------------------------------------------------- */

/* What can be written now; false: the gateway is gone. */
static bool write_some(int fd, struct tg_buffer *out)
{
    while (out->len) {
        ssize_t n = write(fd, out->data, out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        tg_buffer_consume(out, (size_t)n);
    }
    return true;
}

/* Waits until the control socket has taken all, or the gateway does not want any more. */
static void write_all(struct child *c)
{
    struct pollfd p = {.fd = TG_PROCESS_CONTROL_FD, .events = POLLOUT | POLLRDHUP};
    while (write_some(TG_PROCESS_CONTROL_FD, &c->control_out) && c->control_out.len)
        if (poll(&p, 1, -1) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR))
            return;
}

static void put(struct child *c, const struct tg_wire_message *m)
{
    size_t bound = tg_wire_message_bound(m);
    struct tg_writer w;
    if (c->control_out.len > CONTROL_WAIT_BYTES)
        write_all(c);
    if (tg_buffer_reserve(&c->control_out, bound) < 0)
        return; /* the gateway is closing, or there is no memory: its text is lost */
    w = tg_writer_init(c->control_out.data + c->control_out.len, bound);
    tg_wire_put_message(&w, m);
    if (!w.failed)
        c->control_out.len += w.len;
}

static struct tg_wire_message texted(uint8_t type, const char *text)
{
    return (struct tg_wire_message){.type = type, .has_text = text != NULL, .text = tg_bytes_str(text)};
}

/* --- callbacks of the host ------------------------------------------------------------------------------------- */

static int on_sample(void *user, uint32_t device, int64_t time_ms, struct tg_point_value *values,
                     uint32_t count)
{
    struct child *c = user;
    size_t bound = tg_wire_sample_bound(values, count);
    struct tg_writer w;
    if (c->samples_out.len >= SAMPLES_FULL_BYTES && write_some(TG_PROCESS_SAMPLES_FD, &c->samples_out) &&
        c->samples_out.len >= SAMPLES_FULL_BYTES) {
        c->samples_waited = true;
        return TG_EFULL;
    }
    if (tg_buffer_reserve(&c->samples_out, bound) < 0) {
        c->samples_waited = true;
        return TG_EFULL;
    }
    w = tg_writer_init(c->samples_out.data + c->samples_out.len, bound);
    tg_wire_put_sample(&w, device, time_ms, values, count);
    if (!w.failed)
        c->samples_out.len += w.len;
    return TG_OK;
}

static void on_state(void *user, uint32_t device, enum tg_device_state state, const char *text)
{
    struct tg_wire_message m = texted(TG_WIRE_STATE, text);
    m.device = device;
    m.state = state;
    put(user, &m);
}

static void on_answer(void *user, uint64_t request, int status, const char *json)
{
    struct tg_wire_message m = texted(TG_WIRE_ANSWER, json);
    if (m.text.len > TG_WIRE_FRAME_MAX_BYTES / 2) {
        m = texted(TG_WIRE_ANSWER, "{\"error\":\"the plugin's answer is too long\"}");
        status = TG_PLUGIN_EIO;
    }
    m.number = request;
    m.status = status;
    put(user, &m);
}

static void on_open(void *user, bool open, const char *text, int64_t retry_ms)
{
    struct tg_wire_message m = texted(TG_WIRE_OPENED, text);
    m.status = open ? 0 : -1;
    m.time_ms = retry_ms;
    put(user, &m);
}

static void on_fact(void *user, uint32_t device, const char *name, const struct tg_value *value)
{
    const struct tg_wire_message m = {
        .type = TG_WIRE_FACT, .device = device, .name = tg_bytes_str(name), .value = *value};
    put(user, &m);
}

static void on_discovered(void *user, const char *id, const char *profile)
{
    struct tg_wire_message m = texted(TG_WIRE_FOUND, profile);
    m.name = tg_bytes_str(id);
    put(user, &m);
}

static void on_candidate(void *user, const char *id)
{
    on_discovered(user, id, NULL); /* the gateway's own rule lists it for people */
}

static void on_uplink(void *user, bool up, const char *text)
{
    struct tg_wire_message m = texted(TG_WIRE_UPLINK, text);
    m.state = up;
    put(user, &m);
}

static void on_time(void *user, int64_t wall_ms, int64_t at_ms, uint32_t uncertainty_ms)
{
    const struct tg_wire_message m = {
        .type = TG_WIRE_TIME, .time_ms = wall_ms, .at_ms = at_ms, .state = uncertainty_ms};
    put(user, &m);
}

static void on_note(void *user, const char *key, const char *text, uint64_t number)
{
    struct tg_wire_message m = texted(TG_WIRE_NOTE, text);
    (void)number; /* they come in order */
    m.name = tg_bytes_str(key);
    put(user, &m);
}

static void recall_notes(void *user, void (*take)(void *taker, const char *key, struct tg_bytes text),
                         void *taker)
{
    struct child *c = user;
    for (uint32_t i = 0; i < c->recalled_count; i++)
        take(taker, c->recalled[i].key, tg_bytes_str(c->recalled[i].text));
}

static void on_carrier(void *user, uint32_t channel, bool up, const char *text)
{
    struct tg_wire_message m = texted(TG_WIRE_CARRIER, text);
    m.device = channel;
    m.state = up;
    put(user, &m);
}

static void on_carried(void *user, uint32_t channel, uint64_t message, int status)
{
    const struct tg_wire_message m = {
        .type = TG_WIRE_CARRIED, .device = channel, .number = message, .status = status};
    put(user, &m);
}

static void on_log(void *user, enum tg_log_level level, const char *text)
{
    struct tg_wire_message m = texted(TG_WIRE_LOG, text);
    m.state = level;
    put(user, &m);
}

static const struct tg_source_callbacks callbacks = {.on_sample = on_sample,
                                                     .on_state = on_state,
                                                     .on_answer = on_answer,
                                                     .on_open = on_open,
                                                     .on_fact = on_fact,
                                                     .on_discovered = on_discovered,
                                                     .on_uplink = on_uplink,
                                                     .on_time = on_time,
                                                     .recall_notes = recall_notes,
                                                     .on_note = on_note,
                                                     .on_log = on_log,
                                                     .on_candidate = on_candidate,
                                                     .on_carrier = on_carrier,
                                                     .on_carried = on_carried};

/* --- the sockets -------------------------------------------------------------------------------------------- */

static void on_control(uv_poll_t *uv, int status, int events);
static void on_samples(uv_poll_t *uv, int status, int events);

static void watch(uv_poll_t *uv, int *now, int wanted, uv_poll_cb cb)
{
    if (*now == wanted)
        return;
    *now = wanted;
    if (wanted)
        uv_poll_start(uv, wanted, cb);
    else
        uv_poll_stop(uv);
}

/* Once a turn, before the loop waits: what the turn has put is sent together. */
static void flush(struct child *c)
{
    if (c->closing)
        return;
    if (!write_some(TG_PROCESS_CONTROL_FD, &c->control_out) ||
        !write_some(TG_PROCESS_SAMPLES_FD, &c->samples_out)) {
        begin_close(c, 0);
        return;
    }
    if (c->samples_waited && c->samples_out.len < SAMPLES_FULL_BYTES) {
        c->samples_waited = false;
        tg_source_host_resume(c->host);
        (void)write_some(TG_PROCESS_SAMPLES_FD, &c->samples_out);
    }
    watch(&c->control, &c->control_events, UV_READABLE | (c->control_out.len ? UV_WRITABLE : 0), on_control);
    watch(&c->samples, &c->samples_events, c->samples_out.len ? UV_WRITABLE : 0, on_samples);
}

static void on_before_wait(uv_prepare_t *uv)
{
    flush(uv->data);
}

static void on_samples(uv_poll_t *uv, int status, int events)
{
    (void)status;
    (void)events;
    flush(uv->data);
}

static bool device_exists(const struct child *c, uint32_t device, uint32_t point)
{
    const struct tg_config_source *s = &c->model.source;
    return device < s->device_count && point < s->devices[device].point_count;
}

/* The gateway has judged it; it is the better one here too, for this process has no other. */
static void take_clock(const struct tg_wire_message *m)
{
    (void)tg_clock_offer(m->time_ms, m->at_ms, m->state);
}

/* False: the gateway says what it never says. */
static bool take_request(struct child *c, const struct tg_wire_message *m)
{
    char *name, *json;
    switch (m->type) {
    case TG_WIRE_WRITE:
        if (!device_exists(c, m->device, m->point))
            return false;
        tg_source_host_write(c->host, m->number, m->device, m->point, &m->value);
        return true;
    case TG_WIRE_KEPT:
        tg_source_host_note_kept(c->host, m->number);
        return true;
    case TG_WIRE_CLOCK:
        take_clock(m);
        return true;
    case TG_WIRE_INTERVAL:
        if (!device_exists(c, m->device, m->point))
            return false;
        tg_source_host_set_interval(c->host, m->device, m->point, m->time_ms);
        return true;
    case TG_WIRE_COMMAND:
        if (m->device >= c->model.source.device_count || !m->has_text)
            return false;
        name = tg_strndup((const char *)m->name.data, m->name.len);
        json = tg_strndup((const char *)m->text.data, m->text.len);
        if (name && json)
            tg_source_host_command(c->host, m->number, m->device, name, json);
        else
            on_answer(c, m->number, TG_PLUGIN_ENOMEM, "{\"error\":\"out of memory\"}");
        tg_free(name);
        tg_free(json);
        return true;
    default:
        return tg_carry_take(c->host, m);
    }
}

/* Reads what is there into `in`; false at the end of the stream. */
static bool fill(struct tg_buffer *in)
{
    ssize_t n;
    if (tg_buffer_reserve(in, READ_BYTES) < 0)
        return false;
    do
        n = read(TG_PROCESS_CONTROL_FD, in->data + in->len, READ_BYTES);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        in->len += (size_t)n;
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static void take_requests(struct child *c)
{
    struct tg_wire_frame frame;
    struct tg_wire_message m;
    size_t used = 0;
    int rc;
    while ((rc = tg_wire_next(tg_bytes(c->in.data + used, c->in.len - used), &frame)) > 0) {
        if (tg_wire_read_message(&frame, &m) < 0 || !take_request(c, &m)) {
            rc = TG_EPROTO;
            break;
        }
        used += frame.size;
    }
    tg_buffer_consume(&c->in, used);
    if (rc < 0)
        begin_close(c, EXIT_TROUBLE);
}

static void on_control(uv_poll_t *uv, int status, int events)
{
    struct child *c = uv->data;
    if (c->closing)
        return;
    if (status < 0 || events & UV_READABLE) {
        if (!fill(&c->in)) {
            begin_close(c, 0);
            return;
        }
        take_requests(c);
    }
}

/* --- alive ------------------------------------------------------------------------------------------------------ */

static struct port look_at(const struct tg_child_path *p)
{
    struct stat st;
    bool is_device;
    if (stat(p->path, &st) < 0)
        return (struct port){.there = false};
    is_device = S_ISCHR(st.st_mode);
    if (p->device_only && !is_device)
        return (struct port){.there = false};
    return (struct port){.device = st.st_dev,
                         .node = st.st_ino,
                         .changed = is_device ? st.st_ctim : (struct timespec){0}, /* a file may be written */
                         .there = true,
                         .is_device = is_device};
}

static bool is_same_port(const struct port *a, const struct port *b)
{
    return a->there && b->there && a->device == b->device && a->node == b->node &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* A port that was plugged in again, a key that was replaced, is another file, which Landlock has not been told of. */
static bool port_is_new(struct child *c)
{
    for (uint32_t i = 0; i < c->outline.path_count && c->confined & TG_CONFINED_LANDLOCK; i++) {
        const struct port now = look_at(&c->outline.paths[i]);
        if (now.there && !is_same_port(&now, &c->ports[i]))
            return true;
        c->ports[i].there = c->ports[i].there && now.there;
    }
    return false;
}

static void on_beat(uv_timer_t *timer)
{
    struct child *c = timer->data;
    struct tg_host_source *s = c->host->source;
    unsigned progress = atomic_load_explicit(&s->progress, memory_order_relaxed);
    int64_t now = tg_clock_mono_ms(), passed = now - c->beat_at_ms, most = 2 * c->outline.beat_ms;
    struct tg_source_stats stats;
    c->beat_at_ms = now;
    if (!atomic_load_explicit(&s->busy, memory_order_relaxed) || progress != c->progress)
        c->busy_ms = 0;
    else
        c->busy_ms += passed > most ? most : passed; /* a machine that slept was not at work */
    c->progress = progress;
    tg_source_host_stats(c->host, &stats);
    put(c, &(struct tg_wire_message){.type = TG_WIRE_ALIVE, .number = stats.rejected, .time_ms = c->busy_ms});
    if (port_is_new(c))
        begin_close(c, TG_PROCESS_EXIT_AGAIN);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void on_closed(void *user)
{
    struct child *c = user;
    c->host = NULL;
    uv_close((uv_handle_t *)&c->control, NULL);
    uv_close((uv_handle_t *)&c->samples, NULL);
    uv_close((uv_handle_t *)&c->beat, NULL);
    uv_close((uv_handle_t *)&c->before_wait, NULL);
    tg_loop_stop(&c->loop);
}

static void begin_close(struct child *c, int exit_code)
{
    if (c->closing)
        return;
    c->closing = true;
    c->exit_code = exit_code;
    uv_poll_stop(&c->control);
    uv_poll_stop(&c->samples);
    uv_timer_stop(&c->beat);
    tg_source_host_close(c->host, on_closed, c);
}

static int run(struct child *c)
{
    struct tg_error err = {0};
    struct tg_wire_message m;
    if (tg_loop_init(&c->loop, &err) < 0)
        goto trouble;
    uv_poll_init(&c->loop.uv, &c->control, TG_PROCESS_CONTROL_FD);
    uv_poll_init(&c->loop.uv, &c->samples, TG_PROCESS_SAMPLES_FD);
    uv_timer_init(&c->loop.uv, &c->beat);
    uv_prepare_init(&c->loop.uv, &c->before_wait);
    c->control.data = c->samples.data = c->beat.data = c->before_wait.data = c;
    if (tg_source_host_new(&c->loop, &c->model.source, &callbacks, c, &c->host, &err) < 0)
        goto trouble;
    c->beat_at_ms = tg_clock_mono_ms();
    uv_timer_start(&c->beat, on_beat, (uint64_t)c->outline.beat_ms, (uint64_t)c->outline.beat_ms);
    uv_prepare_start(&c->before_wait, on_before_wait);
    take_requests(c); /* what came with the configuration */
    tg_loop_run(&c->loop);
    tg_loop_fini(&c->loop);
    return c->exit_code;
trouble:
    m = texted(TG_WIRE_TROUBLE, err.text);
    put(c, &m);
    write_all(c);
    return EXIT_TROUBLE;
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

/* Nothing is ours but standard input, output and error and the two sockets. */
static bool become_a_child(const char *parent)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
    const int sockets[] = {TG_PROCESS_CONTROL_FD, TG_PROCESS_SAMPLES_FD};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(
            ignored[i],
            SIG_IGN); /* a service manager tells all processes to end; the gateway closes this one in order */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != (pid_t)atoll(parent))
        return false; /* it is gone already */
    close_range(TG_PROCESS_SAMPLES_FD + 1, UINT_MAX, 0);
    for (size_t i = 0; i < 2; i++) {
        int flags = fcntl(sockets[i], F_GETFL);
        if (flags < 0 || fcntl(sockets[i], F_SETFD, FD_CLOEXEC) < 0 ||
            fcntl(sockets[i], F_SETFL, flags & ~O_NONBLOCK) < 0)
            return false;
    }
    return true;
}

/* Reads up to and with START; what comes behind it stays in `in`. */
/* What comes with the configuration and is none: true. */
static bool take_early(struct child *c, const struct tg_wire_frame *frame)
{
    struct tg_wire_message m;
    if ((frame->type != TG_WIRE_RECALL && frame->type != TG_WIRE_CLOCK) ||
        tg_wire_read_message(frame, &m) < 0)
        return false;
    if (frame->type == TG_WIRE_CLOCK) {
        take_clock(&m);
    } else if (c->recalled_count < TG_NOTES_MAX && m.name.len <= TG_NOTE_KEY_MAX_BYTES &&
               m.text.len <= TG_NOTE_TEXT_MAX_BYTES) {
        struct tg_source_note *n = &c->recalled[c->recalled_count++];
        memcpy(n->key, m.name.data, m.name.len);
        memcpy(n->text, m.text.data, m.text.len);
    }
    return true;
}

static bool read_configuration(struct child *c)
{
    for (;;) {
        struct tg_wire_frame frame;
        int rc = tg_wire_next(tg_buffer_view(&c->in), &frame);
        if (rc < 0 || (rc == 0 && !fill(&c->in)))
            return false;
        if (rc == 0)
            continue;
        if (!take_early(c, &frame) && tg_buffer_append(&c->raw, tg_bytes(c->in.data, frame.size)) < 0)
            return false;
        tg_buffer_consume(&c->in, frame.size);
        if (frame.type == TG_WIRE_START)
            return true;
    }
}

static void confine(struct child *c, const char *folder)
{
    struct tg_error err = {0};
    uint32_t abi;
    const char *paths[TG_CHILD_PATHS_MAX];
    struct tg_confine what = {.needs = tg_confine_needs(c->outline.needs),
                              .plugin_folder = folder,
                              .paths = paths,
                              .memory_limit_bytes = c->outline.memory_limit_bytes};
    (void)tg_confine_support(&abi);
    for (uint32_t i = 0; i < c->outline.path_count; i++) {
        c->ports[i] = look_at(&c->outline.paths[i]);
        if (c->ports[i].there || !c->outline.paths[i].device_only)
            paths[what.path_count++] = c->outline.paths[i].path;
        what.port_named |= c->ports[i].is_device;
    }
    c->confined = tg_confine_apply(&what, &err);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* a change of capabilities may have cleared it */
    put(c, &(struct tg_wire_message){.type = TG_WIRE_CONFINED,
                                     .flags = c->confined,
                                     .state = c->confined & TG_CONFINED_LANDLOCK ? abi : 0});
    if (err.text[0]) {
        char text[sizeof err.text + 64];
        snprintf(text, sizeof text, "its process is less confined than it could be: %s", err.text);
        on_log(c, TG_LOG_WARN, text);
    }
}

/* Confines the process, then loads: no code of the plugin runs before. */
static int load(struct child *c, const struct tg_plugin **ret_plugin, struct tg_plugin_set **ret_set,
                struct tg_error *err)
{
    char folder[PATH_MAX], file[PATH_MAX], *name;
    const char *dirs[1];
    size_t n;
    snprintf(folder, sizeof folder, "%s", c->outline.file);
    dirs[0] = dirname(folder);
    snprintf(file, sizeof file, "%s", c->outline.file);
    name = basename(file);
    n = strlen(name);
    if (c->outline.file[0] != '/' || n < 4 || strcmp(name + n - 3, ".so") != 0)
        return tg_error_set(err, TG_EINVAL, "%s is not the file of a plugin", c->outline.file);
    name[n - 3] = '\0';
    confine(c, dirs[0]);
    if (tg_plugin_set_new(dirs, 1, ret_set) < 0)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    *ret_plugin = tg_plugin_find(*ret_set, name, err);
    return *ret_plugin ? TG_OK : TG_EINVAL;
}

int main(int argc, char **argv)
{
    static struct child c;
    const struct tg_plugin *plugin;
    struct tg_plugin_set *set = NULL;
    struct tg_error err = {0};
    int rc;
    if (argc != 3 || !become_a_child(argv[2])) {
        fprintf(stderr,
                "tidegate-plugin-host is started by the gateway, for a source with isolation: process\n");
        return 2;
    }
    c.in = tg_buffer_init(2 * TG_WIRE_FRAME_MAX_BYTES + READ_BYTES);
    c.raw = tg_buffer_init(SIZE_MAX / 2); /* the gateway's own configuration */
    c.control_out = tg_buffer_init(2 * TG_WIRE_FRAME_MAX_BYTES);
    c.samples_out = tg_buffer_init(2 * TG_WIRE_FRAME_MAX_BYTES);
    if (!read_configuration(&c))
        return EXIT_TROUBLE;
    rc = tg_child_outline_read(tg_buffer_view(&c.raw), &c.outline, &err);
    if (rc == TG_OK) {
        tg_log_configure(c.outline.level, TG_LOG_TEXT);
        rc = load(&c, &plugin, &set, &err);
    }
    if (rc == TG_OK)
        rc = tg_child_model_build(tg_buffer_view(&c.raw), plugin, &c.model, &err);
    tg_buffer_fini(&c.raw);
    if (rc < 0) {
        const struct tg_wire_message m = texted(TG_WIRE_TROUBLE, err.text);
        put(&c, &m);
        write_all(&c);
        return EXIT_TROUBLE;
    }
    fcntl(TG_PROCESS_CONTROL_FD, F_SETFL, fcntl(TG_PROCESS_CONTROL_FD, F_GETFL) | O_NONBLOCK);
    fcntl(TG_PROCESS_SAMPLES_FD, F_SETFL, fcntl(TG_PROCESS_SAMPLES_FD, F_GETFL) | O_NONBLOCK);
    rc = run(&c);
    _exit(rc); /* what a plugin has left to exit handlers is its own trouble, and the gateway waits */
}
