/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/vectors.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static char *read_text(const char *path, size_t *ret_len)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *text = NULL;
    long len = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    if (len >= 0 && fseek(f, 0, SEEK_SET) == 0 && (text = malloc((size_t)len + 1)) != NULL) {
        *ret_len = fread(text, 1, (size_t)len, f);
        text[*ret_len] = 0;
    }
    fclose(f);
    return text;
}

/* Length of the integer at `p` when it does not fit jansson's 64 signed bits, else 0. */
static size_t big_integer(const char *p)
{
    size_t n = *p == '-' ? 1 : 0;
    while (isdigit((unsigned char)p[n]))
        n++;
    if (n < 19 || p[n] == '.' || p[n] == 'e' || p[n] == 'E')
        return 0;
    errno = 0;
    (void)strtoll(p, NULL, 10);
    return errno == ERANGE ? n : 0;
}

/* Puts quotes around integers that jansson would refuse; the result is the caller's. */
static char *quote_big_integers(const char *text, size_t len)
{
    char *out = malloc(3 * len + 1);
    size_t o = 0;
    bool in_string = false, in_number = false;
    for (size_t i = 0; out && i < len; i++) {
        char c = text[i];
        if (in_string && c == '\\' && i + 1 < len) {
            out[o++] = c;
            c = text[++i];
        } else if (c == '"') {
            in_string = !in_string;
        }
        bool number = !in_string && (isdigit((unsigned char)c) || c == '-');
        size_t n = number && !in_number ? big_integer(text + i) : 0;
        in_number = number;
        if (n > 0) {
            out[o++] = '"';
            memcpy(out + o, text + i, n);
            o += n;
            out[o++] = '"';
            i += n - 1;
            continue;
        }
        out[o++] = c;
    }
    if (out)
        out[o] = 0;
    return out;
}

json_t *tg_vectors_load(const char *relative_path)
{
    char path[4608];
    size_t len = 0;
    json_error_t why = {.line = 0, .text = "cannot be read"};
    snprintf(path, sizeof path, "%s/%s", tg_vectors_dir(), relative_path);
    char *text = read_text(path, &len);
    char *quoted = text ? quote_big_integers(text, len) : NULL;
    json_t *root = quoted ? json_loads(quoted, JSON_ALLOW_NUL, &why) : NULL;
    free(quoted);
    free(text);
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
