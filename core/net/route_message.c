/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/route_message.h"

#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

/* The kernel's headers are read by copying: a buffer need not be aligned, and a hostile length never leads out of it. */

static size_t padded(size_t len)
{
    return (len + 3) & ~(size_t)3;
}

static struct tg_bytes rest_from(struct tg_bytes b, size_t at)
{
    return at < b.len ? tg_bytes(b.data + at, b.len - at) : tg_bytes(NULL, 0);
}

/* The next attribute: true, its type and value. *ret_bad: its length cannot be. */
static bool next_attribute(struct tg_bytes *in, uint16_t *ret_type, struct tg_bytes *ret_value, bool *ret_bad)
{
    struct rtattr head;
    if (in->len == 0)
        return false;
    if (in->len < sizeof head) {
        *ret_bad = true;
        return false;
    }
    memcpy(&head, in->data, sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > in->len) {
        *ret_bad = true;
        return false;
    }
    *ret_type = head.rta_type & 0x3fff; /* without NLA_F_NESTED and NLA_F_NET_BYTEORDER */
    *ret_value = tg_bytes(in->data + sizeof head, head.rta_len - sizeof head);
    *in = rest_from(*in, padded(head.rta_len));
    return true;
}

static void take_ip(struct tg_ip *ip, uint8_t family, struct tg_bytes value)
{
    size_t len = family == AF_INET ? 4 : 16;
    if ((family != AF_INET && family != AF_INET6) || value.len < len)
        return;
    *ip = (struct tg_ip){.family = family == AF_INET ? 4 : 6};
    memcpy(ip->bytes, value.data, len);
}

static uint32_t take_u32(struct tg_bytes value)
{
    uint32_t number = 0;
    if (value.len >= sizeof number)
        memcpy(&number, value.data, sizeof number);
    return number;
}

static bool read_link(struct tg_bytes body, struct tg_route_message *m)
{
    struct ifinfomsg info;
    struct tg_bytes value;
    uint16_t type;
    bool bad = false;
    if (body.len < sizeof info)
        return false;
    memcpy(&info, body.data, sizeof info);
    m->kind = TG_ROUTE_LINK;
    m->link = info.ifi_index > 0 ? (uint32_t)info.ifi_index : 0;
    m->is_up = (info.ifi_flags & IFF_UP) != 0;
    m->has_carrier = (info.ifi_flags & IFF_LOWER_UP) != 0;
    m->is_loopback = (info.ifi_flags & IFF_LOOPBACK) != 0;
    body = rest_from(body, padded(sizeof info));
    while (next_attribute(&body, &type, &value, &bad)) {
        if (type != IFLA_IFNAME || value.len == 0)
            continue;
        for (size_t i = 0; i < value.len && i < sizeof m->name - 1 && value.data[i]; i++)
            m->name[i] = value.data[i] > ' ' && value.data[i] < 0x7f ? (char)value.data[i] : '?';
    }
    return !bad;
}

static bool read_address(struct tg_bytes body, struct tg_route_message *m)
{
    struct ifaddrmsg info;
    struct tg_bytes value;
    uint32_t flags;
    uint16_t type;
    bool bad = false;
    if (body.len < sizeof info)
        return false;
    memcpy(&info, body.data, sizeof info);
    m->kind = TG_ROUTE_ADDRESS;
    m->link = info.ifa_index;
    flags = info.ifa_flags;
    body = rest_from(body, padded(sizeof info));
    while (next_attribute(&body, &type, &value, &bad)) {
        /* On a point-to-point link ADDRESS is the other end's; LOCAL, where there is one, is always ours. */
        if (type == IFA_LOCAL || (type == IFA_ADDRESS && m->address.family == 0))
            take_ip(&m->address, info.ifa_family, value);
        else if (type == IFA_FLAGS)
            flags = take_u32(value);
    }
    m->is_tentative = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0 && (flags & IFA_F_OPTIMISTIC) == 0;
    return !bad;
}

