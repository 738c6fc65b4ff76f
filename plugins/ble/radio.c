/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/radio.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "southbound/ble/mgmt_events.h"

#define SOCKET_RETRY_MS  5000
#define OFF_RETRY_MIN_MS 5000
#define OFF_RETRY_MAX_MS 60000
#define SILENCE_MAX_MS   3600000

static void tell_state(struct ble_radio *r, bool up, const char *text)
{
    if (r->up == up && strcmp(r->text, text) == 0)
        return;
    r->up = up;
    snprintf(r->text, sizeof r->text, "%s", text);
    r->callbacks->on_state(r->user, up, &r->adapter.address, text);
}

__attribute__((format(printf, 3, 4))) static void log_line(struct ble_radio *r, bool warn, const char *format,
                                                           ...)
{
    char text[BLE_RADIO_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    r->callbacks->log(r->user, warn, text);
}

/* --- what is heard --- */

static void heard(struct ble_radio *r, const struct tg_ble_advert *advert)
{
    if (advert->len == 0) {
        r->empty++;
        return;
    }
    r->adverts++;
    r->heard_ms = advert->time_ms;
    r->callbacks->on_advert(r->user, advert);
}

static void on_raw_advert(void *user, const struct tg_ble_advert *advert)
{
    heard(user, advert);
}

static bool on_stopping(void *user)
{
    const struct ble_radio *r = user;
    return r->callbacks->stopping(r->user);
}

static int64_t on_now(void *user)
{
    const struct ble_radio *r = user;
    return r->callbacks->now_ms(r->user);
}

static void on_mgmt_event(void *user, const uint8_t *packet, size_t len)
{
    struct ble_radio *r = user;
    const uint16_t event = ble_le16(packet), index = ble_le16(packet + 2);
    const bool ours = r->adapter.present && index == r->adapter.index;
    struct tg_mgmt_found found;
    enum tg_mgmt_verdict verdict;
    switch (event) {
    case BLE_MGMT_INDEX_ADDED:
    case BLE_MGMT_INDEX_REMOVED:
        r->look_again = true;
        break;
    case BLE_MGMT_NEW_SETTINGS:
        if (ours && len >= 10) {
            r->adapter.settings = ble_le32(packet + 6);
            r->look_again |= r->phase == BLE_RADIO_OFF || !(r->adapter.settings & BLE_MGMT_POWERED);
        }
        break;
    case BLE_MGMT_MONITOR_REMOVED:
        r->monitor_lost |= ours && len >= 8 && ble_le16(packet + 6) == r->monitor.handle;
        break;
    case TG_MGMT_MONITOR_DEVICE_FOUND:
    case TG_MGMT_DEVICE_FOUND: /* comes instead while somebody discovers */
        if (!ours || !r->monitor.on)
            break;
        verdict = tg_mgmt_found(packet, len, on_now(r), &found);
        r->malformed += verdict == TG_MGMT_TRUNCATED;
        if (verdict == TG_MGMT_OK)
            heard(r, &found.advert);
        break;
    default:
        break;
    }
}

/* --- scanning --- */

static void stop_raw(struct ble_radio *r)
{
    if (r->raw.fd < 0)
        return;
    r->callbacks->watch(r->user, r->raw.fd, false);
    r->malformed += r->raw.malformed;
    r->raw.malformed = 0;
    ble_hci_scanner_close(&r->raw);
}

static bool start_raw(struct ble_radio *r)
{
    const int rc = ble_hci_scanner_open(&r->raw, r->adapter.index, r->config.active);
    char text[BLE_RADIO_TEXT];
    if (rc == 0) {
        r->use_raw = true;
        r->callbacks->watch(r->user, r->raw.fd, true);
        return true;
    }
    snprintf(text, sizeof text, "hci%u cannot be scanned with: %s; trying again", r->adapter.index,
             rc == -EPERM || rc == -EACCES ? "the gateway lacks CAP_NET_RAW"
             : rc == -ENETDOWN             ? "it is down"
             : rc == -EIO                  ? "the controller refuses"
                                           : strerror(-rc));
    tell_state(r, false, text);
    return false;
}

/* The monitor, else the raw scan. False: neither; the state says why. */
static bool start_scan(struct ble_radio *r)
{
    char text[BLE_RADIO_TEXT];
    int rc;
    if (r->config.method == BLE_METHOD_RAW || (r->config.method == BLE_METHOD_AUTO && r->config.active))
        return start_raw(r);
    rc = ble_mgmt_scanner_start(&r->monitor, &r->mgmt, &r->adapter, r->config.formats, r->config.note_folder);
    r->monitor_lost = false;
    if (rc == 0) {
        r->use_raw = false;
        return true;
    }
    if (r->config.method == BLE_METHOD_AUTO && start_raw(r)) {
        if (!r->told_method)
            log_line(r, true,
                     "hci%u: no advertisement monitor (%s); scanning raw, which other programs may disturb",
                     r->adapter.index, ble_mgmt_reason(rc));
        r->told_method = true;
        return true;
    }
    snprintf(text, sizeof text, "hci%u cannot be listened to: %s; trying again", r->adapter.index,
             ble_mgmt_reason(rc));
    tell_state(r, false, text);
    return false;
}

static void stop_scan(struct ble_radio *r)
{
    stop_raw(r);
    ble_mgmt_scanner_stop(&r->monitor, &r->mgmt, &r->adapter);
}

/* --- the adapter's life --- */

static void retry_later(struct ble_radio *r, int64_t now_ms)
{
    r->retry_ms = now_ms + r->retry_wait_ms;
    r->retry_wait_ms *= 2;
    if (r->retry_wait_ms > OFF_RETRY_MAX_MS)
        r->retry_wait_ms = OFF_RETRY_MAX_MS;
}

static void close_socket(struct ble_radio *r, int64_t now_ms)
{
    if (r->mgmt.fd >= 0)
        r->callbacks->watch(r->user, r->mgmt.fd, false);
    ble_mgmt_close(&r->mgmt);
    stop_raw(r);
    ble_mgmt_scanner_gone(&r->monitor);
    r->adapter.present = false;
    r->phase = BLE_RADIO_NO_SOCKET;
    r->retry_ms = now_ms + SOCKET_RETRY_MS;
}

static void open_socket(struct ble_radio *r, int64_t now_ms)
{
    char text[BLE_RADIO_TEXT];
    const int rc = ble_mgmt_open(&r->mgmt);
    if (rc < 0) {
        r->retry_ms = now_ms + SOCKET_RETRY_MS;
        snprintf(text, sizeof text, "no Bluetooth: %s; trying again every %d s",
                 rc == -EAFNOSUPPORT || rc == -EPROTONOSUPPORT
                     ? "the kernel has none, or the service's RestrictAddressFamilies lacks AF_BLUETOOTH"
                     : strerror(-rc),
                 SOCKET_RETRY_MS / 1000);
        tell_state(r, false, text);
        return;
    }
    r->callbacks->watch(r->user, r->mgmt.fd, true);
    r->phase = BLE_RADIO_ABSENT;
    r->look_again = true;
    r->retry_ms = INT64_MAX;
    r->retry_wait_ms = OFF_RETRY_MIN_MS;
}

static void say_off(struct ble_radio *r, int rc)
{
    char text[BLE_RADIO_TEXT];
    const int blocked = ble_adapter_blocked(&r->adapter);
    if (blocked)
        snprintf(text, sizeof text, "hci%u is blocked by rfkill%s", r->adapter.index,
                 blocked == 2 ? ": its switch is on the machine"
                              : ": unblock it with rfkill unblock bluetooth");
    else if (rc != 0)
        snprintf(text, sizeof text, "hci%u cannot be powered: %s; trying again", r->adapter.index,
                 ble_mgmt_reason(rc));
    else
        snprintf(text, sizeof text, "hci%u is powered off%s", r->adapter.index,
                 r->config.read_only ? "" : " by somebody; powering it on again soon");
    tell_state(r, false, text);
}

/* From OFF to LISTENING, if it can be. */
static void bring_up(struct ble_radio *r, int64_t now_ms)
{
    char address[TG_BLE_ADDRESS_BYTES];
    int rc = 0;
    r->phase = BLE_RADIO_OFF;
    if (!r->config.read_only)
        rc = ble_adapter_power(&r->adapter, &r->mgmt, true);
    if (!(r->adapter.settings & BLE_MGMT_POWERED)) {
        say_off(r, rc);
        retry_later(r, now_ms);
        return;
    }
    if (!start_scan(r)) {
        retry_later(r, now_ms);
        return;
    }
    now_ms = on_now(r); /* powering may have taken seconds */
    r->phase = BLE_RADIO_LISTENING;
    r->retry_ms = INT64_MAX;
    r->retry_wait_ms = OFF_RETRY_MIN_MS;
    if (r->rung == BLE_RUNG_NONE)
        r->heard_ms = now_ms;
    r->check_ms = now_ms + r->config.check_ms;
    tg_ble_address_text(&r->adapter.address, address);
    log_line(r, false, "listening by hci%u, %s, %s", r->adapter.index, address,
             r->use_raw ? r->config.active ? "active scan" : "raw scan" : "advertisement monitor");
    tell_state(r, true, "");
}

/* The adapter that was in use has gone, or its place is taken by another one. */
static void leave(struct ble_radio *r, const struct ble_adapter *old)
{
    stop_raw(r);
    ble_mgmt_scanner_stop(&r->monitor, &r->mgmt, old);
    r->phase = BLE_RADIO_ABSENT;
    r->power_on_ms = 0;
    if (r->adapter.present)
        tell_state(r, false, "changing over to another adapter");
}

static void look(struct ble_radio *r, int64_t now_ms)
{
    const struct ble_adapter old = r->adapter;
    char text[BLE_RADIO_TEXT];
    int rc;
    r->look_again = false;
    rc = ble_adapter_find(&r->adapter, &r->mgmt);
    if (rc != 0) {
        close_socket(r, now_ms);
        return;
    }
    if (old.present && (!r->adapter.present || r->adapter.index != old.index ||
                        !tg_ble_address_eq(&r->adapter.address, &old.address)))
        leave(r, &old);
    if (!r->adapter.present) {
        r->phase = BLE_RADIO_ABSENT;
        r->retry_ms = INT64_MAX; /* an event tells that it has come */
        snprintf(text, sizeof text, "adapter %s is not there; waiting for it", r->adapter.wanted);
        tell_state(r, false, text);
        return;
    }
    if (r->power_on_ms)
        return; /* the ladder has switched it off itself */
    if (r->phase == BLE_RADIO_LISTENING && !(r->adapter.settings & BLE_MGMT_POWERED)) {
        stop_raw(r);
        r->phase = BLE_RADIO_OFF;
        say_off(r, 0);
        retry_later(r, now_ms);
    } else if (r->phase != BLE_RADIO_LISTENING) {
        bring_up(r, now_ms);
    }
}

/* --- the ladder --- */

static void switch_off(struct ble_radio *r, int64_t now_ms)
{
    int rc;
    log_line(r, true, "hci%u has heard nothing for %lld s: switching it off and on", r->adapter.index,
             (long long)((now_ms - r->heard_ms) / 1000));
    stop_scan(r);
    r->power_cycles++;
    rc = ble_adapter_power(&r->adapter, &r->mgmt, false);
    if (rc != 0)
        log_line(r, true, "hci%u cannot be switched off: %s", r->adapter.index, ble_mgmt_reason(rc));
    r->power_on_ms = on_now(r) + r->config.power_wait_ms;
}

static void reset_usb(struct ble_radio *r)
{
    const int rc = ble_adapter_reset_usb(&r->adapter);
    if (rc == 0)
        log_line(r, true, "hci%u still hears nothing: its USB device was reset", r->adapter.index);
    else
        log_line(r, true, "hci%u still hears nothing, and its USB device cannot be reset: %s",
                 r->adapter.index, rc == -ENODEV ? "it is not on USB" : strerror(-rc));
    r->look_again = true;
}

static void climb(struct ble_radio *r, int64_t now_ms)
{
    char text[BLE_RADIO_TEXT];
    if (ble_adapter_blocked(&r->adapter)) {
        say_off(r, 0);
        return;
    }
    switch (r->rung) {
    case BLE_RUNG_NONE:
        r->rung = BLE_RUNG_POWER;
        switch_off(r, now_ms);
        break;
    case BLE_RUNG_POWER:
        r->rung = BLE_RUNG_USB;
        reset_usb(r);
        break;
    case BLE_RUNG_USB:
        r->rung = BLE_RUNG_REPORTED;
        snprintf(text, sizeof text,
                 "hci%u hears nothing, also after switching it off and on: is the adapter broken, or no "
                 "sensor near?",
                 r->adapter.index);
        tell_state(r, false, text);
        r->silence_ms = r->silence_ms * 2 > SILENCE_MAX_MS ? SILENCE_MAX_MS : r->silence_ms * 2;
        break;
    case BLE_RUNG_REPORTED:
    default:
        if (now_ms - r->heard_ms >= r->silence_ms)
            r->rung = BLE_RUNG_NONE; /* the next check begins at the bottom */
        break;
    }
}

static void check(struct ble_radio *r, int64_t now_ms)
{
    r->check_ms = now_ms + r->config.check_ms;
    if (r->config.silence_ms == 0)
        return;
    if (now_ms - r->heard_ms >= (r->rung == BLE_RUNG_NONE ? r->silence_ms : r->config.check_ms)) {
        climb(r, now_ms);
        return;
    }
    if (r->rung != BLE_RUNG_NONE) {
        log_line(r, true, "hci%u hears again", r->adapter.index);
        r->rung = BLE_RUNG_NONE;
        r->silence_ms = r->config.silence_ms;
        tell_state(r, true, "");
    }
}

/* --- the owner's side --- */

bool ble_radio_init(struct ble_radio *r, const struct ble_radio_config *config,
                    const struct ble_radio_callbacks *callbacks, void *user)
{
    memset(r, 0, sizeof *r);
    r->config = *config;
    r->callbacks = callbacks;
    r->user = user;
    r->silence_ms = config->silence_ms;
    r->mgmt = (struct ble_mgmt){.fd = -1, .on_event = on_mgmt_event, .stopping = on_stopping, .user = r};
    r->raw.fd = -1;
    r->raw.on_advert = on_raw_advert;
    r->raw.stopping = on_stopping;
    r->raw.now_ms = on_now;
    r->raw.user = r;
    return ble_adapter_init(&r->adapter, config->adapter);
}

static void monitor_again(struct ble_radio *r, int64_t now_ms)
{
    r->monitor_lost = false;
    if (r->phase != BLE_RADIO_LISTENING || !r->monitor.on)
        return;
    ble_mgmt_scanner_gone(&r->monitor);
    log_line(r, true, "hci%u: another program has removed the advertisement monitor; adding it again",
             r->adapter.index);
    if (!start_scan(r)) {
        r->phase = BLE_RADIO_OFF;
        retry_later(r, now_ms);
    }
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t ble_radio_poll(struct ble_radio *r, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    if (r->phase == BLE_RADIO_NO_SOCKET && now_ms >= r->retry_ms)
        open_socket(r, now_ms);
    if (r->phase != BLE_RADIO_NO_SOCKET && r->look_again)
        look(r, now_ms);
    if (r->monitor_lost)
        monitor_again(r, now_ms);
    if (r->power_on_ms && now_ms >= r->power_on_ms) {
        r->power_on_ms = 0;
        bring_up(r, now_ms);
    } else if (r->phase == BLE_RADIO_OFF && !r->power_on_ms && now_ms >= r->retry_ms) {
        bring_up(r, now_ms);
    }
    if (r->phase == BLE_RADIO_LISTENING && !r->power_on_ms && now_ms >= r->check_ms)
        check(r, now_ms);
    if (r->phase != BLE_RADIO_LISTENING)
        next_ms = r->power_on_ms ? r->power_on_ms : r->retry_ms;
    else
        next_ms = least(r->power_on_ms ? r->power_on_ms : r->check_ms, ble_hci_scanner_poll(&r->raw, now_ms));
    return r->look_again ? now_ms : next_ms;
}

bool ble_radio_fd_ready(struct ble_radio *r, int fd)
{
    if (fd >= 0 && fd == r->mgmt.fd) {
        if (ble_mgmt_read(&r->mgmt) < 0)
            close_socket(r, on_now(r));
        return true;
    }
    if (fd >= 0 && fd == r->raw.fd) {
        if (ble_hci_scanner_read(&r->raw) < 0) { /* down or unplugged: mgmt tells which */
            stop_raw(r);
            r->phase = BLE_RADIO_OFF;
            r->retry_ms = on_now(r) + OFF_RETRY_MIN_MS;
            r->look_again = true;
        }
        return true;
    }
    return false;
}

void ble_radio_connecting(struct ble_radio *r, bool connecting)
{
    ble_hci_scanner_pause(&r->raw, connecting);
}

void ble_radio_close(struct ble_radio *r)
{
    stop_scan(r);
    close_socket(r, 0);
}
