/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_rates.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "southbound/serial_port.h"

#define NOTE_KEY "baud"

const char *const at_rates_usual[] = {"115200", "9600",   "921600", "57600", "38400",
                                      "19200",  "230400", "460800", NULL};

uint32_t at_rates_read(const char *const *texts, uint32_t count, int64_t *ret_rates, char *error,
                       size_t error_size)
{
    if (count > TG_AT_BAUD_MAX) {
        snprintf(error, error_size, "more than %d rates", TG_AT_BAUD_MAX);
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        char *end;
        ret_rates[i] = strtoll(texts[i], &end, 10);
        if (*end || !tg_serial_baud_known(ret_rates[i])) {
            snprintf(error, error_size, "baud %.40s is no rate of serial ports; 9600 and 115200 are common",
                     texts[i]);
            return 0;
        }
    }
    return count;
}

int at_rates_build(struct at_source *s, char *error, size_t error_size)
{
    const struct tg_settings *set = s->config->settings;
    const char *baud = s->host->get_text(set, "baud"), *const *list = NULL;
    uint32_t count = s->host->get_list(set, "baud_candidates", &list);
    char why[120];
    if (strcmp(baud, "auto") != 0) {
        list = &baud;
        count = 1;
    } else if (count == 0) {
        list = at_rates_usual;
        while (list[count])
            count++;
    }
    s->rate_count = at_rates_read(list, count, s->rates, why, sizeof why);
    if (s->rate_count == 0) {
        snprintf(error, error_size, "source %s: %s", s->config->name, why);
        return TG_PLUGIN_EINVAL;
    }
    s->baud = s->rates[0];
    s->baud_auto = strcmp(baud, "auto") == 0;
    return TG_PLUGIN_OK;
}

/* What was found before a restart of the gateway. */
static int64_t noted(struct at_source *s)
{
    char text[16];
    int64_t rate = 0;
    if (TG_HOST_HAS(s->host, note_get) && s->host->note_get(s->host->source, NOTE_KEY, text, sizeof text) > 0)
        rate = atoll(text);
    return tg_serial_baud_known(rate) ? rate : 0;
}

bool at_rates_begin(struct at_source *s, int64_t now_ms)
{
    if (!s->baud_auto)
        return false;
    if (s->rate_found == 0)
        s->rate_found = noted(s);
    tg_at_baud_begin(&s->search, s->rates, s->rate_count, s->rate_found, now_ms);
    return true;
}

static void found(struct at_source *s, int64_t rate)
{
    char text[24];
    s->baud = rate;
    if (rate == s->rate_found)
        return;
    s->rate_found = rate;
    s->host->log(s->host->source, TG_LOG_INFO, "%s: the device answers at %lld baud", s->port,
                 (long long)rate);
    snprintf(text, sizeof text, "%lld", (long long)rate);
    if (TG_HOST_HAS(s->host, note_set))
        (void)s->host->note_set(s->host->source, NOTE_KEY, text); /* not remembered: searched again */
}

enum at_rates_outcome at_rates_run(struct at_source *s, int64_t now_ms)
{
    char why[200];
    for (;;) {
        int64_t rate = 0;
        switch (tg_at_baud_next(&s->search, now_ms, &rate)) {
        case TG_AT_BAUD_SET:
            if (tg_serial_configure(s->fd, s->port, rate, s->rtscts, why, sizeof why) < 0)
                tg_at_baud_skip(&s->search); /* the adapter does not do it */
            break;
        case TG_AT_BAUD_SEND:
            if (write(s->fd, TG_AT_BAUD_PROBE, strlen(TG_AT_BAUD_PROBE)) < 0)
                return AT_RATES_SEARCHING; /* full or unplugged: the next read says which */
            break;
        case TG_AT_BAUD_WAIT:
            return AT_RATES_SEARCHING;
        case TG_AT_BAUD_FOUND:
            found(s, rate);
            return AT_RATES_FOUND;
        case TG_AT_BAUD_NONE:
            return AT_RATES_NONE;
        }
    }
}
