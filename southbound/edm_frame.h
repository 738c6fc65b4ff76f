/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * edm_frame - frames of the extended data mode of u-connectXpress modules (entered by ATO2), in which commands, events and the
 * data of several peers share one serial line. Pure.
 *
 *     AA | length u16 | id and type u16 | … | 55        big endian; the length counts what is between it and the 55
 *
 *     11 connect       channel, 01 Bluetooth: profile, address[6], frame size u16
 *                               02 IPv4:      protocol, remote[4], port u16, local[4], port u16
 *                               03 IPv6:      protocol, remote[16], port u16, local[16], port u16
 *     21 disconnect    channel                 31 data from a peer   channel, bytes
 *     36 data to a peer channel, bytes         41 AT event           text (an unsolicited line)
 *     44 AT request    text with its CR        45 AT response        text
 *     56 tell connect events again             71 start              the module has entered this mode
 * (u-connectXpress AT commands manual UBX-14044127; u-blox' ubxlib, u_short_range_edm.c, has the same table.)
 *
 * FINDING FRAMES   The payload may hold AA and 55: only the length says where a frame ends. A length below 2 or above
 * TG_EDM_LENGTH_MAX, or another byte where the 55 belongs, is no frame: bytes are skipped up to the next AA, and what stands there
 * is looked at anew, so that a damaged length costs at most the frames it covers. Skipped bytes are given too: a module that has
 * restarted speaks plain text (+STARTUP).
 *
 *     struct tg_edm_item item;
 *     do {
 *         size_t n = tg_edm_input(&parser, in, &item);
 *         in = tg_at_rest(in, n);
 *         if (item.kind == TG_EDM_ITEM_FRAME) …
 *     } while (item.kind != TG_EDM_ITEM_NONE);
 *
 * BOUNDS   The struct is all the memory there is (4 KiB). One thread.
 */
#ifndef TG_SOUTHBOUND_EDM_FRAME_H
#define TG_SOUTHBOUND_EDM_FRAME_H

#include "core/base/bytes.h"

#define TG_EDM_LENGTH_MAX   0xFFCu
#define TG_EDM_FRAME_MAX    (TG_EDM_LENGTH_MAX + 4u)
#define TG_EDM_DATA_MAX     (TG_EDM_LENGTH_MAX - 3u) /* of one data frame */
#define TG_EDM_TEXT_MAX     (TG_EDM_LENGTH_MAX - 2u) /* of one AT request */
#define TG_EDM_ADDRESS_TEXT 48                       /* an address as text, with its NUL */

enum tg_edm_type {
    TG_EDM_CONNECT = 0x11,
    TG_EDM_DISCONNECT = 0x21,
    TG_EDM_DATA_EVENT = 0x31,
    TG_EDM_DATA_COMMAND = 0x36,
    TG_EDM_AT_EVENT = 0x41,
    TG_EDM_AT_REQUEST = 0x44,
    TG_EDM_AT_RESPONSE = 0x45,
    TG_EDM_RESEND_CONNECTS = 0x56,
    TG_EDM_START = 0x71
};

enum tg_edm_link { TG_EDM_BLUETOOTH = 1, TG_EDM_IPV4 = 2, TG_EDM_IPV6 = 3 };

struct tg_edm_connect {
    enum tg_edm_link link;
    uint8_t kind;       /* Bluetooth: profile (0 SPP, 1 DUN, 14 SPS); IP: protocol (0 TCP, 1 UDP, 2 MQTT) */
    uint8_t remote[16]; /* 6, 4 or 16 bytes */
    uint8_t local[16];  /* IP */
    uint16_t remote_port, local_port; /* IP */
    uint16_t frame_size;              /* Bluetooth: the most bytes of one data frame */
};

struct tg_edm_frame {
    uint16_t type;         /* enum tg_edm_type, or another */
    uint8_t channel;       /* CONNECT, DISCONNECT, DATA_… */
    struct tg_bytes bytes; /* DATA_…, AT_…: the data or text; another type: what follows the type */
    struct tg_edm_connect connect;
};

enum tg_edm_item_kind {
    TG_EDM_ITEM_NONE = 0,  /* all input is taken, nothing is complete */
    TG_EDM_ITEM_FRAME,     /* a frame of a known type */
    TG_EDM_ITEM_UNKNOWN,   /* a frame of another type, or a connect event of another link: type and bytes */
    TG_EDM_ITEM_MALFORMED, /* a frame whose contents are too short or too long for its type; type */
    TG_EDM_ITEM_SKIPPED    /* bytes that are no frame */
};

struct tg_edm_item {
    enum tg_edm_item_kind kind;
    struct tg_edm_frame frame;
    struct tg_bytes skipped; /* views are valid until the next call */
};

struct tg_edm_parser {
    uint8_t buf[TG_EDM_FRAME_MAX];
    size_t len;
    size_t given; /* bytes at the front that the last item was made of */
    uint64_t frames, unknown_frames, malformed_frames, skipped_bytes;
};

void tg_edm_init(struct tg_edm_parser *p);
/* Takes bytes and gives the next item; returns how many were taken. Call again, also without input, until NONE. */
size_t tg_edm_input(struct tg_edm_parser *p, struct tg_bytes in, struct tg_edm_item *ret_item);
/* What waits for the rest of its frame. */
struct tg_bytes tg_edm_pending(const struct tg_edm_parser *p);

/* Each writes one whole frame; TG_ETOOBIG when text or data or the writer's room do not do. */
int tg_edm_write_at_request(struct tg_writer *w, struct tg_bytes text) TG_CHECKED;
int tg_edm_write_data(struct tg_writer *w, uint8_t channel, struct tg_bytes data) TG_CHECKED;
int tg_edm_write_resend_connects(struct tg_writer *w) TG_CHECKED;

/* "connect", "data_event", …; "unknown". Static storage. */
const char *tg_edm_type_name(uint16_t type);
/* "spp", "dun", "sps", "tcp", "udp", "mqtt"; "other". */
const char *tg_edm_kind_name(const struct tg_edm_connect *c);
/* d4ca6e8a1b2c, 192.168.0.20, or 2001:db8:0:0:0:0:0:1; the remote or local address. */
void tg_edm_address_text(const struct tg_edm_connect *c, bool local, char ret_text[TG_EDM_ADDRESS_TEXT]);

#endif
