/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/att_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint16_t le(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static void put(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

/* --- the table ------------------------------------------------------------------------------------------ */

void att_server_init(struct att_server *s)
{
    memset(s, 0, sizeof *s);
    s->next_handle = 1;
    s->own_mtu = 185;
    s->mtu = 23;
}

static struct att_attribute *add(struct att_server *s, const uint8_t *uuid, size_t uuid_len,
                                 const void *value, size_t len)
{
    if (s->count == ATT_SERVER_ATTRIBUTES || len > 512) {
        fprintf(stderr, "att_server: too much\n");
        exit(1);
    }
    struct att_attribute *a = &s->attributes[s->count++];
    a->handle = s->next_handle++;
    memcpy(a->uuid, uuid, uuid_len);
    a->uuid_len = (uint8_t)uuid_len;
    if (len)
        memcpy(a->value, value, len);
    a->len = (uint16_t)len;
    return a;
}

static size_t wire_uuid(const char *text, uint8_t ret[16])
{
    size_t n = strlen(text) / 2;
    for (size_t i = 0; i < n; i++) {
        char two[3] = {text[2 * i], text[2 * i + 1], 0};
        ret[n - 1 - i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

uint16_t att_server_service(struct att_server *s, const char *uuid)
{
    static const uint8_t primary[] = {0x00, 0x28};
    uint8_t wire[16];
    size_t n = wire_uuid(uuid, wire);
    for (size_t i = 0; i < s->count; i++) {
        if (s->attributes[i].group_end == 0xFFFE)
            s->attributes[i].group_end = (uint16_t)(s->next_handle - 1);
    }
    struct att_attribute *a = add(s, primary, 2, wire, n);
    a->group_end = 0xFFFE; /* open */
    return a->handle;
}

uint16_t att_server_descriptor(struct att_server *s, const char *uuid, const void *value, size_t len)
{
    uint8_t wire[16];
    size_t n = wire_uuid(uuid, wire);
    return add(s, wire, n, value, len)->handle;
}

uint16_t att_server_characteristic(struct att_server *s, const char *uuid, uint8_t properties,
                                   const void *value, size_t len)
{
    static const uint8_t declaration_type[] = {0x03, 0x28};
    uint8_t wire[16], declaration[19];
    size_t n = wire_uuid(uuid, wire);
    declaration[0] = properties;
    put(declaration + 1, (uint16_t)(s->next_handle + 1));
    memcpy(declaration + 3, wire, n);
    add(s, declaration_type, 2, declaration, 3 + n);
    struct att_attribute *a = add(s, wire, n, value, len);
    a->properties = properties;
    a->read_error = properties & 0x02 ? 0 : 0x02;
    a->write_error = properties & 0x0C ? 0 : 0x03;
    uint16_t handle = a->handle;
    if (properties & 0x30)
        att_server_descriptor(s, "2902", "\0\0", 2);
    return handle;
}

void att_server_skip(struct att_server *s, uint16_t handles)
{
    s->next_handle = (uint16_t)(s->next_handle + handles);
}

struct att_attribute *att_server_at(struct att_server *s, uint16_t handle)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->attributes[i].handle == handle)
            return &s->attributes[i];
    }
    return NULL;
}

static bool is(const struct att_attribute *a, uint16_t uuid)
{
    return a->uuid_len == 2 && le(a->uuid) == uuid;
}

void att_server_connected(struct att_server *s)
{
    s->mtu = 23;
    s->encrypted = false;
    for (size_t i = 0; i < s->count; i++) {
        if (is(&s->attributes[i], 0x2902))
            put(s->attributes[i].value, 0);
    }
}

/* --- answers --------------------------------------------------------------------------------------------- */

static size_t refuse(uint8_t *ret, uint8_t op, uint16_t handle, uint8_t code)
{
    ret[0] = 0x01;
    ret[1] = op;
    put(ret + 2, handle);
    ret[4] = code;
    return 5;
}

/* Read By Type and Read By Group Type. */
static size_t list(struct att_server *s, const uint8_t *p, size_t len, uint8_t *ret)
{
    bool groups = p[0] == 0x10;
    size_t at = 2, head = groups ? 4 : 2, item = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct att_attribute *a = &s->attributes[i];
        if (a->handle < le(p + 1) || a->handle > le(p + 3) || a->uuid_len != len - 5 ||
            memcmp(a->uuid, p + 5, a->uuid_len) != 0)
            continue;
        size_t n = a->len;
        if ((item && item != head + n) || at + head + n > s->mtu)
            break;
        item = head + n;
        put(ret + at, a->handle);
        if (groups)
            put(ret + at + 2, a->group_end == 0xFFFE ? 0xFFFF : a->group_end);
        memcpy(ret + at + head, a->value, n);
        at += item;
    }
    if (!item)
        return refuse(ret, p[0], le(p + 1), 0x0A);
    ret[0] = (uint8_t)(p[0] + 1);
    ret[1] = (uint8_t)item;
    return at;
}

static size_t find(struct att_server *s, const uint8_t *p, uint8_t *ret)
{
    size_t at = 2, uuid_len = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct att_attribute *a = &s->attributes[i];
        if (a->handle < le(p + 1) || a->handle > le(p + 3))
            continue;
        if ((uuid_len && uuid_len != a->uuid_len) || at + 2 + a->uuid_len > s->mtu)
            break;
        uuid_len = a->uuid_len;
        put(ret + at, a->handle);
        memcpy(ret + at + 2, a->uuid, uuid_len);
        at += 2 + uuid_len;
    }
    if (!uuid_len)
        return refuse(ret, p[0], le(p + 1), 0x0A);
    ret[0] = 0x05;
    ret[1] = uuid_len == 2 ? 1 : 2;
    return at;
}

