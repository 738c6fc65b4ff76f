/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/hub_sas.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SCHEME     "SharedAccessSignature "
#define BASE64_MAX 256 /* a key of 64 bytes takes 88 characters */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hub_percent_decode(const char *src, size_t len, char *dst, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        int byte = (unsigned char)src[i];
        if (src[i] == '%') {
            if (len - i < 3) {
                return false;
            }
            int high = hex_digit(src[i + 1]), low = hex_digit(src[i + 2]);
            if (high < 0 || low < 0 || high + low == 0) {
                return false;
            }
            byte = high * 16 + low;
            i += 2;
        }
        if (used + 1 >= size) {
            return false;
        }
        dst[used++] = (char)byte;
    }
    if (size == 0) {
        return false;
    }
    dst[used] = '\0';
    return true;
}

/* Strict base64: whole groups, padding only at the end. Returns the number of bytes or -1. */
static int base64_decode(const char *text, size_t len, uint8_t *dst, size_t size)
{
    uint8_t block[BASE64_MAX];
    if (len == 0 || len % 4 != 0 || len > BASE64_MAX) {
        return -1;
    }
    int padding = text[len - 1] != '=' ? 0 : (text[len - 2] != '=' ? 1 : 2);
    int n = EVP_DecodeBlock(block, (const unsigned char *)text, (int)len);
    if (n < 0 || memchr(text, '=', len - (size_t)padding) || (size_t)(n - padding) > size) {
        return -1;
    }
    memcpy(dst, block, (size_t)(n - padding));
    OPENSSL_cleanse(block, sizeof block);
    return n - padding;
}

static const char *take_signature(const char *value, size_t len, struct hub_sas *sas)
{
    char base64[BASE64_MAX];
    if (!hub_percent_decode(value, len, base64, sizeof base64) ||
        base64_decode(base64, strlen(base64), sas->signature, sizeof sas->signature) !=
            sizeof sas->signature) {
        return "token: sig is not the base64 of 32 bytes";
    }
    return NULL;
}

static const char *take_expiry(const char *value, size_t len, struct hub_sas *sas)
{
    if (len == 0 || len > 18 || strspn(value, "0123456789") < len) {
        return "token: se is no Unix time";
    }
    memcpy(sas->raw_expiry, value, len);
    sas->raw_expiry[len] = '\0';
    sas->expiry = strtoll(sas->raw_expiry, NULL, 10);
    return NULL;
}

static const char *take_resource(const char *value, size_t len, struct hub_sas *sas)
{
    if (len == 0 || len >= sizeof sas->raw_resource ||
        !hub_percent_decode(value, len, sas->resource, sizeof sas->resource)) {
        return "token: sr cannot be read";
    }
    memcpy(sas->raw_resource, value, len);
    sas->raw_resource[len] = '\0';
    return NULL;
}

static const char *take_policy(const char *value, size_t len, struct hub_sas *sas)
{
    return len > 0 && hub_percent_decode(value, len, sas->policy, sizeof sas->policy)
               ? NULL
               : "token: skn cannot be read";
}

const char *hub_sas_parse(const char *text, struct hub_sas *ret_sas)
{
    static const struct {
        const char *name;
        const char *(*take)(const char *value, size_t len, struct hub_sas *sas);
        bool required;
    } fields[] = {{"sr", take_resource, true},
                  {"sig", take_signature, true},
                  {"se", take_expiry, true},
                  {"skn", take_policy, false}};
    enum { FIELDS = sizeof fields / sizeof fields[0] };
    struct hub_sas sas = {.expiry = 0};
    bool seen[FIELDS] = {false};

    if (strncmp(text, SCHEME, strlen(SCHEME)) != 0) {
        return "token: does not begin with SharedAccessSignature";
    }
    for (const char *p = text + strlen(SCHEME); p;) {
        const char *end = strchrnul(p, '&');
        const char *equals = memchr(p, '=', (size_t)(end - p));
        size_t i = 0;
        while (i < FIELDS && (!equals || strlen(fields[i].name) != (size_t)(equals - p) ||
                              strncmp(fields[i].name, p, (size_t)(equals - p)) != 0)) {
            i++;
        }
        if (i == FIELDS || seen[i]) {
            return "token: a field is unknown or stands there twice";
        }
        seen[i] = true;
        const char *why = fields[i].take(equals + 1, (size_t)(end - equals - 1), &sas);
        if (why) {
            return why;
        }
        p = *end == '&' ? end + 1 : NULL;
    }
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].required && !seen[i]) {
            return "token: sr, sig or se is missing";
        }
    }
    *ret_sas = sas;
    return NULL;
}

bool hub_sas_verify(const struct hub_sas *sas, const char *key_base64)
{
    uint8_t key[BASE64_MAX], mac[EVP_MAX_MD_SIZE];
    char message[sizeof sas->raw_resource + sizeof sas->raw_expiry + 1];
    unsigned mac_len = 0;

    int key_len = base64_decode(key_base64, strlen(key_base64), key, sizeof key);
    if (key_len <= 0) {
        return false;
    }
    int len = snprintf(message, sizeof message, "%s\n%s", sas->raw_resource, sas->raw_expiry);
    bool ok = HMAC(EVP_sha256(), key, key_len, (const unsigned char *)message, (size_t)len, mac, &mac_len) &&
              mac_len == sizeof sas->signature && CRYPTO_memcmp(mac, sas->signature, mac_len) == 0;
    OPENSSL_cleanse(key, sizeof key);
    return ok;
}

bool hub_sas_derive(const char *group_key_base64, const char *name, char *dst, size_t size)
{
    uint8_t key[BASE64_MAX], mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    int key_len = base64_decode(group_key_base64, strlen(group_key_base64), key, sizeof key);
    bool ok = key_len > 0 && size >= HUB_SAS_KEY_MAX &&
              HMAC(EVP_sha256(), key, key_len, (const unsigned char *)name, strlen(name), mac, &mac_len) &&
              EVP_EncodeBlock((unsigned char *)dst, mac, (int)mac_len) > 0;
    OPENSSL_cleanse(key, sizeof key);
    return ok;
}

bool hub_sas_covers(const struct hub_sas *sas, const char *resource)
{
    size_t len = strlen(sas->resource), host = strcspn(resource, "/");
    if (len > strlen(resource) || len < host || strncasecmp(sas->resource, resource, host) != 0 ||
        strncmp(sas->resource + host, resource + host, len - host) != 0) {
        return false;
    }
    return resource[len] == '\0' || resource[len] == '/';
}
