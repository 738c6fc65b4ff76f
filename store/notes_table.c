/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The notes in memory: an array in order of scope and key.
 */
#include "store/notes_private.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"

size_t tg_note_cost_names(size_t names)
{
    return sizeof(struct tg_note) + sizeof(struct tg_note *) + names + 2;
}

size_t tg_note_cost_value(size_t len)
{
    return sizeof(struct tg_note_value) + len;
}

static int compare(const struct tg_note *n, const char *scope, const char *key)
{
    int order = strcmp(tg_note_scope(n), scope);
    return order ? order : strcmp(tg_note_key(n), key);
}

size_t tg_notes_table_find(const struct tg_notes_table *t, const char *scope, const char *key,
                           bool *ret_found)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(t->notes[middle], scope, key);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

struct tg_note_value *tg_note_value_new(struct tg_bytes b)
{
    struct tg_note_value *v = tg_malloc(sizeof *v + b.len);
    if (v) {
        v->len = b.len;
        memcpy(v->data, b.data, b.len);
    }
    return v;
}

void tg_notes_table_free_value(struct tg_notes_table *t, struct tg_note_value *v)
{
    if (v) {
        t->used_bytes -= tg_note_cost_value(v->len);
        tg_free(v);
    }
}

struct tg_note *tg_notes_table_insert(struct tg_notes_table *t, size_t at, struct tg_bytes scope,
                                      struct tg_bytes key)
{
    if (t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        struct tg_note **notes = tg_realloc(t->notes, cap * sizeof(struct tg_note *));
        if (!notes)
            return NULL;
        t->notes = notes;
        t->cap = cap;
    }
    struct tg_note *n = tg_calloc(1, sizeof *n + scope.len + key.len + 2);
    if (!n)
        return NULL;
    n->scope_len = (uint16_t)scope.len;
    memcpy(n->names, scope.data, scope.len);
    memcpy(n->names + scope.len + 1, key.data, key.len);
    memmove(&t->notes[at + 1], &t->notes[at], (t->count - at) * sizeof(struct tg_note *));
    t->notes[at] = n;
    t->count++;
    t->used_bytes += tg_note_cost_names(scope.len + key.len);
    return n;
}

void tg_notes_table_forget(struct tg_notes_table *t, struct tg_note *n)
{
    bool found;
    size_t at = tg_notes_table_find(t, tg_note_scope(n), tg_note_key(n), &found);
    TG_ASSERT(found && t->notes[at] == n);
    t->count--;
    memmove(&t->notes[at], &t->notes[at + 1], (t->count - at) * sizeof(struct tg_note *));
    t->used_bytes -= tg_note_cost_names(n->scope_len + strlen(tg_note_key(n)));
    tg_free(n);
}

void tg_notes_table_empty(struct tg_notes_table *t)
{
    for (size_t i = 0; i < t->count; i++) {
        tg_free(t->notes[i]->value);
        tg_free(t->notes[i]);
    }
    tg_free(t->notes);
    *t = (struct tg_notes_table){0};
}
