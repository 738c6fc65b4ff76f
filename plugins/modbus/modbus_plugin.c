/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/modbus/modbus_loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"

/* --- options ---------------------------------------------------------------------------------- */

const char *const tg_modbus_transport_names[] = {"tcp", "rtu", "rtu-over-tcp", NULL};
const char *const tg_modbus_parity_names[] = {"none", "even", "odd", NULL};

static const struct tg_option source_options[] = {
    {.name = "transport",
     .type = TG_OPTION_ENUM,
     .choices = tg_modbus_transport_names,
     .default_text = "tcp",
     .doc =
         "How frames travel: Modbus TCP, RTU on a serial port, or RTU frames through a TCP serial server."},
    {.name = "host",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 253,
     .doc = "Name or address of the device or gateway (tcp, rtu-over-tcp)."},
    {.name = "port",
     .type = TG_OPTION_TEXT,
     .min = 1,
     .max = 255,
     .doc = "TCP port number (default 502), or with rtu the serial port, like /dev/serial/by-id/usb-…"},
    {.name = "baud",
     .type = TG_OPTION_ENUM,
     .choices = tg_modbus_baud_names,
     .default_text = "9600",
     .doc = "Speed of the serial port in bit/s."},
    {.name = "parity",
     .type = TG_OPTION_ENUM,
     .choices = tg_modbus_parity_names,
     .default_text = "none",
     .doc =
         "Parity of the serial port; the Modbus standard asks for even, most devices are shipped with none."},
    {.name = "stop_bits",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 2,
     .default_text = "1",
     .doc = "Stop bits of the serial port."},
    {.name = "rs485",
     .type = TG_OPTION_BOOL,
     .default_text = "false",
     .doc = "Lets the kernel switch the direction of an RS-485 transceiver."},
    {.name = "timeout",
     .type = TG_OPTION_DURATION,
     .min = 10,
     .max = 60000,
     .default_text = "1s",
     .doc = "How long a request waits for its answer."},
    {.name = "connect_timeout",
     .type = TG_OPTION_DURATION,
     .min = 10,
     .max = 60000,
     .default_text = "3s",
     .doc = "How long a connection attempt may take (tcp, rtu-over-tcp)."},
    {.name = "connect_delay",
     .type = TG_OPTION_DURATION,
     .max = 60000,
     .default_text = "0s",
     .doc = "Silence after connecting, for devices that need it."},
    {.name = "gap",
     .type = TG_OPTION_DURATION,
     .max = 10000,
     .doc = "Least silence between two requests on the bus; by default 3.5 characters with "
            "rtu, 10ms with rtu-over-tcp."},
    {.name = "unit_gap",
     .type = TG_OPTION_DURATION,
     .max = 10000,
     .default_text = "0s",
     .doc =
         "Least silence between requests to different units, for devices on a line that need it (10ms); not "
         "less than gap."},
    {.name = "turnaround",
     .type = TG_OPTION_DURATION,
     .min = 1,
     .max = 10000,
     .default_text = "200ms",
     .doc = "Silence after a broadcast write to unit 0."},
    {.name = "down_after",
     .type = TG_OPTION_INT,
     .min = 2,
     .max = 100,
     .default_text = "3",
     .doc = "Failures in a row after which a unit is considered down and only probed."},
    {.name = NULL}};

