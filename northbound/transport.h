/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * transport - from a cloud's options `transport`, `websocket_path`, `proxy`, `proxy_user`, `proxy_password_file` to what a
 * stream is opened with; and the checks of all options that the clouds have in common.
 *
 *     struct tg_transport t = {0};
 *     rc = tg_transport_prepare(&t, common, type, &o, &err);    // o: host, port, tls are set
 *     … tg_stream_open(loop, &o, …) …
 *     tg_transport_fini(&t);                                    // wipes the password
 */
#ifndef TG_NORTHBOUND_TRANSPORT_H
#define TG_NORTHBOUND_TRANSPORT_H

#include "core/base/secret.h"
#include "core/net/proxy.h"
#include "core/net/stream.h"
#include "northbound/cloud.h"

/* What the options point to until tg_stream_open() has returned. */
struct tg_transport {
    struct tg_proxy_address proxy;
    struct tg_secret password;
};

/* Completes `o`, whose host, port and tls are set: the proxy, and for MQTT the WebSocket or (on port 443) ALPN. Reads the
 * password file anew each time. `type` NULL = no MQTT: only the proxy counts. TG_EINVAL, or what tg_secret_read() says. */
int tg_transport_prepare(struct tg_transport *t, const struct tg_settings *common,
                         const struct tg_cloud_type *type, struct tg_stream_options *o,
                         struct tg_error *err) TG_CHECKED;
void tg_transport_fini(struct tg_transport *t);

/* Without `port` in the file: the type's own, 443 for a WebSocket, 80 for one without TLS. */
uint16_t tg_transport_default_port(const struct tg_settings *common, const struct tg_cloud_type *type);
bool tg_transport_is_websocket(const struct tg_settings *common);

/* What tables cannot say of the common options: template, transport, websocket_path, proxy and its user. The text begins with
 * the option's name and a colon. */
int tg_cloud_check_common(const struct tg_config_cloud *cloud, struct tg_error *err) TG_CHECKED;

#endif
