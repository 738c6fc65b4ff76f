/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * trouble - a plugin that does what no plugin should, when a command of that name says so, in both thread models (TROUBLE_MODEL).
 * Otherwise its devices count: a sample every `every` of their points.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tidegate/plugin.h>

#define CONTROL_FD 3 /* of the process that isolates it: southbound/plugin_process.h */
#define SAMPLES_FD 4
#define HELD_MAX   64

struct trouble {
    const struct tg_host *host;
    const struct tg_source *source;
    uint64_t count, flood, held[HELD_MAX];
    uint32_t held_count;
    int64_t due_ms;
    int pipe[2];
    bool leaking;
    char last[600]; /* what the services said */
};

static int refuse(char *error, size_t size, const char *text)
{
    snprintf(error, size, "%s", text);
    return TG_PLUGIN_EINVAL;
}

static int trouble_open(const struct tg_host *host, const struct tg_source *source, void **ret, char *error,
                        size_t size)
{
    struct trouble *t;
    if (host->get_int(source->settings, "refuse"))
        return refuse(error, size, "the option says no");
    t = calloc(1, sizeof *t);
    if (!t || pipe2(t->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
        free(t);
        return refuse(error, size, "no memory or no pipe");
    }
    t->host = host;
    t->source = source;
    if (host->watch_fd(host->source, t->pipe[0], TG_FD_READ) < 0)
        host->log(host->source, TG_LOG_ERROR, "the pipe cannot be watched");
    for (uint32_t d = 0; d < source->device_count; d++)
        host->device_state(host->source, d, TG_DEVICE_OK, "open");
    *ret = t;
    return TG_PLUGIN_OK;
}

static void count_on(struct trouble *t, int64_t time_ms)
{
    t->count++;
    for (uint32_t d = 0; d < t->source->device_count; d++) {
        const struct tg_point_value v = {.point = 0, .value = tg_value_uint(t->count)};
        (void)t->host->emit(t->host->source, d, time_ms, &v, 1); /* the host counts what it refuses */
    }
}

/* As fast as the host takes them. */
static int32_t pour(struct trouble *t)
{
    for (int burst = 0; burst < 256 && t->flood; burst++) {
        const struct tg_point_value v = {.point = 0, .value = tg_value_uint(t->flood)};
        if (t->host->emit(t->host->source, 0, 1, &v, 1) < 0)
            return 1;
        t->flood--;
    }
    return 0;
}

static int32_t trouble_poll(void *self, int64_t now_ms)
{
    struct trouble *t = self;
    int64_t every = t->source->device_count && t->source->devices[0].point_count
                        ? t->source->devices[0].points[0].every_ms
                        : 0;
    while (t->leaking) {
        char *p = malloc(1 << 20);
        struct timespec pause = {0, 2000000};
        if (p)
            memset(p, 1, 1 << 20);
        nanosleep(&pause, NULL);
        (void)t->host->stopping(t->host->source); /* it is alive, only greedy */
    }
    if (t->flood)
        return pour(t);
    if (!every)
        return TG_POLL_IDLE;
    if (now_ms >= t->due_ms) {
        count_on(t, 0);
        t->due_ms = now_ms + every;
    }
    return (int32_t)(t->due_ms - now_ms);
}

static void trouble_close(void *self)
{
    struct trouble *t = self;
    (void)t->host->watch_fd(t->host->source, t->pipe[0], 0);
    close(t->pipe[0]);
    close(t->pipe[1]);
    free(t);
}

/* --- what a process may do ------------------------------------------------------------------------------- */

static void say(struct trouble *t, uint64_t request, long rc)
{
    char json[80];
    snprintf(json, sizeof json, "{\"rc\":%ld,\"errno\":%d}", rc < 0 ? -1L : 0L, rc < 0 ? errno : 0);
    t->host->answer(t->host->source, request, TG_PLUGIN_OK, json);
}

/* `what` as the C library's functions: the result of trying it, and nothing is left of it. */
static long attempt(const char *what)
{
    struct rlimit limit;
    int fd = -1;
    long rc = -1;
    if (strncmp(what, "open:", 5) == 0)
        rc = fd = open(what + 5, O_RDONLY | O_CLOEXEC);
    else if (strncmp(what, "write:", 6) == 0)
        rc = fd = open(what + 6, O_WRONLY | O_CLOEXEC);
    else if (strncmp(what, "make:", 5) == 0)
        rc = fd = open(what + 5, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    else if (strncmp(what, "remove:", 7) == 0)
        rc = unlink(what + 7);
    else if (strncmp(what, "socket:", 7) == 0)
        rc = fd = socket(atoi(what + 7), SOCK_STREAM | SOCK_CLOEXEC, 0);
    else if (strncmp(what, "raw:", 4) == 0)
        rc = fd = socket(atoi(what + 4), SOCK_RAW | SOCK_CLOEXEC, 1);
    else if (strcmp(what, "ptrace") == 0)
        rc = ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
    else if (strcmp(what, "kill") == 0)
        rc = kill(getppid(), SIGURG); /* which nobody would notice */
    else if (strcmp(what, "kill group") == 0)
        rc = kill(-getppid(), SIGURG);
    else if (strcmp(what, "limits") == 0) /* the gateway's */
        rc = syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, &limit);
    else if (strcmp(what, "type") == 0) /* what the user of a terminal would have typed */
        rc = ioctl(STDIN_FILENO, TIOCSTI, "x");
    else if (strcmp(what, "mount") == 0)
        rc = syscall(SYS_unshare, 0);
    else if (strcmp(what, "keyctl") == 0)
        rc = syscall(SYS_keyctl, 0, 0, 0, 0, 0);
    else if (strcmp(what, "io_uring") == 0)
        rc = syscall(SYS_io_uring_setup, 1, NULL);
    else if (strcmp(what, "core") == 0) {
        rc = getrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_max != 0 ? 0 : -1;
        errno = 0;
    } else
        errno = ENOSYS;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Children that have children: at most a few, should nobody stop them. */
static long fork_bomb(void)
{
    long made = 0;
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        if (pid > 0) {
            made++;
            (void)waitpid(pid, NULL, 0);
        }
    }
    return made ? made : -1;
}

/* Descriptors that are open, besides those of its own program: names them. */
static void list_descriptors(struct trouble *t, uint64_t request)
{
    char json[600] = "[";
    size_t n = 1;
    for (int fd = 0; fd < 1024; fd++) {
        char path[40], to[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, to, sizeof to - 1) > 0 && n < sizeof json - 90)
            n += (size_t)snprintf(json + n, sizeof json - n, "%s\"%s\"", n > 1 ? "," : "", to);
    }
    snprintf(json + n, sizeof json - n, "]");
    t->host->answer(t->host->source, request, TG_PLUGIN_OK, json);
}

