/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_private - what the files of config/ share: the state of one load.
 *
 *     text ──config_yaml──► tree ──config_read, config_read_source──► model ──config_check──► tg_config
 *
 * Errors are collected (at most TG_CONFIG_MAX_ERRORS; the rest is counted), sorted by file and place, and
 * said at the end. Out of memory sets `out_of_memory` and lets the load fail as a whole: readers then return
 * early and nothing half-read is used. Every array of the model has its final length when it is made and
 * zeroed entries, so that tg_config_free() can be called at any point.
 */
#ifndef TG_CONFIG_PRIVATE_H
#define TG_CONFIG_PRIVATE_H

#include "config/config.h"
#include "config/config_yaml.h"

#define TG_CONFIG_MAX_ERRORS 50
#define TG_CONFIG_MAX_POINTS 100000u
#define TG_CONFIG_MAX_FILES  256
/* Of one source. A note of one takes some 200 bytes: together an eighth of what the notes may take. */
#define TG_CONFIG_MAX_DISCOVERED 10000

extern const struct tg_option tg_config_identity_options[];

struct tg_config_model {
    struct tg_config config; /* first: what the caller holds */
    struct tg_arena arena;
};

#define TG_CONFIG_REPORT_BYTES 360

struct tg_config_report {
    const char *file;
    uint32_t line, column;
    char text[TG_CONFIG_REPORT_BYTES];
};

/* A parsed file, or a profile's text (then `plugin` and `profile` say which; of one from a folder only the name counts). */
struct tg_config_file {
    struct tg_config_file *next;
    const char *label;
    const struct tg_plugin *plugin;
    const struct tg_profile *profile;
    struct tg_yaml yaml;
};

/* An identity as it stands in the file, to check its files once. */
struct tg_config_identity_seen {
    struct tg_config_identity_seen *next;
    const struct tg_config_identity *identity;
};

struct tg_config_load {
    const struct tg_config_lookups *lookups;
    struct tg_config_model *model;
    const struct tg_config_cloud_type **cloud_types; /* per cloud; NULL = unknown type, reported */
    bool *cloud_whole;                               /* read without an error: its type may judge it */
    struct tg_config_cloud *clouds;                  /* the model's arrays, still writable */
    struct tg_config_source *sources;
    struct tg_config_file *files, **files_tail;
    struct tg_config_identity_seen *identities;
    const char *base_dir;
    uint32_t cloud_fill, source_fill; /* entries read so far */
    uint32_t point_count;
    bool check_files; /* false: no file named by the text is looked at */
    bool from_memory; /* the text is all there is: no folder is searched for profiles */
    bool incomplete;  /* a file could not be taken apart: what it would have held is not missed */
    bool out_of_memory;
    char *
        aside; /* where the first error goes while something is read that may be wrong; NULL: errors are reported */
    uint32_t error_count;                  /* repeated ones too: readers look whether it has grown */
    uint32_t report_count, left_out_count; /* different ones: kept, and beyond what is kept */
    struct tg_config_report reports[TG_CONFIG_MAX_ERRORS];
};

/* --- config_load.c --- */
void tg_config_error(struct tg_config_load *l, struct tg_config_pos pos, const char *fmt, ...)
    TG_PRINTF(3, 4);
/* From the model's arena; NULL and out_of_memory set. */
void *tg_config_alloc(struct tg_config_load *l, size_t count, size_t size)
    __attribute__((warn_unused_result));
const char *tg_config_text(struct tg_config_load *l, const char *text);
/* Parses and keeps it; without a root what is wrong is reported. NULL: out of memory. */
struct tg_config_file *tg_config_add_file(struct tg_config_load *l, const char *label, const char *text,
                                          size_t len);
/* The same with a file's text; NULL: reported. */
struct tg_config_file *tg_config_add_path(struct tg_config_load *l, const char *path);
/* The whole loader on one text, without looking at any file; conf.d is not read. `label` stands for the
 * file's name. */
int tg_config_load_text(const char *label, const char *text, size_t len,
                        const struct tg_config_lookups *lookups, void (*say)(void *user, const char *line),
                        void *user, struct tg_config **ret_config) TG_CHECKED;

/* --- config_read.c --- */
static inline struct tg_config_pos tg_config_pos_of(const char *file, const struct tg_yaml_node *node)
{
    struct tg_config_pos p = {file, node ? (int)node->line : 0, node ? (int)node->column : 0};
    return p;
}

