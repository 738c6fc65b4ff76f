/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/mini_broker.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"

#define IN_BYTES (512 * 1024)

struct mini_connection {
    uv_tcp_t tcp;
    struct mini_broker *broker;
    unsigned number;
    size_t len;
    uint8_t in[IN_BYTES];
    struct mini_connection *next;
};

struct mini_write {
    uv_write_t request;
    uint8_t data[];
};

static void gone(struct mini_broker *b)
{
    if (--b->handles == 0)
        b->closed = b->closing;
}

static void on_connection_closed(uv_handle_t *h)
{
    struct mini_connection *c = h->data;
    struct mini_broker *b = c->broker;
    free(c);
    gone(b);
}

static void forget_connection(struct mini_connection *c)
{
    for (struct mini_connection **at = &c->broker->connections; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            c->broker->open--;
            return;
        }
}

static void hang_up(struct mini_connection *c, bool reset)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    forget_connection(c);
    if (!reset || uv_tcp_close_reset(&c->tcp, on_connection_closed) < 0)
        uv_close((uv_handle_t *)&c->tcp, on_connection_closed);
}

static void on_written(uv_write_t *w, int status)
{
    (void)status;
    free(w); /* its first member */
}

static void put(struct mini_connection *c, const void *data, size_t len)
{
    struct mini_write *w = malloc(sizeof *w + len);
    uv_buf_t buf;
    memcpy(w->data, data, len);
    buf = uv_buf_init((char *)w->data, (unsigned)len);
    if (uv_write(&w->request, (uv_stream_t *)&c->tcp, &buf, 1, on_written) < 0)
        free(w);
}

/* --- what came ------------------------------------------------------------------------------------- */

static void record_publish(struct mini_connection *c, uint8_t head, const uint8_t *p, size_t len)
{
    struct mini_broker *b = c->broker;
    size_t topic = (size_t)p[0] << 8 | p[1], at = 2 + topic + 2;
    struct mini_publish *r = &b->publishes[b->publish_count++];
    char *text, *found;
    *r = (struct mini_publish){
        .connection = c->number, .dup = head & 8, .id = (uint16_t)(p[2 + topic] << 8 | p[3 + topic])};
    r->body_len = len - at;
    r->body_hash = 1469598103934665603u;
    for (size_t i = at; i < len; i++)
        r->body_hash = (r->body_hash ^ p[i]) * 1099511628211u;
    text = strndup((const char *)p + at, len - at);
    for (found = strstr(text, "\"seq\":"); found && r->seq_count < MINI_MAX_SEQS;
         found = strstr(found + 1, "\"seq\":"))
        r->seqs[r->seq_count++] = strtoull(found + 6, NULL, 10);
    free(text);
    if (!b->hold_acks) {
        r->acked = true;
        put(c, (uint8_t[]){0x40, 2, (uint8_t)(r->id >> 8), (uint8_t)r->id}, 4);
    }
}

/* One code a filter: the QoS that was asked for. */
static void grant(struct mini_connection *c, const uint8_t *p, size_t len)
{
    uint8_t answer[4 + 32] = {0x90, 2, p[0], p[1]};
    for (size_t at = 2; at + 2 < len && answer[1] < 2 + 32;) {
        at += 2 + ((size_t)p[at] << 8 | p[at + 1]);
        answer[2 + answer[1]++] = at < len ? p[at] : 0x80;
        at++;
    }
    put(c, answer, 2 + (size_t)answer[1]);
}

static void on_packet(struct mini_connection *c, uint8_t head, const uint8_t *p, size_t len)
{
    struct mini_broker *b = c->broker;
    switch (head >> 4) {
    case 1:
        b->connect_ms[b->connects++ % MINI_MAX_RECORDS] = tg_clock_mono_ms();
        if (b->hang_up_at_connect)
            hang_up(c, false);
        else if (!b->mute)
            put(c, (uint8_t[]){0x20, 2, b->code == 0 && b->session_present, b->code}, 4);
        break;
    case 3:
        if ((head & 6) != 0 &&
            b->publish_count < MINI_MAX_RECORDS) /* samples; not what is said beside them */
            record_publish(c, head, p, len);
        break;
    case 4:
        b->pubacked[b->pubacks++ % MINI_MAX_RECORDS] = (uint16_t)(p[0] << 8 | p[1]);
        break;
    case 8:
        b->subscribes++;
        if (!b->hold_suback)
            grant(c, p, len);
        break;
    case 12:
        put(c, (uint8_t[]){0xD0, 0}, 2);
        break;
    case 14:
        b->disconnects++;
        break;
    default:
        b->client_errors++;
        break;
    }
}

