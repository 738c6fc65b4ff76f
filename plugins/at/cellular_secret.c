/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/random.h>

#include "core/base/secret.h"
#include "plugins/at/cellular.h"

#define PIN_MIN_BYTES 4
#define PIN_MAX_BYTES 8
#define PIN_KEEP_MS   10000
#define SALT_NOTE     "salt"

static bool remembers(const struct at_cellular *c)
{
    return TG_HOST_HAS(c->source->host, notes_kept);
}

static void to_hex(const uint8_t *bytes, size_t n, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[2 * n] = '\0';
}

/* The first n bytes of HMAC-SHA256 over the parts, a zero byte behind each, as hex. False: no memory. */
static bool keyed_hash(const struct at_cellular *c, const char *const *parts, size_t count, size_t n,
                       char *ret_hex)
{
    uint8_t sum[WC_SHA256_DIGEST_SIZE];
    Hmac h;
    int rc = wc_HmacInit(&h, NULL, INVALID_DEVID);
    if (rc != 0)
        return false;
    rc = wc_HmacSetKey(&h, WC_SHA256, (const byte *)c->salt, (word32)strlen(c->salt));
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = wc_HmacUpdate(&h, (const byte *)parts[i], (word32)strlen(parts[i]) + 1);
    if (rc == 0)
        rc = wc_HmacFinal(&h, sum);
    wc_HmacFree(&h);
    explicit_bzero(&h, sizeof h);
    if (rc == 0)
        to_hex(sum, n, ret_hex);
    explicit_bzero(sum, sizeof sum);
    return rc == 0;
}

void at_secret_init(struct at_cellular *c)
{
    const struct tg_host *h = c->source->host;
    uint8_t bytes[16];
    WC_RNG rng;
    if (!remembers(c))
        return;
    if (h->note_get(h->source, SALT_NOTE, c->salt, sizeof c->salt) == 32)
        return;
    c->salt[0] = '\0';
    if (wc_InitRng(&rng) != 0)
        return;
    if (wc_RNG_GenerateBlock(&rng, bytes, sizeof bytes) == 0)
        to_hex(bytes, sizeof bytes, c->salt);
    wc_FreeRng(&rng);
    if (c->salt[0] && h->note_set(h->source, SALT_NOTE, c->salt) < 0)
        c->salt[0] = '\0';
}

bool at_secret_identifier(const struct at_cellular *c, const char *kind, const char *digits,
                          char ret_text[40])
{
    const char *const parts[] = {kind, digits};
    if (c->show) {
        snprintf(ret_text, 40, "%s", digits);
        return true;
    }
    memcpy(ret_text, "hashed:", 7);
    return c->salt[0] && keyed_hash(c, parts, 2, 8, ret_text + 7);
}

/* --- PIN ---------------------------------------------------------------------------------------------- */

