/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_backlog_file - a line of a file that `tidegate outbox import` is given: reading stays in bounds, and what was read is written
 * again byte for byte as it was.
 */
#include <stdint.h>
#include <stdlib.h>

#include "store/backlog_file.h"

#define CHECK(x)                                                                                             \
    do {                                                                                                     \
        if (!(x))                                                                                            \
            abort();                                                                                         \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_line(struct tg_bytes line)
{
    static uint8_t body[TG_SAMPLE_MAX_BYTES], again[TG_BACKLOG_LINE_MAX + 1];
    struct tg_writer w = tg_writer_init(again, sizeof again);
    struct tg_backlog_line l;
    const char *why = NULL;
    int rc = tg_backlog_parse(line, body, &l, &why);
    CHECK(why && (rc == TG_OK || rc == TG_EVERSION || (rc == TG_ECORRUPT && why[0])));
    if (rc != TG_OK)
        return;
    CHECK(l.text.len == 0 || (l.text.data >= line.data && l.text.data + l.text.len <= line.data + line.len));
    CHECK(l.body.len <= TG_SAMPLE_MAX_BYTES);
    tg_backlog_write(&w, &l);
    CHECK(!w.failed && w.len == line.len + 1 && memcmp(again, line.data, line.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t from = 0; from < size;) {
        const uint8_t *feed = memchr(data + from, '\n', size - from);
        size_t len = feed ? (size_t)(feed - data) - from : size - from;
        one_line(tg_bytes(data + from, len));
        from += len + 1;
    }
    return 0;
}
