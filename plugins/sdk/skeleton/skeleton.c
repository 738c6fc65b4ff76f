/* SPDX-License-Identifier: 0BSD
 *
 * skeleton - reads numbers and texts from files, as the kernel shows sensors, fans and LEDs under /sys, and writes them: a plugin that
 * works, to be changed into one for your devices. What is where:
 *
 *     tables        which options a source, a device and a point take; checked before anything below runs
 *     check_point   what the tables cannot say
 *     open, close   an instance: one entry of `sources:`
 *     poll          reads what is due, tells how each device is, says when to be called again
 *     write         sets a writable point
 *
 * A file may take its time (a sensor on a slow bus does), so the instance has a thread of its own. <tidegate/plugin.h> is the manual.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tidegate/plugin.h>

#define DEFAULT_EVERY_MS 1000
#define TEXT_MAX         256 /* what is read of a file */

/* --- tables -------------------------------------------------------------------------------------- */

static const struct tg_option skeleton_source_options[] = {
    {.name = "folder",
     .type = TG_OPTION_PATH,
     .flags = TG_OPTION_REQUIRED,
     .doc = "The folder in which the devices' files are."},
    {0}};

static const struct tg_option skeleton_device_options[] = {{.name = "subfolder",
                                                            .type = TG_OPTION_TEXT,
                                                            .min = 1,
                                                            .max = 100,
                                                            .default_text = ".",
                                                            .doc = "The device's own folder within it."},
                                                           {0}};

static const char *const skeleton_kinds[] = {"number", "text", NULL};
enum { KIND_NUMBER, KIND_TEXT };

static const struct tg_option skeleton_point_options[] = {{.name = "file",
                                                           .type = TG_OPTION_TEXT,
                                                           .flags = TG_OPTION_REQUIRED,
                                                           .min = 1,
                                                           .max = 100,
                                                           .doc = "The file that has the value."},
                                                          {.name = "kind",
                                                           .type = TG_OPTION_ENUM,
                                                           .choices = skeleton_kinds,
                                                           .default_text = "number",
                                                           .doc = "What is in the file."},
                                                          {0}};

/* --- an instance ----------------------------------------------------------------------------------- */

struct skeleton_device {
    int64_t *due_ms; /* for each point, when it is read next */
    struct tg_point_value *values;
    char (*texts)[TEXT_MAX]; /* what the values of a sample point into */
    uint32_t state;
};

struct skeleton_instance {
    const struct tg_host *host;
    const struct tg_source *source;
    struct skeleton_device *devices;
};

static int skeleton_check_point(const struct tg_host *host, const struct tg_settings *device,
                                const struct tg_point *point, const char **ret_option, char *error,
                                size_t error_size)
{
    const char *file = host->get_text(point->settings, "file");
    (void)device;
    if (file[0] != '/' && !strstr(file, ".."))
        return TG_PLUGIN_OK;
    *ret_option = "file";
    snprintf(error, error_size, "\"%.60s\" leaves the device's folder: give the name of a file in it", file);
    return TG_PLUGIN_EINVAL;
}

static void skeleton_close(void *self)
{
    struct skeleton_instance *s = self;
    for (uint32_t d = 0; s->devices && d < s->source->device_count; d++) {
        free(s->devices[d].due_ms);
        free(s->devices[d].values);
        free(s->devices[d].texts);
    }
    free(s->devices);
    free(s);
}

static int skeleton_open(const struct tg_host *host, const struct tg_source *source, void **ret_instance,
                         char *error, size_t error_size)
{
    struct skeleton_instance *s = calloc(1, sizeof *s);
    if (!s)
        goto no_memory;
    s->host = host;
    s->source = source;
    s->devices = calloc(source->device_count + 1, sizeof *s->devices);
    if (!s->devices)
        goto no_memory;
    for (uint32_t d = 0; d < source->device_count; d++) {
        struct skeleton_device *device = &s->devices[d];
        uint32_t points = source->devices[d].point_count;
        device->due_ms = calloc(points + 1, sizeof *device->due_ms); /* 0: due at once */
        device->values = calloc(points + 1, sizeof *device->values);
        device->texts = calloc(points + 1, sizeof *device->texts);
        if (!device->due_ms || !device->values || !device->texts)
            goto no_memory;
    }
    *ret_instance = s;
    return TG_PLUGIN_OK;
no_memory:
    snprintf(error, error_size, "out of memory");
    if (s)
        skeleton_close(s);
    return TG_PLUGIN_ENOMEM;
}

/* --- reading ------------------------------------------------------------------------------------- */

static void path_of(const struct skeleton_instance *s, uint32_t device, uint32_t point, char path[PATH_MAX])
{
    const struct tg_device *d = &s->source->devices[device];
    snprintf(path, PATH_MAX, "%s/%s/%s", s->host->get_text(s->source->settings, "folder"),
             s->host->get_text(d->settings, "subfolder"),
             s->host->get_text(d->points[point].settings, "file"));
}

/* The file's text without the line end; 0, or errno. */
static int read_text(const char *path, char text[TEXT_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, TEXT_MAX - 1);
    int why = n < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (why)
        return why;
    text[n] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    return 0;
}

/* The whole text is a number, or it is none: half a number is a wrong value. */
static bool number_of(const char *text, double *ret)
{
    char *end;
    *ret = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*ret);
}

