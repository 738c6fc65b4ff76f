/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/base/plural.h"
#include "core/gateway/cmd_outbox.h"
#include "northbound/format_json.h"
#include "store/outbox.h"
#include "store/timeline.h"

#define PAGE_ROWS    512
#define PAGE_BYTES   (256 * 1024)
#define ROW_JSON_MAX (512 * 1024)

static const char *const more[] = {"--dir", "--device", "--cloud", "--before", "--backlog", NULL};

/* --- stats --------------------------------------------------------------------------------------------- */

static void device_json(void *user, const struct tg_outbox_device_stats *d)
{
    json_t *dropped = json_object();
    for (int i = 0; i < TG_DROP_REASONS; i++)
        json_object_set_new(dropped, tg_drop_reason_name(i), json_integer((json_int_t)d->dropped[i]));
    json_array_append_new(user, json_pack("{s:s,s:I,s:I,s:I,s:o,s:I,s:I}", "id", d->name, "last_seq",
                                          (json_int_t)d->last_seq, "pending", (json_int_t)d->pending, "ahead",
                                          (json_int_t)d->ahead, "dropped", dropped, "gap_first_seq",
                                          (json_int_t)d->gap_first_seq, "gap_last_seq",
                                          (json_int_t)d->gap_last_seq));
}

static void device_text(void *user, const struct tg_outbox_device_stats *d)
{
    unsigned long long dropped = 0;
    (void)user;
    for (int i = 0; i < TG_DROP_REASONS; i++)
        dropped += d->dropped[i];
    printf("%-24s last seq %-12llu pending %-10llu dropped %llu", d->name, (unsigned long long)d->last_seq,
           (unsigned long long)d->pending, dropped);
    if (d->ahead)
        printf(", %llu went ahead of those that wait", (unsigned long long)d->ahead);
    if (dropped)
        printf(" (last gap: seq %llu to %llu)", (unsigned long long)d->gap_first_seq,
               (unsigned long long)d->gap_last_seq);
    printf("\n");
}

static int stats(struct tg_outbox *ob, bool json, struct tg_error *err)
{
    struct tg_outbox_stats st;
    char oldest[TG_CLOCK_ISO8601_BYTES] = "";
    uint64_t waiting = 0;
    int rc = tg_outbox_stats(ob, &st, err);
    if (rc < 0)
        return rc;
    rc = tg_outbox_waiting(ob, &waiting, err);
    if (rc < 0)
        return rc;
    if (st.rows && st.oldest_time_ms)
        tg_clock_iso8601(st.oldest_time_ms, oldest);
    if (json) {
        json_t *devices = json_array(), *j;
        char *text;
        rc = tg_outbox_each_device(ob, device_json, devices, err);
        j = json_pack("{s:I,s:I,s:I,s:I,s:s,s:o}", "rows", (json_int_t)st.rows, "file_bytes",
                      (json_int_t)st.bytes_file + (json_int_t)st.bytes_wal, "last_id", (json_int_t)st.last_id,
                      "waiting_for_clock", (json_int_t)waiting, "oldest", oldest, "devices", devices);
        text = json_dumps(j, JSON_INDENT(2));
        printf("%s\n", text ? text : "{}");
        free(text);
        json_decref(j);
        return rc;
    }
    printf("%llu %s, %.1f MB on disk%s%s\n", (unsigned long long)st.rows,
           tg_plural(st.rows, "sample", "samples"), (double)(st.bytes_file + st.bytes_wal) / 1e6,
           oldest[0] ? ", oldest " : "", oldest);
    if (waiting)
        printf("%llu of them %s for the clock: taken before it was set, to be sent when it has been\n",
               (unsigned long long)waiting, tg_plural(waiting, "waits", "wait"));
    return tg_outbox_each_device(ob, device_text, NULL, err);
}

/* --- export -------------------------------------------------------------------------------------------- */

struct export
{
    const struct tg_outbox *ob;
    const char *device;
    char *json;
    uint8_t *body; /* with its wall time */
    uint64_t written, damaged;
};

/* The body with its wall time, where the store knows it. */
static struct tg_bytes stamped(struct export *e, const struct tg_outbox_row *row)
{
    struct tg_writer w = tg_writer_init(e->body, TG_SAMPLE_MAX_BYTES);
    struct tg_sample_reader r;
    struct tg_sample_time time;
    if (!tg_sample_is_unstamped(row->body) || tg_sample_reader_init(&r, row->body) < 0)
        return row->body;
    time = tg_timeline_resolve(tg_outbox_timeline(e->ob), row->id,
                               &(struct tg_sample_time){TG_TIME_BOOT, r.boot, r.time_ms});
    if (tg_sample_restamp(row->body, &time, &w) < 0 || w.failed)
        return row->body;
    return tg_bytes(w.data, w.len);
}

