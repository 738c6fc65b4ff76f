/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * format_senml - samples as SenML packs (RFC 8428): what goes into a record is decided here, once, for JSON (section 5)
 * and CBOR (section 6). Pure.
 *
 *     [{"bn":"site-7/meter-1/","bt":1795179600.123,"seq":4711,"n":"voltage","u":"V","v":230.1},
 *      {"n":"relay","vb":true},{"n":"current/quality","vs":"timeout"},
 *      {"seq":4712,"n":"voltage","u":"V","t":1,"v":230.2}]
 *
 * NAMES   `bn` is "gateway/device/", or "device:" when the device's id is a URN ("urn:dev:mac:0024befffe804ff1", RFC
 * 9039). Characters that SenML does not know (RFC 8428 section 4.5.1) become '_'; before a
 * first one that is neither letter nor digit stands an 'x'.
 * TIME    `bt` is the first sample's, `t` what a later one's is after it; both in seconds with a millisecond's precision.
 * UNITS   A point's `unit` as the registry of SenML units spells it; a text that the registry does not know is left out.
 * With a secondary unit (RFC 8798: kWh, hPa, ms …) the pack says "bver":26 (RFC 9100, feature 4).
 * VALUES  `v` number (64-bit integers in all their digits), `vb`, `vs`.
 * QUALITY A point that could not be read has no value but a record of its own, "<point>/quality", with the quality in `vs`.
 * GAPS    A gap record is five records, gap_first_seq, gap_last_seq, gap_count, gap_reasons ("limit,quota") and gap_cloud.
 * SEQ     `seq` is in the first record of each sample; SenML has receivers ignore fields that they do not know (section 4.4).
 */
#ifndef TG_NORTHBOUND_FORMAT_SENML_H
#define TG_NORTHBOUND_FORMAT_SENML_H

#include "northbound/format.h"

#define TG_SENML_VERSION_SECONDARY 26 /* 10 + 2^4 */

extern const struct tg_format tg_format_senml, tg_format_senml_cbor;

/* One record, decided: the encodings only write it. Absent texts are empty, an absent number is marked. */
struct tg_senml_record {
    struct tg_bytes base_name; /* with base_time_ms: only in a pack's first record */
    int64_t base_time_ms, time_ms;
    bool has_seq, estimated; /* estimated: of the sample, in its first record */
    uint64_t seq;
    struct tg_bytes name;
    const char *suffix; /* of the name */
    const char *unit;   /* NULL = none */
    struct tg_value value;
};

struct tg_senml_encoding {
    void (*begin)(struct tg_writer *w);
    void (*record)(struct tg_writer *w, const struct tg_senml_record *r);
    /* Bytes that finish() adds. */
    size_t (*overhead)(uint32_t records, bool secondary);
    void (*finish)(struct tg_writer *w, uint32_t records, bool secondary);
};

int tg_senml_write(const struct tg_senml_encoding *e, const struct tg_format_context *c,
                   const struct tg_format_sample *samples, uint32_t count, size_t limit_bytes,
                   struct tg_writer *out) TG_CHECKED;
/* The registry's symbol for a unit as people write it, NULL when it has none. */
const char *tg_senml_unit(const char *text, bool *ret_secondary);
/* A name with what SenML does not allow replaced; as many bytes as it has. */
void tg_senml_write_name(struct tg_writer *w, struct tg_bytes name);

#endif
