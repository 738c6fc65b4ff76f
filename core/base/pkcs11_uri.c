/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/pkcs11_uri.h"

#define SCHEME "pkcs11:"

/* One name=value that has been cut out. */
struct part {
    struct tg_bytes name, value; /* the value still percent-encoded */
};

bool tg_pkcs11_uri_is(const char *text)
{
    return strncmp(text, SCHEME, sizeof SCHEME - 1) == 0;
}

static int hex(uint8_t c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

static int decode(const struct part *p, uint8_t *out, size_t cap, size_t *ret_len, struct tg_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < p->value.len; i++) {
        uint8_t c = p->value.data[i];
        if (c == '%') {
            int high = i + 2 < p->value.len ? hex(p->value.data[i + 1]) : -1;
            int low = i + 2 < p->value.len ? hex(p->value.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return tg_error_set(err, TG_EINVAL,
                                    "PKCS#11 URI: %.*s: \"%%\" without two hexadecimal digits",
                                    (int)p->name.len, (const char *)p->name.data);
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (n == cap)
            return tg_error_set(err, TG_ETOOBIG, "PKCS#11 URI: %.*s: longer than %zu bytes", (int)p->name.len,
                                (const char *)p->name.data, cap);
        out[n++] = c;
    }
    *ret_len = n;
    return TG_OK;
}

static int decode_text(const struct part *p, char *out, size_t size, struct tg_error *err)
{
    size_t n = 0;
    int rc = decode(p, (uint8_t *)out, size - 1, &n, err);
    if (rc < 0)
        return rc;
    out[n] = '\0';
    if (n == 0 || strlen(out) != n || !tg_utf8_valid(tg_bytes(out, n)))
        return tg_error_set(err, TG_EINVAL, "PKCS#11 URI: %.*s: empty, or no text", (int)p->name.len,
                            (const char *)p->name.data);
    return TG_OK;
}

/* "file:/a/b", "file:///a/b" (an authority would be another machine) and, as RFC 7512 allows, a path alone. */
static int decode_pin_source(const struct part *p, struct tg_pkcs11_uri *uri, struct tg_error *err)
{
    char text[TG_PKCS11_PATH_MAX_BYTES];
    const char *path = text;
    int rc = decode_text(p, text, sizeof text, err);
    if (rc < 0)
        return rc;
    if (text[0] == '|')
        return tg_error_set(err, TG_EUNSUPPORTED,
                            "PKCS#11 URI: pin-source: a command is not run; name a file");
    if (strncmp(path, "file:", 5) == 0) {
        path += 5;
        if (strncmp(path, "//", 2) == 0 && path[2] == '/')
            path += 2;
    }
    if (path[0] == '\0' || strncmp(path, "//", 2) == 0)
        return tg_error_set(err, TG_EINVAL,
                            "PKCS#11 URI: pin-source: name a file, as in pin-source=file:/etc/pin");
    memmove(uri->pin_file, path, strlen(path) + 1);
    return TG_OK;
}

static int take_path_part(const struct part *p, struct tg_pkcs11_uri *uri, struct tg_error *err)
{
    const struct {
        const char *name;
        char *text;
        size_t size;
    } texts[] = {{"token", uri->token, sizeof uri->token},
                 {"manufacturer", uri->manufacturer, sizeof uri->manufacturer},
                 {"model", uri->model, sizeof uri->model},
                 {"serial", uri->serial, sizeof uri->serial},
                 {"object", uri->object, sizeof uri->object}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (tg_bytes_eq_str(p->name, texts[i].name))
            return decode_text(p, texts[i].text, texts[i].size, err);
    if (tg_bytes_eq_str(p->name, "id")) {
        int rc = decode(p, uri->id, sizeof uri->id, &uri->id_len, err);
        return rc == TG_OK && uri->id_len == 0 ? tg_error_set(err, TG_EINVAL, "PKCS#11 URI: id: empty") : rc;
    }
    if (tg_bytes_eq_str(p->name, "type")) {
        if (tg_bytes_eq_str(p->value, "private"))
            return TG_OK;
        return tg_error_set(err, TG_EUNSUPPORTED,
                            "PKCS#11 URI: type: a private key is meant: type=private, or nothing");
    }
    if (tg_bytes_starts(p->name, "slot-"))
        return tg_error_set(err, TG_EUNSUPPORTED,
                            "PKCS#11 URI: %.*s: slots change their numbers; name the token (token=…)",
                            p->name.len > 32 ? 32 : (int)p->name.len, (const char *)p->name.data);
    char name[TG_QUOTE_BYTES];
    return tg_error_set(
        err, TG_EUNSUPPORTED,
        "PKCS#11 URI: %s is not understood; known are token, serial, manufacturer, model, object, id "
        "and type",
        tg_quote(name, (const char *)p->name.data, p->name.len));
}

static int take_query_part(const struct part *p, struct tg_pkcs11_uri *uri, struct tg_error *err)
{
    if (tg_bytes_eq_str(p->name, "pin-source"))
        return decode_pin_source(p, uri, err);
    if (tg_bytes_eq_str(p->name, "pin-value"))
        return tg_error_set(
            err, TG_EUNSUPPORTED,
            "PKCS#11 URI: pin-value: a PIN does not belong into the configuration; put it into a file "
            "with mode 0600 and name that: pin-source=file:/etc/tidegate/keys/pin");
    if (tg_bytes_eq_str(p->name, "module-path")) {
        int rc = decode_text(p, uri->module, sizeof uri->module, err);
        if (rc == TG_OK && uri->module[0] != '/')
            rc = tg_error_set(err, TG_EINVAL, "PKCS#11 URI: module-path: give it from the root on");
        return rc;
    }
    if (tg_bytes_eq_str(p->name, "module-name"))
        return tg_error_set(err, TG_EUNSUPPORTED,
                            "PKCS#11 URI: module-name: name the file: module-path=/usr/lib/….so");
    char name[TG_QUOTE_BYTES];
    return tg_error_set(
        err, TG_EUNSUPPORTED,
        "PKCS#11 URI: %s is not understood; after the \"?\" known are pin-source and module-path",
        tg_quote(name, (const char *)p->name.data, p->name.len));
}

/* True if an earlier part of the same list has the name: RFC 7512 2.3 forbids it. */
static bool seen_before(struct tg_bytes list, const struct part *p, uint8_t separator)
{
    size_t at = 0;
    while (list.data + at < p->name.data) {
        size_t n = p->name.len;
        if (list.len - at > n && memcmp(list.data + at, p->name.data, n) == 0 && list.data[at + n] == '=')
            return true;
        const uint8_t *next = memchr(list.data + at, separator, list.len - at);
        if (!next)
            return false;
        at = (size_t)(next - list.data) + 1;
    }
    return false;
}

static int take_list(struct tg_bytes list, uint8_t separator,
                     int (*take)(const struct part *p, struct tg_pkcs11_uri *uri, struct tg_error *err),
                     struct tg_pkcs11_uri *uri, struct tg_error *err)
{
    size_t at = 0;
    while (at < list.len) {
        const uint8_t *from = list.data + at, *end = memchr(from, separator, list.len - at);
        size_t len = end ? (size_t)(end - from) : list.len - at;
        const uint8_t *equals = len > 0 ? memchr(from, '=', len) : NULL;
        char text[TG_QUOTE_BYTES];
        if (!equals || equals == from)
            return tg_error_set(err, TG_EINVAL, "PKCS#11 URI: %s is no name=value",
                                tg_quote(text, (const char *)from, len));
        size_t name_len = (size_t)(equals - from);
        struct part p = {tg_bytes(from, name_len), tg_bytes(equals + 1, len - name_len - 1)};
        if (seen_before(list, &p, separator))
            return tg_error_set(err, TG_EINVAL, "PKCS#11 URI: %s stands in it twice",
                                tg_quote(text, (const char *)p.name.data, p.name.len));
        int rc = take(&p, uri, err);
        if (rc < 0)
            return rc;
        at += len + (end != NULL);
        if (end && at == list.len)
            return tg_error_set(err, TG_EINVAL, "PKCS#11 URI: it ends with \"%c\"", separator);
    }
    return TG_OK;
}

int tg_pkcs11_uri_parse(struct tg_bytes text, struct tg_pkcs11_uri *ret_uri, struct tg_error *err)
{
    struct tg_pkcs11_uri uri = {.token = ""};
    if (!tg_bytes_starts(text, SCHEME))
        return tg_error_set(err, TG_EINVAL, "a PKCS#11 URI begins with \"pkcs11:\"");
    struct tg_bytes path = tg_bytes(text.data + sizeof SCHEME - 1, text.len - (sizeof SCHEME - 1));
    struct tg_bytes query = {0};
    const uint8_t *mark = path.len > 0 ? memchr(path.data, '?', path.len) : NULL;
    if (mark) {
        query = tg_bytes(mark + 1, path.len - (size_t)(mark - path.data) - 1);
        path.len = (size_t)(mark - path.data);
    }
    int rc = take_list(path, ';', take_path_part, &uri, err);
    if (rc == TG_OK)
        rc = take_list(query, '&', take_query_part, &uri, err);
    if (rc == TG_OK && !uri.token[0] && !uri.serial[0])
        rc = tg_error_set(err, TG_EINVAL, "PKCS#11 URI: it names no token: token=… or serial=… is needed");
    if (rc == TG_OK && !uri.object[0] && uri.id_len == 0)
        rc = tg_error_set(err, TG_EINVAL, "PKCS#11 URI: it names no key: object=… or id=… is needed");
    if (rc == TG_OK)
        *ret_uri = uri;
    return rc;
}

void tg_pkcs11_uri_resolve(struct tg_writer *out, const char *text, const char *base_dir)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    static const char name[] = "pin-source=", scheme[] = "file:";
    const char *at = strchr(text, '?');
    while (at && strncmp(at + 1, name, sizeof name - 1) != 0)
        at = strchr(at + 1, '&');
    const char *path = at ? at + sizeof name : NULL;
    if (path && strncmp(path, scheme, sizeof scheme - 1) == 0)
        path += sizeof scheme - 1;
    if (!path || strchr("/|%&", *path) || *path == '\0') {
        tg_write_str(out, text);
        return;
    }
    tg_write_bytes(out, tg_bytes(text, (size_t)(path - text)));
    for (const char *c = base_dir; *c; c++) {
        if (strchr(unreserved, *c))
            tg_write_u8(out, (uint8_t)*c);
        else
            tg_write_fmt(out, "%%%02X", (unsigned)(unsigned char)*c);
    }
    tg_write_u8(out, '/');
    tg_write_str(out, path);
}