/* Bytes of the first packet, 0 = not all there. */
static size_t packet_len(const uint8_t *p, size_t len, size_t *ret_head)
{
    size_t rest = 0, i = 1, shift = 0;
    do {
        if (i >= len)
            return 0;
        rest |= (size_t)(p[i] & 0x7F) << shift;
        shift += 7;
    } while (p[i++] & 0x80);
    *ret_head = i;
    return i + rest <= len ? i + rest : 0;
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct mini_connection *c = h->data;
    (void)suggested;
    *buf = uv_buf_init((char *)c->in + c->len, (unsigned)(IN_BYTES - c->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct mini_connection *c = stream->data;
    size_t used = 0, head = 0, size;
    (void)buf;
    if (n < 0) {
        hang_up(c, false);
        return;
    }
    c->len += (size_t)n;
    while (!uv_is_closing((uv_handle_t *)stream) &&
           (size = packet_len(c->in + used, c->len - used, &head)) > 0) {
        on_packet(c, c->in[used], c->in + used + head, size - head);
        used += size;
    }
    memmove(c->in, c->in + used, c->len - used);
    c->len -= used;
}

static void on_connection(uv_stream_t *server, int status)
{
    struct mini_broker *b = server->data;
    struct mini_connection *c = malloc(sizeof *c);
    if (status < 0 || b->closing) {
        free(c);
        return;
    }
    c->broker = b;
    c->len = 0;
    c->number = ++b->accepted;
    uv_tcp_init(&b->loop->uv, &c->tcp);
    c->tcp.data = c;
    c->next = b->connections;
    b->connections = c;
    b->handles++;
    if (++b->open > b->most_open)
        b->most_open = b->open;
    if (uv_accept(server, (uv_stream_t *)&c->tcp) < 0 ||
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0)
        hang_up(c, false);
}

/* --- levers ---------------------------------------------------------------------------------------- */

void mini_broker_ack(struct mini_broker *b, uint32_t publish)
{
    struct mini_publish *r = &b->publishes[publish];
    r->acked = true;
    put(b->connections, (uint8_t[]){0x40, 2, (uint8_t)(r->id >> 8), (uint8_t)r->id}, 4);
}

void mini_broker_drop(struct mini_broker *b, bool reset)
{
    while (b->connections)
        hang_up(b->connections, reset);
}

void mini_broker_send(struct mini_broker *b, uint16_t id, const char *topic, const void *body, size_t len,
                      bool dup)
{
    size_t topic_len = strlen(topic), rest = 2 + topic_len + 2 + len, at = 0;
    uint8_t *p = malloc(rest + 8);
    p[at++] = dup ? 0x3A : 0x32;
    for (size_t left = rest; left > 0 || at == 1; left >>= 7)
        p[at++] = (uint8_t)((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
    p[at++] = (uint8_t)(topic_len >> 8);
    p[at++] = (uint8_t)topic_len;
    memcpy(p + at, topic, topic_len);
    at += topic_len;
    p[at++] = (uint8_t)(id >> 8);
    p[at++] = (uint8_t)id;
    memcpy(p + at, body, len);
    put(b->connections, p, at + len);
    free(p);
}

void mini_broker_forget(struct mini_broker *b)
{
    b->connects = b->subscribes = b->disconnects = b->pubacks = b->publish_count = 0;
}

/* --- life ------------------------------------------------------------------------------------------ */

void mini_broker_start(struct mini_broker *b, struct tg_loop *loop)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int len = sizeof a;
    memset(b, 0, sizeof *b);
    b->loop = loop;
    b->publishes = calloc(MINI_MAX_RECORDS, sizeof *b->publishes);
    uv_tcp_init(&loop->uv, &b->server);
    b->server.data = b;
    b->handles = 1;
    if (uv_tcp_bind(&b->server, (const struct sockaddr *)&a, 0) < 0 ||
        uv_listen((uv_stream_t *)&b->server, 128, on_connection) < 0 ||
        uv_tcp_getsockname(&b->server, (struct sockaddr *)&a, &len) < 0)
        abort();
    b->port = ntohs(a.sin_port);
}

static void on_server_closed(uv_handle_t *h)
{
    struct mini_broker *b = h->data;
    free(b->publishes);
    b->publishes = NULL;
    gone(b);
}

void mini_broker_stop(struct mini_broker *b)
{
    b->closing = true;
    mini_broker_drop(b, false);
    uv_close((uv_handle_t *)&b->server, on_server_closed);
}