static const struct tg_option device_options[] = {
    {.name = "unit",
     .type = TG_OPTION_INT,
     .min = 0,
     .max = 255,
     .default_text = "1",
     .doc =
         "Unit (slave) id: 1 to 247; 0 broadcasts writes on rtu; 0 and 255 on tcp mean the device itself."},
    {.name = "timeout",
     .type = TG_OPTION_DURATION,
     .min = 10,
     .max = 60000,
     .doc = "Overrides the source's timeout for this device."},
    {.name = "max_count",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 125,
     .default_text = "125",
     .doc = "Most registers that the device gives in one read."},
    {.name = "max_bits",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = 2000,
     .default_text = "2000",
     .doc = "Most coils or discrete inputs that the device gives in one read."},
    {.name = "max_gap",
     .type = TG_OPTION_INT,
     .min = 0,
     .max = 124,
     .default_text = "8",
     .doc = "Widest hole of unused addresses that is read along to save a request."},
    {.name = "no_read",
     .type = TG_OPTION_TEXT_LIST,
     .doc = "Addresses that must not be read along: \"8-11\", \"holding:100\", \"input:0x10-0x1F\"."},
    {.name = "min_gap",
     .type = TG_OPTION_DURATION,
     .max = 10000,
     .default_text = "0s",
     .doc = "Least silence before a request to this device."},
    {.name = "order",
     .type = TG_OPTION_ENUM,
     .choices = tg_modbus_order_names,
     .default_text = "ABCD",
     .doc = "Byte order of values: ABCD big endian, CDAB words swapped, BADC bytes swapped, DCBA both; "
            "eight letters for 64 bits."},
    {.name = "address_base",
     .type = TG_OPTION_INT,
     .flags = TG_OPTION_AS_PROFILE,
     .min = 0,
     .max = 1,
     .doc =
         "From where the addresses of this device's points count: 0 as in the protocol (taken when absent), "
         "1 as in many manuals."},
    {.name = "only_multiple",
     .type = TG_OPTION_BOOL,
     .default_text = "false",
     .doc = "Writes single values with function 16 or 15, for devices that refuse 6 and 5."},
    {.name = "only_single",
     .type = TG_OPTION_BOOL,
     .default_text = "false",
     .doc =
         "Writes values of several registers with function 6, one register after the other, for devices that "
         "refuse 16."},
    {.name = "forget_holes",
     .type = TG_OPTION_DURATION,
     .min = 1000,
     .max = 2592000000,
     .default_text = "24h",
     .doc = "How long it is remembered which holes and points the device refuses to read."},
    {.name = NULL}};

static const struct tg_option point_options[] = {
    {.name = "address",
     .type = TG_OPTION_TEXT,
     .flags = TG_OPTION_REQUIRED,
     .min = 1,
     .max = 40,
     .doc = "coil:N, discrete:N, input:N or holding:N with the protocol's address (see address_base), "
            ".BIT for one bit or .LOW-HIGH for a field; a traditional number such as 40001; or a point of a "
            "SunSpec "
            "model, sunspec:inverter/W."},
    {.name = "type",
     .type = TG_OPTION_ENUM,
     .choices = tg_modbus_type_names,
     .doc = "What the words mean; by default bool for coils, discrete inputs and bits, else uint16."},
    {.name = "order",
     .type = TG_OPTION_ENUM,
     .choices = tg_modbus_order_names,
     .doc = "Byte order of this value; by default the device's."},
    {.name = "length",
     .type = TG_OPTION_INT,
     .min = 1,
     .max = TG_MODBUS_MAX_CHARACTERS,
     .doc = "Characters of a string."},
    {.name = "bit",
     .type = TG_OPTION_INT,
     .min = 0,
     .max = 15,
     .doc = "Bit of a register, 0 the least significant; the same as .BIT in the address."},
    {.name = "half",
     .type = TG_OPTION_ENUM,
     .choices = tg_modbus_half_names,
     .default_text = "low",
     .doc = "Which byte of the register an int8 or uint8 is."},
    {.name = "packing",
     .type = TG_OPTION_ENUM,
     .choices = tg_modbus_packing_names,
     .default_text = "high-first",
     .doc = "How characters sit in registers: two, high or low byte first, or one in the low or high byte."},
    {.name = "encoding",
     .type = TG_OPTION_ENUM,
     .choices = tg_modbus_encoding_names,
     .default_text = "utf-8",
     .doc = "Character encoding of a string."},
    {.name = "sentinel",
     .type = TG_OPTION_TEXT_LIST,
     .doc = "Raw contents that mean \"no value\", in hexadecimal: [\"8000\"]; at most four."},
    {.name = "optional",
     .type = TG_OPTION_BOOL,
     .default_text = "false",
     .doc = "Leaves a SunSpec point out where the device does not have it, or has never had a value for it."},
    {.name = NULL}};

/* --- points ----------------------------------------------------------------------------------- */

int tg_modbus_address_base(const struct tg_host *host, const struct tg_settings *device)
{
    return host->has(device, "address_base") ? (int)host->get_int(device, "address_base") : -1;
}

