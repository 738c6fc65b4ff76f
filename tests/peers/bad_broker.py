#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bad_broker - an MQTT 3.1.1 broker that misbehaves on command; it behaves until told otherwise (see control.py).

    bad_broker.py [--cert FILE --key FILE [--ciphers TEXT] [--version 1.2]]      →  {"ready": true, "port": 40001}

Every client is accepted, whatever it presents. Levers, for what happens from then on:

    handshake stall|go        TCP is accepted, TLS (or, without TLS, MQTT) never begins
    connack CODE|never        the return code; `session on|off` sets session present
    puback once|twice|never|unknown|later    unknown: for an id that was never used; later: held until `release`
    suback CODE|never         0, 1, 2 or 128
    ping on|off               whether PINGREQ is answered
    close_after N             the connection is closed after N more PUBLISH packets; -1 = not
    close | reset             now, all connections (reset: TCP RST)
    release                   sends what `puback later` held, in order
    publish TOPIC PAYLOAD [QOS]    to every client; answers with the packet id
    crumbs on|off             what goes to every client goes a byte at a time, with TLS each in a record of its own
    raw HEX                   these bytes, to every client
    raw_file PATH             what is in the file, to every client
    oversize                  the head of a PUBLISH of 268,435,455 bytes, to every client
    garbage                   4 KB that are no MQTT, to every client
    seen                      {"packets": […]}: what came since the last `seen`, oldest first, at most 100,000; each with
                              `conn`, the number of its connection, and `at_ms` by a clock that only runs forward
    timeline                  {"events": [{"what": "accept" | "connect" | "lost", "conn", "at_ms", "client"}, …]} from the start
    handshakes                {"handshakes": [{"version", "cipher", "sni", "error"}, …]} from the start
    stats                     {"open": n, "accepted": n, "connects": n, "publishes": n, "pings": n, "acked": [ids acked by clients]}
