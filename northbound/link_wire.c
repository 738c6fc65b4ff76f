/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/link.h"

void tg_link_meter(struct tg_link *l)
{
    struct tg_wire_count *total = &l->cloud->wire.total;
    struct tg_stream_stats st = {0};
    uint64_t in, out, segments;
    if (l->stream)
        tg_stream_stats(l->stream, &st);
    in = l->bytes_in + st.bytes_in;
    out = l->bytes_out + st.bytes_out;
    segments = l->segments + st.segments;
    total->bytes_in += in - l->metered_in;
    total->bytes_out += out - l->metered_out;
    total->segments += segments - l->metered_segments;
    l->metered_in = in;
    l->metered_out = out;
    l->metered_segments = segments;
}

void tg_link_meter_handshake(struct tg_link *l)
{
    struct tg_wire_count *total = &l->cloud->wire.total;
    struct tg_stream_stats st;
    tg_stream_stats(l->stream, &st);
    if (st.handshake_bytes == 0)
        return; /* no TLS */
    total->full_handshakes += !st.resumed;
    total->resumed_handshakes += st.resumed;
    total->full_handshake_bytes += st.resumed ? 0 : st.handshake_bytes;
    total->resumed_handshake_bytes += st.resumed ? st.handshake_bytes : 0;
}
