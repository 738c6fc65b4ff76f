/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gateway_pages - what the HTTP endpoint has: /metrics, /healthz, /status.json and the page that shows it.
 */
#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/gateway/gateway_private.h"
#include "core/gateway/metrics.h"
#include "core/gateway/status_page.h"

#define HEALTH_BYTES 512

/* 200 while samples are taken and kept; else 503 with a line a reason. A cloud that is away is no reason: what the gateway is
 * there for. A loop that stands still does not answer: that is the watchdog's. */
static bool health(struct tg_gateway *g, struct tg_http_answer *a)
{
    struct tg_store_stats st;
    struct tg_writer w;
    char *text = tg_malloc(HEALTH_BYTES);
    if (!text)
        return false;
    tg_store_stats(g->store, &st);
    w = tg_writer_init(text, HEALTH_BYTES);
    if (st.state != TG_STORE_OK)
        tg_write_fmt(&w, "outbox %s: %s\n", st.state == TG_STORE_FULL ? "full" : "degraded", g->store_text);
    if (!tg_gateway_store_moves(g))
        tg_write_str(&w, "outbox stuck: samples wait and none is committed\n");
    a->status = w.len ? 503 : 200;
    if (!w.len)
        tg_write_str(&w, "ok\n");
    a->content_type = "text/plain; charset=utf-8";
    a->text = text;
    a->len = w.len;
    return true;
}

static bool failed(struct tg_http_answer *a)
{
    static const char text[] = "This cannot be made now: out of memory, or too large.\n";
    *a = (struct tg_http_answer){
        503, "text/plain; charset=utf-8", NULL, (char *)(uintptr_t)text, sizeof text - 1, true};
    return true;
}

static bool on_page(void *user, const char *path, struct tg_http_answer *a)
{
    struct tg_gateway *g = TG_OBJECT(user, struct tg_gateway, TG_GATEWAY_MAGIC);
    a->status = 200;
    if (strcmp(path, "/healthz") == 0)
        return health(g, a) || failed(a);
    if (strcmp(path, "/metrics") == 0) {
        a->content_type = TG_METRICS_CONTENT_TYPE;
        return tg_gateway_metrics_text(g, &a->text, &a->len) == TG_OK || failed(a);
    }
    if (strcmp(path, "/status.json") == 0) {
        a->content_type = "application/json";
        a->text = tg_gateway_status_json(g);
        if (!a->text)
            return failed(a);
        a->len = strlen(a->text);
        return true;
    }
    if (strcmp(path, "/") != 0)
        return false;
    a->content_type = "text/html; charset=utf-8";
    a->policy = TG_STATUS_PAGE_POLICY;
    a->text = (char *)(uintptr_t)tg_status_page; /* static: read only */
    a->len = strlen(tg_status_page);
    a->is_static = true;
    return true;
}

int tg_gateway_open_http(struct tg_gateway *g, struct tg_error *err)
{
    const char *address = tg_settings_text(g->model->config->gateway, "http");
    if (g->http && strcmp(tg_http_address(g->http), address) == 0)
        return TG_OK;
    if (g->http)
        tg_http_close(g->http);
    g->http = NULL;
    return strcmp(address, "off") == 0 ? TG_OK : tg_http_new(&g->loop, address, on_page, g, &g->http, err);
}
