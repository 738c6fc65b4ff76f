/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * notes_help - what the tests of the notes share: a loop with a folder of its own, waiting, and what was logged. Failures
 * abort the test.
 */
#ifndef TG_TESTS_NOTES_HELP_H
#define TG_TESTS_NOTES_HELP_H

#include "store/notes.h"

#define NOTES_DEADLINE_MS 60000

struct notes_fixture {
    struct tg_loop loop;
    struct tg_notes *notes;
    char *dir;
    bool closed;
    int answers, last_rc;
    char order[32];
};

void notes_setup(struct notes_fixture *x);
void notes_open_at(struct notes_fixture *x, const char *dir);
void notes_turn_until(struct notes_fixture *x, const bool *condition);
/* Closes the notes, everything written; the loop stays. */
void notes_shut(struct notes_fixture *x);
void notes_on_closed(void *user);
void notes_teardown(struct notes_fixture *x);

struct notes_answer {
    struct notes_fixture *x;
    bool here;
    int rc;
};

void notes_on_durable(void *user, int rc);
/* Waits until all that was set is on disk, or could not be written. */
int notes_durable(struct notes_fixture *x);
void notes_set(struct notes_fixture *x, const char *scope, const char *key, const char *value);
void notes_expect(struct notes_fixture *x, const char *scope, const char *key, const char *value);
/* Every note in order: "scope:key=value scope:key=value ". */
void notes_each_is(struct notes_fixture *x, const char *want);

/* Standard error into a file; then how often `text` stands in it. */
void notes_listen_to_log(void);
void notes_stop_listening(void);
int notes_told(const char *text);

#endif
