/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config - the configuration file as a typed model.
 *
 * tg_config_load() reads FILE and, when they exist, conf.d/ (every .yaml file in it) beside it (sorted by
 * name; they may add clouds and sources, not repeat gateway or outbox), checks every key, type, range,
 * reference and file mode, and gives either a complete model or errors for people, each "FILE:LINE:COL: what
 * is wrong, what is allowed". All errors of a file are reported, not the first one only (at most 50). Nothing
 * is created or connected: loading has no side effects.
 *
 * What is allowed comes from option tables (core/base/settings.h): the gateway's own in config/options.c, a
 * cloud type's and a plugin's from the lookups that the caller passes, so that this module knows neither
 * clouds nor plugins. YAML is read with libfyaml (YAML 1.2; anchors allowed; depth and size bounded: 4 MiB,
 * 32 levels, 100,000 points).
 *
 * The model is immutable and owns everything in it; pointers live until tg_config_free(). A reload loads a
 * second model and compares.
 */
#ifndef TG_CONFIG_CONFIG_H
#define TG_CONFIG_CONFIG_H

#include <stdio.h>

#include "core/base/settings.h"
#include "core/base/bytes.h"

struct tg_config_pos {
    const char *file;
    int line, column;
};

enum tg_identity_kind {
    TG_IDENTITY_NONE = 0,
    TG_IDENTITY_SAS_KEY, /* {sas_key_file: F} */
    TG_IDENTITY_X509,    /* {certificate: F, key: F or pkcs11 URI} */
    TG_IDENTITY_PKCS12,  /* {pkcs12: F, password_file: F} */
    TG_IDENTITY_GROUP,   /* {derive_from_group: F} */
    TG_IDENTITY_JWT_KEY, /* {jwt_key: F} */
    TG_IDENTITY_PASSWORD /* {username: U, password_file: F} */
};

/* Paths are resolved. Fields that the kind does not use are NULL. */
struct tg_config_identity {
    enum tg_identity_kind kind;
    struct tg_config_pos pos;
    const char *sas_key_file, *certificate, *key, *pkcs12, *password_file, *group_key_file, *jwt_key,
        *username;
};

/* How much may wait for a cloud or at a device; 0 = as much as the whole outbox takes. */
struct tg_config_quota {
    uint64_t max_pending;
    int64_t max_age_ms;
};

struct tg_config_cloud {
    const char *name, *type;
    struct tg_config_quota quota;
    struct tg_config_pos pos;
    const struct tg_settings
        *common;   /* tg_config_cloud_options: host, port, ca_file, tls, keepalive, max_in_flight, … */
    int64_t drain; /* its own or the outbox's: 0 in-order, 1 fair, 2 newest-first (enum tg_drain) */
    const struct tg_settings *batch;        /* tg_config_batch_options: max_samples, max_bytes, max_delay */
    const struct tg_settings *settings;     /* the type's own table */
    const struct tg_settings *provisioning; /* the type's provisioning_options; NULL = no such section */
    struct tg_config_identity
        identity; /* default for its devices, and of a link they share; kind NONE when absent */
    struct tg_config_identity
        provisioning_identity; /* `identity` within the section (a claim certificate); or NONE */
};

/* A device's entry in `clouds:`: a name, or {name: …, id: …, identity: …}. */
struct tg_config_route {
    const struct tg_config_cloud *cloud;
    const char *cloud_device_id;        /* the device's id where none is given */
    struct tg_config_identity identity; /* resolved: route's, else device's, else cloud's */
    struct tg_config_pos pos;
};

struct tg_config_point {
    struct tg_config_pos pos;
    const char *name, *unit;          /* unit may be NULL */
    const struct tg_settings *common; /* tg_config_point_options: every, deadband, min_interval, max_interval,
                                         scale, offset, enum, writable, sum, difference, rate … */
    const struct tg_settings *settings; /* the plugin's point options; empty for a derived point */
    bool derived;                       /* has sum, difference or rate: the plugin does not know of it */
};

struct tg_config_device {
    struct tg_config_pos pos;
    const char *id;
    const struct tg_settings *settings;
    const struct tg_config_point *points;
    uint32_t point_count;   /* those that are read, then the derived ones */
    uint32_t derived_count; /* the last so many */
    const struct tg_config_route *routes;
    uint32_t route_count;
    struct tg_config_quota quota; /* where it says nothing, the source's */
    bool discovered;              /* not named in the file: the source's `discover` section lets it in */
    bool whole;                   /* its settings are what the plugin's table wants */
};

/* `discover` in a source's settings: which devices that the plugin finds by itself come in, and what they get. */
struct tg_config_discover {
    struct tg_config_pos pos;
    const struct tg_settings *settings;   /* tg_config_discover_options: allow, max, id_prefix */
    const struct tg_config_route *routes; /* of each such device; cloud_device_id is an example */
    uint32_t route_count;
};

struct tg_config_source {
    struct tg_config_pos pos;
    const char *name, *plugin_name;
    const struct tg_plugin *plugin;
    const struct tg_settings *common; /* tg_config_source_options: isolation */
    const struct tg_settings *settings;
    const struct tg_config_discover *discover; /* NULL: no such section */
    struct tg_config_quota quota;              /* default for its devices */
    const struct tg_config_device *devices;    /* the file's, then the discovered ones */
    uint32_t device_count;
};

#define TG_CONFIG_MAX_CLOUDS 32

