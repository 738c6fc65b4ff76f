/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The devices behind the module: their connections, what they say, what is said to them.
 */
#include <stdio.h>

#include "core/base/random.h"
#include "plugins/at/at_text.h"
#include "plugins/ucx/ucx_instance.h"

/* --- samples and states --- */

static const char *id_of(const struct ucx_source *s, uint32_t device)
{
    return s->config->devices[device].id;
}

void ucx_set_state(struct ucx_source *s, uint32_t device, uint32_t state, const char *text)
{
    if (s->devices[device].state == state)
        return;
    s->devices[device].state = state;
    s->host->device_state(s->host->source, device, state, text);
}

static void emit(struct ucx_source *s, uint32_t device, uint32_t count)
{
    if (count > 0)
        (void)s->host->emit(s->host->source, device, 0, s->values,
                            count); /* a full queue is counted by the host */
}

void ucx_emit_all(struct ucx_source *s, uint32_t device, uint32_t quality)
{
    const struct ucx_device *v = &s->devices[device];
    uint32_t n = 0;
    for (uint32_t i = v->first_point; i < v->first_point + v->point_count; i++)
        if (s->points[i].has_match)
            s->values[n++] = (struct tg_point_value){.point = s->points[i].index, .quality = quality};
    emit(s, device, n);
}

static bool read_point(struct ucx_source *s, struct ucx_point *p, struct tg_bytes line,
                       struct tg_point_value *ret)
{
    char shown[AT_SHOWN_BYTES];
    struct tg_bytes text = tg_bytes(NULL, 0);
    enum tg_at_match m = tg_at_pattern_match(&p->match, line);
    *ret = (struct tg_point_value){.point = p->index, .quality = TG_QUALITY_SENSOR};
    if (m == TG_AT_TOO_COSTLY)
        s->host->log(s->host->source, TG_LOG_WARN,
                     "device %s, point %s: matching its pattern takes too long on \"%s\"; no value",
                     id_of(s, p->device), p->name, at_shown(line, shown));
    if (m != TG_AT_MATCH)
        return false;
    if (tg_at_pattern_group(&p->match, p->group, line, &text) &&
        !tg_at_read_value(&p->reader, text, NULL, ret))
        s->host->log(s->host->source, TG_LOG_WARN, "device %s, point %s: \"%s\" is not of its type; no value",
                     id_of(s, p->device), p->name, at_shown(text, shown));
    return true;
}

bool ucx_match_line(struct ucx_source *s, uint32_t device, struct tg_bytes line)
{
    const struct ucx_device *v = &s->devices[device];
    uint32_t n = 0;
    for (uint32_t i = v->first_point; i < v->first_point + v->point_count; i++)
        if (s->points[i].has_match && read_point(s, &s->points[i], line, &s->values[n]))
            n++;
    emit(s, device, n);
    return n > 0;
}

/* --- connections --- */

void ucx_peer_lost(struct ucx_source *s, uint32_t device, const char *why, int64_t now_ms)
{
    struct ucx_device *v = &s->devices[device];
    char text[300];
    bool was_connected = v->peer == UCX_PEER_CONNECTED, told = v->state == TG_DEVICE_DOWN;
    int64_t wait_ms;
    if (was_connected)
        tg_backoff_held(&v->backoff, now_ms - v->connected_ms);
    wait_ms = tg_backoff_next(&v->backoff, tg_random_u32());
    v->peer = UCX_PEER_IDLE;
    v->handle = -1;
    v->line_len = 0;
    v->dropping = v->stale = false;
    v->due_ms = now_ms + wait_ms;
    if (v->module_connects)
        snprintf(text, sizeof text, "%s; connecting again in %.1f s", why, (double)wait_ms / 1000);
    else
        snprintf(text, sizeof text, "%s; waiting until it connects", why);
    if (!told)
        s->host->log(s->host->source, TG_LOG_WARN, "device %s: %s", id_of(s, device), text);
    if (!told)
        ucx_emit_all(s, device, TG_QUALITY_COMM);
    ucx_set_state(s, device, TG_DEVICE_DOWN, text);
}

void ucx_peers_lost(struct ucx_source *s, const char *why, int64_t now_ms)
{
    for (uint32_t d = 0; d < s->config->device_count; d++)
        if (s->devices[d].is_peer) {
            ucx_peer_lost(s, d, why, now_ms);
            s->devices[d].due_ms = now_ms; /* not the peer's fault: at once when the module is back */
        }
}

void ucx_on_connect(struct ucx_source *s, const struct tg_edm_frame *f, int64_t now_ms)
{
    char address[TG_EDM_ADDRESS_TEXT];
    if (ucx_carry_on_connect(s, f))
        return;
    tg_edm_address_text(&f->connect, false, address);
    for (uint32_t d = 0; f->connect.link == TG_EDM_BLUETOOTH && d < s->config->device_count; d++) {
        struct ucx_device *v = &s->devices[d];
        if (!v->is_peer || strcmp(v->address, address) != 0)
            continue;
        v->peer = UCX_PEER_CONNECTED;
        v->channel = f->channel;
        v->frame_size =
            f->connect.frame_size ? f->connect.frame_size : 20; /* the least that Bluetooth LE has */
        v->connected_ms = v->heard_ms = now_ms;
        v->line_len = 0;
        v->dropping = v->stale = false;
        ucx_set_state(s, d, TG_DEVICE_OK, NULL);
        return;
    }
    s->host->log(s->host->source, TG_LOG_INFO,
                 "%s: %s %s is connected, which no device here has as its peer; it is not listened to",
                 s->port, tg_edm_kind_name(&f->connect), address);
}