static size_t read_value(struct att_server *s, const uint8_t *p, uint8_t *ret)
{
    struct att_attribute *a = att_server_at(s, le(p + 1));
    uint16_t offset = p[0] == 0x0C ? le(p + 3) : 0;
    if (!a)
        return refuse(ret, p[0], le(p + 1), 0x01);
    if (a->needs_encryption && !s->encrypted)
        return refuse(ret, p[0], a->handle, 0x0F);
    if (a->read_error)
        return refuse(ret, p[0], a->handle, a->read_error);
    if (offset > a->len)
        return refuse(ret, p[0], a->handle, 0x07);
    size_t n = (size_t)(a->len - offset), most = (size_t)(s->mtu - 1);
    n = n < most ? n : most;
    ret[0] = (uint8_t)(p[0] + 1);
    memcpy(ret + 1, a->value + offset, n);
    return 1 + n;
}

static size_t write_value(struct att_server *s, const uint8_t *p, size_t len, uint8_t *ret)
{
    struct att_attribute *a = att_server_at(s, le(p + 1));
    bool command = p[0] == 0x52;
    uint8_t code = !a                                     ? 0x01
                   : a->needs_encryption && !s->encrypted ? 0x05
                   : len - 3 > 512                        ? 0x0D
                   : is(a, 0x2902)                        ? 0
                                                          : a->write_error;
    if (code)
        return command ? 0 : refuse(ret, p[0], le(p + 1), code);
    memcpy(a->value, p + 3, len - 3);
    a->len = (uint16_t)(len - 3);
    ret[0] = 0x13;
    return command ? 0 : 1;
}

static size_t prepare(struct att_server *s, const uint8_t *p, size_t len, uint8_t *ret)
{
    struct att_attribute *a = att_server_at(s, le(p + 1));
    size_t n = len - 5;
    if (!a || a->write_error)
        return refuse(ret, p[0], le(p + 1), a ? a->write_error : 0x01);
    if (le(p + 3) != s->prepared_len || s->prepared_len + n > sizeof s->prepared)
        return refuse(ret, p[0], le(p + 1), 0x07);
    memcpy(s->prepared + s->prepared_len, p + 5, n);
    s->prepared_len = (uint16_t)(s->prepared_len + n);
    s->prepared_handle = a->handle;
    memcpy(ret, p, len);
    ret[0] = 0x17;
    if (s->wrong_echo)
        ret[len - 1] ^= 1;
    return len;
}

static size_t execute(struct att_server *s, const uint8_t *p, uint8_t *ret)
{
    struct att_attribute *a = att_server_at(s, s->prepared_handle);
    if (p[1] == 1 && a) {
        memcpy(a->value, s->prepared, s->prepared_len);
        a->len = s->prepared_len;
    }
    s->prepared_len = 0;
    ret[0] = 0x19;
    return 1;
}

size_t att_server_answer(struct att_server *s, const uint8_t *p, size_t len, uint8_t ret[520])
{
    static const uint8_t least[] = {[0x02] = 3, [0x04] = 5, [0x08] = 7, [0x0A] = 3, [0x0C] = 5,
                                    [0x10] = 7, [0x12] = 3, [0x16] = 5, [0x18] = 2, [0x52] = 3};
    s->requests[p[0]]++;
    if (s->silent)
        return 0;
    if (p[0] == 0x1E)
        s->confirmations++;
    if (p[0] < sizeof least && least[p[0]] && len < least[p[0]])
        return refuse(ret, p[0], 0, 0x04);
    switch (p[0]) {
    case 0x02:
        s->mtu = le(p + 1) < s->own_mtu ? le(p + 1) : s->own_mtu;
        s->mtu = s->mtu < 23 ? 23 : s->mtu;
        ret[0] = 0x03;
        put(ret + 1, s->own_mtu);
        return 3;
    case 0x04:
        return find(s, p, ret);
    case 0x08:
    case 0x10:
        return list(s, p, len, ret);
    case 0x0A:
    case 0x0C:
        return read_value(s, p, ret);
    case 0x12:
    case 0x52:
        return write_value(s, p, len, ret);
    case 0x16:
        return prepare(s, p, len, ret);
    case 0x18:
        return execute(s, p, ret);
    default:
        return p[0] & 0x40 || p[0] % 2 || p[0] == 0x1E ? 0 : refuse(ret, p[0], 0, 0x06);
    }
}

size_t att_server_tell(struct att_server *s, uint16_t value_handle, uint8_t ret[520])
{
    struct att_attribute *a = att_server_at(s, value_handle), *cccd = NULL;
    for (uint16_t h = (uint16_t)(value_handle + 1); !cccd && h < value_handle + 8; h++) {
        struct att_attribute *c = att_server_at(s, h);
        cccd = c && is(c, 0x2902) ? c : NULL;
    }
    if (!a || !cccd || le(cccd->value) == 0)
        return 0;
    size_t n = a->len < s->mtu - 3 ? a->len : (size_t)(s->mtu - 3);
    ret[0] = le(cccd->value) & 1 ? 0x1B : 0x1D;
    put(ret + 1, value_handle);
    memcpy(ret + 3, a->value, n);
    return 3 + n;
}
