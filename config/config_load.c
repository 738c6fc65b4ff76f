/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_load - from files to a finished model: reads the file and conf.d/, runs readers and checks, says the
 * errors.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config_private.h"
#include "core/base/allocator.h"
#include "core/base/plural.h"

/* --- errors --- */

/* A profile's mistake is found by every device that has the profile. */
static bool is_told(const struct tg_config_load *l, const struct tg_config_report *r)
{
    for (uint32_t i = 0; i < l->report_count; i++) {
        const struct tg_config_report *o = &l->reports[i];
        if (o->line == r->line && o->column == r->column && strcmp(o->file, r->file) == 0 &&
            strcmp(o->text, r->text) == 0)
            return true;
    }
    return false;
}

void tg_config_error(struct tg_config_load *l, struct tg_config_pos pos, const char *fmt, ...)
{
    struct tg_config_report r = {.file = pos.file,
                                 .line = pos.line > 0 ? (uint32_t)pos.line : 0,
                                 .column = pos.column > 0 ? (uint32_t)pos.column : 0};
    va_list ap;
    if (l->aside) {
        va_start(ap, fmt);
        if (!l->aside[0])
            vsnprintf(l->aside, TG_CONFIG_REPORT_BYTES, fmt, ap);
        va_end(ap);
        l->error_count++; /* readers look whether there was one */
        return;
    }
    l->error_count++;
    va_start(ap, fmt);
    vsnprintf(r.text, sizeof r.text, fmt, ap);
    va_end(ap);
    if (is_told(l, &r))
        return;
    if (l->report_count < TG_CONFIG_MAX_ERRORS)
        l->reports[l->report_count++] = r;
    else
        l->left_out_count++;
}

static unsigned file_order(const struct tg_config_load *l, const char *label)
{
    unsigned n = 0;
    for (const struct tg_config_file *f = l->files; f && f->label != label; f = f->next)
        n++;
    return n;
}

/* Stable: insertion sort of at most 50. */
static void sort_reports(struct tg_config_load *l, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct tg_config_report r = l->reports[i];
        unsigned order = file_order(l, r.file);
        uint32_t at = i;
        while (at > 0) {
            const struct tg_config_report *p = &l->reports[at - 1];
            unsigned before = file_order(l, p->file);
            if (before < order ||
                (before == order && (p->line < r.line || (p->line == r.line && p->column <= r.column))))
                break;
            l->reports[at] = *p;
            at--;
        }
        l->reports[at] = r;
    }
}

/* Names and texts of a file, a plugin or a cloud type stand in messages: none of them may move a terminal's
 * cursor. */
static void say_escaped(const char *text, void (*say)(void *user, const char *line), void *user)
{
    char line[1024];
    struct tg_writer w = tg_writer_init(line, sizeof line - 1);
    for (; *text && w.cap - w.len > 8; text++) {
        unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];
        if (c < 0x20 || c == 0x7F)
            tg_write_fmt(&w, "\\x%02x", c);
        else if (c == 0xC2 && next >= 0x80 && next < 0xA0) /* U+0080 … U+009F: control characters too */
            tg_write_fmt(&w, "\\x%02x", *++text & 0xFF);
        else
            tg_write_u8(&w, (uint8_t)*text);
    }
    line[w.len] = '\0';
    say(user, line);
}

static void say_reports(struct tg_config_load *l, const char *main_label,
                        void (*say)(void *user, const char *line), void *user)
{
    const uint32_t count = l->report_count;
    char line[1024];
    sort_reports(l, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct tg_config_report *r = &l->reports[i];
        if (r->line)
            snprintf(line, sizeof line, "%.500s:%u:%u: %s", r->file, r->line, r->column, r->text);
        else
            snprintf(line, sizeof line, "%.500s: %s", r->file, r->text);
        say_escaped(line, say, user);
    }
    if (l->left_out_count > 0) {
        snprintf(line, sizeof line, "%.500s: %u more %s not shown", main_label, l->left_out_count,
                 tg_plural(l->left_out_count, "error is", "errors are"));
        say_escaped(line, say, user);
    }
}

/* --- memory --- */

void *tg_config_alloc(struct tg_config_load *l, size_t count, size_t size)
{
    void *p = tg_arena_alloc(&l->model->arena, count, size);
    if (!p)
        l->out_of_memory = true;
    return p;
}

const char *tg_config_text(struct tg_config_load *l, const char *text)
{
    const char *copy = tg_arena_text(&l->model->arena, text, strlen(text));
    if (!copy)
        l->out_of_memory = true;
    return copy;
}

