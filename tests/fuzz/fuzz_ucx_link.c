/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_ucx_link - a module that says anything to a provisioning run: it ends or waits within its bounds, at any cut of the bytes. The
 * first byte chooses the size of reads, and what is answered before anything else is said: nothing, OK, or OK in a frame. A byte
 * 0xFE lets time pass, 0xFD answers what is awaited.
 */
#include "core/base/assert.h"
#include "support/ucx_stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tg_ucx_file file = {
    TG_UCX_CA, "ca.pem", {(const uint8_t *)"pem", 3}, "00112233445566778899AABBCCDDEEFF"};
static const struct tg_ucx_mqtt service = {
    .host = "dps", .port = 8883, .client = "c", .user = "u", .password = "p w", .publish = "t"};
static const struct tg_ucx_plan plan = {.files = &file,
                                        .file_count = 1,
                                        .ssid = "s",
                                        .registration = &service,
                                        .register_body = "{}",
                                        .poll_topic = "poll&",
                                        .register_only = true,
                                        .restart = true,
                                        .command_limit_bytes = 512};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ucx_stage s;
    if (size == 0)
        return 0;
    memset(&s, 0, sizeof s);
    s.chunk = data[0] & 7;
    s.mute = (data[0] & 0x08) != 0;
    s.extended = (data[0] & 0x10) != 0;
    ucx_stage_start(&s, &plan);
    (void)ucx_stage_wait(&s);
    for (size_t i = 1; i < size;) {
        size_t n = 0;
        while (i + n < size && data[i + n] < 0xFD)
            n++;
        if (n > 0)
            ucx_stage_feed(&s, data + i, n);
        i += n;
        if (i < size && data[i] == 0xFD)
            ucx_stage_say(&s, TG_EDM_AT_RESPONSE, "OK");
        s.extended = s.run.link.extended;
        s.sent_len = 0;
        if (i < size)
            (void)ucx_stage_wait(&s);
        i++;
    }
    TG_ASSERT(s.run.event_count <= TG_UCX_EVENTS_MAX);
    TG_ASSERT(s.run.reply_len <= TG_UCX_REPLY_MAX_BYTES);
    return 0;
}
