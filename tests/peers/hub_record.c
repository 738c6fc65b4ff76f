/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/hub_record.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUFFER_BYTES (1 << 20)

bool hub_record_open(FILE **ret_record, const char *path)
{
    FILE *record = fopen(path, "ae");
    if (!record) {
        return false;
    }
    (void)setvbuf(record, NULL, _IOFBF, BUFFER_BYTES);
    *ret_record = record;
    return true;
}

void hub_record_flush(FILE *record)
{
    (void)fflush(record);
}

/* The length of the valid UTF-8 sequence at p, or 0. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : (p[0] >> 5) == 6 ? 2 : (p[0] >> 4) == 14 ? 3 : (p[0] >> 3) == 30 ? 4 : 0;
    if (n <= 1 || n > left) {
        return n == 1 ? 1 : 0;
    }
    uint32_t code = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = (code << 6) | (p[i] & 0x3fu);
    }
    return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0 : n;
}

static bool is_text(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = utf8_sequence(p + i, len - i);
        if (n == 0 || (n == 1 && p[i] < 0x20 && !memchr("\t\r\n", p[i], 3))) {
            return false;
        }
        i += n;
    }
    return true;
}

void hub_record_string(FILE *record, const char *text, size_t len)
{
    (void)fputc('"', record);
    for (size_t i = 0; i < len;) {
        size_t plain = i;
        while (plain < len && (unsigned char)text[plain] >= 0x20 && text[plain] != '"' &&
               text[plain] != '\\') {
            plain++;
        }
        (void)fwrite(text + i, 1, plain - i, record);
        if (plain < len) {
            unsigned char c = (unsigned char)text[plain++];
            fprintf(record, c < 0x20 ? "\\u%04x" : "\\%c", c);
        }
        i = plain;
    }
    (void)fputc('"', record);
}

void hub_record_base64(FILE *record, const uint8_t *p, size_t len)
{
    enum { STEP = 3 * 256 };
    unsigned char text[STEP / 3 * 4 + 1];
    (void)fputc('"', record);
    for (size_t i = 0; i < len; i += STEP) {
        size_t n = len - i < STEP ? len - i : STEP;
        (void)fwrite(text, 1, (size_t)EVP_EncodeBlock(text, p + i, (int)n), record);
    }
    (void)fputc('"', record);
}

static void put_head(FILE *record, const char *event, const char *device)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    fprintf(record, "{\"ev\":\"%s\",\"t\":%lld,\"device\":", event,
            (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    hub_record_string(record, device, strlen(device));
}

void hub_record_event(FILE *record, const char *event, const char *device, const char *reason)
{
    put_head(record, event, device);
    (void)fputs(",\"reason\":", record);
    hub_record_string(record, reason, strlen(reason));
    (void)fputs("}\n", record);
}

void hub_record_message(FILE *record, const char *event, const char *device, const char *topic, int qos,
                        bool retain, const void *payload, size_t len)
{
    put_head(record, event, device);
    (void)fputs(",\"topic\":", record);
    hub_record_string(record, topic, strlen(topic));
    fprintf(record, ",\"qos\":%d,\"retain\":%s,\"len\":%zu,", qos, retain ? "true" : "false", len);
    if (is_text(payload, len)) {
        (void)fputs("\"payload\":", record);
        hub_record_string(record, payload, len);
    } else {
        (void)fputs("\"payload_b64\":", record);
        hub_record_base64(record, payload, len);
    }
    (void)fputs("}\n", record);
}
