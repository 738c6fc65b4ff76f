/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/config_yaml.h"

#include <libfyaml.h>
#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"

struct anchor {
    struct anchor *next;
    const char *name;
    struct tg_yaml_node *node;
    bool open; /* its end has not been seen */
};

struct frame {
    struct tg_yaml_node *node;
    const struct tg_yaml_node **tail; /* where the next child's address goes */
    struct tg_yaml_node *key;         /* MAP: waits for its value */
    struct anchor *anchor;            /* its own, NULL = none */
    bool drop;                        /* MAP: the key was there already */
};

struct builder {
    struct tg_yaml *yaml;
    struct frame stack[TG_YAML_MAX_DEPTH];
    struct anchor *anchors;
    struct tg_yaml_node *root;
    size_t depth, node_count, anchor_count;
    uint32_t line, column; /* of the last token that had a place */
    tg_yaml_report_fn *report;
    void *user;
};

static int refuse(struct builder *b, const char *text)
{
    b->report(b->user, b->line, b->column, text);
    return TG_EINVAL;
}

/* --- before the parser: bytes that it would silently end at --- */

/* Bounds, UTF-8 and control characters; the place of the first fault is in line and column. */
static int check_text(struct builder *b, const char *text, size_t len)
{
    size_t at = 0;
    b->line = b->column = 1;
    if (len > TG_YAML_MAX_BYTES)
        return refuse(b, "the file is larger than 4 MiB");
    while (at < len) {
        unsigned char c = (unsigned char)text[at];
        size_t n = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        char message[80];
        if (c == '\n' || (c == '\r' && (at + 1 == len || text[at + 1] != '\n'))) {
            b->line++;
            b->column = 1;
            at++;
            continue;
        }
        if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7F) {
            snprintf(message, sizeof message, "control character 0x%02x: the file must be plain text", c);
            return refuse(b, message);
        }
        if (n > len - at || !tg_utf8_valid(tg_bytes(text + at, n))) {
            snprintf(message, sizeof message, "byte 0x%02x is not UTF-8: save the file as UTF-8", c);
            return refuse(b, message);
        }
        at += n;
        b->column++;
    }
    return TG_OK;
}

/* libfyaml names a tab in many ways; people need one. True when line `line` or the next is indented with a
 * tab. */
static bool tab_near(const char *text, size_t len, uint32_t line, uint32_t *ret_line, uint32_t *ret_column)
{
    const char *at = text, *end = text + len;
    for (uint32_t n = 1; at < end && n <= line + 1; n++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at)), *c = at;
        stop = stop ? stop : end;
        while (c < stop && (*c == ' ' || *c == '\t')) {
            if (*c == '\t' && n >= line) {
                *ret_line = n;
                *ret_column = (uint32_t)(c - at) + 1;
                return true;
            }
            c++;
        }
        at = stop + 1;
    }
    return false;
}

/* --- building --- */

static void place(struct builder *b, struct fy_token *token)
{
    const struct fy_mark *m = token ? fy_token_start_mark(token) : NULL;
    enum fy_scalar_style style = token ? fy_token_scalar_style(token) : FYSS_ANY;
    if (!m || m->line < 0 || m->column < 0)
        return;
    b->line = (uint32_t)m->line + 1;
    b->column = (uint32_t)m->column + 1;
    /* The mark of a quoted text is behind its quote. */
    if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) && b->column > 1)
        b->column--;
}

static struct tg_yaml_node *new_node(struct builder *b, enum tg_yaml_kind kind, int *ret_rc)
{
    struct tg_yaml_node *n;
    if (++b->node_count > TG_YAML_MAX_NODES) {
        *ret_rc = refuse(b, "the file has more than 1000000 values");
        return NULL;
    }
    n = tg_arena_alloc(&b->yaml->arena, 1, sizeof *n);
    if (!n) {
        *ret_rc = TG_ENOMEM;
        return NULL;
    }
    n->kind = kind;
    n->expanded = 1;
    n->line = b->line;
    n->column = b->column;
    return n;
}

