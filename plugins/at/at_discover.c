/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_discover.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/hmac.h>

#include "core/base/allocator.h"
#include "plugins/at/at_asker.h"
#include "plugins/at/at_ports.h"
#include "plugins/at/at_rates.h"

#define TEXT_BYTES 2048

static const char usage[] =
    "usage: tidegate discover at [[--port] /dev/PORT]… [--probe] [--baud auto|115200,9600,…] "
    "[--show-identifiers] "
    "[--json]\n"
    "Without arguments: lists the serial ports, and opens none. A port that is named, or every one with "
    "--probe, is "
    "asked\nat each rate whether it answers AT, and who it is; nothing is set on it. Serial numbers are "
    "shown as a "
    "hash.\nAnother program must not use the port in the meantime: stop the gateway, or take its source out.";

struct plan {
    const struct tg_discover *request;
    struct at_port ports[AT_PORTS_MAX];
    uint32_t port_count;
    bool probe, show;
    int64_t rates[TG_AT_BAUD_MAX];
    uint32_t rate_count;
    json_t *found; /* an object a port */
    bool pasted;   /* the line above the YAML is out */
};

static void note(const struct plan *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(const struct plan *p, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    p->request->note(p->request->user, text);
}

/* --- arguments --- */

static bool take_port(struct plan *p, const char *path)
{
    struct at_port *port = &p->ports[p->port_count];
    if (path[0] == '-' || !path[0] || strpbrk(path, "\"\\\n") || strlen(path) >= sizeof port->path ||
        p->port_count == AT_PORTS_MAX)
        return false;
    memcpy(port->path, path, strlen(path) + 1);
    p->port_count++;
    return true;
}

/* "auto" or "115200,9600" */
static bool take_rates(struct plan *p, const char *text)
{
    const char *list[TG_AT_BAUD_MAX + 1];
    char copy[200], why[120], *save = NULL;
    uint32_t n = 0;
    if (strcmp(text, "auto") == 0)
        return true;
    if (strlen(text) >= sizeof copy)
        return false;
    memcpy(copy, text, strlen(text) + 1);
    for (char *word = strtok_r(copy, ",", &save); word && n <= TG_AT_BAUD_MAX;
         word = strtok_r(NULL, ",", &save))
        list[n++] = word;
    p->rate_count = at_rates_read(list, n, p->rates, why, sizeof why);
    if (p->rate_count == 0)
        note(p, "--baud: %s", n == 0 ? "names no rate" : why);
    return p->rate_count > 0;
}

static bool take_arguments(struct plan *p)
{
    const struct tg_discover *r = p->request;
    for (int i = 0; i < r->argc; i++) {
        const char *arg = r->argv[i], *value = i + 1 < r->argc ? r->argv[i + 1] : "";
        bool ok = true;
        if (strcmp(arg, "--probe") == 0)
            p->probe = true;
        else if (strcmp(arg, "--show-identifiers") == 0)
            p->show = true;
        else if (strcmp(arg, "--port") == 0)
            ok = take_port(p, value), i++;
        else if (strcmp(arg, "--baud") == 0)
            ok = take_rates(p, value), i++;
        else
            ok = take_port(p, arg);
        if (!ok) {
            if (strcmp(arg, "--help") != 0)
                note(p, "%.60s %.100s is not understood", arg, arg[0] == '-' ? value : "");
            return false;
        }
    }
    return true;
}

/* --- what was found --- */

/* The serial number so that this machine knows it again and others learn nothing: keyed with the machine's own id. */
static void hash_serial(char *serial, size_t size)
{
    char key[64] = "tidegate";
    byte sum[WC_SHA256_DIGEST_SIZE];
    Hmac h;
    FILE *f = fopen("/etc/machine-id", "re");
    if (f) {
        if (!fgets(key, sizeof key, f))
            snprintf(key, sizeof key, "tidegate");
        fclose(f);
    }
    if (wc_HmacInit(&h, NULL, INVALID_DEVID) != 0) {
        snprintf(serial, size, "not shown");
        return;
    }
    if (wc_HmacSetKey(&h, WC_SHA256, (const byte *)key, (word32)strlen(key)) != 0 ||
        wc_HmacUpdate(&h, (const byte *)serial, (word32)strlen(serial)) != 0 || wc_HmacFinal(&h, sum) != 0)
        snprintf(serial, size, "not shown");
    else
        snprintf(serial, size, "#%02x%02x%02x%02x%02x%02x", sum[0], sum[1], sum[2], sum[3], sum[4], sum[5]);
    wc_HmacFree(&h);
}

static void describe(const struct at_identity *id, char *ret, size_t size)
{
    static const char *const kinds[] = {"", "", "a device that answers AT", "a cellular modem",
                                        "a u-connectXpress module"};
    const char *texts[] = {id->maker, id->model, id->firmware};
    size_t n = (size_t)snprintf(ret, size, "%s", kinds[id->kind]);
    if (!id->maker[0] && !id->model[0])
        texts[1] = id->information;
    for (size_t i = 0; i < 3; i++) {
        if (texts[i][0] && n < size)
            n += (size_t)snprintf(ret + n, size - n, "%s %s", i == 0 || (i == 1 && !texts[0][0]) ? ":" : "",
                                  texts[i]);
    }
    if (id->serial[0] && n < size)
        n += (size_t)snprintf(ret + n, size - n, ", serial number %s", id->serial);
    if (id->sim[0] && n < size)
        (void)snprintf(ret + n, size - n, ", SIM %s", id->sim);
}

static void write_yaml(struct plan *p, const char *path, const struct at_identity *id)
{
    char text[TEXT_BYTES], what[5 * AT_ANSWER_BYTES];
    const struct tg_discover *r = p->request;
    size_t n;
    describe(id, what, sizeof what);
    if (!p->pasted)
        r->out(r->user, "# paste below `sources:`\n");
    p->pasted = true;
    n = (size_t)snprintf(text, sizeof text,
                         "  - name: %s  # %s\n    plugin: %s\n    settings: {port: \"%s\", baud: %lld%s}\n",
                         at_kind_names[id->kind], what, id->kind == AT_KIND_UCX ? "ucx" : "at", path,
                         (long long)id->baud, id->kind == AT_KIND_MODEM ? ", script: cellular" : "");
    if (id->kind == AT_KIND_MODEM)
        snprintf(text + n, sizeof text - n,
                 "    devices:\n      - id: modem-1\n        clouds: [hub]  # the name of one of yours\n     "
                 "   profile: modem\n");
    else if (id->kind == AT_KIND_UCX)
        snprintf(text + n, sizeof text - n, "    devices: []  # its peers: docs/plugins/ucx.md\n");
    else
        snprintf(text + n, sizeof text - n,
                 "    devices:\n      - id: device-1\n        clouds: [hub]  # the name of one of yours\n    "
                 "    points:  # its manual says which commands it has\n"
                 "          - {name: information, command: ATI, match: '^(.+)$', type: text, every: 1h}\n");
    r->out(r->user, text);
}

static void add_text(json_t *o, const char *name, const char *text)
{
    if (text[0])
        json_object_set_new(o, name, json_string(text));
}

static void keep_json(struct plan *p, const struct at_port *port, const struct at_identity *id)
{
    json_t *o = json_pack("{s:s}", "port", port->path);
    add_text(o, "device", port->device);
    if (id) {
        add_text(o, "kind", at_kind_names[id->kind]);
        if (id->baud > 0 && id->kind != AT_KIND_SILENT)
            json_object_set_new(o, "baud", json_integer(id->baud));
        add_text(o, "information", id->information);
        add_text(o, "maker", id->maker);
        add_text(o, "model", id->model);
        add_text(o, "firmware", id->firmware);
        add_text(o, "serial", id->serial);
        add_text(o, "sim", id->sim);
        add_text(o, "error", id->error);
    }
    json_array_append_new(p->found, o);
}

static bool look_at(struct plan *p, const struct at_port *port)
{
    struct at_identity id;
    at_ask_port(p->request, port->path, p->rates, p->rate_count, &id);
    if (id.serial[0] && !p->show)
        hash_serial(id.serial, sizeof id.serial);
    if (id.kind == AT_KIND_UNOPENED)
        note(p, "%s; if it is the gateway: stop it, or take its source out, then look again", id.error);
    else if (id.kind == AT_KIND_SILENT)
        note(p, "%s: no answer to AT%s", port->path,
             p->rate_count > 1 ? " at any rate: no AT device, the wrong one of its ports, or in data mode"
                               : "");
    if (p->request->json)
        keep_json(p, port, &id);
    else if (id.kind >= AT_KIND_GENERIC)
        write_yaml(p, port->path, &id);
    return id.kind >= AT_KIND_GENERIC;
}

static void list(struct plan *p)
{
    const struct tg_discover *r = p->request;
    for (uint32_t i = 0; i < p->port_count; i++) {
        char line[2 * AT_PORT_PATH_BYTES + 100];
        const struct at_port *port = &p->ports[i];
        if (r->json) {
            keep_json(p, port, NULL);
            continue;
        }
        snprintf(line, sizeof line, "# serial port %s (%s): tidegate discover at --port %s\n", port->path,
                 port->device, port->path);
        r->out(r->user, line);
    }
    note(p,
         "%u serial ports; none was opened. Ask one who it is with: tidegate discover at --port /dev/PORT, "
         "or all "
         "with --probe",
         p->port_count);
}

static int discover(struct plan *p)
{
    bool named, found = false;
    char *text;
    if (!take_arguments(p)) {
        note(p, "%s", usage);
        return 2;
    }
    if (p->rate_count == 0) {
        uint32_t n = 0;
        char why[120];
        while (at_rates_usual[n])
            n++;
        p->rate_count = at_rates_read(at_rates_usual, n, p->rates, why, sizeof why);
    }
    named = p->port_count > 0;
    if (!named)
        p->port_count = at_ports_list("/dev", "/sys/class/tty", p->ports);
    if (!named && !p->probe) {
        list(p);
        found = p->port_count > 0;
    } else if (p->port_count == 0) {
        note(p, "there is no serial port");
    }
    for (uint32_t i = 0; (named || p->probe) && i < p->port_count && !p->request->stopping(p->request->user);
         i++)
        found = look_at(p, &p->ports[i]) || found;
    if (!p->request->json)
        return found ? 0 : 1;
    text = json_dumps(p->found, JSON_COMPACT);
    if (text) {
        p->request->out(p->request->user, "{\"ports\":");
        p->request->out(p->request->user, text);
        p->request->out(p->request->user, "}\n");
    }
    free(text);
    return found ? 0 : 1;
}

int tg_at_discover(const struct tg_discover *request)
{
    struct plan *p = tg_calloc(1, sizeof *p);
    int rc;
    if (!p) {
        request->note(request->user, "out of memory");
        return 1;
    }
    p->request = request;
    p->found = json_array();
    rc = discover(p);
    json_decref(p->found);
    tg_free(p);
    return rc;
}