"""
import argparse
import asyncio
import base64
import random
import socket
import ssl
import struct
import sys
import time
from collections import deque

import control

VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
CONNECT, PUBLISH, PUBACK, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 10, 12, 14


def now_ms():
    return round(time.monotonic() * 1000)


def length_of(n):
    out = bytearray()
    while True:
        out.append(n % 128 | (0x80 if n > 127 else 0))
        n //= 128
        if n == 0:
            return bytes(out)


def packet(head, body):
    return bytes([head]) + length_of(len(body)) + body


def text(value):
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


class Client:
    def __init__(self, broker, reader, writer, number):
        self.broker, self.reader, self.writer, self.number = broker, reader, writer, number
        self.name = ""
        self.held = []

    def saw(self, kind, **fields):
        self.broker.packets.append({"packet": kind, "conn": self.number, "at_ms": now_ms(), **fields})

    async def byte(self):
        return (await self.reader.readexactly(1))[0]

    async def read_packet(self):
        head = await self.byte()
        length = shift = 0
        while True:
            digit = await self.byte()
            length |= (digit & 0x7f) << shift
            shift += 7
            if digit < 0x80:
                break
        return head, await self.reader.readexactly(length)

    async def run(self):
        while True:
            head, body = await self.read_packet()
            kind = head >> 4
            if kind == CONNECT:
                self.on_connect(body)
            elif kind == PUBLISH:
                self.on_publish(head, body)
                if self.broker.countdown():
                    return
            elif kind == PUBACK:
                self.broker.acked.append(struct.unpack(">H", body)[0])
            elif kind == SUBSCRIBE:
                self.on_subscribe(body)
            elif kind == UNSUBSCRIBE:
                self.writer.write(packet(0xb0, body[:2]))
            elif kind == PINGREQ:
                self.broker.pings += 1
                if self.broker.ping:
                    self.writer.write(b"\xd0\x00")
            elif kind == DISCONNECT:
                self.saw("disconnect")
                return

    def on_connect(self, body):
        flags, keepalive = body[7], struct.unpack(">H", body[8:10])[0]
        size = struct.unpack(">H", body[10:12])[0]
        self.broker.connects += 1
        self.name = body[12:12 + size].decode(errors="replace")
        self.saw("connect", client=self.name, flags=flags, keepalive=keepalive)
        self.broker.happened("connect", self.number, self.name)
        if self.broker.connack is not None:
            present = 1 if self.broker.session and self.broker.connack == 0 else 0
            self.writer.write(bytes([0x20, 2, present, self.broker.connack]))

    def on_publish(self, head, body):
        size = struct.unpack(">H", body[:2])[0]
        qos = head >> 1 & 3
        number = struct.unpack(">H", body[2 + size:4 + size])[0] if qos else 0
        payload = body[2 + size + (2 if qos else 0):]
        self.broker.publishes += 1
        self.saw("publish", id=number, qos=qos, dup=bool(head & 8), retain=bool(head & 1),
                 topic=body[2:2 + size].decode(errors="replace"), payload=base64.b64encode(payload).decode())
        ack = packet(0x40, struct.pack(">H", number))
        if qos == 1 and self.broker.puback == "later":
            self.held.append(ack)
        elif qos == 1:
            self.writer.write({"once": ack, "twice": ack * 2, "never": b"",
                               "unknown": packet(0x40, struct.pack(">H", number % 65535 + 1))}[self.broker.puback])

    def on_subscribe(self, body):
        at, filters = 2, []
        while at < len(body):
            size = struct.unpack(">H", body[at:at + 2])[0]
            filters.append((body[at + 2:at + 2 + size].decode(errors="replace"), body[at + 2 + size]))
            at += 3 + size
        self.saw("subscribe", filters=filters)
        if self.broker.suback != "never":
            codes = bytes(qos if self.broker.suback is None else self.broker.suback for _, qos in filters)
            self.writer.write(packet(0x90, body[:2] + codes))


class Broker:
    def __init__(self, tls):
        self.tls = tls
        self.clients = set()
        self.stalled = set()
        self.packets = deque(maxlen=100000)
        self.acked = []
        self.stall = self.session = self.crumbs = False
        self.connack, self.puback, self.suback, self.ping = 0, "once", None, True
        self.left = -1
        self.accepted = self.connects = self.publishes = self.next_id = self.pings = 0
        self.events, self.handshakes = [], []
        if tls:
            tls.sni_callback = self.on_sni

    async def accept(self, reader, writer):
        self.accepted += 1
        client = Client(self, reader, writer, self.accepted)
        self.happened("accept", client.number)
        if self.stall:
            self.stalled.add(writer)
            return
        try:
            if self.tls:
                await self.shake_hands(writer)
            self.clients.add(client)
            await client.run()
        except (OSError, EOFError, IndexError, ValueError, struct.error):
            client.saw("lost")
        finally:
            self.happened("lost", client.number, client.name)
            self.clients.discard(client)
            writer.close()

    async def shake_hands(self, writer):
        shake = {"version": None, "cipher": None, "sni": None, "error": None}
        self.handshakes.append(shake)
        try:
            await writer.start_tls(self.tls, ssl_handshake_timeout=10)
        except OSError as error:
            shake["error"] = str(error)
            raise
        tls = writer.get_extra_info("ssl_object")
        shake.update(version=tls.version(), cipher=tls.cipher()[0], sni=getattr(tls, "asked_for", None))

    def on_sni(self, tls, name, context):
        tls.asked_for = name

    def happened(self, what, number, client=""):
        self.events.append({"what": what, "conn": number, "at_ms": now_ms(), "client": client})

    def countdown(self):
        self.left -= self.left > 0
        return self.left == 0

    # --- the levers -----------------------------------------------------------------------------

    def set_handshake(self, state):
        self.stall = {"stall": True, "go": False}[state]

    def set_connack(self, code):
        self.connack = None if code == "never" else int(code)

    def set_session(self, state):
        self.session = {"on": True, "off": False}[state]

    def set_puback(self, how):
        if how not in ("once", "twice", "never", "unknown", "later"):
            raise ValueError("once, twice, never, unknown or later")
        self.puback = how

    def set_suback(self, code):
        self.suback = "never" if code == "never" else int(code)

    def set_ping(self, state):
        self.ping = {"on": True, "off": False}[state]

    def close_after(self, count):
        self.left = int(count)

    def close(self, hard=False):
        for writer in [client.writer for client in self.clients] + list(self.stalled):
            if hard:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()
        self.stalled.clear()

    def set_crumbs(self, state):
        self.crumbs = {"on": True, "off": False}[state]

    def everybody(self, data):
        for client in self.clients:
            for piece in [data[i:i + 1] for i in range(len(data))] if self.crumbs else [data]:
                client.writer.write(piece)

    def raw_file(self, path):
        with open(path, "rb") as file:
            self.everybody(file.read())

    def release(self):
        for client in self.clients:
            client.writer.write(b"".join(client.held))
            client.held.clear()

    def publish(self, topic, payload, qos="1"):
        self.next_id = self.next_id % 65535 + 1
        number = struct.pack(">H", self.next_id) if int(qos) else b""
        self.everybody(packet(0x30 | int(qos) << 1, text(topic) + number + payload.encode()))
        return {"id": self.next_id if int(qos) else 0}

    def seen(self):
        packets = list(self.packets)
        self.packets.clear()
        return {"packets": packets}

    def stats(self):
        return {"open": len(self.clients), "accepted": self.accepted, "connects": self.connects,
                "publishes": self.publishes, "pings": self.pings, "acked": self.acked}

    def commands(self):
        noise = random.Random(1)
        return {"handshake": self.set_handshake, "connack": self.set_connack, "session": self.set_session,
                "puback": self.set_puback, "suback": self.set_suback, "ping": self.set_ping, "crumbs": self.set_crumbs,
                "close_after": self.close_after, "close": self.close, "reset": lambda: self.close(hard=True),
                "release": self.release, "publish": self.publish,
                "raw": lambda digits: self.everybody(bytes.fromhex(digits)),
                "raw_file": self.raw_file,
                "oversize": lambda: self.everybody(b"\x32\xff\xff\xff\x7f\x00\x04test"),
                "garbage": lambda: self.everybody(b"\xf7" + noise.randbytes(4095)),
                "seen": self.seen, "stats": self.stats, "timeline": lambda: {"events": self.events},
                "handshakes": lambda: {"handshakes": self.handshakes}}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--ciphers", help="OpenSSL's names, for TLS 1.2")
    parser.add_argument("--version", choices=VERSIONS, help="the only one that is spoken")
    arguments = parser.parse_args()
    tls = None
    if arguments.cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        tls.load_cert_chain(arguments.cert, arguments.key)
        if arguments.version:
            tls.minimum_version = tls.maximum_version = VERSIONS[arguments.version]
        if arguments.ciphers:
            tls.set_ciphers(arguments.ciphers)
    broker = Broker(tls)
    server = await asyncio.start_server(broker.accept, "127.0.0.1", 0, backlog=1024)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # clients vanish, on purpose
    await control.serve({"port": server.sockets[0].getsockname()[1]}, broker.commands())
    server.close()
    broker.close(hard=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
