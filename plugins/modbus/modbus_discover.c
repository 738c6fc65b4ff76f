/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `tidegate discover modbus`: arguments, and what was found as YAML or JSON. Without arguments the serial ports are
 * listed; none is opened unasked.
 */
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/bytes.h"
#include "core/base/settings.h"
#include "plugins/modbus/modbus_plugin.h"
#include "plugins/modbus/modbus_scan.h"

#define OUT_BYTES  65536
#define CANDIDATES 8

static const char usage[] =
    "usage: tidegate discover modbus HOST[:PORT] | /dev/PORT [--units 1-247] [--timeout 300ms]\n"
    "           [--transport tcp|rtu|rtu-over-tcp] [--baud 9600,19200] [--parity none,even] [--stop-bits 1] "
    "[--json]\n"
    "Asks every unit id for one register and those that answer for their identification; nothing is "
    "written.\n"
    "On a serial port each speed is tried with each parity until somebody answers. Without arguments: lists "
    "the\n"
    "serial ports. Another master must not use the line in the meantime: stop the gateway that has the "
    "port.\n";

struct plan {
    struct tg_modbus_scan scan;
    int bauds[CANDIDATES], baud_count;
    int parities[CANDIDATES], parity_count;
    char target[256];
    char text[OUT_BYTES];
};

/* --- arguments --------------------------------------------------------------------------------- */

/* "1-10,42,100-120" */
static bool take_units(bool wanted[TG_MODBUS_SCAN_UNITS], const char *text)
{
    memset(wanted, 0, TG_MODBUS_SCAN_UNITS * sizeof *wanted);
    for (const char *s = text;;) {
        char *end;
        unsigned long from = strtoul(s, &end, 10), to = from;
        if (end == s || *s < '0' || *s > '9')
            return false;
        if (*end == '-') {
            s = end + 1;
            to = strtoul(s, &end, 10);
            if (end == s || *s < '0' || *s > '9')
                return false;
        }
        if (from > to || to > 255 || (to > 247 && (from != to || to != 255)))
            return false;
        for (unsigned long u = from; u <= to; u++)
            wanted[u] = true;
        if (!*end)
            return true;
        if (*end != ',')
            return false;
        s = end + 1;
    }
}

/* "a,b": each by its index in `names`, or as a number where names is NULL. */
static bool take_list(const char *text, const char *const *names, int *ret, int *ret_count)
{
    int n = 0;
    for (const char *s = text;; s++) {
        char word[24];
        size_t len = strcspn(s, ",");
        if (len == 0 || len >= sizeof word || n == CANDIDATES)
            return false;
        snprintf(word, sizeof word, "%.*s", (int)len, s);
        int v = names ? tg_modbus_name_index(names, word) : atoi(word);
        if (v < 0 || (!names && !tg_modbus_baud_known(v)))
            return false;
        ret[n++] = v;
        s += len;
        if (!*s)
            break;
    }
    *ret_count = n;
    return true;
}

static bool take_option(struct plan *p, const char *name, const char *value)
{
    static const char *const transports[] = {"tcp", "rtu", "rtu-over-tcp", NULL};
    struct tg_error err = {0};
    struct tg_modbus_link_config *c = &p->scan.config;
    if (strcmp(name, "--units") == 0)
        return take_units(p->scan.wanted, value);
    if (strcmp(name, "--timeout") == 0)
        return tg_parse_duration_ms(value, &p->scan.timeout_ms, &err) == 0 && p->scan.timeout_ms >= 10 &&
               p->scan.timeout_ms <= 60000;
    if (strcmp(name, "--baud") == 0)
        return take_list(value, NULL, p->bauds, &p->baud_count);
    if (strcmp(name, "--parity") == 0)
        return take_list(value, tg_modbus_parity_names, p->parities, &p->parity_count);
    if (strcmp(name, "--stop-bits") == 0) {
        c->stop_bits = atoi(value);
        return c->stop_bits == 1 || c->stop_bits == 2;
    }
    if (strcmp(name, "--transport") == 0) {
        int t = tg_modbus_name_index(transports, value);
        c->transport = (enum tg_modbus_transport)(t < 0 ? 0 : t);
        return t >= 0;
    }
    return false;
}

