# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS servers for unit tests: one listener per behaviour, all in one process.

Usage: tls_server.py DIRECTORY     (certificates go there: root.pem, hub.pem, client.pem, client.key, other.pem, …)
Prints one line "name=port name=port …" when ready, then serves until standard input ends.
"""
import asyncio
import os
import socket
import ssl
import struct
import sys

from certificates import CA, LEAF, Pki

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def make_certificates(directory):
    p = Pki(directory)
    hub = [*LEAF, "subjectAltName=DNS:hub.test,DNS:other.test,IP:127.0.0.1"]
    client = [LEAF[0], LEAF[1], "extendedKeyUsage=clientAuth"]
    p.issue("root", "/CN=tidegate test root", extensions=CA)
    p.issue("hub", "/CN=hub.test", "root", extensions=hub)
    p.issue("client", "/O=tidegate/CN=meter-1", "root", extensions=client)
    p.issue("client2", "/CN=meter-2", "root", extensions=client)
    p.key("client-rsa", "rsa:2048")
    p.issue("client-rsa", "/CN=meter-3", "root", extensions=client)
    for name, kind in (("client-p384", "P-384"), ("client-p384b", "P-384")):
        p.key(name, kind)
        p.issue(name, "/CN=meter-4", "root", extensions=client)
    for name in ("client-ed", "client-edb"):
        p.openssl("genpkey", "-algorithm", "ED25519", "-out", name + ".key")
        p.issue(name, "/CN=meter-5", "root", extensions=client)
    p.key("client-rsab", "rsa:2048")
    # The two older forms of a private key file.
    p.openssl("ec", "-in", "client.key", "-out", "client-sec1.key")
    p.openssl("rsa", "-in", "client-rsa.key", "-traditional", "-out", "client-pkcs1.key")
    return p


def context(p, version, tickets=True, require=False):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(p.path("hub.pem"), p.path("hub.key"))
    c.minimum_version = c.maximum_version = version
    if not tickets:
        c.options |= ssl.OP_NO_TICKET
        c.num_tickets = 0
    if require:
        c.verify_mode = ssl.CERT_REQUIRED
        c.load_verify_locations(p.path("root.pem"))
    return c


async def echo(reader, writer):
    """Echoes; after a line "quit" it closes in order."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
            if data.endswith(b"quit\n"):
                break
        writer.close()
    except (OSError, ssl.SSLError):
        writer.close()


async def greet_then(reader, writer, action):
    writer.write(b"hello")
    await writer.drain()
    await reader.read(1)
    action(writer.get_extra_info("socket"), writer)


def cut(sock, writer):
    """FIN without close_notify."""
    sock.shutdown(socket.SHUT_RDWR)
    writer.transport.abort()


def reset(sock, writer):
    os.set_blocking(sock.fileno(), False)
    duplicate = socket.socket(fileno=os.dup(sock.fileno()))
    duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    duplicate.close()
    writer.transport.abort()


async def garbage(reader, writer):
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\nthis is no TLS at all, just text of some length")
    await writer.drain()


async def zeros(reader, writer):
    await reader.read(1)
    writer.write(bytes(4096))
    await writer.drain()


async def silent(reader, writer):
    while await reader.read(4096):
        pass


async def hang_up(reader, writer):
    await reader.read(1)
    writer.close()


async def record_garbage(reader, writer):
    """After the handshake, a record that cannot be decrypted: written past the TLS layer."""
    writer.write(b"hello")
    await writer.drain()
    await reader.read(1)
    os.write(writer.get_extra_info("socket").fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))


async def main():
    p = make_certificates(sys.argv[1])
    ports, servers = {}, []

    async def listen(name, handler, tls=None):
        server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=tls)
        servers.append(server)
        ports[name] = server.sockets[0].getsockname()[1]

    await listen("echo12", echo, context(p, V12))
    await listen("echo13", echo, context(p, V13))
    await listen("echo12id", echo, context(p, V12, tickets=False))
    await listen("echo13none", echo, context(p, V13, tickets=False))
    await listen("client12", echo, context(p, V12, require=True))
    await listen("client13", echo, context(p, V13, require=True))
    for end in (cut, reset):
        for version, name in ((V12, "12"), (V13, "13")):
            await listen(end.__name__ + name, lambda r, w, end=end: greet_then(r, w, end), context(p, version))
    await listen("badrecord12", record_garbage, context(p, V12))
    await listen("badrecord13", record_garbage, context(p, V13))
    for raw in (garbage, zeros, silent, hang_up):
        await listen(raw.__name__, raw)
    asyncio.get_running_loop().set_exception_handler(lambda loop, what: None)  # clients break off on purpose
    print(" ".join("%s=%d" % item for item in ports.items()), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
