/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * discovered - the devices that plugins have found, remembered in the notes: scope "discovered/<source>", key the device's id,
 * value {"profile": "thermometer", "first_seen_ms": 1795000000000} (Unix time; no profile: absent).
 *
 *   plugin ── discovered() ──► note ── at most once a second, when it is on disk ──► reload: the model has the device
 *   start, reload: notes ──► tg_config_load() ──► devices of the model, or left out with a line in the log
 *
 * A note stays until it is forgotten, also while its device does not fit the file; beyond the source's `max` the one that was
 * first seen the longest ago and is not running makes room. Loop thread.
 */
#ifndef TG_GATEWAY_DISCOVERED_H
#define TG_GATEWAY_DISCOVERED_H

#include "config/config.h"
#include "core/base/sample.h"
#include "store/notes.h"

struct tg_found {
    char source[TG_NAME_MAX_BYTES + 1], id[TG_NAME_MAX_BYTES + 1];
    char profile[TG_NAME_MAX_BYTES + 1]; /* "" = none */
    int64_t first_seen_ms;
};

struct tg_found_list {
    struct tg_found *items; /* the first seen first */
    uint32_t count;
};

/* All that is remembered; what cannot be read (another program wrote it) is passed over. TG_ENOMEM. tg_found_free(). */
int tg_found_read(const struct tg_notes *notes, struct tg_found_list *ret_list) TG_CHECKED;
void tg_found_free(struct tg_found_list *list);
/* TG_EFULL, TG_ETOOBIG, TG_ENOMEM, TG_ESTATE as tg_notes_set(). */
int tg_found_keep(struct tg_notes *notes, const struct tg_found *found) TG_CHECKED;
bool tg_found_is_kept(const struct tg_notes *notes, const char *source, const char *id);
int tg_found_drop(struct tg_notes *notes, const char *source, const char *id) TG_CHECKED;
/* How many are remembered of a source. */
uint32_t tg_found_count(const struct tg_notes *notes, const char *source);

#endif
