/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cmd_module_run - `tidegate module provision`: the run over the serial port, and what is said when it stops.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/gateway/cmd_module.h"
#include "southbound/serial_port.h"

#define TURN_MS 1000

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* --- the port ------------------------------------------------------------------------------------------------ */

int tg_module_open(const struct tg_module_args *a)
{
    const struct sigaction act = {.sa_handler = on_signal};
    char why[300];
    int fd = tg_serial_open(a->port, a->baud, a->flow && strcmp(a->flow, "rtscts") == 0, why, sizeof why);
    if (fd < 0) {
        tg_identity_fail(&a->identity, "%s", why);
        return -1;
    }
    sigaction(SIGINT, &act, NULL); /* no SA_RESTART: the wait ends, and the step is said */
    sigaction(SIGTERM, &act, NULL);
    return fd;
}

static int wait_ms(int64_t deadline_ms)
{
    int64_t now = tg_clock_mono_ms(), left = deadline_ms <= now ? 0 : deadline_ms - now;
    return left > TURN_MS ? TURN_MS : (int)left;
}

ssize_t tg_module_turn(const struct tg_module_args *a, int fd, struct tg_bytes out, size_t *ret_written,
                       int64_t deadline_ms, uint8_t *buf, size_t size)
{
    struct pollfd ready = {.fd = fd, .events = (short)(POLLIN | (out.len ? POLLOUT : 0))};
    ssize_t n = 0;
    *ret_written = 0;
    if (interrupted) {
        tg_identity_fail(&a->identity, "interrupted");
        return -1;
    }
    if (poll(&ready, 1, wait_ms(deadline_ms)) < 0 && errno != EINTR)
        return tg_identity_fail(&a->identity, "%s: %s", a->port, strerror(errno)), -1;
    if (ready.revents & POLLOUT) {
        n = write(fd, out.data, out.len);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return tg_identity_fail(&a->identity, "%s was unplugged (writing: %s)", a->port, strerror(errno)),
                   -1;
        *ret_written = n > 0 ? (size_t)n : 0;
    }
    if (!(ready.revents & (POLLIN | POLLHUP | POLLERR)))
        return 0;
    n = read(fd, buf, size);
    if (n > 0)
        return n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    tg_identity_fail(&a->identity, "%s was unplugged", a->port);
    return -1;
}

/* --- what went wrong ----------------------------------------------------------------------------------------- */

/* What to do about a command that was refused or not answered, by the step. */
static const char *advice(enum tg_ucx_step step)
{
    switch (step) {
    case TG_UCX_RESET:
    case TG_UCX_RESTART:
        return "is it a u-connectXpress module of the NINA-W13, NINA-W15 or ODIN-W2 series? tidegate module "
               "info says what "
               "answers";
    case TG_UCX_UPLOAD:
        return "the file must be PEM or DER of a kind that the module knows, and fit its memory; tidegate "
               "module "
               "list-certificates shows what is there";
    case TG_UCX_EXTEND:
        return "the module's software has no extended data mode";
    case TG_UCX_WIFI:
    case TG_UCX_STORE:
        return "an SSID has 1 to 32 characters, a password 8 to 63";
    case TG_UCX_REGISTER:
    case TG_UCX_POLL:
    case TG_UCX_CLOUD:
        return "the module may take shorter commands only: try --command-limit 256; versions before 3.0 know "
               "no AT+UDUV and no # "
               "in topics";
    default:
        return "try again; the run begins with factory settings";
    }
}

/* Faults beyond the module: the access point, the network, the broker. */
static void explain_far_fault(const struct tg_module_plan *plan, const struct tg_ucx_fault *f, char *text,
                              size_t size)
{
    bool dps = f->step == TG_UCX_REGISTER || f->step == TG_UCX_ASK || f->step == TG_UCX_POLL;
    const char *host = dps ? plan->registration.host : plan->cloud.host;
    switch (f->kind) {
    case TG_UCX_FAULT_NO_LINK:
        if (f->answer[0])
            snprintf(text, size,
                     "the access point refused it (\"%s\", the number behind the comma is the reason): is "
                     "the password "
                     "right, and does the network do WPA2?",
                     f->answer);
        else
            snprintf(text, size,
                     "no access point of that name was found within 30 s: is it in reach, on 2.4 GHz, and "
                     "the SSID "
                     "written exactly so?");
        break;
    case TG_UCX_FAULT_NO_NETWORK:
        snprintf(text, size,
                 "the access point was joined, but gave no address within 30 s: does the network have a DHCP "
                 "server?");
        break;
    case TG_UCX_FAULT_NO_PEER:
        snprintf(text, size,
                 "no connection to %s within 40 s: does the name resolve in that network, and does its "
                 "firewall let "
                 "the port out?",
                 host ? host : "the broker");
        break;
    case TG_UCX_FAULT_PEER_LOST:
        snprintf(
            text, size,
            "%s ended the connection (\"%s\"): it refuses the login, or the TLS handshake failed; check that "
            "the "
            "device is registered with this credential, and that the CA file holds the root of the server's "
            "certificate",
            host ? host : "the broker", f->answer);
        break;
    case TG_UCX_FAULT_NO_REPLY:
        snprintf(text, size, "%s does not answer the registration", host ? host : "the provisioning service");
        break;
    case TG_UCX_FAULT_UNASSIGNED:
        snprintf(
            text, size,
            "no hub was assigned within 120 s (the last answer: \"%s\"); is a hub linked to the service?",
            f->answer);
        break;
    case TG_UCX_FAULT_VERDICT:
        snprintf(
            text, size,
            "the provisioning service refused: %s; check id scope, enrolment and the device's credential",
            plan->verdict[0] ? plan->verdict : f->answer);
        break;
    case TG_UCX_FAULT_TOO_LONG:
        snprintf(text, size, "%s does not fit into the module's commands; shorten names, ids and topics",
                 f->answer);
        break;
    default:
        break;
    }
}

