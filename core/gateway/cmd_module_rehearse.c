/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cmd_module_rehearse - `tidegate module provision --dry-run`: the same run, against a module in memory that says yes to
 * everything, so that what is printed is what would be sent. The provisioning service it pretends assigns the hub `assigned.hub`.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/gateway/cmd_module.h"

#define ASSIGNING "{\"operationId\":\"OPERATION-ID\",\"status\":\"assigning\"}"
#define ASSIGNED                                                                                             \
    "{\"operationId\":\"OPERATION-ID\",\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":"      \
    "\"assigned.hub\",\"deviceId\":\"%s\"}}"

struct double_ {
    struct tg_ucx_provision run;
    const struct tg_module_plan *plan;
    bool extended;
    size_t upload_left, file;
    int peer;
    uint32_t channel, data_count;
    uint8_t answer[8192];
    struct tg_writer w;
    char line[TG_AT_COMMAND_MAX_BYTES + 1];
    size_t line_len;
};

static void frame(struct double_ *d, uint16_t type, const uint8_t *bytes, size_t len)
{
    tg_write_u8(&d->w, 0xAA);
    tg_write_u16be(&d->w, (uint16_t)(len + 2));
    tg_write_u16be(&d->w, type);
    tg_write_bytes(&d->w, tg_bytes(bytes, len));
    tg_write_u8(&d->w, 0x55);
}

static void say(struct double_ *d, uint16_t type, const char *text)
{
    char lines[256];
    int n = snprintf(lines, sizeof lines, "\r\n%s\r\n", text);
    if (d->extended)
        frame(d, type, (const uint8_t *)lines, (size_t)n);
    else
        tg_write_str(&d->w, lines);
}

static void connect_peer(struct double_ *d)
{
    uint8_t event[15] = {(uint8_t)d->channel++, TG_EDM_IPV4, 2};
    char text[64];
    d->peer += 2;
    snprintf(text, sizeof text, "+UDCP:%d\r\nOK", d->peer);
    say(d, TG_EDM_AT_RESPONSE, text);
    frame(d, TG_EDM_CONNECT, event, sizeof event);
    snprintf(text, sizeof text, "+UUDPC:%d,2,6,0.0.0.0,0,0.0.0.0,0", d->peer);
    say(d, TG_EDM_AT_EVENT, text);
}

static void command(struct double_ *d, const char *text)
{
    static const uint8_t nothing[1];
    if (strncmp(text, "AT+USECMNG=0,", 13) == 0) {
        d->upload_left = (size_t)strtoul(strrchr(text, ',') + 1, NULL, 10);
        tg_write_str(&d->w, "\r\n>");
    } else if (strncmp(text, "AT+UDCP=", 8) == 0) {
        connect_peer(d);
    } else {
        say(d, TG_EDM_AT_RESPONSE, "OK");
    }
    if (strcmp(text, "AT+CPWROFF") == 0) {
        d->extended = false;
        say(d, 0, "+STARTUP");
    } else if (strcmp(text, "ATO2") == 0) {
        d->extended = true;
        frame(d, TG_EDM_START, nothing, 0);
    } else if (strcmp(text, "AT+UWSCA=0,3") == 0) {
        say(d, TG_EDM_AT_EVENT, "+UUWLE:0,000000000000,1");
        say(d, TG_EDM_AT_EVENT, "+UUNU:0");
        say(d, TG_EDM_AT_EVENT, "+UUNU:0");
    }
}

static void data(struct double_ *d, uint8_t channel)
{
    uint8_t event[512] = {0};
    char body[480];
    (void)channel;
    if (!d->plan->ucx.registration || d->data_count++ > 1)
        return;
    if (d->data_count == 1)
        snprintf(body, sizeof body, ASSIGNING);
    else
        snprintf(body, sizeof body, ASSIGNED, d->plan->registration.client);
    memcpy(event + 1, body, strlen(body));
    frame(d, TG_EDM_DATA_EVENT, event, strlen(body) + 1);
}

static void uploaded(struct double_ *d)
{
    char text[128];
    const struct tg_ucx_file *f = &d->plan->files[d->file++];
    snprintf(text, sizeof text, "+USECMNG:0,%d,\"%s\",\"%s\"\r\nOK", (int)f->kind, f->name, f->md5);
    say(d, TG_EDM_AT_RESPONSE, text);
}

static void take_byte(struct double_ *d, uint8_t byte)
{
    if (d->upload_left > 0) {
        if (--d->upload_left == 0)
            uploaded(d);
    } else if (byte == '\r') {
        d->line[d->line_len] = '\0';
        d->line_len = 0;
        command(d, d->line);
    } else if (d->line_len < sizeof d->line - 1) {
        d->line[d->line_len++] = (char)byte;
    }
}

static void take(struct double_ *d, struct tg_bytes out)
{
    struct tg_edm_parser *parser = tg_malloc(sizeof *parser);
    struct tg_edm_item item;
    if (!parser)
        return;
    tg_edm_init(parser);
    for (size_t i = 0; !d->extended && i < out.len; i++)
        take_byte(d, out.data[i]);
    if (d->extended && out.len > 0 && out.data[0] == 0xAA) {
        (void)tg_edm_input(parser, out, &item);
        for (size_t i = 0; item.frame.type == TG_EDM_AT_REQUEST && i < item.frame.bytes.len; i++)
            take_byte(d, item.frame.bytes.data[i]);
        if (item.frame.type == TG_EDM_DATA_COMMAND)
            data(d, item.frame.channel);
    }
    tg_free(parser);
}

/* Time passes only when nothing else happens. */
static int rehearse(const struct tg_module_args *a, struct tg_module_plan *plan, struct double_ *d)
{
    struct tg_ucx_provision_event e;
    int64_t now = 0;
    tg_ucx_provision_init(&d->run, &plan->ucx);
    tg_ucx_provision_start(&d->run, now);
    for (;;) {
        struct tg_bytes out, in;
        size_t used = 0;
        tg_ucx_provision_tick(&d->run, now);
        out = tg_ucx_provision_output(&d->run, now);
        d->w = tg_writer_init(d->answer, sizeof d->answer);
        take(d, out);
        tg_ucx_provision_output_ack(&d->run, out.len, now);
        in = tg_bytes(d->answer, d->w.len);
        do {
            if (in.len > 0)
                used += tg_ucx_provision_input(&d->run, tg_bytes(in.data + used, in.len - used), now);
            while (tg_ucx_provision_event(&d->run, &e)) {
                int rc = tg_module_event(a, plan, &d->run, &e, true, now);
                if (rc >= 0)
                    return rc;
            }
        } while (used < in.len);
        if (out.len > 0 || tg_ucx_provision_deadline(&d->run) <= now)
            continue;
        now = tg_ucx_provision_deadline(&d->run);
        if (now == INT64_MAX)
            return tg_identity_fail(
                &a->identity, "the rehearsal waits for something that this module in memory does not say");
    }
}

int tg_module_rehearse(const struct tg_module_args *a, struct tg_module_plan *plan)
{
    struct double_ *d = tg_calloc(1, sizeof *d);
    int rc;
    if (!d)
        return tg_identity_fail(&a->identity, "out of memory");
    d->plan = plan;
    rc = rehearse(a, plan, d);
    explicit_bzero(d, sizeof *d);
    tg_free(d);
    return rc;
}