/* NULL and the PIN in ret_pin, or what is wrong with the file. */
static const char *read_pin(const struct at_cellular *c, char ret_pin[PIN_MAX_BYTES + 1])
{
    struct tg_secret s = {0};
    struct tg_error err = {0};
    const char *why = NULL;
    if (!c->pin_file)
        return "the SIM wants a PIN and no pin_file is configured";
    if (tg_secret_read(c->pin_file, TG_SECRET_PRIVATE, &s, &err) < 0) {
        c->source->host->log(c->source->host->source, TG_LOG_WARN, "pin_file: %s", err.text);
        return "the SIM wants a PIN and pin_file cannot be read: the log says why";
    }
    tg_secret_trim(&s);
    if (s.len < PIN_MIN_BYTES || s.len > PIN_MAX_BYTES)
        why = "pin_file does not hold a PIN: it has 4 to 8 digits, nothing was entered";
    for (size_t i = 0; !why && i < s.len; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            why = "pin_file does not hold a PIN: it has 4 to 8 digits, nothing was entered";
    if (!why) {
        memcpy(ret_pin, s.data, s.len);
        ret_pin[s.len] = '\0';
    }
    tg_secret_free(&s);
    return why;
}

/* Who the SIM is: its number, or the modem that it is in. */
static const char *sim_of(const struct at_cellular *c)
{
    return c->core.iccid[0] ? c->core.iccid : c->core.imei;
}

static bool print_of(const struct at_cellular *c, const char *pin, char ret_print[AT_PIN_PRINT_BYTES])
{
    const char *const parts[] = {"pin", sim_of(c), pin};
    return keyed_hash(c, parts, 3, 16, ret_print);
}

static int keep_note(struct at_cellular *c)
{
    const struct tg_host *h = c->source->host;
    char text[AT_PIN_NOTE_BYTES];
    at_pin_note_write(&c->pin, text);
    return h->note_set(h->source, c->pin_key, text);
}

static const char *may_enter(struct at_cellular *c, int64_t now_ms)
{
    const struct tg_host *h = c->source->host;
    const char *const parts[] = {"sim", sim_of(c)};
    char pin[PIN_MAX_BYTES + 1], print[AT_PIN_PRINT_BYTES], text[AT_PIN_NOTE_BYTES];
    bool by_person = c->by_person, hashed;
    const char *why = read_pin(c, pin);
    c->by_person = false;
    if (why)
        return why;
    memcpy(c->pin_key, "pin-", 4);
    hashed = c->salt[0] && print_of(c, pin, print) && keyed_hash(c, parts, 2, 4, c->pin_key + 4);
    explicit_bzero(pin, sizeof pin);
    if (!hashed)
        return "this host cannot remember whether a PIN was refused, so none is entered";
    if (h->note_get(h->source, c->pin_key, text, sizeof text) < 0)
        text[0] = '\0';
    at_pin_note_read(text, &c->pin);
    why = at_pin_decide(&c->pin, print, c->core.tries == TG_CELL_NONE ? -1 : c->core.tries, by_person);
    if (why)
        return why;
    at_pin_trying(&c->pin, print);
    if (keep_note(c) < 0)
        return "that the PIN is tried cannot be remembered (too many SIMs are), so it is not entered";
    c->pin_waits = true;
    c->pin_limit_ms = now_ms + PIN_KEEP_MS;
    return NULL;
}

void at_secret_decide_pin(struct at_cellular *c, int64_t now_ms)
{
    const struct tg_host *h = c->source->host;
    const char *why = c->pin_waits ? NULL : may_enter(c, now_ms);
    if (why) {
        tg_cellular_pin_refuse(&c->core, why, now_ms);
    } else if (h->notes_kept(h->source)) {
        c->pin_waits = false;
        tg_cellular_pin_enter(&c->core, now_ms);
    } else if (now_ms >= c->pin_limit_ms) {
        c->pin_waits = false;
        c->pin.doubts--; /* it was not tried */
        if (c->pin.was_accepted)
            c->pin.outcome = AT_PIN_ACCEPTED;
        (void)keep_note(c);
        tg_cellular_pin_refuse(&c->core,
                               "that the PIN is tried cannot be written to the disk, so it is not entered: "
                               "see the log about notes",
                               now_ms);
    }
}

static const char *complete_pin(struct at_cellular *c, const char *command)
{
    char pin[PIN_MAX_BYTES + 1] = "", print[AT_PIN_PRINT_BYTES];
    const char *why = read_pin(c, pin);
    if (!why && (!print_of(c, pin, print) || strcmp(print, c->pin.print) != 0))
        why = "pin_file has just changed";
    if (!why) {
        snprintf(c->secret, sizeof c->secret, "%s\"%s\"", command, pin);
        c->pin_tried = true;
    }
    explicit_bzero(pin, sizeof pin);
    return why;
}

static const char *complete_auth(struct at_cellular *c, const char *command)
{
    struct tg_secret s = {0};
    struct tg_error err = {0};
    const char *why = NULL;
    if (c->password_file && tg_secret_read(c->password_file, TG_SECRET_PRIVATE, &s, &err) < 0) {
        c->source->host->log(c->source->host->source, TG_LOG_WARN, "apn_password_file: %s", err.text);
        return "apn_password_file cannot be read";
    }
    if (s.data)
        tg_secret_trim(&s);
    for (size_t i = 0; s.data && i < s.len; i++)
        if (s.data[i] < 0x20 || s.data[i] >= 0x7F || s.data[i] == '"' || s.data[i] == '\\')
            why = "apn_password_file holds a character that an AT command cannot";
    if (!why && (size_t)snprintf(c->secret, sizeof c->secret, "%s\"%s\",\"%.*s\"", command, c->user,
                                 (int)s.len, s.data ? (const char *)s.data : "") >= sizeof c->secret)
        why = "user and password of the access point are too long";
    tg_secret_free(&s);
    return why;
}

const char *at_secret_complete(struct at_cellular *c, const struct tg_cellular_command *command)
{
    return command->kind == TG_CELL_PIN ? complete_pin(c, command->text) : complete_auth(c, command->text);
}

void at_secret_wipe(struct at_cellular *c)
{
    struct tg_at_chat *chat = &c->source->chat;
    if (c->secret[0] == '\0')
        return;
    explicit_bzero(c->secret, sizeof c->secret);
    if (tg_at_chat_output(chat).len == 0)
        explicit_bzero(chat->out_buf, sizeof chat->out_buf);
}

void at_secret_verdict(struct at_cellular *c)
{
    const struct tg_host *h = c->source->host;
    if (!c->pin_tried || c->core.verdict == TG_CELL_PIN_TAKEN)
        return; /* READY says that it was the right one */
    c->pin_tried = false;
    if (c->core.verdict == TG_CELL_PIN_REFUSED) {
        at_pin_done(&c->pin, false);
        (void)keep_note(c); /* as it stands on disk it counts as refused too */
        h->log(h->source, TG_LOG_ERROR,
               "the SIM has refused the PIN in pin_file; it is not tried again. Put the right one into the "
               "file, or a wrong "
               "third one locks the SIM");
    } else {
        h->log(h->source, TG_LOG_WARN, "the modem did not say whether the SIM took the PIN");
    }
}

void at_secret_sim_ready(struct at_cellular *c)
{
    if (!c->pin_tried)
        return;
    c->pin_tried = false;
    at_pin_done(&c->pin, true);
    (void)keep_note(c);
}