/* "/dev/ttyUSB0", "10.0.0.5", "meter.local:1502", "[fe80::1]:502" */
static bool take_target(struct plan *p, const char *text)
{
    struct tg_modbus_link_config *c = &p->scan.config;
    if (p->target[0] || strlen(text) >= sizeof p->target || !text[0])
        return false;
    snprintf(p->target, sizeof p->target, "%s", text);
    if (text[0] == '/') {
        c->path = p->target;
        c->transport = TG_MODBUS_RTU;
        return true;
    }
    char *host = p->target, *end, *colon = strrchr(p->target, ':');
    c->port = 502;
    if (host[0] == '[' && (end = strchr(host, ']')) != NULL) {
        host++;
        *end = 0;
        colon = end[1] == ':' ? end + 1 : NULL;
    } else if (colon && strchr(host, ':') != colon) {
        colon = NULL; /* an IPv6 address without a port */
    }
    if (colon) {
        unsigned long port = strtoul(colon + 1, &end, 10);
        if (*end || port < 1 || port > 65535)
            return false;
        c->port = (uint16_t)port;
        *colon = 0;
    }
    c->host = host;
    return host[0] != 0;
}

static const char *const options[] = {"--units",  "--timeout",   "--transport", "--baud",
                                      "--parity", "--stop-bits", NULL};

static bool take_arguments(struct plan *p, const struct tg_discover *r)
{
    for (int i = 0; i < r->argc; i++) {
        bool option = strncmp(r->argv[i], "--", 2) == 0;
        if (option && tg_modbus_name_index(options, r->argv[i]) < 0) {
            tg_modbus_scan_note(r,
                                "unknown option %.40s; there are --units, --timeout, --transport, --baud, "
                                "--parity, --stop-bits and --json",
                                r->argv[i]);
            return false;
        }
        if (option && i + 1 == r->argc) {
            tg_modbus_scan_note(r, "%.40s needs a value", r->argv[i]);
            return false;
        }
        if (option ? !take_option(p, r->argv[i], r->argv[i + 1]) : !take_target(p, r->argv[i])) {
            tg_modbus_scan_note(r, "%.40s%s%.60s is not understood", r->argv[i], option ? " " : "",
                                option ? r->argv[i + 1] : "");
            return false;
        }
        i += option;
    }
    bool serial = p->scan.config.transport == TG_MODBUS_RTU;
    if (!p->target[0] || serial != (p->target[0] == '/')) {
        tg_modbus_scan_note(r, serial ? "a serial port is needed, such as /dev/ttyUSB0"
                                      : "a host or a serial port is needed");
        return false;
    }
    return true;
}

/* --- what was found ----------------------------------------------------------------------------- */

static void describe(struct tg_writer *w, const struct tg_modbus_found *f)
{
    const struct tg_modbus_identity *id = &f->identity;
    const char *texts[] = {id->vendor, id->product, id->revision, id->server_id};
    size_t before = w->len;
    for (size_t i = 0; i < 4; i++)
        if (texts[i][0])
            tg_write_fmt(w, "%s%s", w->len > before ? " " : "", texts[i]);
    if (w->len == before)
        tg_write_str(w, "does not say what it is");
    if (f->sunspec >= 0)
        tg_write_fmt(w, "; SunSpec at holding:%d", (int)f->sunspec);
}

static void write_settings(struct tg_writer *w, const struct tg_modbus_link_config *c)
{
    static const char *const transports[] = {"tcp", "rtu", "rtu-over-tcp"};
    tg_write_fmt(w, "{transport: %s, ", transports[c->transport]);
    if (c->transport == TG_MODBUS_RTU)
        tg_write_fmt(w, "port: \"%s\", baud: %d, parity: %s, stop_bits: %d}", c->path, c->baud,
                     c->parity == 'N'   ? "none"
                     : c->parity == 'E' ? "even"
                                        : "odd",
                     c->stop_bits);
    else
        tg_write_fmt(w, "host: \"%s\", port: %u}", c->host, c->port);
}