static bool same_text(const struct tg_yaml_node *a, const struct tg_yaml_node *b)
{
    return strcmp(a->as.text, b->as.text) == 0;
}

static int add_key(struct builder *b, struct frame *f, struct tg_yaml_node *node)
{
    char quoted[TG_QUOTE_BYTES], message[TG_QUOTE_BYTES + 80];
    f->drop = false;
    if (node->kind == TG_YAML_NULL && node->as.text)
        node->kind = TG_YAML_TEXT; /* `null:` names an option: keys are texts */
    if (node->kind != TG_YAML_TEXT)
        return refuse(b, "a key must be one plain text");
    if (strcmp(node->as.text, "<<") == 0)
        return refuse(b, "merge keys (<<) are not part of YAML 1.2: write the keys out, or use an alias "
                         "(*name) as a whole value");
    if (f->node->count >= TG_YAML_MAX_KEYS)
        return refuse(b, "a mapping with more than 128 keys");
    for (const struct tg_yaml_node *k = f->node->as.first; k; k = k->next->next) {
        if (!same_text(k, node))
            continue;
        snprintf(message, sizeof message, "key %s is given twice: the first is in line %u",
                 tg_quote(quoted, node->as.text, strlen(node->as.text)), k->line);
        b->report(b->user, b->line, b->column, message);
        f->drop = true;
        break;
    }
    f->key = node;
    return TG_OK;
}

/* Hangs a finished or just opened node into what is open. */
static int add(struct builder *b, struct tg_yaml_node *node)
{
    struct frame *f = b->depth ? &b->stack[b->depth - 1] : NULL;
    if (!f) {
        b->root = node;
        return TG_OK;
    }
    if (f->node->kind == TG_YAML_LIST) {
        *f->tail = node;
        f->tail = &node->next;
        f->node->count++;
        return TG_OK;
    }
    if (!f->key)
        return add_key(b, f, node);
    if (!f->drop) {
        /* The key is linked only now: every key that the loop of add_key() sees has its value. */
        f->key->next = node;
        *f->tail = f->key;
        f->tail = &node->next;
        f->node->count++;
    }
    f->key = NULL;
    return TG_OK;
}

static int remember(struct builder *b, struct fy_token *name, struct tg_yaml_node *node, bool open)
{
    size_t len = 0;
    const char *text = name ? fy_token_get_text(name, &len) : NULL;
    struct anchor *a;
    if (!name)
        return TG_OK;
    if (++b->anchor_count > TG_YAML_MAX_ANCHORS)
        return refuse(b, "the file has more than 256 anchors");
    a = tg_arena_alloc(&b->yaml->arena, 1, sizeof *a);
    if (!a || !(a->name = tg_arena_text(&b->yaml->arena, text ? text : "", text ? len : 0)))
        return TG_ENOMEM;
    a->node = node;
    a->open = open;
    a->next = b->anchors; /* a later anchor of the same name is found first */
    b->anchors = a;
    return TG_OK;
}

static int on_scalar(struct builder *b, struct fy_event *e)
{
    struct fy_token *value = e->scalar.value;
    size_t len = 0;
    const char *text = value ? fy_token_get_text(value, &len) : NULL;
    bool plain = !value || fy_token_scalar_style(value) == FYSS_PLAIN;
    struct tg_yaml_node *n;
    char *copy = NULL;
    int rc = TG_OK;
    place(b, value ? value : e->scalar.anchor);
    if (e->scalar.tag)
        return refuse(b, "tags (!…) are not taken: the option decides what a value is");
    if (text && memchr(text, '\0', len))
        return refuse(b, "a text cannot have a NUL character");
    if (!tg_utf8_valid(tg_bytes(text, text ? len : 0)))
        return refuse(b, "a text is not UTF-8 once its escapes are read");
    n = new_node(b, TG_YAML_TEXT, &rc);
    if (!n)
        return rc;
    copy = tg_arena_text(&b->yaml->arena, text, text ? len : 0);
    if (!copy)
        return TG_ENOMEM;
    n->as.text = copy;
    if (plain && (!copy[0] || !strcmp(copy, "~") || !strcmp(copy, "null") || !strcmp(copy, "Null") ||
                  !strcmp(copy, "NULL"))) {
        n->kind = TG_YAML_NULL;
        n->as.text = strlen(copy) > 1 ? copy : NULL; /* should it turn out to be a key */
    }
    rc = remember(b, e->scalar.anchor, n, false);
    return rc < 0 ? rc : add(b, n);
}

