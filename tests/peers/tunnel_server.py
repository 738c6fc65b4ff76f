# SPDX-License-Identifier: GPL-2.0-or-later
"""Proxies, WebSocket servers and TLS servers with ALPN for unit tests: one listener per behaviour, all in one process.

Usage: tunnel_server.py DIRECTORY     (root.pem goes there; the servers are hub.test, which the proxies resolve)
Prints one line "name=port name=port …" when ready, then serves until standard input ends.
"""
import asyncio
import os
import ssl
import sys

import websockets

from certificates import CA, LEAF, Pki
from connect_proxy import Proxy
from ws_gate import Gate


def context(p, alpn=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(p.path("hub.pem"), p.path("hub.key"))
    if alpn:
        c.set_alpn_protocols(alpn)
    return c


async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass
    writer.close()


async def greet(reader, writer):
    writer.write(b"hello")
    await echo(reader, writer)


async def raw_websocket(reader, writer):
    """No HTTP answer at all until the client gives up."""
    await reader.read()
    writer.close()


async def rude(socket):
    """Does what the first message names."""
    wish = (await socket.recv()).decode()
    if wish == "text":
        await socket.send("text")
    elif wish == "ping":
        pong = await socket.ping(b"p" * 125)
        await pong
        await socket.send(b"ponged")
    elif wish == "close":
        await socket.close(1001, "moving house")
    elif wish == "bye":
        await socket.close()
    elif wish == "cut":
        socket.transport.abort()
    await socket.wait_closed()


async def main():
    p = Pki(sys.argv[1])
    p.issue("root", "/CN=tidegate test root", extensions=CA)
    p.issue("hub", "/CN=hub.test", "root", extensions=[*LEAF, "subjectAltName=DNS:hub.test"])
    ports, servers = {}, []

    async def listen(name, handler, tls=None):
        server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=tls)
        servers.append(server)
        ports[name] = server.sockets[0].getsockname()[1]

    await listen("echo", echo)
    await listen("greet", greet)
    await listen("echo_tls", echo, context(p))
    await listen("alpn", echo, context(p, ["h2", "x-amzn-mqtt-ca"]))
    await listen("alpn_other", echo, context(p, ["h2"]))
    await listen("ws_silent", raw_websocket)

    for name, tls in (("ws", None), ("wss", context(p))):
        gate = Gate(("127.0.0.1", ports["echo"]), "/mqtt", tls)
        ports[name] = await gate.listen()
    split = Gate(("127.0.0.1", ports["echo"]))
    split.split_bytes = 1000
    ports["ws_split"] = await split.listen()
    for status in (401, 503):
        gate = Gate(("127.0.0.1", ports["echo"]))
        gate.refusal = status
        ports[f"ws_{status}"] = await gate.listen()
    for name, status, after in (("503_120", 503, "120"), ("429_date", 429, "Sat, 21 Nov 2026 13:01:30 GMT"),
                                ("503_past", 503, "Sat, 21 Nov 2026 12:59:59 GMT"), ("503_year", 503, "31536000"), ("503_bad", 503, "-5")):
        gate = Gate(("127.0.0.1", ports["echo"]))
        gate.refusal, gate.retry_after = status, after
        gate.date = "Sat, 21 Nov 2026 13:00:00 GMT"
        ports[f"ws_{name}"] = await gate.listen()
    for protocol in ("none", "amqp"):
        gate = Gate(("127.0.0.1", ports["echo"]))
        gate.subprotocol = protocol
        ports[f"ws_{protocol}"] = await gate.listen()
    server = await websockets.serve(rude, "127.0.0.1", 0, subprotocols=["mqtt"], compression=None, ping_interval=None)
    servers.append(server)
    ports["ws_rude"] = server.sockets[0].getsockname()[1]

    for mode in ("ok", "silent", "hangup", "garbage", "slow", "early"):
        proxy = Proxy({"hub.test": "127.0.0.1"})
        proxy.mode = mode
        ports["proxy_" + mode] = await proxy.listen()
    proxy = Proxy({"hub.test": "127.0.0.1"})
    proxy.auth("gate", "s\u00e9cret:1")
    ports["proxy_auth"] = await proxy.listen()
    for name, status, after in (("403", 403, ""), ("502", 502, ""), ("302", 302, ""), ("503", 503, ""), ("503_77", 503, "77"), ("429", 429, "")):
        proxy = Proxy()
        proxy.refusal, proxy.retry_after = status, after
        ports[f"proxy_{name}"] = await proxy.listen()

    asyncio.get_running_loop().set_exception_handler(lambda loop, what: None)  # clients break off on purpose
    print(" ".join("%s=%d" % item for item in ports.items()), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
