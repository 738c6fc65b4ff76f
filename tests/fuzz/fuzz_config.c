/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_config - the whole loader on arbitrary bytes, without any file: tree, tables, profiles, checks, budget. What is
 * said must be short lines of text; what loads must give everything back.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/allocator.h"
#include "support/config_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml 0.7.12 loses 4 KiB when a single-quoted text with sixteen '' in it is never closed: once per refused file,
 * which a gateway can bear. The unit tests run without this, so that a parser we forget to destroy is still found. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

static void say(void *user, const char *line)
{
    unsigned *lines = user;
    size_t len = strlen(line);
    ++*lines;
    if (len == 0 || len > 1023)
        abort();
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7F)
            abort(); /* a terminal would obey it */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t live = tg_alloc_stats().live;
    struct tg_config *config = NULL;
    unsigned lines = 0;
    int rc =
        tg_config_load_text("f.yaml", (const char *)data, size, &tg_fixture_lookups, say, &lines, &config);
    if (rc == TG_OK) {
        if (lines)
            abort();
        tg_config_budget(config, say, &lines);
        tg_config_free(config);
    } else if (rc != TG_EINVAL || lines == 0 || lines > TG_CONFIG_MAX_ERRORS + 1) {
        abort();
    }
    if (tg_alloc_stats().live != live)
        abort();
    return 0;
}
