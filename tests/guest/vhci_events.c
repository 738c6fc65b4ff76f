/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/vhci_controller.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void vhci_send(struct controller *c, const uint8_t *packet, size_t length)
{
    if (c->fd >= 0 && write(c->fd, packet, length) != (ssize_t)length &&
        errno != ENXIO) /* ENXIO: switched off just now */
        fprintf(stderr, "vhci_controller: a packet was not taken: %s\n", strerror(errno));
}

void vhci_event(struct controller *c, uint8_t code, const uint8_t *body, size_t length)
{
    uint8_t packet[3 + 255] = {0x04, code, (uint8_t)length};
    memcpy(packet + 3, body, length);
    vhci_send(c, packet, 3 + length);
}

void vhci_complete(struct controller *c, uint16_t opcode, const uint8_t *body, size_t length)
{
    uint8_t b[255] = {1, (uint8_t)opcode, (uint8_t)(opcode >> 8)};
    memcpy(b + 3, body, length);
    vhci_event(c, 0x0e, b, 3 + length);
}

void vhci_complete_status(struct controller *c, uint16_t opcode, uint8_t status)
{
    vhci_complete(c, opcode, &status, 1);
}

void vhci_command_status(struct controller *c, uint16_t opcode)
{
    const uint8_t b[] = {0, 1, (uint8_t)opcode, (uint8_t)(opcode >> 8)};
    vhci_event(c, 0x0f, b, sizeof b);
}

void vhci_describe(struct controller *c, uint16_t opcode)
{
    uint8_t r[252] = {0};
    const uint8_t version = c->extended ? 9 : 8;
    switch (opcode) {
    case 0x1001: /* Local Version: 5.0 or 4.2 */
        r[1] = version;
        r[4] = version;
        vhci_complete(c, opcode, r, 9);
        break;
    case 0x1002: /* Supported Commands: extended scan and connection */
        r[1 + 37] = c->extended ? 0xe0 : 0;
        vhci_complete(c, opcode, r, 65);
        break;
    case 0x1003: /* Local Features: LE, no BR/EDR */
        r[1 + 4] = 0x60;
        vhci_complete(c, opcode, r, 9);
        break;
    case 0x1009:
        memcpy(r + 1, c->address, 6);
        vhci_complete(c, opcode, r, 7);
        break;
    case 0x2002: /* LE buffers: 8 of 251 bytes */
        r[1] = 251;
        r[3] = 8;
        vhci_complete(c, opcode, r, 4);
        break;
    case 0x2003: /* LE Features: extended advertising */
        r[2] = c->extended ? 0x10 : 0;
        vhci_complete(c, opcode, r, 9);
        break;
    case 0x201c: /* LE states: all */
        memset(r + 1, 0xff, 5);
        r[6] = 3;
        vhci_complete(c, opcode, r, 9);
        break;
    case 0x200f: /* sizes of the accept and resolving lists */
    case 0x202a:
        r[1] = ACCEPT_MAX;
        vhci_complete(c, opcode, r, 2);
        break;
    case 0x2023: /* default data length */
        r[1] = 27;
        r[3] = 0x48;
        r[4] = 1;
        vhci_complete(c, opcode, r, 5);
        break;
    default: /* success, and zeroes for whatever it returns */
        vhci_complete(c, opcode, r, opcode == 0x0c14 ? 249 : opcode == 0x0c23 ? 4 : 17);
        break;
    }
}
