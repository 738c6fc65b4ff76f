/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pkcs11_uri - where a key is in a token: the PKCS#11 URI scheme (RFC 7512), as much of it as names a private key.
 *
 *     pkcs11:token=site-7;object=meter-1?pin-source=file:/etc/tidegate/keys/pin
 *     pkcs11:token=site-7;id=%01;type=private?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin
 *
 * Taken are token, serial, manufacturer, model, object, id and type=private; in the query pin-source (a file) and
 * module-path. Everything else is refused with its reason: a PIN in the URI itself (pin-value) would stand in the
 * configuration, and a part that is not understood could point to another key than the one that is meant. Pure.
 */
#ifndef TG_BASE_PKCS11_URI_H
#define TG_BASE_PKCS11_URI_H

#include "core/base/bytes.h"

#define TG_PKCS11_ID_MAX_BYTES   64
#define TG_PKCS11_PATH_MAX_BYTES 1024

/* Texts are empty when the URI does not name them. Token texts are as long as their fields in a token. */
struct tg_pkcs11_uri {
    char token[33], manufacturer[33], model[17], serial[17];
    char object[129];
    uint8_t id[TG_PKCS11_ID_MAX_BYTES];
    size_t id_len;
    char pin_file[TG_PKCS11_PATH_MAX_BYTES], module[TG_PKCS11_PATH_MAX_BYTES];
};

/* True for a text that is meant to be such a URI. */
bool tg_pkcs11_uri_is(const char *text);
/* TG_EINVAL, TG_ETOOBIG, TG_EUNSUPPORTED; the text names the part. A token (by token or serial) and a key (by object or
 * id) must be named. */
int tg_pkcs11_uri_parse(struct tg_bytes text, struct tg_pkcs11_uri *ret_uri, struct tg_error *err) TG_CHECKED;
/* Appends the URI with a relative pin-source taken from `base_dir` (what a configuration file means by it); any other text
 * as it is. */
void tg_pkcs11_uri_resolve(struct tg_writer *out, const char *text, const char *base_dir);

#endif