int tg_modbus_point_from_settings(const struct tg_host *host, const struct tg_settings *device,
                                  const struct tg_settings *point, struct tg_modbus_point *ret,
                                  const char **ret_option, struct tg_error *err)
{
    const char *const *items = NULL;
    if (tg_modbus_is_sunspec(host, point))
        return tg_modbus_sunspec_from_settings(host, point, ret, ret_option, err);
    tg_modbus_point_init(ret);
    *ret_option = "address";
    int rc = tg_modbus_point_address(ret, host->get_text(point, "address"),
                                     tg_modbus_address_base(host, device), err);
    if (rc < 0)
        return rc;
    if (host->has(point, "bit")) {
        *ret_option = "bit";
        if (ret->bit >= 0)
            return tg_error_set(err, TG_EINVAL, "the address names a bit already");
        if (ret->table == TG_MODBUS_COIL || ret->table == TG_MODBUS_DISCRETE)
            return tg_error_set(err, TG_EINVAL, "a %s is one bit already", tg_modbus_table_names[ret->table]);
        ret->bit = (int8_t)host->get_int(point, "bit");
    }
    bool one_bit = ret->bit >= 0 || ret->table == TG_MODBUS_COIL || ret->table == TG_MODBUS_DISCRETE;
    ret->type = host->has(point, "type")    ? (uint8_t)host->get_int(point, "type")
                : one_bit && ret->bits == 0 ? TG_MODBUS_BOOL
                                            : TG_MODBUS_UINT16;
    ret->order = (uint8_t)host->get_int(host->has(point, "order") ? point : device, "order");
    ret->half = (uint8_t)host->get_int(point, "half");
    ret->packing = (uint8_t)host->get_int(point, "packing");
    ret->encoding = (uint8_t)host->get_int(point, "encoding");
    ret->length = (uint16_t)(host->has(point, "length") ? host->get_int(point, "length") : 0);
    *ret_option = "sentinel";
    uint32_t n = host->has(point, "sentinel") ? host->get_list(point, "sentinel", &items) : 0;
    for (uint32_t i = 0; i < n; i++) {
        rc = tg_modbus_point_sentinel(ret, items[i], err);
        if (rc < 0)
            return rc;
    }
    *ret_option = "address";
    return tg_modbus_point_finish(ret, ret_option, err);
}

/* libmodbus blocks while it puts a request on a serial line, and waits out its frames; a connection needs no thread. */
static uint32_t thread_model_of(const struct tg_host *host, const struct tg_settings *source)
{
    return host->get_int(source, "transport") == TG_MODBUS_RTU ? TG_THREAD_OWN : TG_THREAD_LOOP;
}

/* --- open and close --------------------------------------------------------------------------- */

int tg_modbus_link_config(const struct tg_host *h, const struct tg_settings *s,
                          struct tg_modbus_link_config *ret_config, const char **ret_option,
                          struct tg_error *err)
{
    struct tg_modbus_link_config *c = ret_config;
    const char *port = h->has(s, "port") ? h->get_text(s, "port") : NULL;
    c->transport = (enum tg_modbus_transport)h->get_int(s, "transport");
    c->baud = atoi(h->get_text(s, "baud"));
    c->parity = "NEO"[h->get_int(s, "parity")];
    c->stop_bits = (int)h->get_int(s, "stop_bits");
    c->rs485 = h->get_int(s, "rs485") != 0;
    c->connect_timeout_ms = h->get_int(s, "connect_timeout");
    c->connect_delay_ms = h->get_int(s, "connect_delay");
    c->turnaround_ms = h->get_int(s, "turnaround");
    *ret_option = port ? "port" : NULL;
    if (c->transport == TG_MODBUS_RTU) {
        if (!port)
            return tg_error_set(err, TG_EINVAL,
                                "transport rtu needs port: the path of a serial port, like /dev/ttyUSB0");
        if (port[0] != '/')
            return tg_error_set(
                err, TG_EINVAL,
                "\"%.40s\" is no path of a serial port, like /dev/ttyUSB0, which transport rtu needs", port);
        c->path = port;
        return TG_OK;
    }
    if (!h->has(s, "host")) {
        *ret_option = NULL;
        return tg_error_set(err, TG_EINVAL, "transport %s needs host: a name or an address",
                            tg_modbus_transport_names[c->transport]);
    }
    c->host = h->get_text(s, "host");
    char *end = NULL;
    long number = port ? strtol(port, &end, 10) : 502;
    if (number < 1 || number > 65535 || (end && *end))
        return tg_error_set(err, TG_EINVAL, "\"%.40s\" is no TCP port: allowed are 1 to 65535",
                            port ? port : "");
    c->port = (uint16_t)number;
    return TG_OK;
}

