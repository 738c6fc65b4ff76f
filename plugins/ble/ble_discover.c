/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/ble_discover.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/settings.h"
#include "plugins/ble/ble_options.h"
#include "plugins/ble/ble_strangers.h"
#include "plugins/ble/radio.h"

#define FOUND_MAX     1024 /* sensors; one more is counted and left out */
#define OTHERS_MAX    4096 /* addresses without a known format, counted */
#define FOR_MAX_MS    3600000
#define LINE_BYTES    700
#define DESCRIPTORS   2
#define LOOK_EVERY_MS 200

static const char usage[] =
    "usage: tidegate discover ble [--adapter hci0] [--for 10s] [--json]\n"
    "Listens to what Bluetooth sensors send by themselves, and prints those whose format is known as devices "
    "to\n"
    "paste. Nothing is sent or changed. It needs CAP_NET_ADMIN, or CAP_NET_RAW: run it with sudo.\n";

struct sensor {
    struct tg_ble_address address;
    uint32_t formats, keys; /* bits: recognised; recognised and encrypted */
    enum tg_ble_format best;
    int8_t rssi; /* the strongest */
    uint64_t adverts;
    char model[TG_BLE_MODEL_BYTES], name[TG_BLE_NAME_BYTES];
};

struct search {
    const struct tg_discover *request;
    const char *adapter;
    int64_t for_ms;
    struct sensor *sensors;
    uint32_t count, left_out;
    uint8_t (*others)[6];
    uint32_t other_count;
    bool up;
    int fds[DESCRIPTORS];
    struct ble_radio radio;
};

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- what the radio tells --- */

static struct sensor *sensor_of(struct search *s, const struct tg_ble_address *address, bool make)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (tg_ble_address_eq(&s->sensors[i].address, address))
            return &s->sensors[i];
    }
    if (!make)
        return NULL;
    if (s->count == FOUND_MAX) {
        s->left_out++;
        return NULL;
    }
    s->sensors[s->count] = (struct sensor){.address = *address, .rssi = -128, .best = TG_BLE_FORMATS};
    return &s->sensors[s->count++];
}

static void count_other(struct search *s, const struct tg_ble_address *address)
{
    for (uint32_t i = 0; i < s->other_count; i++) {
        if (memcmp(s->others[i], address->bytes, 6) == 0)
            return;
    }
    if (s->other_count < OTHERS_MAX)
        memcpy(s->others[s->other_count++], address->bytes, 6);
}

static void on_advert(void *user, const struct tg_ble_advert *advert)
{
    struct search *s = user;
    struct tg_ble_candidate candidates[TG_BLE_FORMATS];
    const size_t count = tg_ble_recognise(advert, candidates);
    struct sensor *found = sensor_of(s, &advert->address, count > 0);
    char name[TG_BLE_NAME_BYTES];
    if (!found) {
        if (count == 0)
            count_other(s, &advert->address);
        return;
    }
    found->adverts++;
    if (advert->rssi != TG_BLE_RSSI_UNKNOWN && advert->rssi > found->rssi)
        found->rssi = advert->rssi;
    if (tg_ble_local_name(advert, name) > 0)
        memcpy(found->name, name, sizeof name);
    for (size_t i = 0; i < count; i++) {
        found->formats |= TG_BLE_FORMAT_BIT(candidates[i].format);
        if (candidates[i].verdict == TG_BLE_NEEDS_KEY)
            found->keys |= TG_BLE_FORMAT_BIT(candidates[i].format);
        if (candidates[i].format < found->best) {
            found->best = candidates[i].format;
            memcpy(found->model, candidates[i].model, sizeof found->model);
        }
    }
}

static void on_log(void *user, bool warn, const char *text)
{
    const struct search *s = user;
    (void)warn;
    s->request->note(s->request->user, text);
}

static void on_state(void *user, bool up, const struct tg_ble_address *own, const char *text)
{
    struct search *s = user;
    (void)own;
    s->up = up;
    if (text[0])
        on_log(s, true, text);
}

static void on_watch(void *user, int fd, bool on)
{
    struct search *s = user;
    for (int i = 0; i < DESCRIPTORS; i++) {
        if (s->fds[i] == (on ? -1 : fd)) {
            s->fds[i] = on ? fd : -1;
            return;
        }
    }
}

static bool on_stopping(void *user)
{
    const struct search *s = user;
    return s->request->stopping(s->request->user);
}

static int64_t on_now(void *user)
{
    (void)user;
    return clock_ms();
}

static const struct ble_radio_callbacks callbacks = {on_advert, on_state,    on_log,
                                                     on_watch,  on_stopping, on_now};

/* --- what is printed --- */

__attribute__((format(printf, 2, 3))) static void print(const struct search *s, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    s->request->out(s->request->user, line);
}

static int louder(const void *a, const void *b)
{
    const struct sensor *x = a, *y = b;
    return (y->rssi > x->rssi) - (y->rssi < x->rssi);
}

static void print_yaml(const struct search *s)
{
    print(s, "# %u sensors in %lld s; %u further addresses say nothing that is known\n", s->count,
          (long long)(s->for_ms / 1000), s->other_count);
    if (!s->count)
        return;
    print(s,
          "# paste below `sources:`; each device needs `clouds` and an identity, or a `discover` section "
          "lets them in (docs/discovery.md)\n"
          "  - name: air\n    plugin: ble\n    settings: {adapter: %s}\n    devices:\n",
          s->adapter);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct sensor *f = &s->sensors[i];
        const bool key = (f->keys & TG_BLE_FORMAT_BIT(f->best)) != 0;
        char id[TG_BLE_ADDRESS_BYTES];
        json_t *name = json_string(f->name);
        char *quoted = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
        tg_ble_address_id(&f->address, id);
        print(s, "      - id: \"%s\"  # %s%s%d dBm, %llu adverts%s%s%s\n", id, f->model,
              f->model[0] ? ", " : "", f->rssi, (unsigned long long)f->adverts,
              quoted && f->name[0] ? ", calls itself " : "", quoted && f->name[0] ? quoted : "",
              ble_address_lasts(&f->address) ? "" : ", an address that it will change");
        print(s, "        settings: {profile: %s%s%s%s}\n", ble_profile_of(f->best),
              key ? ", bind_key_file: keys/" : "", key ? id : "", key ? ".key" : "");
        free(quoted);
        json_decref(name);
    }
    if (s->left_out)
        print(s, "# and more: only %d are kept\n", FOUND_MAX);
}