/* What a mapping may hold: up to three tables whose options stand side by side in it, and keys that the
 * caller reads. */
struct tg_config_section {
    const char *what; /* "a cloud", for messages */
    struct tg_settings *settings[3];
    const char *const *own_keys; /* NULL-terminated; NULL = none */
    const char *const *later;    /* key, text, key, text … NULL: known, but not in this version */
    bool open;                   /* an unknown type or plugin: nobody knows which keys it takes */
    bool no_positions;           /* from a profile: positions would be taken for the file's */
};
/* Reads all keys of `map` into the section's settings; reports what is unknown or wrong. */
void tg_config_read_section(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                            const struct tg_config_section *section);
/* Fills in defaults and reports every required option that is missing from `map` (NULL: there is none); `hint` may be
 * NULL. */
void tg_config_finish(struct tg_config_load *l, struct tg_config_pos pos, const char *what,
                      struct tg_settings *s, const struct tg_yaml_node *map, const char *hint);
struct tg_settings *tg_config_new_settings(struct tg_config_load *l, const struct tg_option *table);
/* The value of `key` as one text; NULL when absent or (reported) of another kind. */
const char *tg_config_read_text(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                                const char *key);
/* The value of `key` as a mapping or sequence; NULL when absent or (reported) of another kind. */
const struct tg_yaml_node *tg_config_read_node(struct tg_config_load *l, const char *file,
                                               const struct tg_yaml_node *map, const char *key,
                                               enum tg_yaml_kind kind);
void tg_config_read_identity(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                             struct tg_config_identity *ret_identity);
void tg_config_read_gateway(struct tg_config_load *l, const char *file, const struct tg_yaml_node *root);
void tg_config_read_outbox(struct tg_config_load *l, const char *file, const struct tg_yaml_node *root);
/* --- config_quota.c --- */
/* `outbox` in this mapping, if it is there; what it does not say stays as it is. */
void tg_config_read_quota(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                          struct tg_config_quota *quota);
void tg_config_read_cloud(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map);

/* --- config_read_source.c --- */
void tg_config_read_source(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map);
/* `what` has the clouds ("the device"), for messages. */
void tg_config_read_routes(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                           const char *what, struct tg_config_device *d);
/* All of a discovered device but its routes. */
void tg_config_read_found(struct tg_config_load *l, const struct tg_config_source *s, const char *id,
                          const char *profile, struct tg_config_device *d);

/* --- config_discover.c --- */
/* The section within a source's settings, if there is one. */
void tg_config_read_discover(struct tg_config_load *l, const char *file, const struct tg_yaml_node *settings,
                             struct tg_config_source *s);
/* When all files are read without an error: adds the devices that the lookups bring to the sources that let them in. */
void tg_config_add_discovered(struct tg_config_load *l);
void tg_config_check_discover(struct tg_config_load *l, const struct tg_config_source *s);

/* --- config_profile.c --- */
/* The profile's text as a tree, parsed once; NULL: reported. `pos` is where it is named. */
struct tg_config_file *tg_config_profile(struct tg_config_load *l, const struct tg_plugin *plugin,
                                         const char *name, struct tg_config_pos pos);

/* --- config_check_points.c --- */

/* An entry of `points` that is worked out, not read. */
bool tg_config_map_is_derived(const struct tg_yaml_node *map);
void tg_config_check_points(struct tg_config_load *l, const struct tg_config_device *d);

/* --- config_check.c --- */
/* Where an option was given, or `fallback` when it came from a default or a profile. */
struct tg_config_pos tg_config_option_pos(struct tg_config_pos fallback, const struct tg_settings *s,
                                          const char *name);
void tg_config_check(struct tg_config_load *l);
/* All rules of one device but those that it shares with others (names given twice). */
void tg_config_check_device(struct tg_config_load *l, const struct tg_config_device *d);
/* What the cloud and its type say to a route; `who` has it (device "meter-1"), for messages. */
void tg_config_check_route(struct tg_config_load *l, const char *who, const struct tg_config_route *r);
/* --- config_model.c --- */
void tg_config_device_fini(struct tg_config_device *d);
/* --- config_check_files.c --- */
void tg_config_check_files(struct tg_config_load *l);

#endif
