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
                      (json_int_t)(st.bytes_file + st.bytes_wal), "last_id", (json_int_t)st.last_id,
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
    int rc = e.json && e.body ? 1 : tg_error_set(err, TG_ENOMEM, "out of memory");
    while (rc == 1)
        rc = tg_outbox_read(ob, from, UINT32_MAX, PAGE_ROWS, PAGE_BYTES, export_row, &e, &from, err);
    tg_free(e.json);
    tg_free(e.body);
    if (rc == TG_OK && e.damaged)
        rc = tg_error_set(err, TG_ECORRUPT, "%llu %s could not be read", (unsigned long long)e.damaged,
                          tg_plural(e.damaged, "sample", "samples"));
    if (rc == TG_OK && (fflush(stdout) != 0 || ferror(stdout)))
        rc = tg_error_set(err, TG_EIO, "standard output could not be written");
    return rc;
}

/* --- verify -------------------------------------------------------------------------------------------- */

static void finding(void *user, const char *text)
{
    ++*(unsigned *)user;
    printf("%s\n", text);
}

static int verify(struct tg_outbox *ob, struct tg_error *err)
{
    unsigned findings = 0;
    int rc = tg_outbox_verify(ob, finding, &findings, err);
    if (rc == TG_OK)
        printf("sound: the database is consistent, every body reads, every sequence is accounted for\n");
    else if (findings)
        tg_error_set(err, rc, "%u findings", findings);
    return rc;
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

int tg_cmd_outbox(int argc, char **argv)
{
    struct tg_outbox_options o = {.read_only = true};
    struct tg_settings *gateway = NULL;
    struct tg_error err = {0};
    struct tg_outbox *ob;
    struct tg_args a;
    const char *verb = NULL, *device = NULL, *backlog = NULL, *file = NULL;
    bool dropping = argc > 1 && strcmp(argv[1], "drop") == 0;
    bool importing = argc > 1 && strcmp(argv[1], "import") == 0;
    bool all = dropping && take_flag(&argc, argv, "--all");
    bool yes = (dropping || importing) && take_flag(&argc, argv, "--yes");
    int rc = tg_args_parse(argc, argv, more, &a);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < a.count; i++) {
        if (strcmp(a.args[i], "--dir") == 0)
            o.dir = a.args[++i];
        else if (strcmp(a.args[i], "--device") == 0)
            device = a.args[++i];
        else if (strcmp(a.args[i], "--backlog") == 0)
            backlog = a.args[++i];
        else if (verb && importing)
            file = a.args[i];
        else if (!verb || !dropping)
            verb = a.args[i];
    }
    if (a.help || !verb ||
        (strcmp(verb, "stats") != 0 && strcmp(verb, "verify") != 0 && strcmp(verb, "export") != 0 &&
         !dropping && !importing) ||
        (importing && !file)) {
        usage(a.help ? stdout : stderr);
        return a.help ? TG_EXIT_OK : TG_EXIT_USAGE;
    }
    if (!o.dir) {
        if (tg_config_peek_gateway(a.config ? a.config : TG_DEFAULT_CONFIG, &gateway, &err) < 0) {
            fprintf(stderr, "tidegate outbox: %s\n", err.text);
            return TG_EXIT_USAGE;
        }
        o.dir = tg_settings_text(gateway, "state_dir");
    }
    if (dropping) {
        rc = tg_cmd_outbox_drop(&a, all, yes, o.dir, &err);
        if (rc != TG_EXIT_OK)
            fprintf(stderr, "tidegate outbox drop: %s\n", err.text);
        tg_settings_free(gateway);
        return rc;
    }
    if (importing || (backlog && strcmp(verb, "export") == 0)) {
        rc = importing ? tg_cmd_outbox_import(&a, o.dir, file, yes)
                       : tg_cmd_outbox_export(&a, o.dir, backlog, device,
                                              gateway ? tg_settings_text(gateway, "name") : NULL);
        tg_settings_free(gateway);
        return rc;
    }
    rc = tg_outbox_open(&o, &ob, NULL, &err);
    if (rc == TG_OK) {
        rc = strcmp(verb, "stats") == 0    ? stats(ob, a.json, &err)
             : strcmp(verb, "verify") == 0 ? verify(ob, &err)
                                           : export(ob, device, &err);
        tg_outbox_close(ob, false);
    }
    if (rc < 0)
        fprintf(stderr, "tidegate outbox %s: %s\n", verb, err.text);
    tg_settings_free(gateway);
    return rc < 0 ? TG_EXIT_NO : TG_EXIT_OK;
}
