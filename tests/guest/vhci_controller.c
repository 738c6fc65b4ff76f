/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * vhci_controller - a Bluetooth LE controller and the air around it, on /dev/vhci: the kernel sees an adapter like any other.
 *
 *     vhci_controller [--address 00:11:22:33:44:55] [--extended] [--sensors N] [--rate N] [--repeat N] [--peripherals N]
 *
 * --extended: a 5.0 controller that scans with extended commands and reports; otherwise 4.2 with legacy ones.
 * It says "hciN" when the kernel has the adapter and then takes commands on stdin, a line each, and answers each with a line:
 *     sensors N, rate N, repeat N   as the options
 *     silence 0|1                   nothing is on the air
 *     empty 0|1                     adverts have no data
 *     hang N                        nothing is heard any more, until the N-th reset (power cycle)
 *     busy 0|1                      scanning is refused with status 0x0C, as when somebody else scans
 *     advert ADDRESS HEX            one advertisement, from a random address
 *     fragments ADDRESS HEX         the same in two extended reports (--extended)
 *     drop REASON                   all links break, with this HCI reason
 *     unreachable 0|1               peripherals neither advertise nor take connections
 *     remove, return                the adapter is unplugged, plugged in again
 *     stat                          adverts=… scan=0|1 active=0|1 links=… resets=… written=…
 *     quit
 * HCI: Bluetooth Core Specification, Vol 4, Part E. Not modelled: pairing, classic Bluetooth, timing of the air.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest/vhci_controller.h"

#define PERIPHERAL_EVERY_MS 100
#define STEP_MS             2
#define LINE_BYTES          1024

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- the air --- */

static bool accepts(const struct controller *c, const struct air_advert *a)
{
    if (!(c->scan_policy & 1))
        return true;
    for (size_t i = 0; i < c->accepted; i++) {
        if (c->accept[i][0] == a->address_type && memcmp(c->accept[i] + 1, a->address, 6) == 0)
            return true;
    }
    return false;
}

static void report_legacy(struct controller *c, const struct air_advert *a)
{
    uint8_t b[12 + 31] = {0x02, 1, a->type, a->address_type};
    const uint8_t length = a->length > 31 ? 31 : a->length;
    memcpy(b + 4, a->address, 6);
    b[10] = length;
    memcpy(b + 11, a->data, length);
    b[11 + length] = (uint8_t)a->rssi;
    vhci_event(c, 0x3e, b, 12u + length);
}

/* event_type: bit 4 a legacy PDU, bits 5 and 6 whether more follows. */
static void report_extended(struct controller *c, const struct air_advert *a, uint16_t event_type,
                            const uint8_t *data, uint8_t length)
{
    uint8_t b[26 + AIR_DATA_MAX] = {0x0d, 1, (uint8_t)event_type, (uint8_t)(event_type >> 8),
                                    a->address_type};
    memcpy(b + 5, a->address, 6);
    b[11] = 1; /* primary PHY */
    b[13] = event_type & 0x10 ? 0xff : 0;
    b[14] = 127; /* no transmit power */
    b[15] = (uint8_t)a->rssi;
    b[25] = length;
    memcpy(b + 26, data, length);
    vhci_event(c, 0x3e, b, 26u + length);
}

static bool hears(const struct controller *c)
{
    return c->scanning && !c->silence && !c->hang;
}

static void report(struct controller *c, const struct air_advert *a)
{
    if (!hears(c) || !accepts(c, a))
        return;
    if (!c->extended)
        report_legacy(c, a);
    else if (a->length > 31)
        report_extended(c, a, 0x00, a->data, a->length);
    else
        report_extended(c, a, a->type == 0 ? 0x13 : 0x10, a->data, a->length);
    c->adverts++;
}

static void peripheral_address(uint32_t index, uint8_t ret[6])
{
    const uint8_t address[6] = {(uint8_t)(0xf0 + index), 0, 0, 0, 0, 0xc0};
    memcpy(ret, address, 6);
}

static void advertise_peripherals(struct controller *c, int64_t now_ms)
{
    if (now_ms < c->next_connectable_ms || c->unreachable)
        return;
    c->next_connectable_ms = now_ms + PERIPHERAL_EVERY_MS;
    for (uint32_t i = 0; i < c->peripheral_count; i++) {
        struct air_advert a = {
            .address_type = 1, .rssi = -55, .length = 7, .data = {2, 1, 6, 3, 3, 0x1a, 0x18}};
        peripheral_address(i, a.address);
        if (!c->linked[i])
            report(c, &a);
    }
}

/* --- links: peripheral i has the handle i + 1 --- */

