/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * secret - reads keys, certificates and passwords from files with checked modes.
 *
 * A secret file must be a regular file (no symbolic link), belong to root or to the gateway's user, and give group and
 * others nothing (mode 0600 or 0400; a systemd credential in $CREDENTIALS_DIRECTORY may be 0440). The opened descriptor
 * is checked, not the name. A certificate is public: it only must not be writable by others. Memory of a secret is
 * wiped when it is let go.
 */
#ifndef TG_BASE_SECRET_H
#define TG_BASE_SECRET_H

#include "core/base/bytes.h"

#define TG_SECRET_MAX_BYTES 65536

/* Owned bytes, followed by a NUL that is not counted. */
struct tg_secret {
    uint8_t *data;
    size_t len;
};

enum tg_secret_kind { TG_SECRET_PRIVATE, TG_SECRET_PUBLIC };

/* TG_ENOTFOUND, TG_EPERM (text says which mode and the command that mends it), TG_ETOOBIG, TG_EIO. */
int tg_secret_read(const char *path, enum tg_secret_kind kind, struct tg_secret *ret_secret,
                   struct tg_error *err) TG_CHECKED;
/* The checks alone, without reading. */
int tg_secret_check(const char *path, enum tg_secret_kind kind, struct tg_error *err) TG_CHECKED;
/* Writes a file with mode 0600 (PRIVATE) or 0644, whole or not at all: beside it first, synced, then renamed. TG_EEXISTS when it
 * is there and `replace` is false; TG_ENOSPACE, TG_EIO. */
int tg_secret_write(const char *path, enum tg_secret_kind kind, struct tg_bytes content, bool replace,
                    struct tg_error *err) TG_CHECKED;
/* Cuts white space at the end (a text editor's newline). */
void tg_secret_trim(struct tg_secret *s);
void tg_secret_free(struct tg_secret *s);

static inline struct tg_bytes tg_secret_view(const struct tg_secret *s)
{
    return tg_bytes(s->data, s->len);
}

#endif
