/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_child_model - the configuration of one source as the process of its plugin gets it: first the outline (which plugin, what
 * it needs, which files it is to open), so that the process can be confined before the plugin is loaded; then, with the plugin's
 * option tables, the whole.
 *
 *     raw frames SOURCE … START ──► tg_child_outline_read() ──► confine, load ──► tg_child_model_build()
 */
#ifndef TG_SOUTHBOUND_PLUGIN_CHILD_MODEL_H
#define TG_SOUTHBOUND_PLUGIN_CHILD_MODEL_H

#include "config/config.h"
#include "southbound/plugin_wire.h"

#define TG_CHILD_PATHS_MAX 256

/* Of a PATH or SECRET_FILE option, or what a TEXT option says that looks like one: such a path counts only while it is a device,
 * because a port may be one of several things that a text can be. */
struct tg_child_path {
    char *path;
    bool device_only;
};

struct tg_child_outline {
    char *name, *file;
    uint32_t needs;
    uint64_t memory_limit_bytes;
    int64_t beat_ms;
    enum tg_log_level level;
    struct tg_child_path paths[TG_CHILD_PATHS_MAX]; /* each once */
    uint32_t path_count;
};

/* `raw` holds whole frames. TG_EPROTO, TG_ENOMEM, TG_ETOOBIG (more than TG_CHILD_PATHS_MAX files). */
int tg_child_outline_read(struct tg_bytes raw, struct tg_child_outline *ret, struct tg_error *err) TG_CHECKED;
void tg_child_outline_fini(struct tg_child_outline *o);

struct tg_child_model {
    struct tg_config_source source;
    struct tg_config_discover discover;
    struct tg_config_device *devices;
    struct tg_config_point **points; /* by device */
};

int tg_child_model_build(struct tg_bytes raw, const struct tg_plugin *plugin, struct tg_child_model *ret,
                         struct tg_error *err) TG_CHECKED;
void tg_child_model_fini(struct tg_child_model *m);

#endif
