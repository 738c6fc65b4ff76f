#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ws_gate - MQTT over WebSocket in front of a broker that speaks TCP; the WebSocket is Debian's python3-websockets.

    ws_gate.py 127.0.0.1:1883 --path '/$iothub/websocket' --certificate hub.pem --key hub.key [--upstream-ca ca.pem]
        →  {"ready": true, "port": 40001}

    split BYTES       what goes to clients is cut into frames of so many bytes, and each in two fragments; 0: as it comes
    ping              pings every client and waits for the answers: {"answered": n}
    close CODE TEXT   ends every connection with a close frame
    refuse STATUS     answers upgrades with this status; 0: accepts again
    retry_after TEXT  and with this Retry-After; '': without
    protocol NAME     the subprotocol that it agrees to; `none`: it names none
    stats             {"connections": open now, "accepted": ever, "frames": from clients, "paths": asked for, "hosts": …}

Without --certificate it speaks plain WebSocket; with --upstream-ca it speaks TLS to the broker (localhost). What a client sends goes on byte by byte, frames or not.
"""
import argparse
import asyncio
import contextlib
import http
import ssl

import websockets

import control


class Gate:
    def __init__(self, target, path="/mqtt", ssl_context=None, upstream=None, listen=("127.0.0.1", 0)):
        self.target, self.path, self.ssl, self.upstream, self.address = target, path, ssl_context, upstream, listen
        self.split_bytes, self.refusal, self.subprotocol = 0, 0, "mqtt"
        self.retry_after = self.date = ""
        self.clients, self.accepted, self.frames, self.paths, self.hosts = set(), 0, 0, [], []

    async def listen(self):
        server = await websockets.serve(self.serve, *self.address, ssl=self.ssl, compression=None, ping_interval=None, max_size=None,
                                        subprotocols=["mqtt"], select_subprotocol=lambda offered, known: self.agree(offered),
                                        process_request=self.look_at)
        return server.sockets[0].getsockname()[1]

    def agree(self, offered):
        if "mqtt" not in offered:
            return None
        return None if self.subprotocol == "none" else self.subprotocol

    async def look_at(self, path, headers):
        self.paths.append(path)
        self.hosts.append(headers["Host"])
        if self.refusal:
            fields = {"Retry-After": self.retry_after, "Date": self.date}
            return http.HTTPStatus(self.refusal), [(name, value) for name, value in fields.items() if value], b"no\n"
        if path.split("?")[0] != self.path:
            return http.HTTPStatus.NOT_FOUND, [], b"no such path\n"
        return None

    async def serve(self, client, _path=None):
        self.clients.add(client)
        self.accepted += 1
        try:
            reader, writer = await asyncio.open_connection(*self.target, ssl=self.upstream,
                                                           server_hostname="localhost" if self.upstream else None)
            up = asyncio.create_task(self.up(client, writer))
            down = asyncio.create_task(self.down(reader, client))
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            for task in (up, down):
                task.cancel()
            writer.close()
        except (OSError, websockets.ConnectionClosed):
            pass
        finally:
            self.clients.discard(client)

    async def up(self, client, writer):
        with contextlib.suppress(websockets.ConnectionClosed, OSError):
            async for message in client:
                if not isinstance(message, bytes):
                    await client.close(1003, "binary frames only")
                    return
                self.frames += 1
                writer.write(message)
                await writer.drain()

    async def down(self, reader, client):
        with contextlib.suppress(websockets.ConnectionClosed, OSError):
            while data := await reader.read(65536):
                step = self.split_bytes or len(data)
                for at in range(0, len(data), step):
                    part = data[at:at + step]
                    half = len(part) // 2
                    await client.send([part[:half], part[half:]] if self.split_bytes else part)
            await client.close(1000, "the broker closed")

    async def ping(self):
        waiting = [await client.ping() for client in list(self.clients)]
        for pong in waiting:
            await asyncio.wait_for(pong, 20)
        return {"answered": len(waiting)}

    async def close(self, code, text):
        for client in list(self.clients):
            await client.close(int(code), text)

    def stats(self):
        return {"connections": len(self.clients), "accepted": self.accepted, "frames": self.frames, "paths": self.paths,
                "hosts": self.hosts}


def server_context(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def main():
    control.die_with_parent()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", help="HOST:PORT of the broker")
    parser.add_argument("--path", default="/mqtt")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--upstream-ca")
    parser.add_argument("--listen", default="127.0.0.1:0", help="ADDRESS:PORT")
    options = parser.parse_args()
    host, _, port = options.target.rpartition(":")
    context = server_context(options.certificate, options.key) if options.certificate else None
    upstream = ssl.create_default_context(cafile=options.upstream_ca) if options.upstream_ca else None
    address, _, own_port = options.listen.rpartition(":")
    gate = Gate((host, int(port)), options.path, context, upstream, (address, int(own_port)))

    def lever(name, kind):
        return lambda value: setattr(gate, name, kind(value))

    await control.serve({"port": await gate.listen()},
                        {"split": lever("split_bytes", int), "refuse": lever("refusal", int), "retry_after": lever("retry_after", str),
                         "protocol": lever("subprotocol", str), "ping": gate.ping, "close": gate.close, "stats": gate.stats})


if __name__ == "__main__":
    asyncio.run(main())