static void export_row(void *user, const struct tg_outbox_row *row)
{
    struct export *e = user;
    const char *name = tg_outbox_device_name(e->ob, row->device);
    struct tg_writer w = tg_writer_init(e->json, ROW_JSON_MAX);
    if (e->device && (!name || strcmp(name, e->device) != 0))
        return;
    tg_write_str(&w, "{\"device\":");
    tg_format_json_string(&w, tg_bytes_str(name));
    tg_write_str(&w, ",\"sample\":");
    if (tg_format_json_sample(&w, row->seq, stamped(e, row), NULL) < 0) {
        e->damaged++;
        return;
    }
    tg_write_str(&w, "}\n");
    fwrite(w.data, 1, w.len, stdout);
    e->written++;
}

static int export(struct tg_outbox *ob, const char *device, struct tg_error *err)
{
    struct export e = {
        .ob = ob, .device = device, .json = tg_malloc(ROW_JSON_MAX), .body = tg_malloc(TG_SAMPLE_MAX_BYTES)};
    uint64_t from = 1;
    uint32_t number;
    int rc = e.json && e.body ? 1 : tg_error_set(err, TG_ENOMEM, "out of memory");
    if (rc == 1 && device && !tg_outbox_find(ob, device, NULL, &number, &number))
        rc = tg_error_set(err, TG_ENOTFOUND, "the outbox knows no device \"%s\"", device);
    while (rc == 1)
        rc = tg_outbox_read(ob, from, UINT32_MAX, PAGE_ROWS, PAGE_BYTES, export_row, &e, &from, err);
    tg_free(e.json);
    tg_free(e.body);
    if (rc == TG_OK && e.damaged)
        rc = tg_error_set(err, TG_ECORRUPT, "%llu %s could not be read", (unsigned long long)e.damaged,
                          tg_plural(e.damaged, "sample", "samples"));
    return rc;
}

/* --- verify -------------------------------------------------------------------------------------------- */

struct findings {
    unsigned count;
    json_t *list; /* with --json */
};

static void finding(void *user, const char *text)
{
    struct findings *f = user;
    f->count++;
    if (f->list)
        json_array_append_new(f->list, json_string(text));
    else
        printf("%s\n", text);
}

static int verify(struct tg_outbox *ob, bool json, struct tg_error *err)
{
    struct findings f = {.list = json ? json_array() : NULL};
    int rc = tg_outbox_verify(ob, finding, &f, err);
    if (json) {
        json_t *j = json_pack("{s:b,s:o}", "sound", rc == TG_OK, "findings", f.list);
        char *text = json_dumps(j, JSON_INDENT(2));
        printf("%s\n", text ? text : "{}");
        free(text);
        json_decref(j);
    } else if (rc == TG_OK) {
        printf("sound: the database is consistent, every body reads, every sequence is accounted for\n");
    }
    if (rc != TG_OK && f.count > 0)
        tg_error_set(err, rc, "%u findings", f.count);
    return rc;
}

/* --- the command line ------------------------------------------------------------------------------------ */

static void usage(FILE *to)
{
    fprintf(to,
            "usage: tidegate outbox stats [--json] [-c FILE | --dir DIR]\n"
            "       tidegate outbox verify [-c FILE | --dir DIR]\n"
            "       tidegate outbox export [--device D] [-c FILE | --dir DIR]   (one JSON object a line)\n"
            "       tidegate outbox export --backlog FILE [--device D] [-c FILE | --dir DIR]\n"
            "       tidegate outbox import FILE --yes [-c FILE | --dir DIR]\n"
            "       tidegate outbox drop DEVICE|--all [--cloud NAME] [--before TIME] --yes [--json]\n"
            "                            [-c FILE | --dir DIR] [--socket PATH]\n\n"
            "Looks into the store (state_dir of the file), also beside a running gateway. verify exits 1 "
            "when it finds something.\n"
            "export --backlog writes what waits for another box, import takes it in there, under the same "
            "numbers, while the gateway is stopped.\n"
            "drop gives up what waits: of a device or all of them, for one cloud or all, all of it or what "
            "is "
            "older than TIME\n"
            "(2026-11-20T13:00:00Z, or an age such as 2h). It is counted as removed, and the clouds are told "
            "by a gap record.\n"
            "Without --yes it only says what would go, and exits 1. A running gateway does it itself.\n");
}

/* What each verb takes beside --json, -c and --dir. */
static const struct outbox_verb {
    const char *name, *options[6];
    unsigned words;
} verbs[] = {{"stats", {NULL}, 0},
             {"verify", {NULL}, 0},
             {"export", {"--device", "--backlog", NULL}, 0},
             {"import", {"--yes", NULL}, 1},
             {"drop", {"--cloud", "--before", "--all", "--yes", NULL}, 1}};

#define VERBS (sizeof verbs / sizeof verbs[0])

