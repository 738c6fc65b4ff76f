/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/pubsub/pubsub_token.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>

#include "core/base/allocator.h"
#include "core/http/http_client.h"
#include "northbound/format_json.h"

#define SCOPE      "https://www.googleapis.com/auth/pubsub"
#define GRANT_TYPE "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
#define TEXT_BYTES 1024 /* of one field of the key file, but for the key */

/* --- JSON that holds secrets ----------------------------------------------------------------------- */

/* jansson keeps copies of what it reads in several places (the lexer's buffer among them) and wipes none. Within these
 * calls everything it lets go of is wiped. Memory comes from malloc before and after, so the functions may change at any
 * time; the loop is the only thread that reads JSON. */
static void wipe_and_free(void *p)
{
    if (p)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

struct wiping {
    json_malloc_t malloc_fn;
    json_free_t free_fn;
};

static struct wiping begin_wiping(void)
{
    struct wiping before;
    json_get_alloc_funcs(&before.malloc_fn, &before.free_fn);
    json_set_alloc_funcs(malloc, wipe_and_free);
    return before;
}

static void end_wiping(struct wiping before)
{
    json_set_alloc_funcs(before.malloc_fn, before.free_fn);
}

/* --- the key file ------------------------------------------------------------------------------------ */

/* A text of at least one character, none of them a control character. */
static int copy_text(const json_t *root, const char *name, const char *path, char **ret_text,
                     struct tg_error *err)
{
    const json_t *value = json_object_get(root, name);
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    if (!text || len == 0 || len > TEXT_BYTES)
        return tg_error_set(err, TG_EINVAL,
                            "%s has no \"%s\" as a service account's key file has it; download the key again "
                            "as JSON",
                            path, name);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
            return tg_error_set(err, TG_EINVAL, "%s: there is a control character in \"%s\"", path, name);
    *ret_text = tg_strndup(text, len);
    return *ret_text ? TG_OK : tg_error_set(err, TG_ENOMEM, "out of memory reading %s", path);
}

static int read_fields(const json_t *root, const char *path, struct tg_pubsub_key *key, struct tg_error *err)
{
    const char *type = json_string_value(json_object_get(root, "type"));
    const json_t *pem = json_object_get(root, "private_key");
    struct tg_pubsub_token_uri uri;
    int rc;
    if (!type || strcmp(type, "service_account") != 0)
        return tg_error_set(err, TG_EINVAL,
                            "%s is not a service account's key: its \"type\" is not \"service_account\"",
                            path);
    rc = copy_text(root, "client_email", path, &key->client_email, err);
    if (rc == TG_OK)
        rc = copy_text(root, "private_key_id", path, &key->private_key_id, err);
    if (rc == TG_OK)
        rc = copy_text(root, "token_uri", path, &key->token_uri, err);
    if (rc == TG_OK && (rc = tg_pubsub_token_uri_parse(key->token_uri, &uri, err)) < 0)
        tg_error_wrap(err, "%s", path);
    if (rc < 0)
        return rc;
    if (json_string_length(pem) == 0)
        return tg_error_set(err, TG_EINVAL, "%s has no \"private_key\"", path);
    rc = tg_signer_from_pem(tg_bytes(json_string_value(pem), json_string_length(pem)), &key->signer, err);
    if (rc < 0)
        tg_error_wrap(err, "the private key in %s", path);
    if (rc == TG_OK && tg_signer_algorithm(key->signer) != TG_SIGN_RS256)
        rc = tg_error_set(err, TG_EINVAL, "%s: the private key is not an RSA key", path);
    return rc;
}

int tg_pubsub_key_parse(struct tg_bytes json, const char *path, struct tg_pubsub_key *ret_key,
                        struct tg_error *err)
{
    struct tg_pubsub_key key = {0};
    struct wiping before = begin_wiping();
    json_t *root = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
    int rc = TG_OK;
    if (!json_is_object(root)) /* jansson's own text might quote the key */
        rc = tg_error_set(err, TG_EINVAL,
                          "%s is not JSON; put the service account's key file there as it was "
                          "downloaded",
                          path);
    if (rc == TG_OK)
        rc = read_fields(root, path, &key, err);
    json_decref(root);
    end_wiping(before);
    if (rc < 0) {
        tg_pubsub_key_free(&key);
        return rc;
    }
    *ret_key = key;
    return TG_OK;
}

void tg_pubsub_key_free(struct tg_pubsub_key *key)
{
    tg_free(key->client_email);
    tg_free(key->private_key_id);
    tg_free(key->token_uri);
    tg_signer_free(key->signer);
    *key = (struct tg_pubsub_key){0};
}

/* --- tokens -------------------------------------------------------------------------------------------- */

static void put_claim(struct tg_writer *w, const char *name, const char *text)
{
    tg_write_u8(w, w->len ? ',' : '{');
    tg_format_json_string(w, tg_bytes_str(name));
    tg_write_u8(w, ':');
    tg_format_json_string(w, tg_bytes_str(text));
}

static void put_times(struct tg_writer *w, int64_t now_s)
{
    tg_write_str(w, ",\"exp\":");
    tg_write_i64_dec(w, now_s + TG_PUBSUB_TOKEN_LIFE_S);
    tg_write_str(w, ",\"iat\":");
    tg_write_i64_dec(w, now_s);
    tg_write_u8(w, '}');
}

static int sign(struct tg_writer *out, const struct tg_pubsub_key *key, const struct tg_writer *claims,
                struct tg_error *err)
{
    if (claims->failed)
        return tg_error_set(err, TG_ETOOBIG, "the claims of a token for %s are too long", key->client_email);
    return tg_jwt_write(out, key->signer, key->private_key_id, tg_bytes(claims->data, claims->len), err);
}

int tg_pubsub_token_self_signed(struct tg_writer *out, const struct tg_pubsub_key *key, const char *audience,
                                int64_t now_s, struct tg_error *err)
{
    uint8_t memory[TG_PUBSUB_ASSERTION_BYTES / 2];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    put_claim(&w, "iss", key->client_email);
    put_claim(&w, "sub", key->client_email);
    put_claim(&w, "aud", audience);
    put_times(&w, now_s);
    return sign(out, key, &w, err);
}

int tg_pubsub_token_request(struct tg_writer *out, const struct tg_pubsub_key *key,
                            const struct tg_pubsub_token_uri *uri, int64_t now_s, struct tg_error *err)
{
    uint8_t memory[TG_PUBSUB_ASSERTION_BYTES / 2], body[TG_PUBSUB_ASSERTION_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory), b = tg_writer_init(body, sizeof body);
    int rc;
    put_claim(&w, "iss", key->client_email);
    put_claim(&w, "scope", SCOPE);
    put_claim(&w, "aud", key->token_uri);
    put_times(&w, now_s);
    tg_write_str(&b, "grant_type=" GRANT_TYPE "&assertion=");
    rc = sign(&b, key, &w, err);
    if (rc == TG_OK) {
        tg_http_request_begin(out, "POST", tg_bytes_str(uri->path), uri->host, uri->port,
                              uri->tls ? 443 : 80);
        tg_http_request_header(out, "User-Agent", tg_bytes_str("tidegate"));
        tg_http_request_header(out, "Accept", tg_bytes_str("application/json"));
        tg_http_request_header(out, "Content-Type", tg_bytes_str("application/x-www-form-urlencoded"));
        tg_http_request_header(out, "Connection", tg_bytes_str("close"));
        rc = tg_http_request_end(out, b.len);
        tg_write_bytes(out, tg_bytes(b.data, b.len));
        if (rc < 0 || out->failed || b.failed)
            rc = tg_error_set(err, TG_ETOOBIG, "the token request for %s is too long", key->client_email);
    }
    explicit_bzero(body, sizeof body);
    return rc;
}

/* --- the token service ----------------------------------------------------------------------------------- */

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 || strncmp(host, "127.", 4) == 0;
}

