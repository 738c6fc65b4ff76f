/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tls_probe - connects with tg_stream to a list of servers and prints what it thinks of each.
 *
 * Standard input, one connection a line, fields separated by tabs, "-" for none:
 *     id  host  port  ca_file  versions (any | tls12)  certificate  key
 * Names are not looked up: every one is 127.0.0.1. All connections run at the same time. The server is
 * expected to send something: that is the moment at which a TLS 1.3 client certificate has been accepted. Who says that his next attempt
 * offers more makes it.
 * Standard output, a line each, in the order in which they end:
 *     id  ok       version cipher
 *     id  CODE     text of the error, as people see it
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/net/stream.h"
#include "core/net/tcp_connect.h"

#define MAX_PROBES 256

struct probe {
    char *line, *id;
    struct tg_stream *stream;
    struct tg_tls_context *ctx;
    struct tg_tls_credential *credential;
    struct tg_stream_options options;
};

static struct tg_loop loop;
static bool start_stream(struct probe *p, struct tg_error *err);

static struct probe probes[MAX_PROBES];

static size_t always_loopback(const char *host, struct sockaddr_storage *ret_addresses, size_t cap)
{
    struct sockaddr_in *a = (struct sockaddr_in *)ret_addresses;
    (void)host;
    (void)cap;
    a->sin_family = AF_INET;
    a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return 1;
}

static void finish(struct probe *p)
{
    fflush(stdout);
    tg_stream_close(p->stream, 0, NULL, NULL);
    p->stream = NULL;
}

static void on_ready(void *user)
{
    (void)user;
}

static void on_data(void *user, struct tg_bytes data)
{
    struct probe *p = user;
    struct tg_stream_stats stats;
    (void)data;
    tg_stream_stats(p->stream, &stats);
    printf("%s\tok\t%s %s\n", p->id, stats.version, stats.cipher);
    finish(p);
}

static void on_end(void *user, const struct tg_error *err)
{
    struct probe *p = user;
    struct tg_error again = *err;
    if (strstr(err->text, "the next attempt offers")) {
        tg_stream_close(p->stream, 0, NULL, NULL);
        if (start_stream(p, &again))
            return;
        p->stream = NULL;
    }
    printf("%s\t%s\t%s\n", p->id, tg_code_name(again.code), again.text);
    if (p->stream)
        finish(p);
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 65536);
    if (!f || !text || fread(text, 1, 65535, f) == 0) {
        fprintf(stderr, "tls_probe: cannot read %s\n", path);
        exit(2);
    }
    fclose(f);
    return text;
}

static bool given(const char *field)
{
    return strcmp(field, "-") != 0;
}

static bool start_stream(struct probe *p, struct tg_error *err)
{
    static const struct tg_stream_callbacks callbacks = {
        .on_ready = on_ready, .on_data = on_data, .on_end = on_end};
    return tg_stream_open(&loop, &p->options, &callbacks, p, &p->stream, err) == 0;
}

/* 0, or the error was printed as this connection's result. */
static int start(struct probe *p, char *field[7])
{
    struct tg_tls_options to = {.ca_file = given(field[3]) ? field[3] : NULL,
                                .tls12_only = strcmp(field[4], "tls12") == 0};
    struct tg_error err = {0};
    if (tg_tls_context_new(&to, &p->ctx, &err) < 0)
        goto failed;
    if (given(field[5])) {
        char *certificate = read_file(field[5]), *key = read_file(field[6]);
        int rc = tg_tls_credential_new(tg_bytes_str(certificate), tg_bytes_str(key), &p->credential, &err);
        free(certificate);
        free(key);
        if (rc < 0)
            goto failed;
    }
    p->options = (struct tg_stream_options){
        .host = field[1], .port = (uint16_t)atoi(field[2]), .tls = p->ctx, .credential = p->credential};
    if (start_stream(p, &err))
        return 0;
failed:
    printf("%s\t%s\t%s\n", p->id, tg_code_name(err.code), err.text);
    return -1;
}

int main(void)
{
    struct tg_error err = {0};
    char *line = NULL;
    size_t cap = 0, count = 0;
    if (tg_tls_global_init(&err) < 0 || tg_loop_init(&loop, &err) < 0) {
        fprintf(stderr, "tls_probe: %s\n", err.text);
        return 2;
    }
    tg_tcp_connect_set_resolver(always_loopback);
    while (count < MAX_PROBES && getline(&line, &cap, stdin) > 0) {
        struct probe *p = &probes[count++];
        char *field[7], *rest = p->line = strdup(line);
        rest[strcspn(rest, "\n")] = '\0';
        for (size_t i = 0; i < 7; i++)
            if (!(field[i] = strsep(&rest, "\t"))) {
                fprintf(stderr, "tls_probe: line %zu has fewer than 7 fields\n", count);
                return 2;
            }
        p->id = field[0];
        (void)start(p, field);
    }
    tg_loop_run(&loop);
    tg_loop_fini(&loop);
    for (size_t i = 0; i < count; i++) {
        tg_tls_credential_free(probes[i].credential);
        tg_tls_context_free(probes[i].ctx);
        free(probes[i].line);
    }
    free(line);
    tg_tls_global_fini();
    if (tg_alloc_stats().live != 0) {
        fprintf(stderr, "tls_probe: %lld allocations were not freed\n", (long long)tg_alloc_stats().live);
        return 3;
    }
    return 0;
}