static bool read_route(struct tg_bytes body, struct tg_route_message *m)
{
    struct rtmsg info;
    struct tg_bytes value;
    uint16_t type;
    bool bad = false;
    if (body.len < sizeof info)
        return false;
    memcpy(&info, body.data, sizeof info);
    m->kind = TG_ROUTE_ROUTE;
    m->is_local = info.rtm_type == RTN_LOCAL;
    m->is_usable = info.rtm_type == RTN_UNICAST || info.rtm_type == RTN_LOCAL;
    m->is_default = info.rtm_dst_len == 0;
    body = rest_from(body, padded(sizeof info));
    while (next_attribute(&body, &type, &value, &bad)) {
        if (type == RTA_OIF)
            m->link = take_u32(value);
        else if (type == RTA_GATEWAY)
            take_ip(&m->address, info.rtm_family, value);
        else if (type == RTA_PREFSRC)
            take_ip(&m->source, info.rtm_family, value);
    }
    return !bad;
}

static bool read_error(struct tg_bytes body, struct tg_route_message *m)
{
    int32_t code;
    if (body.len < sizeof code)
        return false;
    memcpy(&code, body.data, sizeof code);
    m->kind = TG_ROUTE_ERROR;
    m->error = code < 0 && code > INT32_MIN ? -code : 0;
    return true;
}

static bool read_body(uint16_t type, struct tg_bytes body, struct tg_route_message *m)
{
    m->gone = type == RTM_DELLINK || type == RTM_DELADDR || type == RTM_DELROUTE;
    switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        return read_link(body, m);
    case RTM_NEWADDR:
    case RTM_DELADDR:
        return read_address(body, m);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        return read_route(body, m);
    case NLMSG_ERROR:
        return read_error(body, m);
    default:
        return true;
    }
}

int tg_route_next(struct tg_bytes *in, struct tg_route_message *ret_message)
{
    struct tg_route_message m = {.kind = TG_ROUTE_OTHER};
    struct nlmsghdr head;
    if (in->len == 0)
        return 0;
    if (in->len < sizeof head)
        return TG_EPROTO;
    memcpy(&head, in->data, sizeof head);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > in->len)
        return TG_EPROTO;
    m.sequence = head.nlmsg_seq;
    if (!read_body(head.nlmsg_type, tg_bytes(in->data + sizeof head, head.nlmsg_len - sizeof head), &m))
        return TG_EPROTO;
    *in = rest_from(*in, padded(head.nlmsg_len));
    *ret_message = m;
    return 1;
}

/* --- questions ----------------------------------------------------------------------------------- */

static struct nlmsghdr request(uint16_t type, size_t len, uint32_t sequence)
{
    return (struct nlmsghdr){
        .nlmsg_len = (uint32_t)len, .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = sequence};
}

void tg_route_ask_way(struct tg_writer *w, const struct tg_ip *to, uint32_t sequence)
{
    const size_t bytes = to->family == 4 ? 4 : 16;
    const struct rtattr attribute = {.rta_len = (unsigned short)(sizeof attribute + bytes),
                                     .rta_type = RTA_DST};
    const struct rtmsg body = {.rtm_family = to->family == 4 ? AF_INET : AF_INET6,
                               .rtm_dst_len = (unsigned char)(8 * bytes)};
    const struct nlmsghdr head =
        request(RTM_GETROUTE, sizeof head + sizeof body + sizeof attribute + bytes, sequence);
    tg_write_bytes(w, tg_bytes(&head, sizeof head));
    tg_write_bytes(w, tg_bytes(&body, sizeof body));
    tg_write_bytes(w, tg_bytes(&attribute, sizeof attribute));
    tg_write_bytes(w, tg_bytes(to->bytes, bytes));
}

void tg_route_ask_link(struct tg_writer *w, uint32_t link, uint32_t sequence)
{
    const struct ifinfomsg body = {.ifi_index = (int)link};
    const struct nlmsghdr head = request(RTM_GETLINK, sizeof head + sizeof body, sequence);
    tg_write_bytes(w, tg_bytes(&head, sizeof head));
    tg_write_bytes(w, tg_bytes(&body, sizeof body));
}

/* --- addresses ----------------------------------------------------------------------------------- */

bool tg_ip_is_loopback(const struct tg_ip *ip)
{
    static const uint8_t one[16] = {[15] = 1}, mapped[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    if (ip->family == 4)
        return ip->bytes[0] == 127;
    return ip->family == 6 &&
           (memcmp(ip->bytes, one, sizeof one) == 0 || memcmp(ip->bytes, mapped, sizeof mapped) == 0);
}

bool tg_ip_is_link_local(const struct tg_ip *ip)
{
    return ip->family == 6 && ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}
