/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * att_server - a GATT server for tests: a table of attributes behind the Attribute Protocol (Core, volume 3, part F), with levers. It has
 * its own reading and writing of PDUs, so that a mistake in the product's does not cancel itself out.
 *
 *     struct att_server s; att_server_init(&s);
 *     att_server_service(&s, "181a");
 *     uint16_t h = att_server_characteristic(&s, "2a6e", 0x12, "\x0a\x09", 2);      its CCCD is h + 1
 *     n = att_server_answer(&s, pdu, len, out);
 */
#ifndef TG_TESTS_SUPPORT_ATT_SERVER_H
#define TG_TESTS_SUPPORT_ATT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATT_SERVER_ATTRIBUTES 160

struct att_attribute {
    uint16_t handle, group_end;
    uint8_t uuid[16]; /* as on the wire */
    uint8_t uuid_len, properties;
    uint8_t value[512];
    uint16_t len;
    uint8_t read_error, write_error; /* ATT codes, 0 = allowed */
    bool needs_encryption;
};

struct att_server {
    struct att_attribute attributes[ATT_SERVER_ATTRIBUTES];
    size_t count;
    uint16_t next_handle, own_mtu, mtu;
    bool encrypted;
    bool silent;            /* lever: answers nothing */
    bool wrong_echo;        /* lever: a prepared write comes back with another byte */
    uint32_t requests[256]; /* by opcode */
    uint32_t confirmations;
    uint8_t prepared[512];
    uint16_t prepared_len, prepared_handle;
};

void att_server_init(struct att_server *s);
/* UUIDs as 4 or 32 hexadecimal digits. The handle of the service; of the characteristic's value. */
uint16_t att_server_service(struct att_server *s, const char *uuid);
uint16_t att_server_characteristic(struct att_server *s, const char *uuid, uint8_t properties,
                                   const void *value, size_t len);
uint16_t att_server_descriptor(struct att_server *s, const char *uuid, const void *value, size_t len);
/* Leaves a hole in the handles. */
void att_server_skip(struct att_server *s, uint16_t handles);
struct att_attribute *att_server_at(struct att_server *s, uint16_t handle);
/* A new connection: MTU and subscriptions are those of a stranger. */
void att_server_connected(struct att_server *s);
/* The answer's length; 0 = none. */
size_t att_server_answer(struct att_server *s, const uint8_t *pdu, size_t len, uint8_t ret[520]);
/* A notification (or indication) of the present value, when its CCCD asks for one; 0 otherwise. */
size_t att_server_tell(struct att_server *s, uint16_t value_handle, uint8_t ret[520]);

#endif
