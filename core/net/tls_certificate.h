/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tls_certificate - what one X.509 certificate says, in the words of people and of our own rules.
 *
 * wolfSSL decodes; this reads out names, dates and algorithms. A certificate comes from the wire: texts are
 * reduced to printable ASCII and cut to their field. No state; any thread.
 */
#ifndef TG_NET_TLS_CERTIFICATE_H
#define TG_NET_TLS_CERTIFICATE_H

#include "core/net/stream.h"

struct tg_certificate {
    char subject[TG_TLS_NAME_BYTES]; /* common name, else the whole name; "?" when empty */
    char issuer[TG_TLS_NAME_BYTES];
    char names[160]; /* subject alternative names: "a.test, *.b.test, 10.0.0.1 and 3 more" */
    int64_t not_before_s, not_after_s;
    uint8_t subject_hash[20], issuer_hash[20];
    bool has_common_name;
    bool has_names; /* at least one DNS or IP alternative name */
    bool matches;   /* one of them is the host asked for */
    bool self_issued;
    bool is_ca, may_sign;  /* basic constraints; key usage allows signing certificates (or is absent) */
    bool strong_signature; /* SHA-256 or better, Ed25519, Ed448 */
};

/* `host` (may be NULL) sets `matches`. TG_ECERT when it cannot be decoded, TG_ENOMEM. */
int tg_certificate_read(struct tg_bytes der, const char *host, struct tg_certificate *ret) TG_CHECKED;

/* True if a DNS alternative name covers `host`: the same name in any case, or `*.` in place of exactly one
 * left-most label with at least two labels after it (RFC 6125 6.4.3; `f*.a.b` and `*.b` cover nothing). Pure.
 */
bool tg_certificate_name_covers(struct tg_bytes name, const char *host);

/* True if `host` is an IPv4 or IPv6 address (no brackets); ret_bytes has 4 or 16 of them. Pure. */
bool tg_certificate_is_address(const char *host, uint8_t ret_bytes[16], size_t *ret_len);

/* The UTC seconds of an ASN.1 UTCTime or GeneralizedTime, tag and length included (RFC 5280 4.1.2.5: seconds
 * present, Z). TG_ECERT for anything else. Pure. */
int tg_certificate_time(struct tg_bytes asn1, int64_t *ret_s) TG_CHECKED;

/* Walks the PEM blocks of a text: 1 = *ret_block is the next block of the given kind ("CERTIFICATE"), its
 * markers included, and *text is what comes after; 0 = no more. Pure. */
int tg_certificate_next_pem(struct tg_bytes *text, const char *kind, struct tg_bytes *ret_block) TG_CHECKED;

#endif