static void write_yaml(struct plan *p, struct tg_writer *w)
{
    const struct tg_modbus_scan *s = &p->scan;
    tg_write_fmt(
        w, "# paste below `sources:` and put the name of an entry of `clouds:` in place of CLOUD; what the "
           "registers mean\n"
           "# stands in the device's manual, or is a profile: tidegate plugin describe modbus lists those\n");
    tg_write_str(w, "  - name: found\n    plugin: modbus\n    settings: ");
    write_settings(w, &s->config);
    tg_write_str(w, "\n    devices:\n");
    for (uint32_t i = 0; i < s->count; i++) {
        const struct tg_modbus_found *f = &s->found[i];
        tg_write_fmt(w, "      - id: unit-%u  # ", f->unit);
        describe(w, f);
        tg_write_fmt(w, "\n        clouds: [CLOUD]\n        settings: {unit: %u}\n", f->unit);
        if (f->sunspec >= 0) {
            tg_write_str(w, "        profile: sunspec\n");
            continue;
        }
        if (!f->holding && !f->input) {
            tg_write_str(w, "        points: []  # it refuses register 0\n");
            continue;
        }
        tg_write_str(w, "        points:\n");
        if (f->holding)
            tg_write_str(w, "          - {name: holding-0, address: \"holding:0\", every: 10s}\n");
        if (f->input)
            tg_write_str(w, "          - {name: input-0, address: \"input:0\", every: 10s}\n");
    }
}

static void json_member(struct tg_writer *w, const char *name, const char *text)
{
    tg_write_fmt(w, ",\"%s\":", name);
    tg_modbus_json_text(w, text, strlen(text));
}

static void write_json(struct plan *p, struct tg_writer *w)
{
    const struct tg_modbus_scan *s = &p->scan;
    const struct tg_modbus_link_config *c = &s->config;
    tg_write_fmt(w, "{\"asked\":%u,\"damaged\":%u", s->asked, s->damaged);
    if (c->transport == TG_MODBUS_RTU) {
        json_member(w, "port", c->path);
        tg_write_fmt(w, ",\"baud\":%d,\"parity\":\"%c\",\"stop_bits\":%d", c->baud, c->parity, c->stop_bits);
    } else {
        json_member(w, "host", c->host);
        tg_write_fmt(w, ",\"port\":%u", c->port);
    }
    tg_write_str(w, ",\"units\":[");
    for (uint32_t i = 0; i < s->count; i++) {
        const struct tg_modbus_found *f = &s->found[i];
        tg_write_fmt(w, "%s{\"unit\":%u,\"holding\":%s,\"input\":%s", i ? "," : "", f->unit,
                     f->holding ? "true" : "false", f->input ? "true" : "false");
        json_member(w, "vendor", f->identity.vendor);
        json_member(w, "product", f->identity.product);
        json_member(w, "revision", f->identity.revision);
        json_member(w, "server_id", f->identity.server_id);
        if (f->sunspec >= 0)
            tg_write_fmt(w, ",\"sunspec\":%d", (int)f->sunspec);
        tg_write_str(w, "}");
    }
    tg_write_str(w, "]}\n");
}

/* --- ports ---------------------------------------------------------------------------------------- */

static int list_ports(const struct tg_discover *r)
{
    static const char *const patterns[] = {"/dev/serial/by-id/*", "/dev/ttyUSB*", "/dev/ttyACM*",
                                           "/dev/ttyAMA*"};
    size_t found = 0;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns && (i == 0 || found == 0 || i == 3); i++) {
        glob_t g;
        if (glob(patterns[i], 0, NULL, &g) != 0)
            continue;
        for (size_t k = 0; k < g.gl_pathc; k++) {
            char line[512];
            snprintf(line, sizeof line, "# serial port %.200s: tidegate discover modbus %.200s\n",
                     g.gl_pathv[k], g.gl_pathv[k]);
            r->out(r->user, line);
        }
        found += g.gl_pathc;
        globfree(&g);
    }
    tg_modbus_scan_note(
        r,
        "%zu serial ports; none was opened. Scan one with: tidegate discover modbus /dev/PORT, "
        "or a device or gateway on the network with: tidegate discover modbus HOST[:PORT]",
        found);
    return found > 0 ? 0 : 1;
}

