/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/discovered.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"

#define SCOPE     "discovered/"
#define SCOPE_LEN (sizeof SCOPE - 1)

static const char *scope_of(const char *source, char scope[TG_NOTE_NAME_BYTES])
{
    snprintf(scope, TG_NOTE_NAME_BYTES, SCOPE "%.128s", source);
    return scope;
}

static void count_all(void *user, const char *scope, const char *key, struct tg_bytes value)
{
    (void)key;
    (void)value;
    *(uint32_t *)user += strncmp(scope, SCOPE, SCOPE_LEN) == 0;
}

struct counting {
    const char *scope;
    uint32_t count;
};

static void count_scope(void *user, const char *scope, const char *key, struct tg_bytes value)
{
    struct counting *c = user;
    (void)key;
    (void)value;
    c->count += strcmp(scope, c->scope) == 0;
}

uint32_t tg_found_count(const struct tg_notes *notes, const char *source)
{
    char scope[TG_NOTE_NAME_BYTES];
    struct counting c = {scope_of(source, scope), 0};
    tg_notes_each(notes, count_scope, &c);
    return c.count;
}

static void read_one(void *user, const char *scope, const char *key, struct tg_bytes value)
{
    struct tg_found_list *list = user;
    struct tg_found *f = &list->items[list->count];
    const char *profile;
    json_t *j;
    if (strncmp(scope, SCOPE, SCOPE_LEN) != 0 || !tg_name_is_valid(key) ||
        !tg_name_is_valid(scope + SCOPE_LEN))
        return;
    j = json_loadb((const char *)value.data, value.len, JSON_REJECT_DUPLICATES, NULL);
    profile = json_string_value(json_object_get(j, "profile"));
    if (json_is_object(j) && (!profile || strlen(profile) < sizeof f->profile)) {
        *f = (struct tg_found){.first_seen_ms = json_integer_value(json_object_get(j, "first_seen_ms"))};
        snprintf(f->source, sizeof f->source, "%s", scope + SCOPE_LEN);
        snprintf(f->id, sizeof f->id, "%s", key);
        snprintf(f->profile, sizeof f->profile, "%s", profile ? profile : "");
        list->count++;
    }
    json_decref(j);
}

static int by_age(const void *x, const void *y)
{
    const struct tg_found *a = x, *b = y;
    int d = (a->first_seen_ms > b->first_seen_ms) - (a->first_seen_ms < b->first_seen_ms);
    d = d ? d : strcmp(a->source, b->source);
    return d ? d : strcmp(a->id, b->id);
}

int tg_found_read(const struct tg_notes *notes, struct tg_found_list *ret_list)
{
    struct tg_found_list list = {0};
    uint32_t most = 0;
    tg_notes_each(notes, count_all, &most);
    if (most > 0) {
        list.items = tg_calloc(most, sizeof *list.items);
        if (!list.items)
            return TG_ENOMEM;
        tg_notes_each(notes, read_one, &list);
        if (list.count > 1)
            qsort(list.items, list.count, sizeof *list.items, by_age);
    }
    *ret_list = list;
    return TG_OK;
}

void tg_found_free(struct tg_found_list *list)
{
    tg_free(list->items);
    *list = (struct tg_found_list){0};
}

int tg_found_keep(struct tg_notes *notes, const struct tg_found *found)
{
    char scope[TG_NOTE_NAME_BYTES];
    json_t *j = json_pack("{s:I}", "first_seen_ms", (json_int_t)found->first_seen_ms);
    char *text;
    int rc = TG_ENOMEM;
    if (j && found->profile[0] && json_object_set_new(j, "profile", json_string(found->profile)) < 0) {
        json_decref(j);
        return TG_ENOMEM;
    }
    text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (text)
        rc = tg_notes_set(notes, scope_of(found->source, scope), found->id, tg_bytes_str(text));
    free(text);
    json_decref(j);
    return rc;
}

bool tg_found_is_kept(const struct tg_notes *notes, const char *source, const char *id)
{
    char scope[TG_NOTE_NAME_BYTES];
    return tg_notes_get(notes, scope_of(source, scope), id).len > 0;
}

int tg_found_drop(struct tg_notes *notes, const char *source, const char *id)
{
    char scope[TG_NOTE_NAME_BYTES];
    return tg_notes_set(notes, scope_of(source, scope), id, (struct tg_bytes){0});
}
