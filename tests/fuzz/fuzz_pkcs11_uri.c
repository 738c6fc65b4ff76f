/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PKCS#11 URIs: what is taken has a token, a key and texts that end; resolving against a folder keeps everything but the PIN
 * file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/pkcs11_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tg_pkcs11_uri u, again;
    struct tg_error err = {0};
    char text[4096], resolved[8192];
    if (size >= sizeof text || tg_pkcs11_uri_parse(tg_bytes(data, size), &u, &err) < 0)
        return 0;
    if ((!u.token[0] && !u.serial[0]) || (!u.object[0] && u.id_len == 0) || u.id_len > sizeof u.id ||
        memchr(u.token, '\0', sizeof u.token) == NULL || memchr(u.object, '\0', sizeof u.object) == NULL)
        abort();
    if (memchr(data, '\0', size))
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    struct tg_writer w = tg_writer_init(resolved, sizeof resolved);
    tg_pkcs11_uri_resolve(&w, text, "/etc/a b");
    if (tg_writer_cstr(&w) < 0 || tg_pkcs11_uri_parse(tg_bytes_str(resolved), &again, &err) < 0)
        return 0; /* a long path no longer fits */
    if (strcmp(u.token, again.token) != 0 || strcmp(u.object, again.object) != 0 ||
        strcmp(u.module, again.module) != 0 || !u.pin_file[0] != !again.pin_file[0])
        abort();
    return 0;
}