static struct ucx_device *on_channel(struct ucx_source *s, uint8_t channel, uint32_t *ret_device)
{
    for (uint32_t d = 0; d < s->config->device_count; d++)
        if (s->devices[d].peer == UCX_PEER_CONNECTED && s->devices[d].channel == channel) {
            *ret_device = d;
            return &s->devices[d];
        }
    return NULL;
}

void ucx_on_disconnect(struct ucx_source *s, uint8_t channel, int64_t now_ms)
{
    uint32_t d;
    if (!ucx_carry_on_disconnect(s, channel) && on_channel(s, channel, &d))
        ucx_peer_lost(s, d, "the connection ended", now_ms);
}

void ucx_on_urc(struct ucx_source *s, struct tg_bytes line, int64_t now_ms)
{
    if (tg_bytes_starts(line, "+UUDPD:")) {
        int32_t handle = 0;
        for (size_t i = sizeof "+UUDPD:" - 1;
             i < line.len && line.data[i] >= '0' && line.data[i] <= '9' && handle < 10000; i++)
            handle = handle * 10 + (line.data[i] - '0');
        ucx_carry_on_lost_handle(s, handle);
        for (uint32_t d = 0; d < s->config->device_count; d++)
            if (s->devices[d].is_peer && s->devices[d].handle == handle)
                ucx_peer_lost(
                    s, d, s->devices[d].peer == UCX_PEER_CONNECTED ? "the connection ended" : "not reached",
                    now_ms);
    }
    for (uint32_t d = 0; d < s->config->device_count; d++)
        if (!s->devices[d].is_peer)
            (void)ucx_match_line(s, d, line);
}

void ucx_peers_tick(struct ucx_source *s, int64_t now_ms)
{
    for (uint32_t d = 0; d < s->config->device_count; d++) {
        struct ucx_device *v = &s->devices[d];
        char text[120];
        if (v->peer == UCX_PEER_CONNECTING && now_ms >= v->due_ms)
            ucx_peer_lost(s, d, "not reached in 20 s", now_ms);
        if (v->peer != UCX_PEER_CONNECTED || v->stale || !v->silence_ms ||
            now_ms < v->heard_ms + v->silence_ms)
            continue;
        v->stale = true;
        snprintf(text, sizeof text, "connected, but nothing was heard for %lld s",
                 (long long)v->silence_ms / 1000);
        ucx_emit_all(s, d, TG_QUALITY_STALE);
        ucx_set_state(s, d, TG_DEVICE_SUSPECT, text);
    }
}

int64_t ucx_peers_deadline(const struct ucx_source *s)
{
    int64_t at = INT64_MAX;
    for (uint32_t d = 0; d < s->config->device_count; d++) {
        const struct ucx_device *v = &s->devices[d];
        int64_t due = INT64_MAX;
        if (v->peer == UCX_PEER_CONNECTING ||
            (v->is_peer && v->module_connects && v->peer == UCX_PEER_IDLE && s->phase == UCX_RUN))
            due = v->due_ms;
        else if (v->peer == UCX_PEER_CONNECTED && v->silence_ms && !v->stale)
            due = v->heard_ms + v->silence_ms;
        at = due < at ? due : at;
    }
    return at;
}

/* --- lines --- */

static void line_ended(struct ucx_source *s, struct ucx_device *v, uint32_t device, int64_t now_ms)
{
    if (v->dropping) {
        v->overlong_lines++;
        s->host->log(s->host->source, TG_LOG_WARN,
                     "device %s: a line of more than %d bytes was left out (%llu so far)", id_of(s, device),
                     UCX_LINE_MAX, (unsigned long long)v->overlong_lines);
    } else if (v->line_len > 0) {
        v->heard_ms = now_ms;
        v->stale = false;
        ucx_set_state(s, device, TG_DEVICE_OK, NULL);
        (void)ucx_match_line(s, device, tg_bytes(v->line, v->line_len));
    }
    v->line_len = 0;
    v->dropping = false;
}

void ucx_on_data(struct ucx_source *s, const struct tg_edm_frame *f, int64_t now_ms)
{
    uint32_t d;
    struct ucx_device *v = ucx_carry_on_data(s, f) ? NULL : on_channel(s, f->channel, &d);
    for (size_t i = 0; v && i < f->bytes.len; i++) {
        uint8_t b = f->bytes.data[i];
        if (b == '\r' || b == '\n')
            line_ended(s, v, d, now_ms);
        else if (v->line_len < sizeof v->line)
            v->line[v->line_len++] = b;
        else
            v->dropping = true;
    }
}

/* --- texts to peers --- */

bool ucx_flush_sends(struct ucx_source *s)
{
    struct ucx_send *q = &s->sends[s->send_head];
    const struct ucx_device *v;
    size_t n;
    if (s->send_count == 0)
        return false;
    v = &s->devices[q->device];
    if (v->peer != UCX_PEER_CONNECTED) {
        ucx_answer_error(s, q->id, q->sent ? TG_PLUGIN_EUNKNOWN : TG_PLUGIN_EIO,
                         q->sent ? "the connection ended while it was sent"
                                 : "the device is not connected; nothing was sent");
    } else {
        n = q->len - q->sent < v->frame_size ? q->len - q->sent : v->frame_size;
        if (tg_ucx_link_send(&s->link, v->channel, tg_bytes(q->bytes + q->sent, n)) < 0)
            return false;
        q->sent += n;
        if (q->sent < q->len)
            return true;
        s->host->answer(s->host->source, q->id, TG_PLUGIN_OK, NULL);
    }
    s->send_head = (s->send_head + 1) % UCX_SENDS_MAX;
    s->send_count--;
    return true;
}