static int on_alias(struct builder *b, struct fy_event *e)
{
    size_t len = 0;
    const char *name = fy_token_get_text(e->alias.anchor, &len);
    struct tg_yaml_node *n;
    int rc = TG_OK;
    place(b, e->alias.anchor);
    if (b->column > 1)
        b->column--; /* the mark is behind the '*' */
    for (struct anchor *a = b->anchors; a; a = a->next) {
        if (!tg_bytes_eq_str(tg_bytes(name, len), a->name))
            continue;
        if (a->open)
            return refuse(b, "an alias inside the value that its anchor names would never end");
        n = new_node(b, TG_YAML_ALIAS, &rc);
        if (!n)
            return rc;
        n->as.first = a->node;
        n->expanded = a->node->expanded;
        return add(b, n);
    }
    char quoted[TG_QUOTE_BYTES], message[TG_QUOTE_BYTES + 60];
    snprintf(message, sizeof message, "no anchor (&name) before this alias has the name %s",
             tg_quote(quoted, name, len));
    return refuse(b, message);
}

static int on_open(struct builder *b, enum tg_yaml_kind kind, struct fy_token *start, struct fy_token *anchor,
                   struct fy_token *tag)
{
    struct tg_yaml_node *n;
    int rc = TG_OK;
    place(b, start);
    if (tag)
        return refuse(b, "tags (!…) are not taken: the option decides what a value is");
    if (b->depth == TG_YAML_MAX_DEPTH)
        return refuse(b, "nested deeper than 32 levels");
    n = new_node(b, kind, &rc);
    if (!n)
        return rc;
    rc = remember(b, anchor, n, true);
    rc = rc < 0 ? rc : add(b, n);
    if (rc < 0)
        return rc;
    b->stack[b->depth++] =
        (struct frame){.node = n, .tail = &n->as.first, .anchor = anchor ? b->anchors : NULL};
    return TG_OK;
}

static int on_close(struct builder *b)
{
    TG_ASSERT(b->depth > 0); /* libfyaml tells of no end without its start */
    struct frame *f = &b->stack[--b->depth];
    struct tg_yaml_node *n = f->node;
    uint64_t sum = 1;
    for (const struct tg_yaml_node *c = n->as.first; c; c = c->next)
        sum += c->expanded;
    if (sum > TG_YAML_MAX_EXPANDED)
        return refuse(b, "with its aliases followed the file has more than 4000000 values");
    n->expanded = (uint32_t)sum;
    if (f->anchor)
        f->anchor->open = false;
    return TG_OK;
}

static int on_event(struct builder *b, struct fy_event *e)
{
    switch (e->type) {
    case FYET_DOCUMENT_START:
        place(b, e->document_start.document_start);
        return b->root ? refuse(b, "a second document (---): a file is one document") : TG_OK;
    case FYET_MAPPING_START:
        return on_open(b, TG_YAML_MAP, e->mapping_start.mapping_start, e->mapping_start.anchor,
                       e->mapping_start.tag);
    case FYET_SEQUENCE_START:
        return on_open(b, TG_YAML_LIST, e->sequence_start.sequence_start, e->sequence_start.anchor,
                       e->sequence_start.tag);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return on_close(b);
    case FYET_SCALAR:
        return on_scalar(b, e);
    case FYET_ALIAS:
        return on_alias(b, e);
    default:
        return TG_OK;
    }
}

static void no_output(struct fy_diag *diag, void *user, const char *buf, size_t len)
{
    (void)diag;
    (void)user;
    (void)buf;
    (void)len;
}

