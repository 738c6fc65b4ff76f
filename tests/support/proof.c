/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/proof.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint32_t tg_proof_count(const char *name, uint32_t usual)
{
    const char *text = getenv(name);
    char *end = NULL;
    if (!text)
        return usual;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || n == 0 || n > UINT32_MAX) {
        (void)fprintf(stderr, "%s=%s: a number from 1 on is wanted\n", name, text);
        exit(2);
    }
    return (uint32_t)n;
}

void tg_proof(const char *clause, const char *test, uint64_t trials, uint64_t failures, const char *note,
              const char *figures, ...)
{
    const char *path = getenv("TIDEGATE_PROOF");
    va_list list;
    if (!path)
        return;
    FILE *file = fopen(path, "ae");
    if (!file) {
        perror(path);
        exit(2);
    }
    (void)fprintf(file,
                  "{\"clause\":\"%s\",\"test\":\"%s\",\"trials\":%" PRIu64 ",\"failures\":%" PRIu64
                  ",\"note\":\"%s\",\"figures\":{",
                  clause, test, trials, failures, note);
    va_start(list, figures);
    (void)vfprintf(file, figures, list);
    va_end(list);
    (void)fputs("}}\n", file);
    if (fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}
