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
#include "southbound/plugin_child_private.h"
#include "southbound/plugin_confine.h"
#include "southbound/plugin_loader.h"
#include "southbound/plugin_process.h"

#define READ_BYTES         65536
#define CONTROL_WAIT_BYTES (256 * 1024) /* so much unsent: it waits until the gateway has read */
#define EXIT_TROUBLE       1

static void begin_close(struct tg_child *c, int exit_code);

/* --- sending ----------------------------------------------------------------------------------------------- */

/* What can be written now; false: the gateway is gone. */
bool tg_child_write(int fd, struct tg_buffer *out)
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
static void write_all(struct tg_child *c)
{
    struct pollfd p = {.fd = TG_PROCESS_CONTROL_FD, .events = POLLOUT | POLLRDHUP};
    while (tg_child_write(TG_PROCESS_CONTROL_FD, &c->control_out) && c->control_out.len)
        if (poll(&p, 1, -1) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR))
            return;
}

void tg_child_put(struct tg_child *c, const struct tg_wire_message *m)
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

struct tg_wire_message tg_child_texted(uint8_t type, const char *text)
{
    return (struct tg_wire_message){.type = type, .has_text = text != NULL, .text = tg_bytes_str(text)};
}

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
static void flush(struct tg_child *c)
{
    if (c->closing)
        return;
    if (!tg_child_write(TG_PROCESS_CONTROL_FD, &c->control_out) ||
        !tg_child_write(TG_PROCESS_SAMPLES_FD, &c->samples_out)) {
        begin_close(c, 0);
        return;
    }
    if (c->samples_waited && c->samples_out.len < TG_CHILD_SAMPLES_FULL_BYTES) {
        c->samples_waited = false;
        tg_source_host_resume(c->host);
        (void)tg_child_write(TG_PROCESS_SAMPLES_FD, &c->samples_out);
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

static bool device_exists(const struct tg_child *c, uint32_t device, uint32_t point)
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
static bool take_request(struct tg_child *c, const struct tg_wire_message *m)
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
            tg_child_callbacks.on_answer(c, m->number, TG_PLUGIN_ENOMEM, "{\"error\":\"out of memory\"}");
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

static void take_requests(struct tg_child *c)
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
    struct tg_child *c = uv->data;
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

static struct tg_child_port look_at(const struct tg_child_path *p)
{
    struct stat st;
    bool is_device;
    if (stat(p->path, &st) < 0)
        return (struct tg_child_port){.there = false};
    is_device = S_ISCHR(st.st_mode);
    if (p->device_only && !is_device)
        return (struct tg_child_port){.there = false};
    return (struct tg_child_port){.device = st.st_dev,
                                  .node = st.st_ino,
                                  .changed = is_device ? st.st_ctim
                                                       : (struct timespec){0}, /* a file may be written */
                                  .there = true,
                                  .is_device = is_device};
}

static bool is_same_port(const struct tg_child_port *a, const struct tg_child_port *b)
{
    return a->there && b->there && a->device == b->device && a->node == b->node &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* A port that was plugged in again, a key that was replaced, is another file, which Landlock has not been told of. */
static bool port_is_new(struct tg_child *c)
{
    for (uint32_t i = 0; i < c->outline.path_count && c->confined & TG_CONFINED_LANDLOCK; i++) {
        const struct tg_child_port now = look_at(&c->outline.paths[i]);
        if (now.there && !is_same_port(&now, &c->ports[i]))
            return true;
        c->ports[i].there = c->ports[i].there && now.there;
    }
    return false;
}

static void on_beat(uv_timer_t *timer)
{
    struct tg_child *c = timer->data;
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
    tg_child_put(
        c, &(struct tg_wire_message){.type = TG_WIRE_ALIVE, .number = stats.rejected, .time_ms = c->busy_ms});
    if (port_is_new(c))
        begin_close(c, TG_PROCESS_EXIT_AGAIN);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void on_closed(void *user)
{
    struct tg_child *c = user;
    c->host = NULL;
    uv_close((uv_handle_t *)&c->control, NULL);
    uv_close((uv_handle_t *)&c->samples, NULL);
    uv_close((uv_handle_t *)&c->beat, NULL);
    uv_close((uv_handle_t *)&c->before_wait, NULL);
    tg_loop_stop(&c->loop);
}

static void begin_close(struct tg_child *c, int exit_code)
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

static int run(struct tg_child *c)
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
    if (tg_source_host_new(&c->loop, &c->model.source, &tg_child_callbacks, c, &c->host, &err) < 0)
        goto trouble;
    c->beat_at_ms = tg_clock_mono_ms();
    uv_timer_start(&c->beat, on_beat, (uint64_t)c->outline.beat_ms, (uint64_t)c->outline.beat_ms);
    uv_prepare_start(&c->before_wait, on_before_wait);
    take_requests(c); /* what came with the configuration */
    tg_loop_run(&c->loop);
    tg_loop_fini(&c->loop);
    return c->exit_code;
trouble:
    m = tg_child_texted(TG_WIRE_TROUBLE, err.text);
    tg_child_put(c, &m);
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
static bool take_early(struct tg_child *c, const struct tg_wire_frame *frame)
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

static bool read_configuration(struct tg_child *c)
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

static void confine(struct tg_child *c, const char *folder)
{
    struct tg_error err = {0};
    uint32_t abi;
    struct tg_confine_path paths[TG_CHILD_PATHS_MAX];
    struct tg_confine what = {.needs = tg_confine_needs(c->outline.needs),
                              .plugin_folder = folder,
                              .paths = paths,
                              .memory_limit_bytes = c->outline.memory_limit_bytes};
    (void)tg_confine_support(&abi);
    for (uint32_t i = 0; i < c->outline.path_count; i++) {
        c->ports[i] = look_at(&c->outline.paths[i]);
        if (c->ports[i].there || !c->outline.paths[i].device_only)
            paths[what.path_count++] =
                (struct tg_confine_path){c->outline.paths[i].path, c->outline.paths[i].read_only};
        what.port_named |= c->ports[i].is_device;
    }
    c->confined = tg_confine_apply(&what, &err);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* a change of capabilities may have cleared it */
    tg_child_put(c, &(struct tg_wire_message){.type = TG_WIRE_CONFINED,
                                              .flags = c->confined,
                                              .state = c->confined & TG_CONFINED_LANDLOCK ? abi : 0});
    if (err.text[0]) {
        char text[sizeof err.text + 64];
        snprintf(text, sizeof text, "its process is less confined than it could be: %s", err.text);
        tg_child_callbacks.on_log(c, TG_LOG_WARN, text);
    }
}

/* Confines the process, then loads: no code of the plugin runs before. */
static int load(struct tg_child *c, const struct tg_plugin **ret_plugin, struct tg_plugin_set **ret_set,
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
    static struct tg_child c;
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
        const struct tg_wire_message m = tg_child_texted(TG_WIRE_TROUBLE, err.text);
        tg_child_put(&c, &m);
        write_all(&c);
        return EXIT_TROUBLE;
    }
    fcntl(TG_PROCESS_CONTROL_FD, F_SETFL, fcntl(TG_PROCESS_CONTROL_FD, F_GETFL) | O_NONBLOCK);
    fcntl(TG_PROCESS_SAMPLES_FD, F_SETFL, fcntl(TG_PROCESS_SAMPLES_FD, F_GETFL) | O_NONBLOCK);
    rc = run(&c);
    _exit(rc); /* what a plugin has left to exit handlers is its own trouble, and the gateway waits */
}
