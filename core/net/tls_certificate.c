/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/tls_certificate.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#include "core/base/allocator.h"
#include "core/net/wolfssl.h"

#define NAMES_SHOWN 4

bool tg_certificate_is_address(const char *host, uint8_t ret_bytes[16], size_t *ret_len)
{
    if (inet_pton(AF_INET, host, ret_bytes) == 1) {
        *ret_len = 4;
        return true;
    }
    if (inet_pton(AF_INET6, host, ret_bytes) == 1) {
        *ret_len = 16;
        return true;
    }
    return false;
}

static bool same_name(const uint8_t *name, const char *host, size_t len)
{
    return strncasecmp((const char *)name, host, len) == 0 && memchr(name, '\0', len) == NULL;
}

bool tg_certificate_name_covers(struct tg_bytes name, const char *host)
{
    size_t host_len = strlen(host);
    if (host_len > 0 && host[host_len - 1] == '.')
        host_len--; /* the root label is no part of the name */
    if (host_len == 0 || name.len == 0)
        return false;
    if (name.len == host_len && same_name(name.data, host, host_len))
        return true;
    if (name.len < 3 || name.data[0] != '*' || name.data[1] != '.')
        return false;
    /* "*.a.b": everything from the first dot on must be the same, and the part before it is one label. */
    const char *dot = memchr(host, '.', host_len);
    if (!dot || dot == host)
        return false;
    size_t tail = host_len - (size_t)(dot - host);
    if (memchr(dot + 1, '.', tail - 1) == NULL || memchr(name.data + 1, '*', name.len - 1) != NULL)
        return false;
    return name.len - 1 == tail && same_name(name.data + 1, dot, tail);
}

/* --- time ----------------------------------------------------------------------------------- */

static bool two_digits(const uint8_t *at, unsigned *ret)
{
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
        return false;
    *ret = (unsigned)(at[0] - '0') * 10 + (unsigned)(at[1] - '0');
    return true;
}

static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    unsigned yoe = (unsigned)(year - era * 400);
    unsigned doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

int tg_certificate_time(struct tg_bytes asn1, int64_t *ret_s)
{
    enum { UTC_TIME = 0x17, GENERALIZED_TIME = 0x18 };
    unsigned century, f[6]; /* year in century, month, day, hour, minute, second */
    if (asn1.len < 2 || asn1.len != (size_t)asn1.data[1] + 2)
        return TG_ECERT;
    const uint8_t *at = asn1.data + 2;
    if (asn1.data[0] == UTC_TIME && asn1.data[1] == 13) {
        if (!two_digits(at, &f[0]))
            return TG_ECERT;
        century = f[0] >= 50 ? 19 : 20;
    } else if (asn1.data[0] == GENERALIZED_TIME && asn1.data[1] == 15) {
        if (!two_digits(at, &century))
            return TG_ECERT;
        at += 2;
    } else {
        return TG_ECERT;
    }
    for (int i = 0; i < 6; i++)
        if (!two_digits(at + (size_t)i * 2, &f[i]))
            return TG_ECERT;
    if (at[12] != 'Z' || f[1] < 1 || f[1] > 12 || f[2] < 1 || f[2] > 31 || f[3] > 23 || f[4] > 59 ||
        f[5] > 60)
        return TG_ECERT;
    *ret_s = days_from_civil((int64_t)century * 100 + f[0], f[1], f[2]) * 86400 +
             (int64_t)(f[3] * 3600 + f[4] * 60 + f[5]);
    return TG_OK;
}

/* --- texts ---------------------------------------------------------------------------------- */

/* Appends what is printable of n foreign bytes; the rest becomes '?'. */
static void append_printable(char *out, size_t cap, const char *text, size_t n)
{
    size_t len = strlen(out);
    for (size_t i = 0; i < n && len + 1 < cap; i++)
        out[len++] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    out[len] = '\0';
}

static void name_text(char out[TG_TLS_NAME_BYTES], const char *cn, int cn_len, const char *whole)
{
    out[0] = '\0';
    if (cn && cn_len > 0)
        append_printable(out, TG_TLS_NAME_BYTES, cn, (size_t)cn_len);
    else
        append_printable(out, TG_TLS_NAME_BYTES, whole, strnlen(whole, WC_ASN_NAME_MAX));
    if (out[0] == '\0')
        append_printable(out, TG_TLS_NAME_BYTES, "?", 1);
}

static void append_name(struct tg_certificate *c, const DNS_entry *entry, unsigned index)
{
    char address[INET6_ADDRSTRLEN] = "?";
    if (index >= NAMES_SHOWN)
        return;
    if (index > 0)
        append_printable(c->names, sizeof c->names, ", ", 2);
    if (entry->type == ASN_IP_TYPE) {
        if (entry->len == 4 || entry->len == 16)
            inet_ntop(entry->len == 4 ? AF_INET : AF_INET6, entry->name, address, sizeof address);
        append_printable(c->names, sizeof c->names, address, strlen(address));
    } else {
        append_printable(c->names, sizeof c->names, entry->name, (size_t)entry->len);
    }
}

