/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/route_watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"

#define WATCH_MAGIC   0x40d7e5u
#define NOTICE_BYTES  8192 /* the kernel's own limit for a notice: a page, or 8 KiB */
#define NOTICES_A_RUN 64   /* then the loop has its turn */
#define GROUP(number) (1u << ((number)-1))

struct tg_route_watch {
    uint32_t magic;
    struct tg_loop *loop;
    void (*changed)(void *user, const struct tg_route_change *change);
    void *user;
    int notices, questions; /* sockets */
    uv_poll_t poll;
    struct tg_deadline timer;
    bool pending, poll_closed, timer_closed;
    struct tg_route_change change;
    int64_t told_ms;
    uint32_t sequence;
};

/* --- notices ------------------------------------------------------------------------------------- */

static void add_link(struct tg_route_change *c, uint32_t link)
{
    for (uint32_t i = 0; i < c->came_count; i++)
        if (c->came[i] == link)
            return;
    if (c->came_count < TG_ROUTE_MAX_CAME)
        c->came[c->came_count++] = link;
    else
        c->all = true;
}

static void take(struct tg_route_change *c, const struct tg_route_message *m)
{
    if (m->kind == TG_ROUTE_ADDRESS && m->gone)
        c->address_gone = true;
    if (m->gone || m->link == 0)
        return;
    if ((m->kind == TG_ROUTE_LINK && m->is_up && m->has_carrier && !m->is_loopback) ||
        (m->kind == TG_ROUTE_ADDRESS && !m->is_tentative) ||
        (m->kind == TG_ROUTE_ROUTE && m->is_usable && !m->is_local))
        add_link(c, m->link);
}

static void arm(struct tg_route_watch *w)
{
    int64_t now = tg_loop_now_ms(w->loop), at = now + TG_ROUTE_SETTLE_MS;
    if (w->pending)
        return;
    w->pending = true;
    if (w->told_ms && at < w->told_ms + TG_ROUTE_PAUSE_MS)
        at = w->told_ms + TG_ROUTE_PAUSE_MS;
    tg_deadline_set(&w->timer, at);
}

static void on_notices(uv_poll_t *poll, int status, int events)
{
    struct tg_route_watch *w = TG_OBJECT(poll->data, struct tg_route_watch, WATCH_MAGIC);
    uint8_t buffer[NOTICE_BYTES];
    (void)status;
    (void)events;
    for (int i = 0; i < NOTICES_A_RUN; i++) {
        ssize_t n = recv(w->notices, buffer, sizeof buffer, MSG_DONTWAIT);
        struct tg_bytes in;
        struct tg_route_message m;
        int rc;
        if (n < 0 && errno == ENOBUFS) { /* some were lost: whatever they said */
            w->change.all = w->change.address_gone = true;
            arm(w);
            continue;
        }
        if (n <= 0)
            return;
        in = tg_bytes(buffer, (size_t)n);
        while ((rc = tg_route_next(&in, &m)) > 0)
            take(&w->change, &m);
        if (rc < 0)
            w->change.all = w->change.address_gone = true;
        arm(w);
    }
}

static void on_settled(void *user)
{
    struct tg_route_watch *w = TG_OBJECT(user, struct tg_route_watch, WATCH_MAGIC);
    struct tg_route_change change = w->change;
    w->change = (struct tg_route_change){0};
    w->pending = false;
    w->told_ms = tg_loop_now_ms(w->loop);
    w->changed(w->user, &change);
}

/* --- questions ----------------------------------------------------------------------------------- */

/* The answer to a question is there when send() returns: the kernel works on it within the call. False: none came. */
static bool ask(struct tg_route_watch *w, const struct tg_writer *question,
                struct tg_route_message *ret_answer)
{
    uint8_t buffer[4 * NOTICE_BYTES]; /* a link's description with its statistics takes some 2 KiB */
    struct tg_route_message m;
    if (question->failed || send(w->questions, question->data, question->len, MSG_DONTWAIT) < 0)
        return false;
    for (int i = 0; i < 4; i++) { /* at most what an earlier question left */
        ssize_t n = recv(w->questions, buffer, sizeof buffer, MSG_DONTWAIT);
        struct tg_bytes in = tg_bytes(buffer, n > 0 ? (size_t)n : 0);
        if (n <= 0)
            return false;
        while (tg_route_next(&in, &m) > 0)
            if (m.sequence == w->sequence && m.kind != TG_ROUTE_OTHER) {
                *ret_answer = m;
                return true;
            }
    }
    return false;
}

