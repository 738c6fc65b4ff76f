/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ticket_keys - preloaded into a broker that uses OpenSSL: its tickets are sealed with the same keys after each start, so that
 * it resumes sessions from before, as the front ends of a cloud do. mosquitto by itself makes new keys when it starts.
 *
 *     LD_PRELOAD=…/ticket_keys.so mosquitto -c …
 */
#include <dlfcn.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

__attribute__((visibility("default"))) SSL_CTX *SSL_CTX_new(const SSL_METHOD *method);

SSL_CTX *SSL_CTX_new(const SSL_METHOD *method)
{
    SSL_CTX *(*real)(const SSL_METHOD *) = NULL;
    void *found = dlsym(RTLD_NEXT, "SSL_CTX_new");
    unsigned char keys[80]; /* name, HMAC and AES key */
    SSL_CTX *ctx;
    if (!found)
        abort();
    memcpy(&real, &found, sizeof real);
    ctx = real(method);
    memset(keys, 0x5a, sizeof keys);
    if (ctx && SSL_CTX_set_tlsext_ticket_keys(ctx, keys, sizeof keys) != 1)
        abort();
    return ctx;
}