static void read_alternative_names(struct tg_certificate *c, const DecodedCert *decoded, const char *host)
{
    uint8_t address[16];
    size_t address_len = 0;
    unsigned count = 0;
    bool is_address = host && tg_certificate_is_address(host, address, &address_len);
    for (const DNS_entry *e = decoded->altNames; e; e = e->next) {
        if (e->len <= 0 || (e->type != ASN_DNS_TYPE && e->type != ASN_IP_TYPE))
            continue;
        append_name(c, e, count++);
        struct tg_bytes name = tg_bytes(e->name, (size_t)e->len);
        if (!host || c->matches)
            continue;
        if (e->type == ASN_IP_TYPE)
            c->matches = is_address && tg_bytes_eq(name, tg_bytes(address, address_len));
        else
            c->matches = !is_address && tg_certificate_name_covers(name, host);
    }
    c->has_names = count > 0;
    if (count > NAMES_SHOWN) {
        char more[24];
        int n = snprintf(more, sizeof more, " and %u more", count - NAMES_SHOWN);
        append_printable(c->names, sizeof c->names, more, (size_t)n);
    }
}

/* RSA-PSS names its hash in the parameters, and SHA-1 when it names none: one of SHA-256, 384, 512 must be
 * there. */
static bool strong_pss(const DecodedCert *decoded)
{
    static const uint8_t sha2[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02};
    const uint8_t *params = decoded->source + decoded->sigParamsIndex;
    const uint8_t *at = memmem(params, decoded->sigParamsLength, sha2, sizeof sha2);
    if (!at || at + sizeof sha2 >= params + decoded->sigParamsLength)
        return false;
    return at[sizeof sha2] >= 1 && at[sizeof sha2] <= 3;
}

static bool strong_signature(const DecodedCert *decoded)
{
    switch (decoded->signatureOID) {
    case CTC_RSASSAPSS:
        return strong_pss(decoded);
    case CTC_SHA256wRSA:
    case CTC_SHA384wRSA:
    case CTC_SHA512wRSA:
    case CTC_SHA256wECDSA:
    case CTC_SHA384wECDSA:
    case CTC_SHA512wECDSA:
    case CTC_ED25519:
    case CTC_ED448:
        return true;
    default:
        return false;
    }
}

int tg_certificate_read(struct tg_bytes der, const char *host, struct tg_certificate *ret)
{
    int rc = TG_ECERT;
    if (der.len == 0 || der.len > UINT32_MAX)
        return TG_ECERT;
    DecodedCert *decoded = tg_malloc(sizeof *decoded);
    if (!decoded)
        return TG_ENOMEM;
    wc_InitDecodedCert(decoded, der.data, (word32)der.len, NULL);
    int parsed = wc_ParseCert(decoded, CERT_TYPE, NO_VERIFY, NULL);
    if (parsed == MEMORY_E)
        rc = TG_ENOMEM;
    if (parsed != 0)
        goto out;
    struct tg_certificate c = {0};
    if (tg_certificate_time(tg_bytes(decoded->beforeDate, (size_t)decoded->beforeDateLen), &c.not_before_s) <
            0 ||
        tg_certificate_time(tg_bytes(decoded->afterDate, (size_t)decoded->afterDateLen), &c.not_after_s) < 0)
        goto out;
    name_text(c.subject, decoded->subjectCN, decoded->subjectCNLen, decoded->subject);
    name_text(c.issuer, decoded->issuerCN, decoded->issuerCNLen, decoded->issuer);
    memcpy(c.subject_hash, decoded->subjectHash, sizeof c.subject_hash);
    memcpy(c.issuer_hash, decoded->issuerHash, sizeof c.issuer_hash);
    c.self_issued = memcmp(c.subject_hash, c.issuer_hash, sizeof c.subject_hash) == 0;
    c.has_common_name = decoded->subjectCN && decoded->subjectCNLen > 0;
    c.is_ca = decoded->isCA;
    c.may_sign = !decoded->extKeyUsageSet || (decoded->extKeyUsage & KEYUSE_KEY_CERT_SIGN) != 0;
    c.strong_signature = strong_signature(decoded);
    read_alternative_names(&c, decoded, host);
    *ret = c;
    rc = TG_OK;
out:
    wc_FreeDecodedCert(decoded);
    tg_free(decoded);
    return rc;
}

/* --- PEM ------------------------------------------------------------------------------------ */

int tg_certificate_next_pem(struct tg_bytes *text, const char *kind, struct tg_bytes *ret_block)
{
    char begin[64], end[64];
    int begin_len = snprintf(begin, sizeof begin, "-----BEGIN %s-----", kind);
    int end_len = snprintf(end, sizeof end, "-----END %s-----", kind);
    if (begin_len >= (int)sizeof begin || text->len == 0)
        return 0;
    const uint8_t *from = memmem(text->data, text->len, begin, (size_t)begin_len);
    if (!from)
        return 0;
    size_t left = text->len - (size_t)(from - text->data);
    const uint8_t *to = memmem(from, left, end, (size_t)end_len);
    if (!to)
        return 0;
    to += end_len;
    if (to < text->data + text->len && *to == '\n')
        to++;
    *ret_block = tg_bytes(from, (size_t)(to - from));
    *text = tg_bytes(to, text->len - (size_t)(to - text->data));
    return 1;
}
