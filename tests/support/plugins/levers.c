/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/plugins/levers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct tg_levers tg_levers;

#define HELD_MAX 512

struct instance {
    const struct tg_host *host;
    const struct tg_source *source;
    uint64_t next;
    uint64_t held[HELD_MAX];
    uint32_t held_count;
};

void tg_levers_reset(void)
{
    memset((void *)&tg_levers, 0, sizeof tg_levers);
    tg_levers.poll_returns = TG_POLL_IDLE;
}

static int levers_open(const struct tg_host *host, const struct tg_source *source, void **ret, char *error,
                       size_t size)
{
    struct instance *x;
    int failures = atomic_load(&tg_levers.open_failures);
    atomic_fetch_add(&tg_levers.opens, 1);
    if (failures != 0) {
        atomic_store(&tg_levers.open_failures, failures - 1);
        snprintf(error, size, "the lever says no");
        return TG_PLUGIN_EIO;
    }
    x = calloc(1, sizeof *x);
    if (!x)
        return TG_PLUGIN_ENOMEM;
    x->host = host;
    x->source = source;
    for (int i = 0; i < tg_levers.fd_count; i++)
        if (host->watch_fd(host->source, tg_levers.fds[i], TG_FD_READ) < 0)
            atomic_fetch_add(&tg_levers.watch_errors, 1);
    if (tg_levers.in_open)
        tg_levers.in_open(host);
    host->device_state(host->source, 0, TG_DEVICE_OK, "open");
    *ret = x;
    return TG_PLUGIN_OK;
}

/* One sample whose memory is spoiled and given back as soon as the host has it. */
static int emit_next(struct instance *x)
{
    struct tg_point_value *v = calloc(2, sizeof *v);
    char *text = malloc(32);
    int rc, n;
    if (!v || !text)
        abort();
    n = snprintf(text, 32, "n=%llu", (unsigned long long)x->next);
    v[0] = (struct tg_point_value){.point = 0, .value = tg_value_uint(x->next)};
    v[1] = (struct tg_point_value){.point = 1, .value = tg_value_text(text, (size_t)n)};
    rc = x->host->emit(x->host->source, 0, (int64_t)x->next + 1, v, 2);
    memset(text, 0xDD, 32);
    memset(v, 0xDD, 2 * sizeof *v);
    free(text);
    free(v);
    atomic_fetch_add(rc == TG_PLUGIN_OK ? &tg_levers.emitted : &tg_levers.refused, 1);
    return rc;
}

static void answer_held(struct instance *x)
{
    for (uint32_t i = 0; i < x->held_count; i++)
        x->host->answer(x->host->source, x->held[i], TG_PLUGIN_OK, "{\"held\":true}");
    x->held_count = 0;
}

static int32_t levers_poll(void *self, int64_t now_ms)
{
    struct instance *x = self;
    (void)now_ms;
    atomic_fetch_add(&tg_levers.polls, 1);
    while (atomic_load(&tg_levers.block) && !x->host->stopping(x->host->source)) {
        struct timespec bus_timeout = {0, 2000000};
        atomic_store(&tg_levers.blocked, 1);
        nanosleep(&bus_timeout, NULL); /* what a blocking read with a timeout does */
    }
    if (x->held_count && !atomic_load(&tg_levers.hold_answers))
        answer_held(x);
    for (int burst = 0; x->next < tg_levers.flood; x->next++, burst++)
        if (burst == 256)
            return 0;
        else if (emit_next(x) < 0)
            return 1;
    return x->held_count ? 1 : tg_levers.poll_returns;
}

static void levers_close(void *self)
{
    struct instance *x = self;
    for (int i = 0; i < tg_levers.fd_count; i++)
        (void)x->host->watch_fd(x->host->source, tg_levers.fds[i], 0);
    answer_held(x); /* too late: goes nowhere, and must do no harm */
    atomic_fetch_add(&tg_levers.closes, 1);
    free(x);
}

/* Answers with what it was given, so that the test sees whether it arrived whole. */
static void levers_write(void *self, uint64_t request, uint32_t device, uint32_t point,
                         const struct tg_value *v)
{
    struct instance *x = self;
    char json[TG_TEXT_MAX_BYTES + 128], value[TG_TEXT_MAX_BYTES + 8] = "";
    atomic_fetch_add(&tg_levers.writes, 1);
    switch (v->type) {
    case TG_VALUE_BOOL:
        snprintf(value, sizeof value, "%s", v->as.boolean ? "true" : "false");
        break;
    case TG_VALUE_INT:
        snprintf(value, sizeof value, "%lld", (long long)v->as.integer);
        break;
    case TG_VALUE_UINT:
        snprintf(value, sizeof value, "%llu", (unsigned long long)v->as.uinteger);
        break;
    case TG_VALUE_REAL:
        snprintf(value, sizeof value, "%.17g", v->as.real);
        break;
    default:
        snprintf(value, sizeof value, "\"%.*s\"", (int)v->text_len, v->as.text);
        break;
    }
    snprintf(json, sizeof json, "[%u,%u,%s]", (unsigned)device, (unsigned)point, value);
    x->host->answer(x->host->source, request, TG_PLUGIN_OK, json);
}

static void levers_command(void *self, uint64_t request, uint32_t device, const char *name, const char *json)
{
    struct instance *x = self;
    (void)device;
    atomic_fetch_add(&tg_levers.commands, 1);
    if (strcmp(name, "hold") == 0 && x->held_count < HELD_MAX)
        x->held[x->held_count++] = request;
    else if (strcmp(name, "refuse") == 0)
        x->host->answer(x->host->source, request, TG_PLUGIN_EDEVICE, NULL);
    else
        x->host->answer(x->host->source, request, TG_PLUGIN_OK, json);
}

static void levers_fd_ready(void *self, int fd, uint32_t events)
{
    struct instance *x = self;
    uint8_t byte;
    atomic_fetch_add(&tg_levers.fd_readies, 1);
    if (tg_levers.first_ends_others)
        for (int i = 0; i < tg_levers.fd_count; i++)
            if (tg_levers.fds[i] != fd)
                (void)x->host->watch_fd(x->host->source, tg_levers.fds[i], 0);
    if (events & TG_FD_READ && read(fd, &byte, 1) == 1) {
        struct tg_point_value v = {.point = 0, .value = tg_value_uint(byte)};
        (void)x->host->emit(x->host->source, 0, 1, &v, 1);
        return;
    }
    atomic_fetch_add(&tg_levers.hangups, 1);
    (void)x->host->watch_fd(x->host->source, fd, 0);
}

#define LEVERS(model, called)                                                                                \
    TG_PLUGIN_INIT(model), .name = called, .version = "1", .summary = "for tests", .open = levers_open,      \
                           .poll = levers_poll, .close = levers_close, .fd_ready = levers_fd_ready

const struct tg_plugin tg_levers_own = {LEVERS(TG_THREAD_OWN, "levers_own"), .write = levers_write,
                                        .command = levers_command};
const struct tg_plugin tg_levers_loop = {LEVERS(TG_THREAD_LOOP, "levers_loop"), .write = levers_write,
                                         .command = levers_command};
const struct tg_plugin tg_levers_deaf = {LEVERS(TG_THREAD_OWN, "levers_deaf")};
