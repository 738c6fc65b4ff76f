/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `tidegate plugin new`: a folder with a plugin that compiles, runs and has its tests, to be changed into one's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/gateway/command.h"
#include "core/gateway/plugin_skeleton.h"

#define WORD           "skeleton"
#define NAME_MAX_BYTES 32

static const char *const more[] = {"--dir", NULL};

static int help(bool asked)
{
    fprintf(
        asked ? stdout : stderr,
        "usage: tidegate plugin new NAME [--dir DIR]\n\n"
        "Makes the folder DIR (default: ./NAME) with a source plugin that works: NAME.c, CMakeLists.txt for "
        "the installed\n"
        "package, a Makefile with pkg-config, NAME.yaml to run it with, tests, README.md. Nothing that "
        "exists "
        "is touched.\n");
    return asked ? TG_EXIT_OK : TG_EXIT_USAGE;
}

/* What both the plugin's loader and the build take: NULL, or what is wrong. */
static const char *wrong_name(const char *name)
{
    /* Targets of the build system, which cannot be a library's name. */
    static const char *const taken[] = {"all",     "clean",   "edit_cache",    "help",
                                        "install", "package", "rebuild_cache", "test"};
    size_t n = strlen(name);
    if (n == 0 || n > NAME_MAX_BYTES)
        return "a name has 1 to 32 characters";
    if (name[0] < 'a' || name[0] > 'z')
        return "a name begins with a lower-case letter";
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != n)
        return "a name has lower-case letters, digits, - and _";
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(name, taken[i]) == 0)
            return "CMake has a target of that name";
    return NULL;
}

/* The text with the name in the word's place, to a file, or into `memory` when `out` is NULL (cut where it ends). */
static void replaced(const char *text, const char *name, FILE *out, char *memory, size_t size)
{
    const size_t word = strlen(WORD);
    size_t used = 0;
    while (*text) {
        const char *at = strstr(text, WORD), *piece = at == text ? name : text;
        bool in_code = at == text && text[word] == '_';
        size_t len = at == text ? strlen(name) : at ? (size_t)(at - text) : strlen(text);
        for (size_t i = 0; i < len; i++) {
            char c = in_code && piece[i] == '-' ? '_' : piece[i];
            if (out)
                putc(c, out);
            else if (used + 1 < size)
                memory[used++] = c;
        }
        text += at == text ? word : len;
    }
    if (!out)
        memory[used] = '\0';
}

static int write_file(const char *dir, const char *name, const struct tg_skeleton_file *f)
{
    char file[NAME_MAX_BYTES * 2 + 64], path[PATH_MAX], *slash;
    FILE *out;
    int fd;
    replaced(f->name, name, NULL, file, sizeof file);
    snprintf(path, sizeof path, "%s/%s", dir, file);
    slash = strrchr(file, '/');
    if (slash) {
        char *end = path + strlen(path) - strlen(slash);
        *end = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            goto fail;
        *end = '/';
    }
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out)
        goto fail;
    replaced(f->text, name, out, NULL, 0);
    if (fclose(out) != 0)
        goto fail;
    printf("  %s\n", file);
    return TG_EXIT_OK;
fail:
    fprintf(stderr, "tidegate plugin new: %s: %s; the folder %s is not complete, remove it and try again\n",
            path, strerror(errno), dir);
    return TG_EXIT_NO;
}

static int make(const char *name, const char *dir)
{
    int rc = TG_EXIT_OK;
    if (mkdir(dir, 0755) < 0) {
        fprintf(stderr,
                errno == EEXIST ? "tidegate plugin new: %s exists already and is left as it is; --dir names "
                                  "another folder\n"
                                : "tidegate plugin new: %s: %s\n",
                dir, strerror(errno));
        return TG_EXIT_NO;
    }
    printf("%s:\n", dir);
    for (const struct tg_skeleton_file *f = tg_skeleton_files; f->name && rc == TG_EXIT_OK; f++)
        rc = write_file(dir, name, f);
    if (rc == TG_EXIT_OK)
        printf("\nNext, in that folder:\n"
               "  cmake -B build && cmake --build build && ctest --test-dir build\n"
               "  tidegate plugin test build/%s.so -c %s.yaml\n",
               name, name);
    return rc;
}

int tg_cmd_plugin_new(int argc, char **argv)
{
    const char *name = NULL, *dir = NULL, *why;
    struct tg_plugin_set *set;
    const struct tg_plugin *known;
    struct tg_args a;
    int rc = tg_args_parse(argc, argv, more, &a);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < a.count; i++) {
        if (strcmp(a.args[i], "--dir") == 0)
            dir = a.args[++i];
        else if (!name)
            name = a.args[i];
        else
            return help(false);
    }
    if (a.help || !name)
        return help(a.help);
    why = wrong_name(name);
    if (why) {
        char quoted[TG_QUOTE_BYTES];
        fprintf(stderr, "tidegate plugin new: %s: %s\n", tg_quote(quoted, name, strlen(name)), why);
        return TG_EXIT_USAGE;
    }
    if (tg_command_plugins(&a, &set) < 0)
        return TG_EXIT_NO;
    known = tg_plugin_find(set, name, NULL);
    if (known)
        fprintf(stderr, "tidegate plugin new: %s is a plugin already (%s): take another name\n", name,
                tg_plugin_path(set, known));
    tg_plugin_set_free(set);
    return known ? TG_EXIT_NO : make(name, dir ? dir : name);
}