static int open_points(struct tg_modbus_instance *m, struct tg_modbus_device *d, struct tg_modbus_unit *u,
                       struct tg_error *err)
{
    const struct tg_host *h = m->host;
    bool broadcast = u->id == 0 && m->link_config.transport != TG_MODBUS_TCP;
    for (uint32_t i = 0; i < d->config->point_count; i++) {
        const struct tg_point *pc = &d->config->points[i];
        struct tg_modbus_point *p = &d->points[i];
        const bool sunspec = tg_modbus_is_sunspec(h, pc->settings);
        const char *option;
        int rc = tg_modbus_point_from_settings(h, d->config->settings, pc->settings, p, &option, err);
        if (rc == 0)
            rc = tg_modbus_check_against_device(h, d->config->settings, p, sunspec, pc->writable, err);
        if (rc < 0)
            return tg_error_wrap(err, "device %s, point %s", d->config->id, pc->name);
        if ((sunspec || p->type == TG_MODBUS_STRING) && !(d->texts[i] = tg_malloc(TG_MODBUS_TEXT_BYTES)))
            return tg_error_set(err, TG_ENOMEM, "out of memory");
        if (broadcast) /* nobody answers: such points can be written only */
            continue;
        rc = tg_poll_plan_group(&u->plan, pc->every_ms > 0 ? pc->every_ms : TG_MODBUS_DEFAULT_EVERY_MS);
        if (rc < 0)
            return tg_error_set(err, TG_EINVAL, "device %s has more than %d different intervals",
                                d->config->id, TG_POLL_MAX_GROUPS);
        d->groups[i] = (uint32_t)rc;
        /* The hidden ones fill up from the end for now. */
        d->items[sunspec ? d->config->point_count - ++d->hidden_count : d->item_count++] =
            (struct tg_modbus_item){
                .unit = u->id, .table = p->table, .address = p->address, .count = p->count, .tag = i};
    }
    memmove(&d->items[d->item_count], &d->items[d->config->point_count - d->hidden_count],
            d->hidden_count * sizeof d->items[0]);
    tg_modbus_plan_sort(d->items, d->item_count);
    tg_modbus_tell_overlap(h, d);
    return tg_modbus_sunspec_open(h, d, err);
}

static int open_device(struct tg_modbus_instance *m, uint32_t index, struct tg_error *err)
{
    const struct tg_host *h = m->host;
    struct tg_modbus_device *d = &m->devices[index];
    struct tg_modbus_unit *u = &m->units[index];
    d->config = &m->source->devices[index];
    const struct tg_settings *s = d->config->settings;
    size_t n = d->config->point_count ? d->config->point_count : 1;
    const char *option;
    d->points = tg_calloc(n, sizeof *d->points);
    d->groups = tg_calloc(n, sizeof *d->groups);
    d->complained = tg_calloc(n, sizeof *d->complained);
    d->texts = tg_calloc(n, sizeof *d->texts);
    d->items = tg_calloc(n, sizeof *d->items);
    d->values = tg_calloc(n, sizeof *d->values);
    if (!d->points || !d->groups || !d->complained || !d->texts || !d->items || !d->values)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    d->timeout_ms = h->get_int(h->has(s, "timeout") ? s : m->source->settings, "timeout");
    d->only_multiple = h->get_int(s, "only_multiple") != 0;
    d->only_single = h->get_int(s, "only_single") != 0;
    d->forget_ms = h->get_int(s, "forget_holes");
    d->limits = (struct tg_modbus_limits){.max_registers = (uint16_t)h->get_int(s, "max_count"),
                                          .max_bits = (uint16_t)h->get_int(s, "max_bits"),
                                          .max_gap = (uint16_t)h->get_int(s, "max_gap"),
                                          .no_read = d->ranges};
    if (tg_modbus_device_check(h, s, &option, err) < 0)
        return tg_error_wrap(err, "device %s", d->config->id);
    d->limits.no_read_count = tg_modbus_no_read(h, s, d->ranges);
    u->id = (uint8_t)h->get_int(s, "unit");
    u->min_gap_ms = h->get_int(s, "min_gap");
    tg_poll_plan_init(&u->plan);
    return open_points(m, d, u, err);
}

