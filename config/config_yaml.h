/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_yaml - YAML text → a small tree that knows where each thing stood.
 *
 * libfyaml reads the text as a stream of events; the tree is ours, so that every bound is ours too:
 *   TG_YAML_MAX_BYTES of text, TG_YAML_MAX_DEPTH levels, TG_YAML_MAX_NODES nodes, TG_YAML_MAX_KEYS keys in
 * one mapping, TG_YAML_MAX_ANCHORS anchors, and TG_YAML_MAX_EXPANDED nodes when every alias is counted as
 * often as it is used. Refused with a text: bytes that are not UTF-8, control characters, tabs as
 * indentation, keys that are no text, keys given twice, merge keys (<<), tags (!…), a second document, an
 * alias inside its own anchor.
 *
 * Scalars stay text: what a value means is decided by the option that takes it. Plain `null`, `~` and nothing
 * at all are TG_YAML_NULL. Pure apart from memory; any thread.
 */
#ifndef TG_CONFIG_YAML_H
#define TG_CONFIG_YAML_H

#include "config/config_arena.h"

#define TG_YAML_MAX_BYTES    (4u * 1024 * 1024)
#define TG_YAML_MAX_DEPTH    32
#define TG_YAML_MAX_NODES    1000000u
#define TG_YAML_MAX_EXPANDED 4000000u
#define TG_YAML_MAX_KEYS     128u
#define TG_YAML_MAX_ANCHORS  256u

enum tg_yaml_kind { TG_YAML_NULL, TG_YAML_TEXT, TG_YAML_LIST, TG_YAML_MAP, TG_YAML_ALIAS };

struct tg_yaml_node {
    const struct tg_yaml_node *next; /* the next item; in a mapping key → value → key … */
    union {
        const char *text;                 /* TEXT: ends with a NUL, has none inside */
        const struct tg_yaml_node *first; /* LIST, MAP; ALIAS: what it stands for */
    } as;
    uint32_t count;        /* items of a LIST, pairs of a MAP */
    uint32_t expanded;     /* nodes below and with this one, aliases followed */
    uint32_t line, column; /* 1-based, in characters */
    enum tg_yaml_kind kind;
};

struct tg_yaml {
    struct tg_arena arena;
    const struct tg_yaml_node *root; /* NULL: no document, or only null */
};

/* Errors are given to `report`. TG_OK, with or without reports: the tree is there (a key given twice keeps
 * its first value). TG_EINVAL: reported, no tree. TG_ENOMEM. `ret_yaml` must be given to tg_yaml_free() in
 * every case. */
typedef void tg_yaml_report_fn(void *user, uint32_t line, uint32_t column, const char *text);
int tg_yaml_parse(const char *text, size_t len, tg_yaml_report_fn *report, void *user,
                  struct tg_yaml *ret_yaml) TG_CHECKED;
void tg_yaml_free(struct tg_yaml *yaml);

/* What an alias stands for; the node itself otherwise. NULL for NULL. */
const struct tg_yaml_node *tg_yaml_resolve(const struct tg_yaml_node *node);
/* The value of a key of a MAP (resolved), NULL when there is none. */
const struct tg_yaml_node *tg_yaml_get(const struct tg_yaml_node *map, const char *key);
/* "a mapping", "a sequence", "one value", "nothing" */
const char *tg_yaml_kind_text(const struct tg_yaml_node *node);

#endif
