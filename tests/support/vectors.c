/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/vectors.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

const char *tg_vectors_dir(void)
{
    static char dir[4096];
    const char *given = getenv("TIDEGATE_VECTORS");
    const char *source = getenv("TIDEGATE_SOURCE");
    if (given && given[0]) {
        snprintf(dir, sizeof dir, "%s", given);
        return dir;
    }
    if (!source || !source[0])
        source = ".";
    snprintf(dir, sizeof dir, "%s/../shared/vectors", source);
    if (!is_dir(dir))
        snprintf(dir, sizeof dir, "%s/tests/vectors", source);
    return dir;
}

json_t *tg_vectors_load(const char *relative_path)
{
    char path[4608];
    json_error_t why;
    snprintf(path, sizeof path, "%s/%s", tg_vectors_dir(), relative_path);
    json_t *root = json_load_file(path, 0, &why);
    if (!root) {
        fprintf(stderr, "vectors: %s:%d: %s\n", path, why.line, why.text);
        exit(1);
    }
    return root;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

long tg_vectors_hex(const char *hex, uint8_t *ret_bytes, size_t cap)
{
    size_t n = 0;
    while (*hex) {
        if (isspace((unsigned char)*hex)) {
            hex++;
            continue;
        }
        int high = digit(hex[0]), low = high < 0 ? -1 : digit(hex[1]);
        if (low < 0 || n == cap)
            return -1;
        ret_bytes[n++] = (uint8_t)(high << 4 | low);
        hex += 2;
    }
    return (long)n;
}