static void explain_fault(const struct tg_module_plan *plan, const struct tg_ucx_fault *f, char *text,
                          size_t size)
{
    switch (f->kind) {
    case TG_UCX_FAULT_ABSENT:
        snprintf(text, size,
                 "nothing answers, neither to a command, nor to a frame, nor after +++; check power, cable "
                 "(TX and "
                 "RX crossed), --flow, and that the module is not held in reset");
        break;
    case TG_UCX_FAULT_GARBLED:
        snprintf(text, size,
                 "bytes come back that are no answer; is the baud rate right? the default of these modules "
                 "is 115200");
        break;
    case TG_UCX_FAULT_SILENT:
        snprintf(text, size, "the module does not answer; %s", advice(f->step));
        break;
    case TG_UCX_FAULT_REFUSED:
        snprintf(text, size, "the module answered \"%s\"; %s", f->answer, advice(f->step));
        break;
    case TG_UCX_FAULT_DIGEST:
        snprintf(text, size,
                 "the module answered \"%s\", which is not the MD5 of what was sent; bytes were lost on the "
                 "line: use "
                 "--flow rtscts or a lower rate",
                 f->answer);
        break;
    case TG_UCX_FAULT_NO_RESTART:
        snprintf(text, size,
                 "no +STARTUP within 15 s%s%s; its start mode or rate may be another than the one given",
                 f->answer[0] ? ": " : "", f->answer);
        break;
    case TG_UCX_FAULT_RESTARTED:
        snprintf(text, size,
                 "the module restarted by itself; is its supply strong enough for Wi-Fi (500 mA)?");
        break;
    default:
        explain_far_fault(plan, f, text, size);
        break;
    }
}

/* What the module has by then, so that one knows what to repeat. */
static void say_state(const struct tg_ucx_provision *p)
{
    enum tg_ucx_step step = p->fault.kind ? p->fault.step : p->step;
    if (step <= TG_UCX_RESET) {
        fprintf(stderr, "Nothing was changed on the module.\n");
        return;
    }
    fprintf(stderr, "The module has by now: %s", p->plan.keep ? "what it had" : "factory settings");
    for (size_t i = 0; i < p->file; i++)
        fprintf(stderr, ", %s", p->plan.files[i].name);
    if (step > TG_UCX_NETWORK && p->plan.ssid)
        fprintf(stderr, ", Wi-Fi settings%s",
                step > TG_UCX_STORE && p->plan.store_wifi ? " (stored)" : " (until it restarts)");
    fprintf(stderr, ".\nWhen it is mended, run the command again: it begins anew%s.\n",
            p->plan.keep ? "" : ", with factory settings");
}

int tg_module_explain(const struct tg_module_args *a, const struct tg_module_plan *plan,
                      const struct tg_ucx_provision *p)
{
    const struct tg_ucx_fault *f = &p->fault;
    char text[700] = "";
    explain_fault(plan, f, text, sizeof text);
    tg_identity_fail(&a->identity, "stopped at %s%s%s: %s", tg_ucx_step_text(p, f->step),
                     f->command[0] ? ": " : "", f->command, text);
    say_state(p);
    return TG_EXIT_NO;
}

/* --- events -------------------------------------------------------------------------------------------------- */