static void modbus_close_instance(void *instance)
{
    struct tg_modbus_instance *m = TG_OBJECT(instance, struct tg_modbus_instance, TG_MODBUS_INSTANCE_MAGIC);
    tg_modbus_loop_end(m);
    tg_modbus_link_free(m->link);
    for (uint32_t i = 0; m->devices && i < m->source->device_count; i++) {
        struct tg_modbus_device *d = &m->devices[i];
        for (uint32_t k = 0; d->texts && k < d->config->point_count; k++)
            tg_free(d->texts[k]);
        tg_free(d->points);
        tg_free(d->groups);
        tg_free(d->complained);
        tg_free(d->texts);
        tg_free(d->items);
        tg_free(d->values);
        tg_modbus_sunspec_close(d);
    }
    tg_free(m->devices);
    tg_free(m->units);
    TG_OBJECT_POISON(m);
    tg_free(m);
}

static int open_all(struct tg_modbus_instance *m, struct tg_error *err)
{
    const struct tg_host *h = m->host;
    const struct tg_settings *s = m->source->settings;
    uint32_t n = m->source->device_count;
    const char *option;
    int rc = tg_modbus_link_config(m->host, m->source->settings, &m->link_config, &option, err);
    if (rc < 0)
        return rc;
    m->units = tg_calloc(n ? n : 1, sizeof *m->units);
    m->devices = tg_calloc(n ? n : 1, sizeof *m->devices);
    if (!m->units || !m->devices || tg_modbus_link_new(&m->waiter, &m->link_config, &m->link) < 0)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < n; i++)
        m->devices[i].config = &m->source->devices[i];
    for (uint32_t i = 0; i < n; i++)
        if ((rc = open_device(m, i, err)) < 0)
            return rc;
    tg_modbus_bus_init(&m->bus, m->units, n);
    m->bus.has_ids = tg_modbus_link_has_ids(m->link);
    m->bus.down_after = (uint16_t)h->get_int(s, "down_after");
    m->bus.unit_gap_ms = h->get_int(s, "unit_gap");
    m->bus.gap_ms = h->has(s, "gap") ? h->get_int(s, "gap") : tg_modbus_link_gap_ms(m->link);
    m->backoff = (struct tg_backoff){.floor_ms = 250, .base_ms = 1000, .cap_ms = 30000, .stable_ms = 5000};
    tg_modbus_bus_start(&m->bus, tg_modbus_now(m));
    return TG_OK;
}

static int modbus_open(const struct tg_host *host, const struct tg_source *source, void **ret_instance,
                       char *error, size_t error_size)
{
    struct tg_error err = {0};
    struct tg_modbus_instance *m = tg_calloc(1, sizeof *m);
    if (!m) {
        snprintf(error, error_size, "out of memory");
        return TG_PLUGIN_ENOMEM;
    }
    m->magic = TG_MODBUS_INSTANCE_MAGIC;
    m->host = host;
    m->source = source;
    m->waiter.host = host;
    if (TG_HOST_HAS(host, thread_model) && host->thread_model == TG_THREAD_LOOP)
        tg_modbus_loop_begin(m);
    int rc = open_all(m, &err);
    if (rc < 0) {
        snprintf(error, error_size, "%s", err.text);
        modbus_close_instance(m);
        return rc == TG_ENOMEM ? TG_PLUGIN_ENOMEM : TG_PLUGIN_EINVAL;
    }
    *ret_instance = m;
    return TG_PLUGIN_OK;
}

static const struct tg_plugin modbus_plugin = {
    TG_PLUGIN_INIT(TG_THREAD_OWN),
    .name = "modbus",
    .version = "1.0",
    .summary = "Modbus RTU, TCP and RTU over TCP: reads, writes, device profiles",
    .source_options = source_options,
    .device_options = device_options,
    .point_options = point_options,
    .profiles = tg_modbus_profiles,
    .check_point = tg_modbus_check_point,
    .check_source = tg_modbus_check_source,
    .check_device = tg_modbus_check_device,
    .open = modbus_open,
    .poll = tg_modbus_poll,
    .close = modbus_close_instance,
    .write = tg_modbus_write,
    .check_value = tg_modbus_check_value,
    .command = tg_modbus_command,
    .decode = tg_modbus_decode,
    .needs = TG_NEEDS_STATED | TG_NEEDS_NETWORK, /* its port is named by an option */
    .discover = tg_modbus_discover,
    .fd_ready = tg_modbus_fd_ready,
    .thread_model_of = thread_model_of,
};
TG_PLUGIN_EXPORT(modbus_plugin)