static void connected(struct controller *c, uint32_t i, uint8_t status)
{
    uint8_t b[31] = {c->extended ? 0x0a : 0x01, status, (uint8_t)(i + 1)};
    uint8_t *timing = b + (c->extended ? 24 : 12);
    b[5] = c->wanted[0];
    memcpy(b + 6, c->wanted + 1, 6);
    timing[0] = 40;  /* interval: 50 ms */
    timing[4] = 100; /* supervision: 1 s */
    c->connecting = false;
    if (status == 0) {
        c->linked[i] = true;
        peripheral_connected(&c->peripherals[i]);
    }
    vhci_event(c, 0x3e, b, c->extended ? 31 : 19);
}

static void try_connect(struct controller *c)
{
    for (uint32_t i = 0; c->connecting && !c->unreachable && i < c->peripheral_count; i++) {
        uint8_t address[6];
        peripheral_address(i, address);
        if (!c->linked[i] && memcmp(c->wanted + 1, address, 6) == 0)
            connected(c, i, 0);
    }
}

static void disconnected(struct controller *c, uint32_t i, uint8_t reason)
{
    const uint8_t b[] = {0, (uint8_t)(i + 1), 0, reason};
    if (!c->linked[i])
        return;
    c->linked[i] = false;
    vhci_event(c, 0x05, b, sizeof b);
}

static void send_att(struct controller *c, uint32_t i, const uint8_t *pdu, size_t length)
{
    uint8_t packet[9 + PERIPHERAL_MTU_MAX] = {
        0x02, (uint8_t)(i + 1), 0x20, (uint8_t)(length + 4), 0, (uint8_t)length, 0, 4, 0};
    memcpy(packet + 9, pdu, length);
    if (length)
        vhci_send(c, packet, 9 + length);
}

static void take_acl(struct controller *c, const uint8_t *p, size_t length)
{
    const uint32_t handle = length >= 2 ? (uint32_t)(p[0] | (p[1] & 0x0f) << 8) : 0;
    uint8_t answer[PERIPHERAL_MTU_MAX];
    size_t size;
    if (handle < 1 || handle > PERIPHERALS_MAX)
        return;
    vhci_event(c, 0x13, (const uint8_t[]){1, (uint8_t)handle, 0, 1, 0}, 5);
    /* One packet holds one PDU: the host's buffer size is 251, an ATT PDU at most 185. Channel 4 is ATT. */
    if (length < 8 || p[6] != 4 || p[7] != 0 || (size_t)(p[4] | p[5] << 8) > length - 8 ||
        !c->linked[handle - 1])
        return;
    size = peripheral_answer(&c->peripherals[handle - 1], p + 8, (size_t)(p[4] | p[5] << 8), answer);
    send_att(c, handle - 1, answer, size);
}

/* --- commands of the host --- */

static void reset(struct controller *c)
{
    c->scanning = false;
    c->accepted = 0;
    c->connecting = false;
    memset(c->linked, 0, sizeof c->linked);
    c->resets++;
    if (c->hang)
        c->hang--;
}

static void change_accept_list(struct controller *c, uint16_t opcode, const uint8_t *q)
{
    if (opcode == 0x2010)
        c->accepted = 0;
    if (opcode == 0x2011 && c->accepted < ACCEPT_MAX)
        memcpy(c->accept[c->accepted++], q, 7);
    for (size_t i = 0; opcode == 0x2012 && i < c->accepted; i++) {
        if (memcmp(c->accept[i], q, 7) == 0)
            memmove(c->accept[i], c->accept[c->accepted-- - 1], 7);
    }
    vhci_complete_status(c, opcode, 0);
}

static void scan_command(struct controller *c, uint16_t opcode, const uint8_t *q)
{
    const bool parameters = opcode == 0x200b || opcode == 0x2041;
    if (c->busy || (parameters && c->scanning)) {
        vhci_complete_status(c, opcode, 0x0c);
        return;
    }
    if (parameters) {
        c->scan_policy = opcode == 0x200b ? q[6] : q[1];
        c->active = (opcode == 0x200b ? q[0] : q[3]) != 0;
    } else {
        c->scanning = q[0] != 0;
    }
    vhci_complete_status(c, opcode, 0);
}