static int wrong_uri(const char *uri, struct tg_error *err)
{
    char quoted[TG_QUOTE_BYTES];
    return tg_error_set(err, TG_EINVAL, "token_uri %s is not of the form https://host/path",
                        tg_quote(quoted, uri, strlen(uri)));
}

int tg_pubsub_token_uri_parse(const char *uri, struct tg_pubsub_token_uri *ret_uri, struct tg_error *err)
{
    struct tg_pubsub_token_uri u = {.tls = strncmp(uri, "https://", 8) == 0, .path = "/"};
    const char *host = uri + (u.tls ? 8 : 7), *end, *port;
    bool bracket;
    int64_t number = u.tls ? 443 : 80;
    if (!u.tls && strncmp(uri, "http://", 7) != 0)
        return wrong_uri(uri, err);
    bracket = *host == '[';
    host += bracket;
    end = host + strcspn(host, bracket ? "]" : ":/");
    if (end == host || (size_t)(end - host) >= sizeof u.host || (bracket && *end != ']') ||
        strcspn(host, " ?#@") < (size_t)(end - host))
        return wrong_uri(uri, err);
    memcpy(u.host, host, (size_t)(end - host));
    end += bracket;
    if (*end == ':') {
        for (port = ++end, number = 0; *end >= '0' && *end <= '9' && end - port < 6; end++)
            number = number * 10 + (*end - '0');
        if (number < 1 || number > 65535)
            return wrong_uri(uri, err);
    }
    if (*end == '/')
        u.path = end;
    else if (*end)
        return wrong_uri(uri, err);
    for (const char *p = u.path; *p; p++)
        if (*p <= 0x20 || *p >= 0x7F)
            return wrong_uri(uri, err);
    if (!u.tls && !is_loopback(u.host))
        return tg_error_set(err, TG_EINVAL,
                            "token_uri without TLS (http://) is taken only for a loopback host");
    u.port = (uint16_t)number;
    *ret_uri = u;
    return TG_OK;
}

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7F)
            return false;
    return len > 0;
}

