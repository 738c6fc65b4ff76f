/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pubsub_token - what proves a service account to Google: its key file, and bearer tokens made from it.
 *
 *     auth: self-signed   a JWT of our own is the bearer token (AIP-4111): no exchange, one round trip and one host less
 *     auth: exchange      a JWT is exchanged for an access token at the key file's token_uri (RFC 7523)
 *
 * The key file is what the console gives ("type": "service_account"). Its private key is in memory only while the signer is
 * made of it; all copies of the text are wiped. No I/O here: the file's bytes and the token service's answer are passed in.
 */
#ifndef TG_PUBSUB_TOKEN_H
#define TG_PUBSUB_TOKEN_H

#include "northbound/jwt.h"

#define TG_PUBSUB_TOKEN_LIFE_S      3600 /* the most that Google takes */
#define TG_PUBSUB_TOKEN_REPLY_BYTES 16384
#define TG_PUBSUB_ASSERTION_BYTES                                                                            \
    4096 /* claims with two e-mail addresses, 512 bytes of signature, in base64url */

struct tg_pubsub_key {
    char *client_email, *private_key_id, *token_uri;
    struct tg_signer *signer;
};

/* Takes the key file apart; `path` is for messages. TG_EINVAL (not JSON, not a service account's, no RSA key) and what the
 * signer says. */
int tg_pubsub_key_parse(struct tg_bytes json, const char *path, struct tg_pubsub_key *ret_key,
                        struct tg_error *err) TG_CHECKED;
void tg_pubsub_key_free(struct tg_pubsub_key *key);

/* Appends a bearer token that is valid from now_s for TG_PUBSUB_TOKEN_LIFE_S. `audience` = "https://pubsub.googleapis.com/". */
int tg_pubsub_token_self_signed(struct tg_writer *out, const struct tg_pubsub_key *key, const char *audience,
                                int64_t now_s, struct tg_error *err) TG_CHECKED;

/* The token service. */
struct tg_pubsub_token_uri {
    bool tls;
    char host[256];
    uint16_t port;
    const char *path; /* views the text */
};
/* "https://host[:port]/path"; http is taken only for a loopback host. TG_EINVAL. */
int tg_pubsub_token_uri_parse(const char *uri, struct tg_pubsub_token_uri *ret_uri,
                              struct tg_error *err) TG_CHECKED;
/* Appends a whole HTTP request for an access token. */
int tg_pubsub_token_request(struct tg_writer *out, const struct tg_pubsub_key *key,
                            const struct tg_pubsub_token_uri *uri, int64_t now_s,
                            struct tg_error *err) TG_CHECKED;
/* What the token service answered. The token is copied, with a NUL, into ret_token; *ret_life_s is how long it holds. Else a negative code, the
 * text, and *ret_retry: NEVER when the key is refused (400, 401, 403), else BACKOFF. */
int tg_pubsub_token_reply(uint16_t status, struct tg_bytes body, char *ret_token, size_t cap,
                          int64_t *ret_life_s, enum tg_retry *ret_retry, struct tg_error *err) TG_CHECKED;

#endif
