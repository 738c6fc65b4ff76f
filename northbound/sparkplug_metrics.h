/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sparkplug_metrics - what a Sparkplug device has told its host that it has: a metric for each point, with alias, datatype and
 * last value. Points have no declared type, so the first good value gives it (tg_sparkplug_datatype_of()); a metric that has
 * been bad so far is born as a Double without a value. Integers go into a Double that can hold them, so that "21" after
 * "21.5" is no new type. Whatever must be told to the host by a new DBIRTH sets `changed`.
 *
 * A gap record's values are metrics like others, Gap/first_seq, Gap/last_seq, Gap/count, Gap/reasons and Gap/cloud: the first one of
 * a device has it born anew with them, since a host may only be sent what was announced.
 *
 * Memory: at most TG_SPARKPLUG_MAX_METRICS and those five, about 100 bytes each and the name, and for texts the last one. Pure but for tg_malloc.
 */
#ifndef TG_NORTHBOUND_SPARKPLUG_METRICS_H
#define TG_NORTHBOUND_SPARKPLUG_METRICS_H

#include "config/config.h"
#include "core/base/gap.h"
#include "core/base/sample.h"

/* More than a sample has values: points of an older configuration may be in the backlog. So many with names of 128 bytes fit a birth.
 * The metrics of a gap record are not counted. */
#define TG_SPARKPLUG_MAX_METRICS 640

struct tg_sparkplug_point {
    char *name, *text; /* text: memory of `last` */
    uint64_t alias;
    int64_t time_ms; /* of `last` */
    struct tg_value last;
    uint32_t datatype;
    uint8_t quality;
    bool has_last, guessed, ever_bad;
};

struct tg_sparkplug_metrics {
    struct tg_sparkplug_point *points;
    uint32_t count, cap, hint;
    uint32_t gap_metrics; /* of `count` */
    bool changed; /* since the last tg_sparkplug_metrics_birth() that went out: the caller sets it back */
};

enum tg_sparkplug_learn {
    TG_SPARKPLUG_NEWEST, /* a sample was just accepted: its values are the present ones; of types only a wider one is taken */
    TG_SPARKPLUG_FIRST, /* first of a message: types become what it needs */
    TG_SPARKPLUG_NEXT   /* a further one: TG_EAGAIN, with nothing changed, when a type would become another */
};

void tg_sparkplug_metrics_fini(struct tg_sparkplug_metrics *m);
/* Takes names, types and values of a sample's body. Aliases are taken from *next_alias. TG_ECORRUPT, TG_ENOMEM, TG_ERANGE (too
 * many metrics), TG_EAGAIN; what was taken before the fault stays. */
int tg_sparkplug_metrics_learn(struct tg_sparkplug_metrics *m, struct tg_bytes body,
                               enum tg_sparkplug_learn how, uint64_t *next_alias) TG_CHECKED;
/* True when a value of the sample is good. */
bool tg_sparkplug_sample_is_good(struct tg_bytes body);
/* How many bytes the metrics of a birth take at most. */
size_t tg_sparkplug_metrics_birth_bytes(const struct tg_sparkplug_metrics *m,
                                        const struct tg_config_device *device, bool texts);
/* Writes all metrics with their last values; without `texts`, texts are null. A metric that was never seen has `wall_ms` for its time. */
void tg_sparkplug_metrics_birth(const struct tg_sparkplug_metrics *m, const struct tg_config_device *device,
                                bool texts, int64_t wall_ms, struct tg_writer *w);
/* Writes the metrics of a sample that was learned, by alias. TG_ETOOBIG: w is as before. */
int tg_sparkplug_metrics_data(struct tg_sparkplug_metrics *m, struct tg_bytes body, bool historical,
                              struct tg_writer *w) TG_CHECKED;
/* NULL = none. */
const struct tg_sparkplug_point *tg_sparkplug_metrics_by_alias(const struct tg_sparkplug_metrics *m,
                                                               uint64_t alias);
const struct tg_sparkplug_point *tg_sparkplug_metrics_by_name(const struct tg_sparkplug_metrics *m,
                                                              const char *name);

#endif