static const struct outbox_verb *find_verb(const char *name)
{
    const char *names[VERBS], *near;
    for (size_t i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
        names[i] = verbs[i].name;
    }
    near = tg_nearest_word(name, names, VERBS);
    fprintf(stderr, "tidegate outbox: unknown verb \"%s\"%s%s%s; tidegate outbox --help lists them\n", name,
            near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
    return NULL;
}

static bool takes(const struct outbox_verb *verb, const char *option)
{
    if (strcmp(option, "--dir") == 0)
        return true;
    for (const char *const *o = verb->options; *o; o++)
        if (strcmp(*o, option) == 0)
            return true;
    fprintf(stderr, "tidegate outbox %s takes no %s; tidegate outbox --help says what it takes\n", verb->name,
            option);
    return false;
}

/* Takes a flag out of argv. */
static bool take_flag(int *argc, char **argv, const char *flag)
{
    int n = 0, before = *argc;
    for (int i = 0; i < before; i++)
        if (strcmp(argv[i], flag) != 0)
            argv[n++] = argv[i];
    *argc = n;
    return n < before;
}

static void put_option(struct tg_outbox_words *w, const char *option, const char *value)
{
    const char **const at[] = {&w->dir, &w->device, &w->cloud, &w->before, &w->backlog};
    for (size_t i = 0; more[i]; i++)
        if (strcmp(more[i], option) == 0)
            *at[i] = value;
}

/* 0, or the exit code: what is wrong was said. */
static int read_words(const struct tg_args *a, const struct outbox_verb **ret_verb, struct tg_outbox_words *w)
{
    const struct outbox_verb *verb = NULL;
    unsigned words = 0;
    for (uint32_t i = 0; i < a->count && !verb; i++) {
        if (a->args[i][0] == '-')
            i++;
        else if (!(verb = find_verb(a->args[i])))
            return TG_EXIT_USAGE;
    }
    if (!verb) {
        usage(stderr);
        return TG_EXIT_USAGE;
    }
    if ((w->all && !takes(verb, "--all")) || (w->yes && !takes(verb, "--yes")))
        return TG_EXIT_USAGE;
    for (uint32_t i = 0; i < a->count; i++) {
        const char *arg = a->args[i];
        if (arg[0] == '-' && !takes(verb, arg))
            return TG_EXIT_USAGE;
        if (arg[0] == '-') {
            put_option(w, arg, a->args[++i]);
        } else if (words++ > verb->words) {
            fprintf(stderr,
                    "tidegate outbox %s: \"%s\" is too much; tidegate outbox --help says what it takes\n",
                    verb->name, arg);
            return TG_EXIT_USAGE;
        } else if (words > 1) {
            w->word = arg;
        }
    }
    *ret_verb = verb;
    return 0;
}

/* Looks into it; what went wrong was said. */
static int look(const char *verb, const char *dir, bool json, const char *device)
{
    const struct tg_outbox_options o = {.dir = dir, .read_only = true};
    struct tg_error err = {0};
    struct tg_outbox *ob;
    int rc = tg_outbox_open(&o, &ob, NULL, &err);
    if (rc == TG_OK) {
        rc = strcmp(verb, "stats") == 0    ? stats(ob, json, &err)
             : strcmp(verb, "verify") == 0 ? verify(ob, json, &err)
                                           : export(ob, device, &err);
        tg_outbox_close(ob, false);
    } else if (rc == TG_ENOTFOUND) {
        (void)tg_error_wrap(&err, "no gateway has stored anything there");
    }
    if (rc < 0)
        fprintf(stderr, "tidegate outbox %s: %s\n", verb, err.text);
    return rc < 0 ? TG_EXIT_NO : TG_EXIT_OK;
}

static int run_verb(const struct tg_args *a, const char *verb, const struct tg_outbox_words *w,
                    const char *gateway)
{
    if (strcmp(verb, "drop") == 0)
        return tg_cmd_outbox_drop(a, w);
    if (strcmp(verb, "import") == 0)
        return tg_cmd_outbox_import(a, w->dir, w->word, w->yes);
    if (w->backlog)
        return tg_cmd_outbox_export(a, w->dir, w->backlog, w->device, gateway);
    return look(verb, w->dir, a->json, w->device);
}

int tg_cmd_outbox(int argc, char **argv)
{
    struct tg_outbox_words w = {.all = take_flag(&argc, argv, "--all"),
                                .yes = take_flag(&argc, argv, "--yes")};
    const struct outbox_verb *verb = NULL;
    struct tg_settings *gateway = NULL;
    struct tg_error err = {0};
    struct tg_args a;
    int rc = tg_args_parse(argc, argv, more, &a);
    if (rc)
        return rc;
    if (a.help) {
        usage(stdout);
        return TG_EXIT_OK;
    }
    if ((rc = read_words(&a, &verb, &w)) != 0)
        return rc;
    if (strcmp(verb->name, "import") == 0 && !w.word) {
        fprintf(stderr,
                "tidegate outbox import: which file? It takes what `outbox export --backlog` wrote\n");
        return TG_EXIT_USAGE;
    }
    if (!w.dir) {
        if (tg_config_peek_gateway(a.config ? a.config : TG_DEFAULT_CONFIG, &gateway, &err) < 0) {
            fprintf(stderr, "tidegate outbox: %s\n", err.text);
            return TG_EXIT_USAGE;
        }
        w.dir = tg_settings_text(gateway, "state_dir");
    }
    rc = run_verb(&a, verb->name, &w, gateway ? tg_settings_text(gateway, "name") : NULL);
    tg_settings_free(gateway);
    return rc;
}