static json_t *sensor_json(const struct sensor *f)
{
    char id[TG_BLE_ADDRESS_BYTES], address[TG_BLE_ADDRESS_BYTES];
    json_t *formats = json_array();
    tg_ble_address_id(&f->address, id);
    tg_ble_address_text(&f->address, address);
    for (int i = 0; i < TG_BLE_FORMATS; i++) {
        if (f->formats & TG_BLE_FORMAT_BIT(i))
            json_array_append_new(formats, json_string(tg_ble_format_names[i]));
    }
    return json_pack("{s:s,s:s,s:s,s:b,s:o,s:s,s:b,s:s,s:s,s:i,s:I}", "id", id, "address", address, "type",
                     f->address.type == TG_BLE_ADDRESS_RANDOM ? "random" : "public", "lasts",
                     ble_address_lasts(&f->address), "formats", formats, "profile", ble_profile_of(f->best),
                     "key_needed", (f->keys & TG_BLE_FORMAT_BIT(f->best)) != 0, "model", f->model, "name",
                     f->name, "rssi", f->rssi, "adverts", (json_int_t)f->adverts);
}

static void print_json(const struct search *s)
{
    json_t *sensors = json_array(), *all;
    char *text;
    for (uint32_t i = 0; i < s->count; i++)
        json_array_append_new(sensors, sensor_json(&s->sensors[i]));
    all = json_pack("{s:s,s:I,s:o,s:i,s:i}", "adapter", s->adapter, "listened_ms", (json_int_t)s->for_ms,
                    "sensors", sensors, "others", (int)s->other_count, "left_out", (int)s->left_out);
    text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    if (text) {
        s->request->out(s->request->user, text);
        s->request->out(s->request->user, "\n");
    }
    free(text);
    json_decref(all);
}

/* --- the search --- */

static int wrong(const struct tg_discover *request)
{
    request->note(request->user, usage);
    return 2;
}

static bool take_arguments(struct search *s)
{
    const struct tg_discover *r = s->request;
    struct tg_error err;
    for (int i = 0; i < r->argc; i += 2) {
        const char *value = i + 1 < r->argc ? r->argv[i + 1] : NULL;
        if (value && strcmp(r->argv[i], "--adapter") == 0)
            s->adapter = value;
        else if (!value || strcmp(r->argv[i], "--for") != 0 ||
                 tg_parse_duration_ms(value, &s->for_ms, &err) < 0)
            return false;
    }
    return s->for_ms > 0 && s->for_ms <= FOR_MAX_MS;
}

/* False: the adapter could not be listened to. */
static bool listen(struct search *s)
{
    const int64_t begin_ms = clock_ms();
    int64_t now_ms = begin_ms, next_ms;
    while (now_ms - begin_ms < s->for_ms && !on_stopping(s)) {
        struct pollfd ready[DESCRIPTORS];
        next_ms = ble_radio_poll(&s->radio, now_ms);
        if (!s->up && next_ms > clock_ms())
            return false; /* the reason was told */
        for (int i = 0; i < DESCRIPTORS; i++)
            ready[i] = (struct pollfd){s->fds[i], POLLIN, 0};
        if (poll(ready, DESCRIPTORS, next_ms <= now_ms ? 0 : LOOK_EVERY_MS) < 0 && errno != EINTR)
            return false;
        for (int i = 0; i < DESCRIPTORS; i++) {
            if (ready[i].fd >= 0 && ready[i].revents)
                ble_radio_fd_ready(&s->radio, ready[i].fd);
        }
        now_ms = clock_ms();
    }
    s->for_ms = now_ms - begin_ms;
    return s->up;
}

static int search(struct search *s)
{
    const struct ble_radio_config config = {
        .adapter = s->adapter, .read_only = true, .formats = TG_BLE_ANY_FORMAT, .check_ms = INT32_MAX};
    bool listened;
    if (!ble_radio_init(&s->radio, &config, &callbacks, s)) {
        s->request->note(s->request->user, "--adapter takes hciN, or an adapter's address");
        return 2;
    }
    listened = listen(s);
    ble_radio_close(&s->radio);
    if (!listened && s->count == 0)
        return 1;
    qsort(s->sensors, s->count, sizeof *s->sensors, louder);
    if (s->request->json)
        print_json(s);
    else
        print_yaml(s);
    return s->count ? 0 : 1;
}

int ble_discover(const struct tg_discover *request)
{
    struct search s = {.request = request, .adapter = "hci0", .for_ms = 10000, .fds = {-1, -1}};
    int rc;
    if (!take_arguments(&s))
        return wrong(request);
    s.sensors = calloc(FOUND_MAX, sizeof *s.sensors);
    s.others = calloc(OTHERS_MAX, sizeof *s.others);
    if (!s.sensors || !s.others) {
        request->note(request->user, "out of memory");
        rc = 1;
    } else {
        rc = search(&s);
    }
    free(s.sensors);
    free(s.others);
    return rc;
}