static int say_done(const struct tg_module_plan *plan, const struct tg_ucx_provision *p)
{
    char date[TG_CLOCK_ISO8601_BYTES];
    if (p->plan.register_only)
        return TG_EXIT_OK;
    printf("%s is connected to %s%s%s\n", plan->cloud.client ? plan->cloud.client : "the module",
           plan->cloud.host,
           p->plan.restart ? "; the module was restarted and connects no more by itself" : "",
           p->plan.store_wifi ? "; it joins the Wi-Fi network after later starts too" : "");
    if (plan->expires_s) {
        tg_clock_iso8601(plan->expires_s * 1000, date);
        printf("its token ends at %s: by then it needs a new one (run this again with --no-reset)\n", date);
    }
    return TG_EXIT_OK;
}

static int on_assigned(const struct tg_module_args *a, struct tg_module_plan *plan,
                       struct tg_ucx_provision *p, int64_t now_ms)
{
    struct tg_error err = {0};
    printf("assigned to %s as %s\n", plan->hub, plan->device_id);
    if (p->plan.register_only)
        return -1;
    if (tg_module_plan_cloud(a, plan, &err) < 0)
        return tg_identity_fail(&a->identity, "%s", err.text);
    tg_ucx_provision_cloud(p, &plan->cloud, now_ms);
    return -1;
}

int tg_module_event(const struct tg_module_args *a, struct tg_module_plan *plan, struct tg_ucx_provision *p,
                    const struct tg_ucx_provision_event *e, bool rehearsal, int64_t now_ms)
{
    char operation[TG_UCX_OPERATION_BYTES];
    enum tg_ucx_verdict verdict;
    switch (e->kind) {
    case TG_UCX_TELL_STEP:
        if (!rehearsal)
            printf("%s …\n", e->text);
        break;
    case TG_UCX_TELL_COMMAND:
        if (rehearsal || a->show)
            printf("%s%s\n", rehearsal ? "" : "  -> ", e->text);
        break;
    case TG_UCX_TELL_REPLY:
        verdict = tg_module_read_reply(plan, tg_ucx_provision_reply(p), operation);
        tg_ucx_provision_registered(p, verdict, operation, now_ms);
        break;
    case TG_UCX_TELL_ASSIGNED:
        return on_assigned(a, plan, p, now_ms);
    case TG_UCX_TELL_DONE:
        return rehearsal ? TG_EXIT_OK : say_done(plan, p);
    case TG_UCX_TELL_FAILED:
        return tg_module_explain(a, plan, p);
    }
    fflush(stdout);
    return -1;
}

/* --- the run ------------------------------------------------------------------------------------------------- */

static int run(const struct tg_module_args *a, struct tg_module_plan *plan, struct tg_ucx_provision *p,
               int fd)
{
    uint8_t buf[2048];
    struct tg_ucx_provision_event e;
    tg_ucx_provision_start(p, tg_clock_mono_ms());
    for (;;) {
        struct tg_bytes out;
        size_t written = 0, used = 0;
        int64_t now = tg_clock_mono_ms();
        tg_ucx_provision_tick(p, now);
        while (tg_ucx_provision_event(p, &e)) {
            int rc = tg_module_event(a, plan, p, &e, false, now);
            if (rc >= 0)
                return rc;
            tg_ucx_provision_tick(p, now);
        }
        out = tg_ucx_provision_output(p, now);
        ssize_t n = tg_module_turn(a, fd, out, &written, tg_ucx_provision_deadline(p), buf, sizeof buf);
        if (n < 0) {
            fprintf(stderr, "That was at %s.\n", tg_ucx_step_text(p, p->step));
            say_state(p);
            return TG_EXIT_NO;
        }
        now = tg_clock_mono_ms();
        tg_ucx_provision_output_ack(p, written, now);
        while (used < (size_t)n) {
            used += tg_ucx_provision_input(p, tg_bytes(buf + used, (size_t)n - used), now);
            while (tg_ucx_provision_event(p, &e)) {
                int rc = tg_module_event(a, plan, p, &e, false, now);
                if (rc >= 0)
                    return rc;
            }
        }
    }
}

int tg_module_provision(const struct tg_module_args *a)
{
    struct tg_module_plan *plan = tg_malloc(sizeof *plan);
    struct tg_ucx_provision *p = tg_malloc(sizeof *p);
    int rc = plan && p ? tg_module_plan_make(a, plan) : tg_identity_fail(&a->identity, "out of memory"), fd;
    if (rc == 0) {
        tg_ucx_provision_init(p, &plan->ucx);
        if (a->dry_run) {
            rc = tg_module_rehearse(a, plan);
        } else if ((fd = tg_module_open(a)) < 0) {
            rc = TG_EXIT_NO;
        } else {
            rc = run(a, plan, p, fd);
            tg_serial_close(fd);
        }
        explicit_bzero(p, sizeof *p);
        tg_module_plan_free(plan);
    }
    tg_free(p);
    tg_free(plan);
    return rc;
}