/* --- scan ------------------------------------------------------------------------------------------ */

static bool say_refusal(const struct plan *p, const struct tg_error *err)
{
    const struct tg_discover *r = p->scan.request;
    if (err->code == TG_EBUSY)
        tg_modbus_scan_note(r, "%s: stop the gateway or take its source out, then scan", err->text);
    else
        tg_modbus_scan_note(r, "%s", err->text);
    return false;
}

/* Every speed with every parity, until somebody answers. False when the link cannot be used at all. */
static bool scan_all(struct plan *p)
{
    struct tg_modbus_scan *s = &p->scan;
    const struct tg_discover *r = s->request;
    struct tg_error err = {0};
    bool serial = s->config.transport == TG_MODBUS_RTU;
    unsigned units = 0;
    if (s->config.transport != TG_MODBUS_TCP)
        s->wanted[0] = false; /* a broadcast there, which nobody answers */
    for (unsigned u = 0; u < TG_MODBUS_SCAN_UNITS; u++)
        units += s->wanted[u];
    tg_modbus_scan_note(r, "asking %u unit ids, at most %" PRId64 " s%s", units,
                        (units * (s->timeout_ms + 20) + 999) / 1000,
                        serial ? " for each speed and parity" : "");
    if (!serial)
        return tg_modbus_scan_run(s, &err) == 0 || say_refusal(p, &err);
    for (int b = 0; b < p->baud_count; b++) {
        for (int k = 0; k < p->parity_count && !r->stopping(r->user); k++) {
            s->config.baud = p->bauds[b];
            s->config.parity = "NEO"[p->parities[k]];
            tg_modbus_scan_note(r, "%s at %d baud, parity %s", s->config.path, s->config.baud,
                                tg_modbus_parity_names[p->parities[k]]);
            if (tg_modbus_scan_run(s, &err) < 0)
                return say_refusal(p, &err);
            if (s->count > 0)
                return true;
        }
    }
    return true;
}

static int report(struct plan *p)
{
    struct tg_modbus_scan *s = &p->scan;
    const struct tg_discover *r = s->request;
    struct tg_writer w = tg_writer_init(p->text, sizeof p->text);
    if (s->count > 3 && s->count == s->asked && s->config.transport == TG_MODBUS_TCP) {
        tg_modbus_scan_note(
            r, "every unit id answers: most likely one device that does not look at it; taken is unit %u",
            s->found[0].unit);
        s->count = 1;
    }
    if (s->count == 0)
        tg_modbus_scan_note(r, "nobody answered%s", s->damaged ? ", but there were damaged answers" : "");
    if (r->json)
        write_json(p, &w);
    else if (s->count > 0)
        write_yaml(p, &w);
    if (tg_writer_cstr(&w) == 0)
        r->out(r->user, p->text);
    return s->count > 0 ? 0 : 1;
}

int tg_modbus_discover(const struct tg_discover *request)
{
    if (request->argc == 0)
        return list_ports(request);
    for (int i = 0; i < request->argc; i++)
        if (strcmp(request->argv[i], "--help") == 0 || strcmp(request->argv[i], "-h") == 0) {
            request->out(request->user, usage);
            return 0;
        }
    struct plan *p = tg_calloc(1, sizeof *p);
    if (!p) {
        tg_modbus_scan_note(request, "out of memory");
        return 1;
    }
    p->scan.request = request;
    p->scan.timeout_ms = 300;
    p->scan.config = (struct tg_modbus_link_config){
        .transport = TG_MODBUS_TCP, .stop_bits = 1, .connect_timeout_ms = 3000, .turnaround_ms = 200};
    (void)take_units(p->scan.wanted, "1-247");
    (void)take_list("9600,19200", NULL, p->bauds, &p->baud_count);
    (void)take_list("none,even", tg_modbus_parity_names, p->parities, &p->parity_count);
    int rc = 2;
    if (!take_arguments(p, request))
        request->note(request->user, "--help says what it takes");
    else
        rc = scan_all(p) ? report(p) : 1;
    tg_free(p);
    return rc;
}
