/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/transport.h"

#include "core/net/websocket.h"
#include "northbound/format.h"

bool tg_transport_is_websocket(const struct tg_settings *common)
{
    const char *transport = tg_settings_text(common, "transport");
    return transport && strcmp(transport, "websocket") == 0;
}

uint16_t tg_transport_default_port(const struct tg_settings *common, const struct tg_cloud_type *type)
{
    if (!tg_transport_is_websocket(common))
        return type->config.default_port;
    return tg_settings_has(common, "tls") && tg_settings_int(common, "tls") == 0 ? 80 : 443;
}

static const char *websocket_path(const struct tg_settings *common, const struct tg_cloud_type *type)
{
    const char *path = tg_settings_text(common, "websocket_path");
    return path ? path : type->websocket_path;
}

static int prepare_proxy(struct tg_transport *t, const struct tg_settings *common,
                         struct tg_stream_options *o, struct tg_error *err)
{
    const char *url = tg_settings_text(common, "proxy");
    int rc;
    if (!url)
        return TG_OK;
    if ((rc = tg_proxy_parse(url, &t->proxy, err)) < 0)
        return rc;
    o->proxy_host = t->proxy.host;
    o->proxy_port = t->proxy.port;
    o->proxy_user = tg_settings_text(common, "proxy_user");
    if (!o->proxy_user)
        return TG_OK;
    rc =
        tg_secret_read(tg_settings_text(common, "proxy_password_file"), TG_SECRET_PRIVATE, &t->password, err);
    if (rc < 0) {
        (void)tg_error_wrap(err, "proxy_password_file");
        return rc;
    }
    tg_secret_trim(&t->password);
    o->proxy_password = tg_secret_view(&t->password);
    return TG_OK;
}

int tg_transport_prepare(struct tg_transport *t, const struct tg_settings *common,
                         const struct tg_cloud_type *type, struct tg_stream_options *o, struct tg_error *err)
{
    if (type && tg_transport_is_websocket(common))
        o->websocket_path = websocket_path(common, type);
    else if (type && o->tls && o->port == 443)
        o->alpn = type->alpn_443;
    return prepare_proxy(t, common, o, err);
}

void tg_transport_fini(struct tg_transport *t)
{
    tg_secret_free(&t->password);
}

/* --- checks ------------------------------------------------------------------------------------- */

static int check_websocket(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    const struct tg_settings *c = cloud->common;
    const struct tg_cloud_type *type = tg_cloud_type_find(cloud->type, NULL);
    const char *path = tg_settings_text(c, "websocket_path");
    if (!tg_transport_is_websocket(c))
        return path ? tg_error_set(err, TG_EINVAL, "websocket_path: it needs `transport: websocket`") : TG_OK;
    if (type && type->transport != TG_TRANSPORT_MQTT)
        return TG_OK; /* the type says so itself */
    if (type && !type->websocket_path)
        return tg_error_set(err, TG_EINVAL, "transport: %s does not take this login in a WebSocket%s",
                            cloud->type, type->alpn_443 ? "; `port: 443` passes the same firewalls" : "");
    if (path && tg_ws_path_check(path, err) < 0)
        return tg_error_wrap(err, "websocket_path");
    return TG_OK;
}

static int check_proxy(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    const struct tg_settings *c = cloud->common;
    const char *url = tg_settings_text(c, "proxy"), *user = tg_settings_text(c, "proxy_user");
    bool password = tg_settings_has(c, "proxy_password_file");
    struct tg_proxy_address address;
    if (!url && (user || password))
        return tg_error_set(err, TG_EINVAL, "%s: it needs a `proxy`",
                            user ? "proxy_user" : "proxy_password_file");
    if (!url)
        return TG_OK;
    if ((user != NULL) != password)
        return tg_error_set(err, TG_EINVAL, "%s: proxy_user and proxy_password_file need each other",
                            user ? "proxy_user" : "proxy_password_file");
    if (user && tg_proxy_user_check(user, err) < 0)
        return TG_EINVAL;
    return tg_proxy_parse(url, &address, err);
}

int tg_cloud_check_common(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    const char *template = tg_settings_text(cloud->common, "template");
    int rc = template ? tg_format_template_check(template, err) : TG_OK;
    if (rc == TG_OK)
        rc = check_websocket(cloud, err);
    return rc == TG_OK ? check_proxy(cloud, err) : rc;
}