static bool link_command(struct controller *c, uint16_t opcode, const uint8_t *q)
{
    const uint32_t handle = q[0];
    switch (opcode) {
    case 0x200d: /* LE Create Connection */
    case 0x2043:
        vhci_command_status(c, opcode);
        memcpy(c->wanted, q + (opcode == 0x200d ? 5 : 2), 7);
        c->connecting = true;
        return true;
    case 0x200e: /* … Cancel */
        vhci_complete_status(c, opcode, c->connecting ? 0 : 0x0c);
        if (c->connecting)
            connected(c, 0, 0x02);
        return true;
    case 0x2016: /* LE Read Remote Features */
        vhci_command_status(c, opcode);
        vhci_event(c, 0x3e, (const uint8_t[12]){4, 0, (uint8_t)handle}, 12);
        return true;
    case 0x2013: /* LE Connection Update */
        vhci_command_status(c, opcode);
        vhci_event(c, 0x3e, (const uint8_t[10]){3, 0, (uint8_t)handle, 0, 40, 0, 0, 0, 100, 0}, 10);
        return true;
    case 0x041d: /* Read Remote Version */
        vhci_command_status(c, opcode);
        vhci_event(c, 0x0c, (const uint8_t[8]){0, (uint8_t)handle, 0, 8, 0xff, 0xff}, 8);
        return true;
    case 0x0406: /* Disconnect */
        vhci_command_status(c, opcode);
        if (handle >= 1 && handle <= PERIPHERALS_MAX)
            disconnected(c, handle - 1, 0x16);
        return true;
    default:
        return false;
    }
}

static void take_command(struct controller *c, const uint8_t *p, size_t length)
{
    uint8_t parameters[256] = {0};
    const uint16_t opcode = (uint16_t)(p[0] | p[1] << 8);
    memcpy(parameters, p + 3, length - 3);
    switch (opcode) {
    case 0x0c03:
        reset(c);
        vhci_complete_status(c, opcode, 0);
        break;
    case 0x2010:
    case 0x2011:
    case 0x2012:
        change_accept_list(c, opcode, parameters);
        break;
    case 0x200b:
    case 0x200c:
    case 0x2041:
    case 0x2042:
        scan_command(c, opcode, parameters);
        break;
    default:
        if (!link_command(c, opcode, parameters))
            vhci_describe(c, opcode);
        break;
    }
}

/* --- the adapter itself --- */

