/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fixture - one source of plugins for the loader's tests; FIXTURE_… macros make each wrong in one way.
 */
#include <tidegate/plugin.h>

#ifndef FIXTURE_NAME
#define FIXTURE_NAME "fixture"
#endif
#ifndef FIXTURE_API
#define FIXTURE_API TG_PLUGIN_API_VERSION
#endif
#ifndef FIXTURE_SIZE
#define FIXTURE_SIZE sizeof(struct tg_plugin)
#endif

static int fixture_open(const struct tg_host *host, const struct tg_source *source, void **ret, char *error,
                        size_t size)
{
    (void)source;
    (void)error;
    (void)size;
    *ret = (void *)(uintptr_t)host;
    return 0;
}

static int32_t fixture_poll(void *self, int64_t now_ms)
{
    (void)self;
    (void)now_ms;
    return TG_POLL_IDLE;
}

static void fixture_close(void *self)
{
    (void)self;
}

static int fixture_decode(int argc, const char *const *argv, bool json, void (*out)(void *, const char *),
                          void *user)
{
    (void)argc;
    (void)argv;
    (void)json;
    out(user, "decoded");
    return 0;
}

static const struct tg_plugin fixture = {.struct_size = (uint32_t)(FIXTURE_SIZE),
                                         .api_version = FIXTURE_API,
                                         .thread_model = TG_THREAD_LOOP,
                                         .name = FIXTURE_NAME,
                                         .version = "1",
                                         .summary = "for tests",
                                         .open = fixture_open,
                                         .poll = fixture_poll,
                                         .close = fixture_close,
                                         .decode = fixture_decode};
#ifdef FIXTURE_NO_SYMBOL
const struct tg_plugin *fixture_hidden(void);
const struct tg_plugin *fixture_hidden(void)
{
    return &fixture;
}
#else
TG_PLUGIN_EXPORT(fixture)
#endif