struct tg_config {
    const struct tg_settings
        *gateway; /* tg_config_gateway_options: name, state_dir, control_socket, http, plugin_dir … */
    const struct tg_settings *log; /* level, format */
    const struct tg_settings
        *outbox; /* durability, commit_interval, limit, max_age, when_full, keep_removed, drain */
    const struct tg_config_cloud *clouds;
    uint32_t cloud_count;
    const struct tg_config_source *sources;
    uint32_t source_count;
    const char *file;
};

/* The built-in option tables (config/options.c), for docs, schema and checks. */
extern const struct tg_option tg_config_gateway_options[], tg_config_log_options[],
    tg_config_outbox_options[], tg_config_quota_options[], tg_config_cloud_options[],
    tg_config_batch_options[], tg_config_source_options[], tg_config_discover_options[],
    tg_config_point_options[];

/* What a cloud type brings to the checker. */
struct tg_config;

struct tg_config_cloud_type {
    const char *type;
    const struct tg_option *options;              /* its own settings; NULL = none */
    const struct tg_option *provisioning_options; /* of its `provisioning` section; NULL = it has none */
    unsigned identities;                          /* bit mask: 1u << TG_IDENTITY_… */
    const char *identities_text;                  /* for messages: "sas_key_file, or certificate and key" */
    bool host_required;                           /* unless there is a `provisioning` section */
    uint16_t default_port;
    /* Further pure rules (id characters, lengths, limits); 0 or a negative code with the text; may be NULL. A text of check_cloud
     * that begins with an option's name and a colon is shown at that option. */
    int (*check_device)(const struct tg_settings *settings, const char *cloud_device_id,
                        struct tg_error *err);
    int (*check_cloud)(const struct tg_config_cloud *cloud, struct tg_error *err);
    /* Rules that need other parts of the file, which may be incomplete; as check_cloud. Not when only one plugin's sources are
     * read. */
    int (*check_model)(const struct tg_config *config, const struct tg_config_cloud *cloud,
                       struct tg_error *err);
    /* Rules of a device in a cloud that need both (its identity, the provisioning section); as above. */
    int (*check_route)(const struct tg_config_cloud *cloud, const struct tg_config_route *route,
                       struct tg_error *err);
};

/* A device that a source's plugin has found, as it is remembered. */
struct tg_config_discovered {
    const char *source, *id;
    const char *profile; /* NULL: none */
};

struct tg_config_lookups {
    void *user;
    /* NULL and err (what is wrong: unknown with the nearest name and the folders searched, other ABI …). */
    const struct tg_plugin *(*plugin)(void *user, const char *name, struct tg_error *err);
    const struct tg_config_cloud_type *(*cloud_type)(void *user, const char *type, struct tg_error *err);
    const struct tg_host *check_host; /* has/get services lent to a plugin's check_point */
    /* Rules of the options that all cloud types have in common and that this module cannot judge; the text begins with the
     * option's name and a colon. May be NULL. */
    int (*check_cloud)(void *user, const struct tg_config_cloud *cloud, struct tg_error *err);
    bool without_files; /* the files that it names are not looked at: they are about to be made */
    /* Only the sources of this plugin are read (at least one must be there), and of everything else the gateway section: the
     * clouds, and which devices go to them with which identities, are passed over and may be missing, so devices have no routes.
     * For trying a plugin by itself. NULL: the whole file. */
    const char *only_plugin;
    /* Each is read as if the file had it in that source, with the same checks; those that come first have the first claim on
     * `max`. One that does not fit (or not any more) is no error: it is left out and told to `left_out`, which may be NULL. */
    const struct tg_config_discovered *discovered;
    uint32_t discovered_count;
    void (*left_out)(void *user, const struct tg_config_discovered *device, const char *why);
};

/* Errors are given to `say`, one line each. TG_EINVAL when there was any; *ret_config is then untouched. */
int tg_config_load(const char *path, const struct tg_config_lookups *lookups,
                   void (*say)(void *user, const char *line), void *user,
                   struct tg_config **ret_config) TG_CHECKED;
void tg_config_free(struct tg_config *config);

/* Reads only the `gateway` section (with its defaults; paths resolved): where the control socket, the state and the plugins
 * are, for commands that need no more. The rest of the file is not looked at beyond its YAML syntax. tg_settings_free(). */
int tg_config_peek_gateway(const char *path, struct tg_settings **ret_gateway,
                           struct tg_error *err) TG_CHECKED;

/* The file of a device profile that the integrator has written: PLUGIN/NAME.yaml in one of the `profile_dirs`, or in `profiles`
 * beside the configuration (base_dir). False: there is none. */
#define TG_PROFILE_NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
bool tg_config_profile_file(const struct tg_settings *gateway, const char *base_dir, const char *plugin,
                            const char *name, char *ret_path, size_t size);
/* Their names, in the order of the alphabet; the number of them, at most `max` (what is beyond is left out). */
#define TG_PROFILE_NAME_MAX 64
uint32_t tg_config_profile_names(const struct tg_settings *gateway, const char *base_dir, const char *plugin,
                                 char (*ret_names)[TG_PROFILE_NAME_MAX + 1], uint32_t max);

/* Worst-case memory and disk that the file implies, as lines for people (`tidegate check`). */
void tg_config_budget(const struct tg_config *config, void (*say)(void *user, const char *line), void *user);

/* JSON Schema (draft 2020-12) of the file with these plugins and cloud types. */
int tg_config_schema(FILE *out, const struct tg_plugin *const *plugins, size_t plugin_count,
                     const struct tg_config_cloud_type *const *types, size_t type_count) TG_CHECKED;

#endif