/* Reads one point; the errno when the file could not be read. */
static int read_point(const struct skeleton_instance *s, uint32_t device, uint32_t point, char text[TEXT_MAX],
                      struct tg_point_value *ret)
{
    const struct tg_point *p = &s->source->devices[device].points[point];
    char path[PATH_MAX];
    double number;
    int why;
    path_of(s, device, point, path);
    *ret = (struct tg_point_value){.point = point, .quality = TG_QUALITY_COMM};
    why = read_text(path, text);
    if (why)
        return why;
    ret->quality = TG_QUALITY_GOOD;
    if (s->host->get_int(p->settings, "kind") == KIND_TEXT)
        ret->value = tg_value_text(text, strlen(text));
    else if (number_of(text, &number))
        ret->value = tg_value_real(number);
    else
        ret->quality = TG_QUALITY_SENSOR; /* it answers, and has no value */
    return 0;
}

static void tell_state(struct skeleton_instance *s, uint32_t device, uint32_t state, const char *text)
{
    if (s->devices[device].state == state)
        return;
    s->devices[device].state = state;
    s->host->device_state(s->host->source, device, state, text);
}

/* One sample of all points that are due together. */
static void read_device(struct skeleton_instance *s, uint32_t device, int64_t now_ms)
{
    const struct tg_device *d = &s->source->devices[device];
    struct skeleton_device *own = &s->devices[device];
    uint32_t count = 0, failed = 0;
    char text[PATH_MAX + 64] = "", path[PATH_MAX];
    for (uint32_t p = 0; p < d->point_count; p++) {
        int why;
        if (now_ms < own->due_ms[p] || s->host->stopping(s->host->source))
            continue;
        own->due_ms[p] = now_ms + (d->points[p].every_ms ? d->points[p].every_ms : DEFAULT_EVERY_MS);
        why = read_point(s, device, p, own->texts[count], &own->values[count]);
        count++;
        if (!why)
            continue;
        failed++;
        path_of(s, device, p, path);
        snprintf(text, sizeof text, "%s: %s", path, strerror(why));
    }
    if (count == 0)
        return;
    s->host->emit(s->host->source, device, 0, own->values, count);
    if (failed < count)
        tell_state(s, device, TG_DEVICE_OK, NULL);
    else
        tell_state(s, device, TG_DEVICE_DOWN, text);
}

static int32_t skeleton_poll(void *self, int64_t now_ms)
{
    struct skeleton_instance *s = self;
    int64_t next_ms = INT64_MAX;
    for (uint32_t d = 0; d < s->source->device_count; d++) {
        read_device(s, d, now_ms);
        for (uint32_t p = 0; p < s->source->devices[d].point_count; p++)
            if (s->devices[d].due_ms[p] < next_ms)
                next_ms = s->devices[d].due_ms[p];
    }
    if (next_ms == INT64_MAX)
        return TG_POLL_IDLE;
    next_ms -= s->host->now_ms(s->host->source);
    return next_ms < 0 ? 0 : next_ms > INT32_MAX ? INT32_MAX : (int32_t)next_ms;
}

/* --- writing ------------------------------------------------------------------------------------- */

static int text_of(const struct tg_value *v, char text[TEXT_MAX])
{
    switch (v->type) {
    case TG_VALUE_BOOL:
        return snprintf(text, TEXT_MAX, "%d\n", v->as.boolean);
    case TG_VALUE_INT:
        return snprintf(text, TEXT_MAX, "%lld\n", (long long)v->as.integer);
    case TG_VALUE_UINT:
        return snprintf(text, TEXT_MAX, "%llu\n", (unsigned long long)v->as.uinteger);
    case TG_VALUE_REAL:
        return snprintf(text, TEXT_MAX, "%.17g\n", v->as.real);
    case TG_VALUE_TEXT:
        return snprintf(text, TEXT_MAX, "%.*s\n", (int)v->text_len, v->as.text);
    default:
        return -1;
    }
}

static void skeleton_write(void *self, uint64_t request, uint32_t device, uint32_t point,
                           const struct tg_value *value)
{
    struct skeleton_instance *s = self;
    char path[PATH_MAX], text[TEXT_MAX], json[128];
    int n = text_of(value, text), fd, why = 0;
    if (n < 0 || n >= TEXT_MAX) {
        s->host->answer(s->host->source, request, TG_PLUGIN_EINVAL,
                        "{\"error\":\"the value does not fit into the file\"}");
        return;
    }
    path_of(s, device, point, path);
    fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0 || write(fd, text, (size_t)n) != n)
        why = errno;
    if (fd >= 0)
        close(fd);
    s->devices[device].due_ms[point] = 0; /* poll() follows and reads what is there now */
    snprintf(json, sizeof json, "{\"error\":\"%s\"}", strerror(why));
    s->host->answer(s->host->source, request, why ? TG_PLUGIN_EDEVICE : TG_PLUGIN_OK, why ? json : NULL);
}

static const struct tg_plugin skeleton_plugin = {TG_PLUGIN_INIT(TG_THREAD_OWN),
                                                 .name = "skeleton",
                                                 .version = "0.1",
                                                 .summary = "values in files",
                                                 .source_options = skeleton_source_options,
                                                 .device_options = skeleton_device_options,
                                                 .point_options = skeleton_point_options,
                                                 .check_point = skeleton_check_point,
                                                 .open = skeleton_open,
                                                 .poll = skeleton_poll,
                                                 .close = skeleton_close,
                                                 .write = skeleton_write,
                                                 .needs = TG_NEEDS_STATED};
TG_PLUGIN_EXPORT(skeleton_plugin)