/* --- services --------------------------------------------------------------------------------------------- */

static void try_services(struct trouble *t, uint64_t request)
{
    const struct tg_host *h = t->host;
    const struct tg_value model = tg_value_text("T-1000", 6);
    const char *const *items = NULL;
    uint32_t count = h->get_list(t->source->settings, "words", &items);
    int rc[7];
    rc[0] = h->device_fact(h->source, 0, "model", &model);
    rc[1] = h->device_fact(h->source, 9, "model", &model);
    rc[2] = h->discovered(h->source, "new-1", NULL);
    rc[3] = h->discovered(h->source, "other-1", NULL);
    rc[4] = h->discovered(h->source, "bad id", NULL);
    rc[5] = h->discovered(h->source, "new-2", NULL);
    rc[6] = h->emit(h->source, 0, 1, &(struct tg_point_value){.point = 99, .value = tg_value_int(1)}, 1);
    h->uplink(h->source, true, "registered");
    h->offer_time(h->source, 1700000000000, 500);
    h->log(h->source, TG_LOG_WARN, "a line of %d words", 5);
    snprintf(t->last, sizeof t->last,
             "{\"rc\":[%d,%d,%d,%d,%d,%d,%d],\"words\":%u,\"last\":\"%s\",\"size\":%lld,\"real\":%.3f,"
             "\"choice\":\"%s\",\"path\":%d,"
             "\"absent\":%d,\"times\":%d}",
             rc[0], rc[1], rc[2], rc[3], rc[4], rc[5], rc[6], count, count ? items[count - 1] : "",
             (long long)h->get_int(t->source->settings, "size"), h->get_real(t->source->settings, "real"),
             h->get_text(t->source->settings, "choice"), h->has(t->source->settings, "path"),
             h->has(t->source->settings, "absent"), h->now_ms(h->source) > 0 && h->wall_ms(h->source) > 0);
    h->answer(h->source, request, TG_PLUGIN_OK, t->last);
}

/* --- commands ------------------------------------------------------------------------------------------------ */

static void write_garbage(int fd, const char *bytes, size_t size)
{
    ssize_t n = write(fd, bytes, size);
    (void)n;
}

/* As a wild pointer does it: no mask holds that up, and no sanitizer stands between. */
static void segfault(void)
{
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGSEGV);
    signal(SIGSEGV, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    raise(SIGSEGV);
}

