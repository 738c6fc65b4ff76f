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

/* A table of 257 options that nothing ends, for FIXTURE_OPTIONS. */
#define FIXTURE_AGAIN                                                                                        \
    {                                                                                                        \
        .name = "again", .type = TG_OPTION_INT                                                               \
    }
#define FIXTURE_4(x)    x, x, x, x
#define FIXTURE_ENDLESS FIXTURE_4(FIXTURE_4(FIXTURE_4(FIXTURE_4(FIXTURE_AGAIN)))), FIXTURE_AGAIN

#ifdef FIXTURE_OPTIONS
static const struct tg_option fixture_options[] = {FIXTURE_OPTIONS};
#endif

#ifdef FIXTURE_LATER /* as a header that has more fields would make it */
static const struct {
    struct tg_plugin description;
    int (*later)(void *instance);
    uint64_t more[8];
} fixture_later = {{.struct_size = (uint32_t)sizeof fixture_later,
                    .api_version = TG_PLUGIN_API_VERSION,
                    .thread_model = TG_THREAD_LOOP,
                    .name = FIXTURE_NAME,
                    .version = "9",
                    .summary = "of a later day",
                    .open = fixture_open,
                    .poll = fixture_poll,
                    .close = fixture_close,
                    .decode = fixture_decode,
                    .needs = TG_NEEDS_STATED},
                   NULL,
                   {1, 2, 3}};
#define fixture fixture_later.description
#else
static const struct tg_plugin fixture = {.struct_size = (uint32_t)(FIXTURE_SIZE),
                                         .api_version = FIXTURE_API,
                                         .thread_model = TG_THREAD_LOOP,
                                         .name = FIXTURE_NAME,
                                         .version = "1",
                                         .summary = "for tests",
                                         .open = fixture_open,
                                         .poll = fixture_poll,
                                         .close = fixture_close,
#ifdef FIXTURE_OPTIONS
                                         .point_options = fixture_options,
#endif
                                         .decode = fixture_decode};
#endif

#if defined(FIXTURE_NULL)
__attribute__((visibility("default"))) const struct tg_plugin *tidegate_plugin(void);
const struct tg_plugin *tidegate_plugin(void)
{
    (void)fixture;
    return NULL;
}
#elif defined(FIXTURE_NO_SYMBOL)
const struct tg_plugin *fixture_hidden(void);
const struct tg_plugin *fixture_hidden(void)
{
    return &fixture;
}
#else
TG_PLUGIN_EXPORT(fixture)
#endif
