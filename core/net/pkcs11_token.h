/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pkcs11_token - modules and tokens behind pkcs11.h: loading, finding by name, the one session and its login. Tokens stay
 * known until tg_pkcs11_fini(), because a refused PIN must be remembered although its token was pulled out.
 */
#ifndef TG_NET_PKCS11_TOKEN_H
#define TG_NET_PKCS11_TOKEN_H

#include <pthread.h>

#include "core/base/pkcs11_uri.h"
#include "core/net/wolfssl.h"

#include <wolfssl/wolfcrypt/pkcs11.h>

struct tg_pkcs11_module;

struct tg_pkcs11_token {
    struct tg_pkcs11_token *next;
    const CK_FUNCTION_LIST *f;
    const struct tg_pkcs11_module *module;
    char label[33], serial[17], manufacturer[33], model[17];
    pthread_mutex_t lock;      /* for everything below, and the session itself */
    CK_SESSION_HANDLE session; /* valid while `open` */
    bool open, logged_in;
    uint64_t generation; /* of the session: object handles of an earlier one mean nothing */
    uint8_t refused_pin[WC_SHA256_DIGEST_SIZE];
    bool has_refused_pin;
};

/* The token that the URI names, with its session open and, when the URI has a pin-source, logged in; locked, so that the
 * caller unlocks it. Codes as tg_pkcs11_key_open(). */
int tg_pkcs11_token_acquire(const struct tg_pkcs11_uri *uri, struct tg_pkcs11_token **ret_token,
                            struct tg_error *err) TG_CHECKED;
/* A call on the session failed with rv: gives the session up when rv says that it is gone. Locked. */
void tg_pkcs11_token_failed(struct tg_pkcs11_token *t, CK_RV rv);

/* "CKR_PIN_INCORRECT", or its number; into ret. */
#define TG_PKCS11_RV_BYTES 48
const char *tg_pkcs11_rv_text(char ret[TG_PKCS11_RV_BYTES], CK_RV rv);

#endif
