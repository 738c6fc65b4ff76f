/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a source remembers: a table on the instance's side, so that reading needs no other thread, and mail to the loop that puts it on
 * disk.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "southbound/plugin_host_private.h"

static struct tg_host_source *checked(struct tg_host_source *s)
{
    return TG_OBJECT(s, struct tg_host_source, TG_HOST_SOURCE_MAGIC);
}

static struct tg_source_note *find(struct tg_source_notes *n, const char *key)
{
    for (size_t i = 0; n->notes && i < TG_NOTES_MAX; i++)
        if (strcmp(n->notes[i].key, key) == 0)
            return &n->notes[i];
    return NULL;
}

/* NULL: all are taken, or there is no memory for the first. */
static struct tg_source_note *free_one(struct tg_source_notes *n)
{
    if (!n->notes)
        n->notes = tg_calloc(TG_NOTES_MAX, sizeof *n->notes);
    return find(n, "");
}

static void take(void *taker, const char *key, struct tg_bytes text)
{
    struct tg_source_notes *n = taker;
    struct tg_source_note *note = free_one(n);
    if (!note || strlen(key) > TG_NOTE_KEY_MAX_BYTES || text.len > TG_NOTE_TEXT_MAX_BYTES)
        return; /* this program wrote no such note */
    snprintf(note->key, sizeof note->key, "%s", key);
    memcpy(note->text, text.data, text.len);
    note->text[text.len] = '\0';
}

void tg_source_notes_recall(struct tg_host_source *s)
{
    if (s->handle.cb->recall_notes)
        s->handle.cb->recall_notes(s->handle.user, take, &s->notes);
}

void tg_source_notes_fini(struct tg_host_source *s)
{
    tg_free(s->notes.notes);
}

static int tell_loop(struct tg_host_source *s, const char *key, const char *text, uint64_t number)
{
    size_t key_size = strlen(key) + 1, text_size = strlen(text) + 1;
    struct tg_up_mail *m = tg_malloc(sizeof *m + key_size + text_size);
    char *to;
    if (!m)
        return TG_PLUGIN_ENOMEM;
    *m = (struct tg_up_mail){.mail.cost = sizeof *m + key_size + text_size,
                             .kind = TG_MAIL_NOTE,
                             .has_text = true,
                             .request = number};
    to = (char *)m->values;
    memcpy(to, key, key_size);
    memcpy(to + key_size, text, text_size);
    if (tg_mailbox_put(&s->news, &m->mail) == TG_OK)
        return TG_PLUGIN_OK;
    tg_free(m);
    return TG_PLUGIN_EFULL;
}

/* Where the text goes, NULL = no room; *ret_same: it is there already, or there is nothing to forget. */
static struct tg_source_note *place_for(struct tg_source_notes *n, const char *key, const char *text,
                                        bool *ret_same)
{
    struct tg_source_note *note = find(n, key);
    *ret_same = note ? strcmp(note->text, text) == 0 : text[0] == '\0';
    return note || *ret_same ? note : free_one(n);
}

static void put_note(struct tg_source_notes *n, struct tg_source_note *note, const char *key,
                     const char *text)
{
    n->set++;
    memset(note, 0, sizeof *note);
    if (text[0] == '\0')
        return;
    memcpy(note->key, key, strlen(key));
    memcpy(note->text, text, strlen(text));
}

int tg_source_note_put(struct tg_host_source *s, const char *key, const char *text)
{
    bool same;
    struct tg_source_note *note = place_for(&s->notes, key, text, &same);
    if (!note && !same)
        return TG_EFULL;
    if (same)
        s->notes.set++; /* the process has counted it */
    else
        put_note(&s->notes, note, key, text);
    return TG_OK;
}

int tg_service_note_set(struct tg_host_source *source, const char *key, const char *text)
{
    struct tg_host_source *s = checked(source);
    size_t key_len = key ? strlen(key) : 0;
    const char *put = text ? text : "";
    struct tg_source_note *note;
    bool same;
    int rc;
    if (key_len == 0 || key_len > TG_NOTE_KEY_MAX_BYTES || strlen(put) > TG_NOTE_TEXT_MAX_BYTES)
        return TG_PLUGIN_EINVAL;
    note = place_for(&s->notes, key, put, &same);
    if (same)
        return TG_PLUGIN_OK;
    if (!note)
        return s->notes.notes ? TG_PLUGIN_EFULL : TG_PLUGIN_ENOMEM;
    rc = tell_loop(s, key, put, s->notes.set + 1);
    if (rc == TG_PLUGIN_OK)
        put_note(&s->notes, note, key, put);
    return rc;
}

int tg_service_note_get(struct tg_host_source *source, const char *key, char *ret_text, size_t size)
{
    struct tg_source_note *note = key && key[0] ? find(&checked(source)->notes, key) : NULL;
    size_t len = note ? strlen(note->text) : 0;
    if (len >= size)
        return TG_PLUGIN_EINVAL;
    if (note)
        memcpy(ret_text, note->text, len + 1);
    else
        ret_text[0] = '\0';
    return (int)len;
}

bool tg_service_notes_kept(struct tg_host_source *source)
{
    struct tg_host_source *s = checked(source);
    return atomic_load(&s->notes.kept) >= s->notes.set;
}

static void put_news(struct tg_host_source *s, enum tg_down_kind kind, uint64_t number)
{
    struct tg_down_mail *m = tg_calloc(1, sizeof *m);
    if (!m)
        return; /* the instance looks when it is next polled */
    *m = (struct tg_down_mail){.mail.cost = sizeof *m, .kind = kind, .request = number};
    if (tg_mailbox_put(&s->down, &m->mail) < 0)
        tg_free(m);
}

void tg_source_host_note_kept(struct tg_source_host *h, uint64_t number)
{
    struct tg_host_source *s = h->source;
    if (number > atomic_load(&s->notes.kept))
        atomic_store(&s->notes.kept, number);
    put_news(s, TG_DOWN_KEPT, number);
}

void tg_source_host_clock(struct tg_source_host *h)
{
    if (h->source->process)
        put_news(h->source, TG_DOWN_CLOCK, 0);
}