static bool ask_way(struct tg_route_watch *w, const struct tg_ip *to, struct tg_route_message *ret_answer)
{
    uint8_t memory[TG_ROUTE_ASK_BYTES];
    struct tg_writer q = tg_writer_init(memory, sizeof memory);
    tg_route_ask_way(&q, to, ++w->sequence);
    return ask(w, &q, ret_answer);
}

static void look_at_link(struct tg_route_watch *w, struct tg_way *way)
{
    uint8_t memory[TG_ROUTE_ASK_BYTES];
    struct tg_writer q = tg_writer_init(memory, sizeof memory);
    struct tg_route_message m;
    tg_route_ask_link(&q, way->link, ++w->sequence);
    if (!ask(w, &q, &m) || m.kind != TG_ROUTE_LINK)
        return;
    memcpy(way->name, m.name, sizeof way->name);
    if (!m.is_up || !m.has_carrier)
        way->state = TG_WAY_NO_CARRIER;
}

void tg_route_watch_ask(struct tg_route_watch *w, const struct tg_ip *to, struct tg_way *ret_way)
{
    struct tg_route_message m;
    *ret_way = (struct tg_way){.state = TG_WAY_UNKNOWN};
    if (to->family != 0 && tg_ip_is_loopback(to)) {
        ret_way->state = TG_WAY_LOCAL;
        return;
    }
    if (!w || to->family == 0 || tg_ip_is_link_local(to) || !ask_way(w, to, &m))
        return;
    if (m.kind == TG_ROUTE_ERROR) {
        /* Blackhole, prohibit and the like say EINVAL or EACCES: somebody wanted that, and connect() says it best. */
        if (m.error == ENETUNREACH || m.error == EHOSTUNREACH)
            ret_way->state = TG_WAY_NO_ROUTE;
        return;
    }
    if (m.kind != TG_ROUTE_ROUTE || !m.is_usable)
        return;
    ret_way->link = m.link;
    ret_way->source = m.source;
    ret_way->gateway = m.address;
    ret_way->state = m.is_local ? TG_WAY_LOCAL : TG_WAY_THERE;
    if (!m.is_local && m.link)
        look_at_link(w, ret_way);
}

bool tg_route_watch_is_ours(struct tg_route_watch *w, const struct tg_ip *address)
{
    struct tg_route_message m;
    if (!w || address->family == 0 || tg_ip_is_loopback(address) || tg_ip_is_link_local(address) ||
        !ask_way(w, address, &m))
        return true;
    if (m.kind == TG_ROUTE_ERROR)
        return m.error != ENETUNREACH && m.error != EHOSTUNREACH;
    return m.kind != TG_ROUTE_ROUTE || m.is_local;
}

/* --- texts --------------------------------------------------------------------------------------- */

const char *tg_ip_text(const struct tg_ip *ip, char ret_text[TG_IP_TEXT_BYTES])
{
    if (ip->family == 0 ||
        !inet_ntop(ip->family == 4 ? AF_INET : AF_INET6, ip->bytes, ret_text, TG_IP_TEXT_BYTES))
        ret_text[0] = '\0';
    return ret_text;
}

struct tg_ip tg_ip_of(const struct sockaddr *address)
{
    struct tg_ip ip = {0};
    const uint8_t *bytes = (const uint8_t *)address;
    if (address->sa_family == AF_INET) {
        ip.family = 4;
        memcpy(ip.bytes, bytes + offsetof(struct sockaddr_in, sin_addr), 4);
    } else if (address->sa_family == AF_INET6) {
        ip.family = 6;
        memcpy(ip.bytes, bytes + offsetof(struct sockaddr_in6, sin6_addr), 16);
    }
    return ip;
}

