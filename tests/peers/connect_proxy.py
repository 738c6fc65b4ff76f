#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""connect_proxy - an HTTP proxy that knows CONNECT and nothing else, with levers.

    connect_proxy.py [--port PORT] [NAME=HOST …]      →  {"ready": true, "port": 40001}; a NAME is resolved as said, others are refused

    auth USER PASSWORD    asks for basic authentication; `auth - -` ends that
    refuse STATUS         answers every CONNECT with this status; 0: works again
    retry_after TEXT      and with this Retry-After; '': without
    mode MODE             ok; silent (never answers), hangup (closes), garbage (no HTTP), slow (a byte at a time), early (the
                          target's first bytes come with the answer)
    cut                   closes every tunnel
    stats                 {"tunnels": open now, "opened": ever, "asked": ["host:port", …], "refused": n, "bytes": carried}
"""
import argparse
import asyncio
import base64
import contextlib

import control

PHRASES = {200: "Connection established", 403: "Forbidden", 407: "Proxy Authentication Required", 502: "Bad Gateway",
           503: "Service Unavailable"}


class Proxy:
    def __init__(self, names=None):
        self.names = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", **(names or {})}
        self.credentials, self.refusal, self.retry_after, self.mode = None, 0, "", "ok"
        self.asked, self.opened, self.refused, self.bytes, self.tunnels = [], 0, 0, 0, set()

    async def listen(self, port=0):
        server = await asyncio.start_server(self.serve, "127.0.0.1", port)
        return server.sockets[0].getsockname()[1]

    async def answer(self, writer, status, fields=()):
        text = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} {PHRASES.get(status, 'Status')}", *fields, "")).encode()
        step = 1 if self.mode == "slow" else len(text)
        for at in range(0, len(text), step):
            writer.write(text[at:at + step])
            await writer.drain()
            await asyncio.sleep(0)

    def verdict(self, head):
        """The status for a request, by its lines."""
        method, target, version = head[0].split(" ")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        if method != "CONNECT" or version != "HTTP/1.1" or fields.get("host") != target:
            return 400, target
        self.asked.append(target)
        if self.refusal:
            return self.refusal, target
        if self.credentials:
            wanted = "Basic " + base64.b64encode(":".join(self.credentials).encode()).decode()
            if fields.get("proxy-authorization") != wanted:
                return 407, target
        host = target.rpartition(":")[0]
        return (200 if host in self.names else 502), target

    async def serve(self, reader, writer):
        try:
            await self.handle(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def handle(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        if self.mode == "silent":
            await reader.read()
            return
        if self.mode == "hangup":
            return
        if self.mode == "garbage":
            writer.write(b"220 mail.example ESMTP\r\n")
            await writer.drain()
            return
        status, target = self.verdict(head)
        if status != 200:
            self.refused += 1
            fields = ["Content-Length: 0", "Connection: close"]
            if self.retry_after:
                fields.append(f"Retry-After: {self.retry_after}")
            if status == 407:
                fields.append('Proxy-Authenticate: Basic realm="test"')
            await self.answer(writer, status, fields)
            return
        host, _, port = target.rpartition(":")
        up_reader, up_writer = await asyncio.open_connection(self.names[host], int(port))
        self.opened += 1
        early = await up_reader.read(4096) if self.mode == "early" else b""
        await self.answer(writer, 200)
        writer.write(early)
        self.tunnels.add(writer)
        tasks = {asyncio.create_task(self.carry(reader, up_writer)), asyncio.create_task(self.carry(up_reader, writer))}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.tunnels.discard(writer)
            for task in tasks:
                task.cancel()
            up_writer.close()

    async def carry(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.bytes += len(data)
                writer.write(data)
                await writer.drain()

    def auth(self, user, password):
        self.credentials = None if user == "-" else (user, password)

    def cut(self):
        for writer in list(self.tunnels):
            writer.transport.abort()

    def stats(self):
        return {"tunnels": len(self.tunnels), "opened": self.opened, "asked": self.asked, "refused": self.refused, "bytes": self.bytes}


async def main():
    control.die_with_parent()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    proxy = Proxy(dict(name.split("=") for name in options.names))

    def lever(name, kind):
        return lambda value: setattr(proxy, name, kind(value))

    await control.serve({"port": await proxy.listen(options.port)},
                        {"auth": proxy.auth, "refuse": lever("refusal", int), "retry_after": lever("retry_after", str),
                         "mode": lever("mode", str), "cut": proxy.cut, "stats": proxy.stats})


if __name__ == "__main__":
    asyncio.run(main())