static bool misbehave(struct trouble *t, const char *name)
{
    /* a sample of device 200, and one of point 99 */
    static const char other_device[] = "\0\0\0\x09\x40\xC8\x01\x02\x01\0\0\x02\x02",
                      other_point[] = "\0\0\0\x08\x40\0\x02\x01\x63\0\x02\x02";
    if (strcmp(name, "crash") == 0)
        segfault();
    else if (strcmp(name, "abort") == 0)
        abort();
    else if (strcmp(name, "exit") == 0)
        _exit(7);
    else if (strcmp(name, "hang") == 0)
        for (;;)
            pause();
    else if (strcmp(name, "leak") == 0)
        t->leaking = true;
    else if (strcmp(name, "garbage") == 0)
        write_garbage(CONTROL_FD, "\xFF\xFF\xFF\xFFrubbish", 11);
    else if (strcmp(name, "garbage-samples") == 0)
        write_garbage(SAMPLES_FD, "\xFF\xFF\xFF\xFFrubbish", 11);
    else if (strcmp(name, "other-device") == 0)
        write_garbage(SAMPLES_FD, other_device, sizeof other_device - 1);
    else if (strcmp(name, "other-point") == 0)
        write_garbage(SAMPLES_FD, other_point, sizeof other_point - 1);
    else
        return false;
    return true;
}

static void trouble_command(void *self, uint64_t request, uint32_t device, const char *name, const char *json)
{
    struct trouble *t = self;
    const struct tg_host *h = t->host;
    (void)device;
    if (misbehave(t, name))
        return; /* without an answer: it is answered by whoever sees the end */
    if (strcmp(name, "echo") == 0)
        h->answer(h->source, request, TG_PLUGIN_OK, json);
    else if (strcmp(name, "hold") == 0 && t->held_count < HELD_MAX)
        t->held[t->held_count++] = request;
    else if (strcmp(name, "flood") == 0) {
        t->flood = strtoull(json, NULL, 10);
        h->answer(h->source, request, TG_PLUGIN_OK, NULL);
    } else if (strcmp(name, "services") == 0)
        try_services(t, request);
    else if (strcmp(name, "descriptors") == 0)
        list_descriptors(t, request);
    else if (strcmp(name, "fork") == 0)
        say(t, request, fork_bomb());
    else if (strcmp(name, "pipe") == 0)
        say(t, request, write(t->pipe[1], "x", 1));
    else if (strncmp(name, "try:", 4) == 0)
        say(t, request, attempt(name + 4));
    else
        h->answer(h->source, request, TG_PLUGIN_EUNSUPPORTED, NULL);
}

static void trouble_write(void *self, uint64_t request, uint32_t device, uint32_t point,
                          const struct tg_value *value)
{
    struct trouble *t = self;
    char json[80];
    snprintf(json, sizeof json, "[%u,%u,%.*s]", (unsigned)device, (unsigned)point,
             value->type == TG_VALUE_TEXT ? (int)value->text_len : 0,
             value->type == TG_VALUE_TEXT ? value->as.text : "");
    t->host->answer(t->host->source, request, TG_PLUGIN_OK, json);
}

static void trouble_fd_ready(void *self, int fd, uint32_t events)
{
    struct trouble *t = self;
    char byte;
    if (events & TG_FD_READ && read(fd, &byte, 1) == 1)
        t->host->device_state(t->host->source, 0, TG_DEVICE_SUSPECT, "the pipe was ready");
}

static const char *const choices[] = {"one", "two", NULL};
static const struct tg_option options[] = {
    {.name = "refuse", .type = TG_OPTION_BOOL, .default_text = "false", .doc = "open() fails"},
    {.name = "words", .type = TG_OPTION_TEXT_LIST, .default_text = "[a, b]", .doc = "for getters"},
    {.name = "size", .type = TG_OPTION_SIZE, .default_text = "64KiB", .doc = "for getters"},
    {.name = "real", .type = TG_OPTION_REAL, .default_text = "-2.125", .doc = "for getters"},
    {.name = "choice",
     .type = TG_OPTION_ENUM,
     .choices = choices,
     .default_text = "two",
     .doc = "for getters"},
    {.name = "path", .type = TG_OPTION_PATH, .doc = "a file that it may open"},
    {.name = "folder", .type = TG_OPTION_PATH, .doc = "a folder that it may use"},
    {.name = "reads",
     .type = TG_OPTION_PATH,
     .flags = TG_OPTION_READ_ONLY,
     .doc = "a file or folder that it may read"},
    {.name = "secret", .type = TG_OPTION_SECRET_FILE, .doc = "a secret that it may read"},
    {.name = "absent", .type = TG_OPTION_INT, .doc = "for getters"},
    {.name = NULL}};

static const struct tg_plugin trouble = {TG_PLUGIN_INIT(TROUBLE_MODEL),
                                         .name = TROUBLE_NAME,
                                         .version = "1",
                                         .summary = "for tests: everything that a plugin should not do",
                                         .source_options = options,
                                         .open = trouble_open,
                                         .poll = trouble_poll,
                                         .close = trouble_close,
                                         .write = trouble_write,
                                         .command = trouble_command,
                                         .fd_ready = trouble_fd_ready,
                                         .needs = TG_NEEDS_STATED | TROUBLE_NEEDS};
TG_PLUGIN_EXPORT(trouble)
