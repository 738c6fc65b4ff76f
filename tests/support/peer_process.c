/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/peer_process.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARGUMENTS 30

static _Noreturn void give_up(const char *what, const char *detail)
{
    fprintf(stderr, "peer: %s: %s\n", what, detail);
    exit(1);
}

static json_t *read_line(struct peer_process *p, const char *what)
{
    char line[65536];
    json_error_t why;
    if (!fgets(line, sizeof line, p->from))
        give_up(what, "the peer is gone");
    json_t *root = json_loads(line, 0, &why);
    if (!root)
        give_up(what, line);
    return root;
}

void peer_start(struct peer_process *p, const char *script, const char *const *arguments)
{
    const char *argv[MAX_ARGUMENTS + 3];
    char path[4096];
    int in[2], out[2], n = 0;
    const char *source = getenv("TIDEGATE_SOURCE");
    snprintf(path, sizeof path, "%s/tests/peers/%s", source ? source : ".", script);
    argv[n++] = "/usr/bin/python3";
    argv[n++] = path;
    while (*arguments && n < MAX_ARGUMENTS + 2)
        argv[n++] = *arguments++;
    argv[n] = NULL;
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        give_up(script, "no pipe");
    p->pid = fork();
    if (p->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    p->to = fdopen(in[1], "w");
    p->from = fdopen(out[0], "r");
    if (p->pid < 0 || !p->to || !p->from)
        give_up(script, "cannot be started");
    p->ready = read_line(p, script);
}

static json_t *say(struct peer_process *p, const char *fmt, va_list ap)
{
    char line[1024];
    vsnprintf(line, sizeof line, fmt, ap);
    fprintf(p->to, "%s\n", line);
    fflush(p->to);
    json_t *answer = read_line(p, line);
    if (!json_is_true(json_object_get(answer, "ok")))
        give_up(line, json_dumps(answer, 0));
    return answer;
}

json_t *peer_say(struct peer_process *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    json_t *answer = say(p, fmt, ap);
    va_end(ap);
    return answer;
}

void peer_do(struct peer_process *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    json_decref(say(p, fmt, ap));
    va_end(ap);
}

void peer_stop(struct peer_process *p)
{
    fclose(p->to); /* the end of its input ends it */
    waitpid(p->pid, NULL, 0);
    fclose(p->from);
    json_decref(p->ready);
    memset(p, 0, sizeof *p);
}
