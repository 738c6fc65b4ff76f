#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""link - the line between a gateway and its peers: TCP relays with levers (see control.py).

    link.py hub=127.0.0.1:8883 meter=127.0.0.1:502     →  {"ready": true, "ports": {"hub": 40001, "meter": 40002}}

    cut NAME          closes what is open and refuses what comes
    stall NAME [up|down]   keeps every connection and accepts new ones, but no byte passes (up: towards the peer);
                      what is sent waits and arrives after `restore`, as when a radio link comes back
    slow NAME RATE    bytes a second, each direction of each connection
    rst NAME          resets what is open; new connections work
    restore NAME      as at the beginning
    stats NAME        {"connections": open now, "accepted": ever, "up": bytes, "down": bytes, "segments": the kernel's count of those to and
                      from who connects here}
"""
import argparse
import asyncio
import socket
import struct
import sys

import control


class Side(asyncio.Protocol):
    """One end of a relayed connection."""

    def __init__(self, relay, direction):
        self.relay, self.direction = relay, direction
        self.transport = self.other = None
        self.held = self.full = self.ended = False
        self.early = bytearray()  # came before it could be passed on

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.relay.sides.add(self)

    def data_received(self, data):
        self.relay.bytes[self.direction] += len(data)
        if self.other is None or self.direction in self.relay.stalled:
            self.early += data
            self.flow()
        elif not self.other.transport.is_closing():
            self.other.transport.write(data)
        if self.relay.rate:
            self.held = True
            asyncio.get_running_loop().call_later(len(data) / self.relay.rate, self.release)
            self.flow()

    def release(self):
        self.held = False
        self.flow()

    def pause_writing(self):
        self.other.full = True
        self.other.flow()

    def resume_writing(self):
        self.other.full = False
        self.other.flow()

    def flow(self):
        if self.transport is None or self.transport.is_closing():
            return
        if self.held or self.full or self.other is None or self.direction in self.relay.stalled:
            self.transport.pause_reading()
            return
        if self.early and not self.other.transport.is_closing():
            self.other.transport.write(bytes(self.early))
            self.early.clear()
        self.transport.resume_reading()

    def eof_received(self):
        self.ended = True
        if self.other is None or self.other.ended:
            return False  # both directions are over: close
        if not self.other.transport.is_closing():
            self.other.transport.write_eof()
        return True

    def segments(self):
        """Both ways: tcpi_segs_out and tcpi_segs_in of <linux/tcp.h>."""
        sock = self.transport.get_extra_info("socket")
        if self.direction == "down" or not sock or sock.fileno() < 0:
            return 0
        return sum(struct.unpack_from("II", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 136))

    def connection_lost(self, error):
        self.relay.sides.discard(self)
        self.relay.segments += self.segments()
        if self.other:
            if error:
                reset(self.other.transport)
            self.other.transport.close()


def reset(transport):
    sock = transport.get_extra_info("socket")
    if sock and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Relay:
    def __init__(self, target):
        self.target = target
        self.sides = set()
        self.stalled = frozenset()
        self.rate = 0
        self.accepted = 0
        self.bytes = {"up": 0, "down": 0}
        self.segments = 0  # of connections that are over
        self.server = None
        self.socket = self.bind(0)
        self.port = self.socket.getsockname()[1]

    @staticmethod
    def bind(port):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        return sock

    def client(self):
        side = Side(self, "up")
        self.accepted += 1
        asyncio.get_running_loop().create_task(self.connect(side))
        return side

    async def connect(self, client):
        try:
            _, server = await asyncio.get_running_loop().create_connection(lambda: Side(self, "down"), *self.target)
        except OSError:
            reset(client.transport)
            return
        client.other, server.other = server, client
        if client.transport.is_closing():
            server.transport.close()
        client.flow()
        server.flow()

    async def open(self):
        if not self.server:
            self.server = await asyncio.get_running_loop().create_server(self.client, sock=self.socket, backlog=1024)

    def cut(self):
        for side in list(self.sides):
            reset(side.transport)
        if self.server:
            self.server.close()
            self.server = None
            self.socket = self.bind(self.port)  # held, not listening: refused, and nobody else takes it

    def stall(self, direction=None):
        self.stalled = frozenset([direction] if direction else ["up", "down"])
        if not self.stalled <= {"up", "down"}:
            raise ValueError("up or down")
        self.flow()

    def slow(self, rate):
        self.rate = int(rate)

    def rst(self):
        for side in list(self.sides):
            reset(side.transport)

    async def restore(self):
        self.stalled = frozenset()
        self.rate = 0
        await self.open()
        self.flow()

    def flow(self):
        for side in list(self.sides):
            side.flow()

    def stats(self):
        return {"connections": len(self.sides) // 2, "accepted": self.accepted, **self.bytes,
                "segments": self.segments + sum(side.segments() for side in self.sides)}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("relay", nargs="+", help="NAME=HOST:PORT")
    relays = {}
    for item in parser.parse_args().relay:
        name, _, target = item.partition("=")
        host, _, port = target.rpartition(":")
        relays[name] = Relay((host, int(port)))
        await relays[name].open()

    def lever(method):
        return lambda name, *arguments: getattr(relays[name], method)(*arguments)

    await control.serve({"ports": {name: relay.port for name, relay in relays.items()}},
                        {word: lever(word) for word in ("cut", "stall", "slow", "rst", "restore", "stats")})


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