/* The parser's own words for what people most often do wrong, and what helps. */
static const char *hint(const char *message)
{
    static const struct {
        const char *part, *hint;
    } hints[] = {
        {"multiline plain key", ": a line below it is indented deeper than its key, or a ':' is missing"},
        {"nested block mapping on the same line", ": put a text with \": \" in it into quotes"},
        {"missing comma in flow", ": a ',' or the closing '}' or ']' is missing before this"},
        {"wrongly indented", ": its closing quote may be missing"},
        {"plain scalar cannot start with", ": put the text into quotes"},
    };
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        if (strstr(message, hints[i].part))
            return hints[i].hint;
    return "";
}

static int syntax_error(struct builder *b, struct fy_diag *diag, const char *text, size_t len)
{
    void *walk = NULL;
    const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &walk);
    char message[300] = "not valid YAML";
    if (e) {
        if (e->line > 0 && e->column > 0) {
            b->line = (uint32_t)e->line;
            b->column = (uint32_t)e->column;
        }
        snprintf(message, sizeof message, "not valid YAML: %.160s%s", e->msg ? e->msg : "",
                 hint(e->msg ? e->msg : ""));
    }
    if (tab_near(text, len, b->line, &b->line, &b->column))
        return refuse(b, "a tab as indentation: YAML takes spaces only");
    return refuse(b, message);
}

int tg_yaml_parse(const char *text, size_t len, tg_yaml_report_fn *report, void *user,
                  struct tg_yaml *ret_yaml)
{
    struct fy_diag_cfg diag_cfg = {.output_fn = no_output, .level = FYET_ERROR, .module_mask = ~0u};
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 |
                                        FYPCF_JSON_NONE};
    struct builder b = {.yaml = ret_yaml, .report = report, .user = user};
    struct fy_parser *parser;
    struct fy_event *e;
    int rc = check_text(&b, text, len);
    *ret_yaml = (struct tg_yaml){.root = NULL};
    if (rc < 0 || len == 0)
        return rc;
    b.line = b.column = 1;
    cfg.diag = fy_diag_create(&diag_cfg);
    if (!cfg.diag)
        return TG_ENOMEM;
    fy_diag_set_collect_errors(cfg.diag, true);
    parser = fy_parser_create(&cfg);
    if (!parser || fy_parser_set_string(parser, text, len) != 0) {
        rc = TG_ENOMEM;
        goto done;
    }
    while (rc == TG_OK && (e = fy_parser_parse(parser)) != NULL) {
        rc = on_event(&b, e);
        fy_parser_event_free(parser, e);
    }
    if (rc == TG_OK && fy_parser_get_stream_error(parser))
        rc = syntax_error(&b, cfg.diag, text, len);
    if (rc == TG_OK && b.root && b.root->kind != TG_YAML_NULL)
        ret_yaml->root = b.root;
done:
    fy_parser_destroy(parser);
    fy_diag_destroy(cfg.diag);
    return rc;
}

void tg_yaml_free(struct tg_yaml *yaml)
{
    tg_arena_free(&yaml->arena);
    yaml->root = NULL;
}

const struct tg_yaml_node *tg_yaml_resolve(const struct tg_yaml_node *node)
{
    while (node && node->kind == TG_YAML_ALIAS)
        node = node->as.first;
    return node;
}

const struct tg_yaml_node *tg_yaml_get(const struct tg_yaml_node *map, const char *key)
{
    for (const struct tg_yaml_node *k = map->as.first; k; k = k->next->next)
        if (strcmp(k->as.text, key) == 0)
            return tg_yaml_resolve(k->next);
    return NULL;
}

const char *tg_yaml_kind_text(const struct tg_yaml_node *node)
{
    node = tg_yaml_resolve(node);
    switch (node ? node->kind : TG_YAML_NULL) {
    case TG_YAML_MAP:
        return "a mapping";
    case TG_YAML_LIST:
        return "a sequence";
    case TG_YAML_TEXT:
        return "one value";
    default:
        return "nothing";
    }
}
