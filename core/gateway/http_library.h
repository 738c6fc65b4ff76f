/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * http_library - libmicrohttpd, loaded when `gateway.http` asks for it and not before: Debian's build brings GnuTLS and eight
 * more libraries along, which a gateway without the endpoint has no use for (docs/adr/0014-local-http.md). Loop thread.
 */
#ifndef TG_GATEWAY_HTTP_LIBRARY_H
#define TG_GATEWAY_HTTP_LIBRARY_H

#include <microhttpd.h>

#include "core/base/error.h"

#define TG_HTTP_LIBRARY_FUNCTIONS(X)                                                                         \
    X(start_daemon)                                                                                          \
    X(stop_daemon)                                                                                           \
    X(run)                                                                                                   \
    X(get_timeout)                                                                                           \
    X(get_daemon_info)                                                                                       \
    X(get_connection_info)                                                                                   \
    X(lookup_connection_value)                                                                               \
    X(create_response_from_buffer_with_free_callback_cls)                                                    \
    X(add_response_header)                                                                                   \
    X(queue_response)                                                                                        \
    X(destroy_response)

struct tg_http_library {
#define X(name) __typeof__(MHD_##name) *(name);
    TG_HTTP_LIBRARY_FUNCTIONS(X)
#undef X
};

/* Loaded once and kept to the end of the process. TG_ENOTFOUND with the package's name, TG_EVERSION. */
int tg_http_library_get(const struct tg_http_library **ret_library, struct tg_error *err) TG_CHECKED;

#endif