static bool plug_in(struct controller *c)
{
    const uint8_t create[] = {0xff, 0x00};
    c->fd = open("/dev/vhci", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (c->fd < 0) {
        fprintf(stderr, "vhci_controller: /dev/vhci: %s\n", strerror(errno));
        return false;
    }
    c->scanning = c->connecting = false;
    memset(c->linked, 0, sizeof c->linked);
    vhci_send(c, create, sizeof create);
    return true;
}

static void from_host(struct controller *c)
{
    uint8_t packet[2048];
    ssize_t n;
    while (c->fd >= 0 && (n = read(c->fd, packet, sizeof packet)) > 0) {
        if (packet[0] == 0xff && n >= 4)
            printf("hci%d\n", packet[2] | packet[3] << 8);
        else if (packet[0] == 0x01 && n >= 4 && n <= 4 + 255)
            take_command(c, packet + 1, (size_t)n - 1);
        else if (packet[0] == 0x02)
            take_acl(c, packet + 1, (size_t)n - 1);
    }
}

/* --- commands of the test --- */

static bool parse_address(const char *text, uint8_t ret[6])
{
    unsigned b[6];
    if (sscanf(text, "%x:%x:%x:%x:%x:%x", &b[5], &b[4], &b[3], &b[2], &b[1], &b[0]) != 6)
        return false;
    for (int i = 0; i < 6; i++)
        ret[i] = (uint8_t)b[i];
    return true;
}

static bool advert_line(struct controller *c, const char *rest, bool fragments)
{
    struct air_advert a = {.address_type = 1, .type = 3, .rssi = -60};
    char address[18], hex[2 * AIR_DATA_MAX + 1];
    if (sscanf(rest, "%17s %458s", address, hex) != 2 || !parse_address(address, a.address))
        return false;
    for (const char *p = hex; p[0] && p[1]; p += 2) {
        const char byte[3] = {p[0], p[1], 0};
        a.data[a.length++] = (uint8_t)strtoul(byte, NULL, 16);
    }
    if (fragments && hears(c)) {
        const uint8_t half = a.length / 2;
        report_extended(c, &a, 0x20, a.data, half);
        report_extended(c, &a, 0x00, a.data + half, (uint8_t)(a.length - half));
        c->adverts++;
    } else if (!fragments) {
        report(c, &a);
    }
    return true;
}

static void stat_line(const struct controller *c)
{
    uint32_t links = 0, written = 0;
    for (uint32_t i = 0; i < c->peripheral_count; i++) {
        links += c->linked[i];
        written += c->peripherals[i].written;
    }
    printf("adverts=%" PRIu64 " scan=%d active=%d links=%u resets=%u written=%u\n", c->adverts, c->scanning,
           c->active, links, c->resets, written);
}

static bool lever(struct controller *c, const char *word, uint32_t value)
{
    if (strcmp(word, "sensors") == 0)
        c->air.sensors = value > AIR_SENSORS_MAX ? AIR_SENSORS_MAX : value, c->air.next = 0,
        c->air.repeated = 0;
    else if (strcmp(word, "rate") == 0)
        c->air.rate = value;
    else if (strcmp(word, "repeat") == 0)
        c->air.repeat = value;
    else if (strcmp(word, "silence") == 0)
        c->silence = value != 0;
    else if (strcmp(word, "empty") == 0)
        c->air.empty = value != 0;
    else if (strcmp(word, "hang") == 0)
        c->hang = value;
    else if (strcmp(word, "busy") == 0)
        c->busy = value != 0;
    else if (strcmp(word, "unreachable") == 0)
        c->unreachable = value != 0;
    else
        return false;
    return true;
}

/* False: the test has had enough. */
static bool test_line(struct controller *c, const char *line)
{
    char word[16] = "";
    uint32_t value = 0;
    int at = 0;
    sscanf(line, "%15s%n %" SCNu32, word, &at, &value);
    if (strcmp(word, "quit") == 0)
        return false;
    if (strcmp(word, "stat") == 0) {
        stat_line(c);
        return true;
    }
    if (strcmp(word, "drop") == 0) {
        for (uint32_t i = 0; i < c->peripheral_count; i++)
            disconnected(c, i, (uint8_t)value);
    } else if (strcmp(word, "remove") == 0) {
        close(c->fd);
        c->fd = -1;
    } else if (strcmp(word, "return") == 0) {
        if (c->fd < 0 && !plug_in(c))
            return false;
        return true; /* the kernel's answer is the line */
    } else if (strcmp(word, "advert") == 0 || strcmp(word, "fragments") == 0) {
        if (!advert_line(c, line + at, word[0] == 'f')) {
            printf("wrong\n");
            return true;
        }
    } else if (!lever(c, word, value)) {
        printf("unknown command %s\n", word);
        return true;
    }
    printf("ok\n");
    return true;
}

/* False: the end of the input, or `quit`. */
static bool from_test(struct controller *c)
{
    static char line[LINE_BYTES];
    static size_t length;
    char chunk[LINE_BYTES];
    const ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
    for (ssize_t i = 0; i < n; i++) {
        if (chunk[i] != '\n') {
            if (length < sizeof line - 1)
                line[length++] = chunk[i];
            continue;
        }
        line[length] = 0;
        length = 0;
        if (!test_line(c, line))
            return false;
    }
    return n > 0;
}

static void step(struct controller *c)
{
    const int64_t us = now_us();
    const uint32_t due = air_due(&c->air, us);
    uint8_t pdu[PERIPHERAL_MTU_MAX];
    for (uint32_t i = 0; i < due && hears(c); i++) {
        struct air_advert a;
        air_take(&c->air, &a);
        report(c, &a);
    }
    advertise_peripherals(c, us / 1000);
    try_connect(c);
    for (uint32_t i = 0; i < c->peripheral_count; i++) {
        if (c->linked[i] && !c->unreachable)
            send_att(c, i, pdu, peripheral_notification(&c->peripherals[i], us / 1000, pdu));
    }
}

static bool options(struct controller *c, int argc, char **argv)
{
    static const struct option table[] = {{"address", required_argument, NULL, 'a'},
                                          {"extended", no_argument, NULL, 'x'},
                                          {"sensors", required_argument, NULL, 's'},
                                          {"rate", required_argument, NULL, 'r'},
                                          {"repeat", required_argument, NULL, 'R'},
                                          {"peripherals", required_argument, NULL, 'p'},
                                          {0}};
    int option;
    air_init(&c->air, 10, 20);
    while ((option = getopt_long(argc, argv, "", table, NULL)) >= 0) {
        const uint32_t value = optarg ? (uint32_t)strtoul(optarg, NULL, 10) : 0;
        if (option == 'a' && !parse_address(optarg, c->address))
            return false;
        if (option == 'x')
            c->extended = true;
        if (option == 's')
            lever(c, "sensors", value);
        if (option == 'r')
            lever(c, "rate", value);
        if (option == 'R')
            lever(c, "repeat", value);
        if (option == 'p')
            c->peripheral_count = value > PERIPHERALS_MAX ? PERIPHERALS_MAX : value;
        if (option == '?')
            return false;
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    static struct controller c = {.address = {5, 4, 3, 2, 1, 0}};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!options(&c, argc, argv)) {
        fprintf(stderr, "vhci_controller: wrong usage; the head of vhci_controller.c has it\n");
        return 2;
    }
    for (uint32_t i = 0; i < c.peripheral_count; i++)
        peripheral_init(&c.peripherals[i]);
    if (!plug_in(&c))
        return 1;
    for (;;) {
        struct pollfd ready[2] = {{c.fd, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        poll(ready, 2, STEP_MS);
        if (ready[0].revents)
            from_host(&c);
        if (ready[1].revents && !from_test(&c))
            return 0;
        step(&c);
    }
}
