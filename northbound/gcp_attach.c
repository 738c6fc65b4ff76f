/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/gcp_attach.h"

#include <stdio.h>

#include "northbound/gcp_token.h"

#define RETRY_MS   250 /* no room to publish: looked at again */
#define PEM_BYTES  1024
#define TEXT_BYTES 640

static uint64_t hash_of(struct tg_bytes b)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < b.len; i++)
        h = (h ^ b.data[i]) * 1099511628211u;
    return h;
}

static void give_up(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a, enum tg_retry retry,
                    const char *text)
{
    if (a->mark)
        talk->io->forgo(talk->user, a->mark); /* a refused attach is not acknowledged */
    tg_gcp_attach_reset(a);
    talk->io->give_up(talk->user, retry, text);
}

void tg_gcp_attach_reset(struct tg_gcp_attach *a)
{
    a->state = TG_GCP_DETACHED;
    a->mark = 0;
    a->at_ms = 0;
}

static struct tg_bytes control_topic(const struct tg_cloud_talk *talk, const char *verb, struct tg_writer *w)
{
    tg_write_str(w, "/devices/");
    tg_write_str(w, talk->target->device_id);
    tg_write_str(w, verb);
    return tg_bytes(w->data, w->len); /* an id has at most 255 bytes: it fits */
}

/* {"authorization":"JWT"}. A negative code: the session has been given up. */
static int write_token(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a, int64_t wall_s,
                       struct tg_writer *out, int64_t *ret_expires_s)
{
    const struct tg_settings *s = talk->target->settings;
    struct tg_error err = {0};
    int rc;
    if (tg_signer_is_slow(talk->secret->signer)) {
        give_up(talk, a, TG_RETRY_NEVER,
                "behind a gateway a device's own key must be a file, not in a PKCS#11 token; use `mode: "
                "per-device`, or associate the device with the gateway and leave its key out");
        return TG_EUNSUPPORTED;
    }
    tg_write_str(out, "{\"authorization\":\"");
    rc = tg_gcp_token_write(out, talk->secret->signer, tg_settings_text(s, "project"), wall_s,
                            tg_settings_int(s, "token_lifetime") / 1000, ret_expires_s, &err);
    tg_write_str(out, "\"}");
    if (rc < 0)
        give_up(talk, a, TG_RETRY_BACKOFF, err.text);
    return rc;
}

static void publish_attach(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a,
                           const struct tg_cloud_event *event)
{
    uint8_t topic[TG_CLOUD_TOPIC_BYTES], body[TG_GCP_TOKEN_BYTES + 32];
    struct tg_writer t = tg_writer_init(topic, sizeof topic), b = tg_writer_init(body, sizeof body);
    int64_t wall_s = event->wall_ms / 1000, expires_s = 0;
    uint32_t mark = a->last_mark + 1 ? a->last_mark + 1 : 1;
    int rc = TG_OK;
    a->at_ms = 0;
    if (talk->secret->signer) /* given for it; what a device inherits from the cloud entry is not here */
        rc = write_token(talk, a, wall_s, &b, &expires_s);
    if (rc == TG_OK) {
        rc = talk->io->publish(talk->user, control_topic(talk, "/attach", &t), tg_bytes(b.data, b.len), 1,
                               false, mark);
        if (rc < 0) {
            a->at_ms = event->now_ms + RETRY_MS;
        } else {
            a->mark = a->last_mark = mark;
            a->state = a->state == TG_GCP_DETACHED ? TG_GCP_ATTACHING : a->state;
            if (expires_s) { /* 75 … 85 % of its life, spread over the devices */
                int64_t life_ms = (expires_s - wall_s) * 1000;
                int64_t spread = (int64_t)(hash_of(tg_bytes_str(talk->target->device_id)) % 1000);
                a->at_ms = event->now_ms + life_ms * 75 / 100 + spread * life_ms / 10000;
            }
        }
    }
    explicit_bzero(body, sizeof body);
}

void tg_gcp_attach_begin(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a,
                         const struct tg_cloud_event *event)
{
    tg_gcp_attach_reset(a);
    publish_attach(talk, a, event);
}

bool tg_gcp_attach_published(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a,
                             const struct tg_cloud_event *event)
{
    if (event->code == 0 || event->code != a->mark)
        return false; /* of an earlier turn */
    a->mark = 0;
    if (a->state != TG_GCP_ATTACHING)
        return false; /* only the token is a new one */
    a->state = TG_GCP_ATTACHED;
    talk->io->subscribe(talk->user);
    talk->io->open_gate(talk->user, true);
    return true;
}

void tg_gcp_attach_wake(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a,
                        const struct tg_cloud_event *event)
{
    if (a->at_ms && event->now_ms >= a->at_ms)
        publish_attach(talk, a, event);
}

void tg_gcp_attach_end(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a)
{
    uint8_t topic[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer t = tg_writer_init(topic, sizeof topic);
    /* Without room the device is detached by the end of the connection. */
    if (a->state != TG_GCP_DETACHED)
        (void)talk->io->publish(talk->user, control_topic(talk, "/detach", &t), (struct tg_bytes){0}, 1,
                                false, 0);
    tg_gcp_attach_reset(a);
}

bool tg_gcp_attach_fault(const struct tg_cloud_talk *talk, struct tg_gcp_attach *a,
                         const struct tg_gcp_fault *f)
{
    const char *gateway = tg_settings_text(talk->target->settings, "gateway_id");
    char text[TEXT_BYTES];
    if (f->kind == TG_GCP_FAULT_OTHER || a->state == TG_GCP_DETACHED)
        return false;
    /* Reports about messages from before this attach may still come. */
    if (a->state == TG_GCP_ATTACHING && f->topic[0] && !f->about_attach)
        return false;
    if (f->kind == TG_GCP_FAULT_REFUSED)
        snprintf(
            text, sizeof text,
            "not attached to gateway %.80s: is it registered, associated with the gateway, and its key the "
            "right one? (%s %s)",
            gateway, f->type, f->description);
    else
        snprintf(text, sizeof text, "detached from gateway %.80s by the cloud (%s %s)", gateway, f->type,
                 f->description);
    give_up(talk, a, f->kind == TG_GCP_FAULT_REFUSED ? TG_RETRY_BACKOFF : TG_RETRY_NOW, text);
    return true;
}