/* --- files --- */

struct yaml_reporter {
    struct tg_config_load *load;
    const char *label;
};

static void report_yaml(void *user, uint32_t line, uint32_t column, const char *text)
{
    const struct yaml_reporter *r = user;
    struct tg_config_pos pos = {r->label, (int)line, (int)column};
    tg_config_error(r->load, pos, "%s", text);
}

struct tg_config_file *tg_config_add_file(struct tg_config_load *l, const char *label, const char *text,
                                          size_t len)
{
    struct tg_config_file *f = tg_config_alloc(l, 1, sizeof *f);
    struct yaml_reporter reporter = {l, NULL};
    int rc;
    if (!f || !(f->label = tg_config_text(l, label)))
        return NULL;
    *l->files_tail = f;
    l->files_tail = &f->next;
    reporter.label = f->label;
    rc = tg_yaml_parse(text, len, report_yaml, &reporter, &f->yaml);
    if (rc == TG_ENOMEM)
        l->out_of_memory = true;
    l->incomplete = l->incomplete || rc < 0;
    return f;
}

/* The file's text, owned by the caller; NULL: reported. */
static char *read_file(struct tg_config_load *l, const char *path, size_t *ret_len)
{
    struct tg_config_pos pos = {path, 0, 0};
    struct stat st;
    char *text = NULL;
    size_t len = 0;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) {
        tg_config_error(l, pos, "cannot be read: %s", strerror(errno));
        goto done;
    }
    if (!S_ISREG(st.st_mode)) {
        tg_config_error(l, pos, "is not a regular file");
        goto done;
    }
    if (st.st_size > (off_t)TG_YAML_MAX_BYTES) {
        tg_config_error(l, pos, "is larger than 4 MiB");
        goto done;
    }
    text = tg_malloc((size_t)st.st_size + 1);
    if (!text) {
        l->out_of_memory = true;
        goto done;
    }
    while (len < (size_t)st.st_size && (n = read(fd, text + len, (size_t)st.st_size - len)) != 0) {
        if (n > 0) {
            len += (size_t)n;
        } else if (errno != EINTR) {
            tg_config_error(l, pos, "cannot be read: %s", strerror(errno));
            tg_free(text);
            text = NULL;
            break;
        }
    }
    *ret_len = len;
done:
    if (fd >= 0)
        close(fd);
    return text;
}

struct tg_config_file *tg_config_add_path(struct tg_config_load *l, const char *path)
{
    size_t len = 0;
    const char *label = tg_config_text(l, path); /* a report about reading keeps its label alive */
    TG_CLEANUP_FREE char *text = label ? read_file(l, label, &len) : NULL;
    if (text)
        return tg_config_add_file(l, path, text, len);
    l->incomplete = true;
    return NULL;
}

