/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/gateway/gateway_private.h"

struct note_write {
    struct tg_gateway *gateway;
    uint64_t source, number;
};

static void scope_of(const struct tg_running_source *rs, char ret_scope[TG_NOTE_NAME_BYTES])
{
    snprintf(ret_scope, TG_NOTE_NAME_BYTES, "source/%s", rs->config->name);
}

struct recall {
    char scope[TG_NOTE_NAME_BYTES];
    void (*take)(void *taker, const char *key, struct tg_bytes text);
    void *taker;
};

static void recall_one(void *user, const char *scope, const char *key, struct tg_bytes value)
{
    const struct recall *r = user;
    if (strcmp(scope, r->scope) == 0)
        r->take(r->taker, key, value);
}

void tg_gateway_recall_notes(struct tg_running_source *rs,
                             void (*take)(void *taker, const char *key, struct tg_bytes text), void *taker)
{
    struct recall r = {.take = take, .taker = taker};
    scope_of(rs, r.scope);
    tg_notes_each(rs->gateway->notes, recall_one, &r);
}

static void on_kept(void *user, int rc)
{
    struct note_write *w = user;
    struct tg_gateway *g = TG_OBJECT(w->gateway, struct tg_gateway, TG_GATEWAY_MAGIC);
    for (struct tg_running_source *rs = g->sources; rc == TG_OK && rs; rs = rs->next)
        if (rs->number == w->source && rs->host)
            tg_source_host_note_kept(rs->host, w->number);
    tg_free(w);
}

void tg_gateway_note(struct tg_running_source *rs, const char *key, const char *text, uint64_t number)
{
    struct tg_gateway *g = rs->gateway;
    struct note_write *w = tg_calloc(1, sizeof *w);
    char scope[TG_NOTE_NAME_BYTES];
    int rc = w ? TG_OK : TG_ENOMEM;
    scope_of(rs, scope);
    if (rc == TG_OK) {
        *w = (struct note_write){g, rs->number, number};
        rc = tg_notes_set(g->notes, scope, key, tg_bytes_str(text));
    }
    if (rc == TG_OK)
        rc = tg_notes_when_durable(g->notes, on_kept, w);
    if (rc < 0) {
        tg_free(w);
        tg_log(TG_LOG_WARN, "source", "source=%s what it wants to remember (%s) cannot be kept: %s",
               rs->config->name, key, tg_code_text(rc));
    }
}
