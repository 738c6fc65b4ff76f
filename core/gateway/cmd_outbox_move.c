/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `tidegate outbox export --backlog` and `import`: the backlog of one box goes on to another.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "core/gateway/cmd_outbox.h"
#include "store/move.h"

#define NAMES_TOLD 50 /* devices that are listed */

static int complain(const char *verb, const struct tg_error *err)
{
    fprintf(stderr, "tidegate outbox %s: %s\n", verb, err->text);
    return TG_EXIT_NO;
}

static void print_json(json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT);
    printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(j);
}

/* --- export ------------------------------------------------------------------------------------------ */

/* The folder, so that the new name in it is on the disk. */
static int sync_folder(const char *file)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", file);
    int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd >= 0 ? fsync(fd) : -1;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Written beside its place, synced, and renamed: the name never stands for a part. */
static int write_file(struct tg_outbox *ob, struct tg_move_out *out, const char *file,
                      struct tg_move_sum *ret_sum, struct tg_error *err)
{
    char beside[PATH_MAX];
    int rc, fd;
    if (snprintf(beside, sizeof beside, "%s.XXXXXX", file) >= (int)sizeof beside)
        return tg_error_set(err, TG_ETOOBIG, "the name of the file is too long");
    fd = mkostemp(beside, O_CLOEXEC); /* 0600 */
    out->to = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!out->to) {
        rc = tg_error_set(err, tg_code_from_errno(errno), "%s cannot be created: %s; nothing was exported",
                          file, strerror(errno));
        if (fd >= 0) {
            close(fd);
            unlink(beside);
        }
        return rc;
    }
    rc = tg_outbox_export(ob, out, ret_sum, err);
    errno = 0;
    if (rc == TG_OK && (fflush(out->to) != 0 || fsync(fd) != 0))
        rc = tg_error_set(err, tg_code_from_errno(errno), "the file cannot be written: %s", strerror(errno));
    fclose(out->to);
    if (rc == TG_OK && (rename(beside, file) != 0 || sync_folder(file) != 0))
        rc = tg_error_set(err, tg_code_from_errno(errno), "the file cannot be put in its place: %s",
                          strerror(errno));
    if (rc != TG_OK) {
        unlink(beside);
        (void)tg_error_wrap(err, "%s was not written", file);
    }
    return rc;
}

static void tell_export(const struct tg_args *args, const struct tg_move_sum *sum, const char *file,
                        bool running)
{
    if (args->json) {
        print_json(json_pack("{s:s,s:I,s:I,s:I,s:b}", "file", file, "samples", (json_int_t)sum->rows,
                             "devices", (json_int_t)sum->devices, "waiting_for_clock",
                             (json_int_t)sum->waiting_for_clock, "running", running));
    } else {
        printf("%s: %" PRIu64 " %s of %u %s, for %u %s\n", file, sum->rows,
               tg_plural(sum->rows, "sample", "samples"), sum->devices,
               tg_plural(sum->devices, "device", "devices"), sum->cursors,
               tg_plural(sum->cursors, "cursor", "cursors"));
        if (sum->waiting_for_clock > 0)
            printf("the time of %" PRIu64 " of them is not known: the other box will estimate it\n",
                   sum->waiting_for_clock);
    }
    if (sum->leap > 0 && !running)
        fprintf(
            stderr,
            "tidegate outbox export: this box did not stop cleanly and may have given numbers beyond what is "
            "stored: the other one goes on %" PRIu64 " numbers higher, and tells each cloud so as a gap "
            "(crash)\n",
            sum->leap);
    if (running)
        fprintf(
            stderr,
            "tidegate outbox export: the gateway runs: what it delivers from now on will be delivered twice, "
            "and what it takes in is not in the file. Stop it and export again before the other box takes "
            "over; the two must not run with the same devices\n");
}

int tg_cmd_outbox_export(const struct tg_args *args, const char *dir, const char *file, const char *device,
                         const char *gateway)
{
    const struct tg_outbox_options o = {.dir = dir, .read_only = true};
    char host[HOST_NAME_MAX + 1] = "";
    struct tg_move_out out = {.gateway = gateway, .device = device};
    struct tg_error err = {0};
    struct tg_move_sum sum;
    struct tg_outbox *ob;
    int rc;
    if (!gateway || !gateway[0]) {
        (void)gethostname(host, sizeof host - 1);
        out.gateway = host;
    }
    out.running = tg_outbox_in_use(dir, &err) == TG_EBUSY;
    err = (struct tg_error){0};
    if (access(file, F_OK) == 0) /* it may be the backlog of another box */
        rc = tg_error_set(&err, TG_EEXISTS,
                          "%s is there already and stays as it is; nothing was exported: say another name",
                          file);
    else
        rc = tg_outbox_open(&o, &ob, NULL, &err);
    if (rc == TG_OK) {
        rc = write_file(ob, &out, file, &sum, &err);
        tg_outbox_close(ob, false);
    }
    if (rc != TG_OK)
        return complain("export", &err);
    tell_export(args, &sum, file, out.running);
    return TG_EXIT_OK;
}

