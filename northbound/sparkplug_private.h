/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sparkplug_private - what sparkplug.c (when something is said) and sparkplug_say.c (what is said) share.
 */
#ifndef TG_NORTHBOUND_SPARKPLUG_PRIVATE_H
#define TG_NORTHBOUND_SPARKPLUG_PRIVATE_H

#include "northbound/cloud.h"
#include "northbound/sparkplug_metrics.h"

#define TG_SPARKPLUG_NAMESPACE "spBv1.0/"
#define TG_SPARKPLUG_MESSAGE   (256 * 1024) /* the largest */
#define TG_SPARKPLUG_BIRTH                                                                                   \
    ((size_t)126 * 1024) /* of it, what a link takes as a control message, less the topic */

struct tg_sparkplug_link {
    bool bd_seq_known, online, subscribed, host_online, born, births_due;
    uint8_t bd_seq, seq; /* seq: of the next message */
    int64_t subscribe_limit_ms, birth_at_ms, host_time_ms;
    uint64_t
        next_alias; /* 0 is given as 1: unique over all devices of the node [payloads-alias-uniqueness] */
};

struct tg_sparkplug_session {
    bool online, born, down, birth_due;
    int64_t born_wall_ms;
    uint64_t newest_seq, written_seq; /* of the samples sent; of the message that was encoded last */
    struct tg_sparkplug_metrics metrics;
};

struct tg_sparkplug_moment {
    int64_t now_ms, wall_ms;
};

/* Writes the topic of a message; `device` NULL: of the edge node. */
struct tg_bytes tg_sparkplug_topic_of(struct tg_writer *w, const struct tg_cloud_target *t, const char *type,
                                      const char *device);
/* The payload of NDEATH. Without seq: a Will is written before the numbers are known [topics-ndeath-seq]. */
struct tg_bytes tg_sparkplug_node_death(struct tg_writer *w, uint8_t bd_seq, int64_t wall_ms);
/* Publishes NDEATH, or DDEATH, of who is born; it is not any more then. */
void tg_sparkplug_say_node_death(const struct tg_cloud_talk *talk, int64_t wall_ms);
void tg_sparkplug_say_device_death(const struct tg_cloud_talk *talk, int64_t wall_ms);
/* Publishes NBIRTH with seq 0, DBIRTH. What publish() said; TG_ENOMEM. */
int tg_sparkplug_node_birth(const struct tg_cloud_talk *talk, int64_t wall_ms) TG_CHECKED;
int tg_sparkplug_device_birth(const struct tg_cloud_talk *talk, int64_t wall_ms) TG_CHECKED;
/* As in cloud.h. */
int tg_sparkplug_encode(const struct tg_cloud_talk *talk, const struct tg_format_sample *samples,
                        uint32_t count, bool again, int64_t wall_ms, struct tg_writer *out,
                        struct tg_error *err);
void tg_sparkplug_sent(const struct tg_cloud_talk *talk);
uint64_t *tg_sparkplug_aliases(const struct tg_cloud_talk *talk);

#endif
