/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * wolfssl - the one way to include wolfSSL: its options first, because they decide the layout of its
 * structures.
 */
#ifndef TG_NET_WOLFSSL_H
#define TG_NET_WOLFSSL_H

/* Debian's options.h also sets _FORTIFY_SOURCE: this program's own choice stays. */
#define WOLFSSL_OPTIONS_IGNORE_SYS
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/coding.h>

#endif
