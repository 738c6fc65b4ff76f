/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * http_private - what http_client.c (requests, characters) and http_response.c share.
 */
#ifndef TG_HTTP_PRIVATE_H
#define TG_HTTP_PRIVATE_H

#include "core/http/http_client.h"

/* RFC 9110 section 5.6.2: what names and list members are made of. */
bool tg_http_is_token_char(uint8_t c);
/* RFC 9110 section 5.5: visible characters, blank, tab, and bytes above 0x7F. */
bool tg_http_is_field_char(uint8_t c);
bool tg_http_same(struct tg_bytes a, const char *b);

#endif