/* {"error":"invalid_grant","error_description":"Invalid JWT Signature."} */
static int refusal(uint16_t status, const json_t *root, enum tg_retry *ret_retry, struct tg_error *err)
{
    const json_t *error = json_object_get(root, "error"), *text = json_object_get(root, "error_description");
    char quoted_error[TG_QUOTE_BYTES] = "", quoted_text[TG_QUOTE_BYTES] = "";
    bool never = status == 400 || status == 401 || status == 403;
    if (json_is_string(error))
        tg_quote(quoted_error, json_string_value(error), json_string_length(error));
    if (json_is_string(text))
        tg_quote(quoted_text, json_string_value(text), json_string_length(text));
    *ret_retry = never ? TG_RETRY_NEVER : TG_RETRY_BACKOFF;
    return tg_error_set(
        err, TG_EAUTH, "the token service answers %u %s %s%s", status, quoted_error, quoted_text,
        never ? "; is the key still listed in the service account, and the clock right?" : "");
}

int tg_pubsub_token_reply(uint16_t status, struct tg_bytes body, char *ret_token, size_t cap,
                          int64_t *ret_life_s, enum tg_retry *ret_retry, struct tg_error *err)
{
    struct wiping before = begin_wiping();
    json_t *root = json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *token = json_object_get(root, "access_token"), *life = json_object_get(root, "expires_in");
    const char *text = json_string_value(token);
    size_t len = json_string_length(token);
    int rc = TG_OK;
    *ret_retry = TG_RETRY_BACKOFF;
    if (status != 200)
        rc = refusal(status, root, ret_retry, err);
    else if (!text || !is_token(text, len) || len >= cap || json_integer_value(life) < 1 ||
             json_integer_value(life) > 86400)
        rc = tg_error_set(err, TG_EPROTO, "the answer of the token service holds no access token");
    if (rc == TG_OK) {
        memcpy(ret_token, text, len + 1);
        *ret_life_s = json_integer_value(life);
    }
    json_decref(root);
    end_wiping(before);
    return rc;
}