/* --- import ------------------------------------------------------------------------------------------- */

struct listing {
    uint32_t told;
    bool quiet;
};

static void each_device(void *user, const char *device, uint64_t rows)
{
    struct listing *l = user;
    if (!l->quiet && l->told++ < NAMES_TOLD)
        printf("%-24s %" PRIu64 " %s\n", device, rows, tg_plural(rows, "sample", "samples"));
}

static void tell_import(const struct tg_args *args, const struct tg_move_sum *sum, bool done)
{
    char when[TG_CLOCK_ISO8601_BYTES] = "";
    if (args->json) {
        print_json(json_pack("{s:b,s:b,s:s,s:I,s:I}", "imported", done, "was_imported", sum->done_before,
                             "gateway", sum->gateway, "samples", (json_int_t)sum->rows, "devices",
                             (json_int_t)sum->devices));
        return;
    }
    tg_clock_iso8601(sum->exported_ms, when);
    if (sum->done_before)
        printf("this file (of %s, %s) was imported already: nothing was done\n", sum->gateway, when);
    else
        printf("%" PRIu64 " %s of %u %s of %s, exported %s, %s\n", sum->rows,
               tg_plural(sum->rows, "sample", "samples"), sum->devices,
               tg_plural(sum->devices, "device", "devices"), sum->gateway, when,
               done ? "imported" : "would be imported");
}

/* What is stored in one transaction is in the write-ahead log first, then in the database too. */
static int check_room(const char *dir, FILE *from, const char *file, struct tg_error *err)
{
    struct stat st;
    struct statvfs fs;
    if (fstat(fileno(from), &st) != 0 || !S_ISREG(st.st_mode))
        return tg_error_set(err, TG_EINVAL, "%s is not a regular file; nothing was imported", file);
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
        return tg_error_set(
            err, TG_ENOTFOUND,
            "the state_dir %s is not there; nothing was imported: create it for the user that runs the "
            "gateway, mode 0700",
            dir);
    if (fstat(fileno(from), &st) != 0)
        return tg_error_set(err, tg_code_from_errno(errno), "%s: %s; nothing was imported", file,
                            strerror(errno));
    if (statvfs(dir, &fs) == 0 && (uint64_t)st.st_size * 2 > (uint64_t)fs.f_bavail * fs.f_frsize)
        return tg_error_set(err, TG_ENOSPACE,
                            "importing %s takes up to %" PRIu64 " MB in %s, and there are %" PRIu64
                            " free; nothing was imported",
                            file, (uint64_t)st.st_size * 2 / 1000000, dir,
                            (uint64_t)fs.f_bavail * fs.f_frsize / 1000000);
    return TG_OK;
}

static int import(const char *dir, const struct tg_move_in *in, struct tg_move_sum *ret_sum,
                  struct tg_error *err)
{
    struct tg_outbox_options o = {.dir = dir, .durability = TG_DURABILITY_FULL, .read_only = in->dry};
    struct tg_outbox *ob = NULL;
    char aside[256] = "";
    int rc = tg_outbox_in_use(dir, err);
    if (rc != TG_OK)
        return tg_error_set(
            err, rc, "a running gateway holds the outbox in %s; nothing was imported: stop it first", dir);
    rc = tg_outbox_open(&o, &ob, aside, err);
    if (in->dry && rc == TG_ENOTFOUND)
        rc = TG_OK;
    if (rc != TG_OK)
        return rc;
    if (aside[0])
        fprintf(stderr, "tidegate outbox import: %s (set aside as %s)\n", err->text, aside);
    rc = tg_outbox_import(ob, in, ret_sum, err);
    tg_outbox_close(ob, !in->dry);
    return rc;
}

int tg_cmd_outbox_import(const struct tg_args *args, const char *dir, const char *file, bool yes)
{
    struct listing list = {.quiet = args->json};
    struct tg_move_in in = {.name = file, .dry = !yes, .each = each_device, .user = &list};
    struct tg_error err = {0};
    struct tg_move_sum sum = {0};
    int rc;
    int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe nobody writes to would hold us */
    in.from = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!in.from) {
        tg_error_set(&err, tg_code_from_errno(errno), "%s: %s; nothing was imported", file, strerror(errno));
        return complain("import", &err);
    }
    rc = check_room(dir, in.from, file, &err);
    if (rc == TG_OK)
        rc = import(dir, &in, &sum, &err);
    fclose(in.from);
    if (rc != TG_OK)
        return complain("import", &err);
    if (list.told > NAMES_TOLD)
        printf("and %u %s more\n", list.told - NAMES_TOLD,
               tg_plural(list.told - NAMES_TOLD, "device", "devices"));
    tell_import(args, &sum, yes && !sum.done_before);
    if (sum.done_before || yes)
        return TG_EXIT_OK;
    fprintf(stderr, "tidegate outbox import: nothing was imported: say --yes to do it\n");
    return TG_EXIT_NO;
}