struct tg_ip tg_ip_parse(const char *text)
{
    struct tg_ip ip = {0};
    if (text && inet_pton(AF_INET, text, ip.bytes) == 1)
        ip.family = 4;
    else if (text && inet_pton(AF_INET6, text, ip.bytes) == 1)
        ip.family = 6;
    return ip;
}

void tg_way_text(const struct tg_way *way, const struct tg_ip *to, char *text, size_t size)
{
    char there[TG_IP_TEXT_BYTES];
    (void)tg_ip_text(to, there);
    switch (way->state) {
    case TG_WAY_NO_ROUTE:
        snprintf(text, size, "no route to %s", there);
        break;
    case TG_WAY_NO_CARRIER:
        snprintf(text, size, "the link %s to %s is down or has no carrier", way->name, there);
        break;
    case TG_WAY_LOCAL:
        snprintf(text, size, "%s is this machine", there);
        break;
    case TG_WAY_THERE:
        snprintf(text, size, "%s over %s", there, way->name);
        break;
    default:
        snprintf(text, size, "the way to %s is not known", there);
        break;
    }
}

/* --- life ---------------------------------------------------------------------------------------- */

static void free_if_closed(struct tg_route_watch *w)
{
    if (!w->poll_closed || !w->timer_closed)
        return;
    close(w->notices);
    close(w->questions);
    TG_OBJECT_POISON(w);
    tg_free(w);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct tg_route_watch *w = TG_OBJECT(handle->data, struct tg_route_watch, WATCH_MAGIC);
    w->poll_closed = true;
    free_if_closed(w);
}

static void on_timer_closed(void *user)
{
    struct tg_route_watch *w = TG_OBJECT(user, struct tg_route_watch, WATCH_MAGIC);
    w->timer_closed = true;
    free_if_closed(w);
}

static int open_socket(uint32_t groups)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        int failed = errno;
        close(fd);
        errno = failed;
        return -1;
    }
    return fd;
}

int tg_route_watch_new(struct tg_loop *loop,
                       void (*changed)(void *user, const struct tg_route_change *change), void *user,
                       struct tg_route_watch **ret_watch, struct tg_error *err)
{
    const uint32_t groups = GROUP(RTNLGRP_LINK) | GROUP(RTNLGRP_IPV4_IFADDR) | GROUP(RTNLGRP_IPV6_IFADDR) |
                            GROUP(RTNLGRP_IPV4_ROUTE) | GROUP(RTNLGRP_IPV6_ROUTE) | GROUP(RTNLGRP_IPV4_RULE) |
                            GROUP(RTNLGRP_IPV6_RULE);
    struct tg_route_watch *w = tg_calloc(1, sizeof *w);
    if (!w)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    w->magic = WATCH_MAGIC;
    w->loop = loop;
    w->changed = changed;
    w->user = user;
    w->questions = -1;
    w->notices = open_socket(groups);
    if (w->notices >= 0)
        w->questions = open_socket(0);
    if (w->questions < 0) {
        tg_error_set(err, TG_EIO, "netlink: %s", strerror(errno));
        goto no_socket;
    }
    if (uv_poll_init(&loop->uv, &w->poll, w->notices) < 0) {
        tg_error_set(err, TG_EIO, "netlink: the socket cannot be watched");
        goto no_socket;
    }
    w->poll.data = w;
    tg_deadline_init(&w->timer, loop, on_settled, w);
    if (uv_poll_start(&w->poll, UV_READABLE, on_notices) < 0)
        TG_ASSERT(false); /* fails only on a closing handle */
    *ret_watch = w;
    return TG_OK;
no_socket:
    if (w->notices >= 0)
        close(w->notices);
    if (w->questions >= 0)
        close(w->questions);
    tg_free(w);
    return err ? err->code : TG_EIO;
}

void tg_route_watch_close(struct tg_route_watch *w)
{
    uv_close((uv_handle_t *)&w->poll, on_poll_closed);
    tg_deadline_close(&w->timer, on_timer_closed);
}
