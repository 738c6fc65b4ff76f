#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""alpn_gate - AWS IoT Core's port 443 in front of a broker: MQTT only for who offers x-amzn-mqtt-ca in TLS and shows a certificate.

    alpn_gate.py localhost:8883 --port 443 --certificate server.pem --key server.key --ca ca.pem --client meter-1 …
        →  {"ready": true, "port": 443}

    agree NAME     the protocol that it agrees to from now on; `none`: it knows no ALPN
    cut            closes every connection
    stats          {"connections": open now, "accepted": ever, "refused": without the protocol, "names": [SNI …], "resumed": n}

--client names certificates (NAME.pem, NAME.key): a client that shows one is spoken for with the same one to the broker.
"""
import argparse
import asyncio
import contextlib
import ssl

import control


def der_of(path):
    with open(path, encoding="ascii") as file:
        text = file.read()
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(text[:text.index(end) + len(end)])


class Gate:
    def __init__(self, options):
        self.options = options
        host, _, port = options.target.rpartition(":")
        self.target = (host, int(port))
        self.accepted, self.refused, self.resumed, self.names, self.clients = 0, 0, 0, [], set()
        self.upstream = {}
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(options.certificate, options.key)
        self.context.load_verify_locations(options.ca)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.sni_callback = self.look_at_name
        self.agree("x-amzn-mqtt-ca")
        for client in options.client:
            self.context.load_verify_locations(client + ".pem")
            context = ssl.create_default_context(cafile=options.ca)
            context.load_cert_chain(client + ".pem", client + ".key")
            self.upstream[der_of(client + ".pem")] = context

    async def listen(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", self.options.port, ssl=self.context)
        return server.sockets[0].getsockname()[1]

    def look_at_name(self, _tls, name, _context):
        self.names.append(name)

    async def serve(self, reader, writer):
        self.accepted += 1
        self.clients.add(writer)
        try:
            tls = writer.get_extra_info("ssl_object")
            self.resumed += tls.session_reused
            if tls.selected_alpn_protocol() != "x-amzn-mqtt-ca":
                self.refused += 1
                return
            await self.carry(reader, writer, self.upstream[tls.getpeercert(True)])
        except OSError:
            pass
        finally:
            self.clients.discard(writer)
            writer.close()

    async def carry(self, reader, writer, context):
        up_reader, up_writer = await asyncio.open_connection(*self.target, ssl=context, server_hostname="localhost")
        tasks = {asyncio.create_task(self.copy(reader, up_writer)), asyncio.create_task(self.copy(up_reader, writer))}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            up_writer.close()

    async def copy(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    def agree(self, protocol):
        self.context.set_alpn_protocols(["http/1.1"] if protocol == "none" else [protocol])

    def cut(self):
        for writer in list(self.clients):
            writer.transport.abort()

    def stats(self):
        return {"connections": len(self.clients), "accepted": self.accepted, "refused": self.refused, "resumed": self.resumed,
                "names": self.names}


async def main():
    control.die_with_parent()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", help="HOST:PORT of the broker")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--client", action="append", default=[])
    gate = Gate(parser.parse_args())
    await control.serve({"port": await gate.listen()}, {"agree": gate.agree, "cut": gate.cut, "stats": gate.stats})


if __name__ == "__main__":
    asyncio.run(main())