static int is_fragment(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return e->d_name[0] != '.' && n > 5 && strcmp(e->d_name + n - 5, ".yaml") == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_fragments(struct tg_config_load *l)
{
    const char *names[TG_CONFIG_MAX_FILES];
    size_t count = 0, bytes = strlen(l->base_dir) + sizeof "/conf.d/" + NAME_MAX + 1;
    char *path = tg_config_alloc(l, 1, bytes);
    struct dirent *e;
    DIR *dir;
    if (!path)
        return;
    snprintf(path, bytes, "%s/conf.d", l->base_dir);
    dir = opendir(path);
    if (!dir && errno == ENOENT)
        return; /* having none is usual */
    if (!dir) {
        tg_config_error(l, (struct tg_config_pos){path, 0, 0}, "cannot be read: %s", strerror(errno));
        return;
    }
    while ((e = readdir(dir)) != NULL && !l->out_of_memory) {
        if (!is_fragment(e))
            continue;
        if (count == TG_CONFIG_MAX_FILES) {
            tg_config_error(l, (struct tg_config_pos){path, 0, 0}, "more than %d files", TG_CONFIG_MAX_FILES);
            break;
        }
        names[count] = tg_config_text(l, e->d_name);
        count += names[count] != NULL;
    }
    closedir(dir);
    qsort(names, count, sizeof names[0], by_name);
    for (size_t i = 0; i < count && !l->out_of_memory; i++) {
        char *file = tg_config_alloc(l, 1, bytes);
        if (!file)
            return;
        snprintf(file, bytes, "%s/conf.d/%s", l->base_dir, names[i]);
        (void)tg_config_add_path(l, file);
    }
}

/* --- from trees to the model --- */

/* What `only_plugin` passes over. */
static bool of_interest(const struct tg_config_load *l, const char *key, const struct tg_yaml_node *entry)
{
    const struct tg_yaml_node *plugin;
    if (!l->lookups->only_plugin)
        return true;
    plugin = strcmp(key, "sources") == 0 ? tg_yaml_get(entry, "plugin") : NULL;
    return plugin && plugin->kind == TG_YAML_TEXT && strcmp(plugin->as.text, l->lookups->only_plugin) == 0;
}

static const char *const main_keys[] = {"gateway", "outbox", "clouds", "sources", NULL};
static const char *const fragment_keys[] = {"clouds", "sources", NULL};
static const char *const fragment_later[] = {"gateway", "belongs into the main file only", "outbox",
                                             "belongs into the main file only", NULL};

static uint32_t entries(const struct tg_config_file *f, const char *key)
{
    const struct tg_yaml_node *n =
        f->yaml.root && f->yaml.root->kind == TG_YAML_MAP ? tg_yaml_get(f->yaml.root, key) : NULL;
    return n && n->kind == TG_YAML_LIST ? n->count : 0;
}

static void read_entries(struct tg_config_load *l, const struct tg_config_file *f, const char *key,
                         void (*read)(struct tg_config_load *l, const char *file,
                                      const struct tg_yaml_node *map))
{
    const struct tg_yaml_node *list = tg_config_read_node(l, f->label, f->yaml.root, key, TG_YAML_LIST);
    for (const struct tg_yaml_node *i = list ? list->as.first : NULL; i && !l->out_of_memory; i = i->next) {
        const struct tg_yaml_node *entry = tg_yaml_resolve(i);
        if (entry->kind == TG_YAML_MAP && of_interest(l, key, entry))
            read(l, f->label, entry);
        else if (entry->kind != TG_YAML_MAP)
            tg_config_error(l, tg_config_pos_of(f->label, i),
                            "an entry of \"%s\" is a mapping (- name: …), not %s", key,
                            tg_yaml_kind_text(entry));
    }
}

static bool root_is_mapping(struct tg_config_load *l, const struct tg_config_file *f, bool is_main)
{
    if (f->yaml.root && f->yaml.root->kind == TG_YAML_MAP)
        return true;
    if (f->yaml.root)
        tg_config_error(l, tg_config_pos_of(f->label, f->yaml.root),
                        "the file must be a mapping with %s, not %s",
                        is_main ? "gateway, outbox, clouds and sources" : "clouds and sources",
                        tg_yaml_kind_text(f->yaml.root));
    else if (is_main)
        tg_config_error(l, (struct tg_config_pos){f->label, 1, 1},
                        "the file is empty: it needs at least clouds and sources");
    return false;
}

static void read_all(struct tg_config_load *l)
{
    uint32_t clouds = 0, sources = 0;
    const struct tg_config_file *main_file = l->files;
    for (const struct tg_config_file *f = l->files; f; f = f->next) {
        clouds += entries(f, "clouds");
        sources += entries(f, "sources");
    }
    l->clouds = tg_config_alloc(l, clouds, sizeof *l->clouds);
    l->cloud_types = tg_config_alloc(l, clouds, sizeof *l->cloud_types);
    l->cloud_whole = tg_config_alloc(l, clouds, sizeof *l->cloud_whole);
    l->sources = tg_config_alloc(l, sources, sizeof *l->sources);
    if (l->out_of_memory)
        return;
    l->model->config.clouds = l->clouds;
    l->model->config.cloud_count = clouds;
    l->model->config.sources = l->sources;
    l->model->config.source_count = sources;
    tg_config_read_gateway(l, main_file->label, main_file->yaml.root);
    tg_config_read_outbox(l, main_file->label, main_file->yaml.root);
    /* All clouds before all sources: devices name clouds of any file. Profiles are appended to the list
     * meanwhile. */
    for (const struct tg_config_file *f = l->files; f && !l->out_of_memory; f = f->next) {
        bool is_main = f == main_file;
        struct tg_config_section s = {.what = is_main ? "the file" : "a file in conf.d",
                                      .own_keys = is_main ? main_keys : fragment_keys,
                                      .later = is_main ? NULL : fragment_later};
        if (!root_is_mapping(l, f, is_main))
            continue;
        tg_config_read_section(l, f->label, f->yaml.root, &s);
        read_entries(l, f, "clouds", tg_config_read_cloud);
    }
    for (const struct tg_config_file *f = l->files; f && !f->profile && !l->out_of_memory; f = f->next)
        if (f->yaml.root && f->yaml.root->kind == TG_YAML_MAP)
            read_entries(l, f, "sources", tg_config_read_source);
    l->model->config.cloud_count = l->cloud_fill;
    l->model->config.source_count = l->source_fill;
}

/* --- a load from beginning to end --- */

/* NULL when out of memory. */
static struct tg_config_load *begin(const char *label, const struct tg_config_lookups *lookups,
                                    bool check_files)
{
    const char *slash = strrchr(label, '/');
    struct tg_config_load *l = tg_calloc(1, sizeof *l);
    struct tg_config_model *m = tg_calloc(1, sizeof *m);
    if (!l || !m) {
        tg_free(l);
        tg_free(m);
        return NULL;
    }
    l->lookups = lookups;
    l->model = m;
    l->check_files = check_files;
    l->files_tail = &l->files;
    m->config.file = tg_config_text(l, label);
    l->base_dir = !slash           ? "."
                  : slash == label ? "/"
                                   : tg_arena_text(&m->arena, label, (size_t)(slash - label));
    if (!l->base_dir)
        l->out_of_memory = true;
    return l;
}

/* Frees all but the model. */
static void end(struct tg_config_load *l)
{
    for (struct tg_config_file *f = l ? l->files : NULL; f; f = f->next)
        tg_yaml_free(&f->yaml);
    tg_free(l);
}

/* Reads and checks what begin() and its files hold. The load is freed, the model goes to the caller or is
 * freed. */
static int finish(struct tg_config_load *l, void (*say)(void *user, const char *line), void *user,
                  struct tg_config **ret_config)
{
    struct tg_config_model *m = l ? l->model : NULL;
    int rc = TG_ENOMEM;
    /* Without the main file there is nothing to go on with. */
    if (l && !l->out_of_memory && l->files && (l->files->yaml.root || !l->incomplete))
        read_all(l);
    if (l && !l->out_of_memory && l->error_count == 0)
        tg_config_add_discovered(l);
    if (l && !l->out_of_memory && m->config.gateway)
        tg_config_check(l);
    if (l && !l->out_of_memory) {
        say_reports(l, m->config.file, say, user);
        rc = l->error_count ? TG_EINVAL : TG_OK;
    } else {
        say(user, "out of memory while reading the configuration: nothing was changed");
    }
    end(l);
    if (rc < 0)
        tg_config_free(m ? &m->config : NULL);
    else
        *ret_config = &m->config;
    return rc;
}

int tg_config_load(const char *path, const struct tg_config_lookups *lookups,
                   void (*say)(void *user, const char *line), void *user, struct tg_config **ret_config)
{
    struct tg_config_load *l = begin(path, lookups, !lookups->without_files);
    if (l && !l->out_of_memory)
        (void)tg_config_add_path(l, path);
    if (l && !l->out_of_memory && l->files)
        add_fragments(l);
    return finish(l, say, user, ret_config);
}

int tg_config_load_text(const char *label, const char *text, size_t len,
                        const struct tg_config_lookups *lookups, void (*say)(void *user, const char *line),
                        void *user, struct tg_config **ret_config)
{
    struct tg_config_load *l = begin(label, lookups, false);
    if (l)
        l->from_memory = true;
    if (l && !l->out_of_memory && !tg_config_add_file(l, label, text, len))
        l->out_of_memory = true;
    return finish(l, say, user, ret_config);
}

static void first_line(void *user, const char *line)
{
    struct tg_error *err = user;
    if (err && !err->code)
        tg_error_set(err, TG_EINVAL, "%s", line);
}

int tg_config_peek_gateway(const char *path, struct tg_settings **ret_gateway, struct tg_error *err)
{
    struct tg_config_load *l = begin(path, NULL, false);
    struct tg_error first = {0};
    int rc = TG_ENOMEM;
    if (l && !l->out_of_memory)
        (void)tg_config_add_path(l, path);
    if (l && !l->out_of_memory && l->files && !l->incomplete)
        tg_config_read_gateway(l, l->files->label, l->files->yaml.root);
    if (l && !l->out_of_memory) {
        say_reports(l, path, first_line, &first);
        rc = l->error_count ? TG_EINVAL : TG_OK;
    }
    if (rc == TG_OK) {
        *ret_gateway =
            (struct tg_settings *)(uintptr_t)l->model->config.gateway; /* from here on the caller's */
        l->model->config.gateway = NULL;
    } else if (err) {
        tg_error_set(err, rc, "%s",
                     rc == TG_ENOMEM ? "out of memory while reading the configuration" : first.text);
    }
    if (l) {
        struct tg_config_model *m = l->model;
        end(l);
        tg_config_free(&m->config);
    }
    return rc;
}
