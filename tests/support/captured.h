/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * captured - what a call writes to standard error: the log. For cmocka tests; static memory, until the next call.
 */
#ifndef TG_TESTS_CAPTURED_H
#define TG_TESTS_CAPTURED_H

#include <stdlib.h>
#include <unistd.h>

static inline char *captured(void (*act)(void))
{
    static char text[1 << 20];
    char path[] = "/tmp/tidegate-log-XXXXXX";
    int file = mkstemp(path), saved = dup(STDERR_FILENO);
    ssize_t n;
    assert_true(file >= 0 && saved >= 0);
    unlink(path);
    assert_true(dup2(file, STDERR_FILENO) >= 0);
    act();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    n = pread(file, text, sizeof text - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    close(saved);
    close(file);
    return text;
}

#endif
