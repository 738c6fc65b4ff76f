#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""gcp_front - stands between devices and mosquitto with gcp_rules.so: speaks TLS, and makes right what a mosquitto plugin cannot.

    gcp_front.py CERTIFICATE KEY BROKER_PORT     →  {"ready": true, "port": 40001}

    - a refused login is answered with CONNACK 4, not 5
    - an attach is acknowledged only when the rules say that the device is attached: they send `verdict/{device}` ("ok" or "no")
      after each, which ends here
"""
import argparse
import asyncio
import contextlib
import ssl
import sys

import control

CONNACK, PUBLISH, PUBACK = 2, 3, 4
REFUSED_BY_PLUGIN, REFUSED_BY_IOT_CORE = 5, 4


def packets(buffer):
    """Takes whole MQTT packets off the front: (type, flags, body, all bytes)."""
    while len(buffer) >= 2:
        length = shift = 0
        at = 1
        while at < len(buffer):
            byte = buffer[at]
            length |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                break
        else:
            return
        if len(buffer) < at + length:
            return
        whole = bytes(buffer[:at + length])
        del buffer[:at + length]
        yield whole[0] >> 4, whole[0] & 15, whole[at:], whole


def topic_and_rest(body):
    length = int.from_bytes(body[:2], "big")
    return body[2:2 + length].decode(errors="replace"), body[2 + length:]


class Connection:
    """What is known of one device's connection: attaches on their way, and acknowledgements or verdicts that came first."""

    def __init__(self):
        self.devices = {}   # packet id: device of an attach
        self.acks = {}      # device: PUBACKs that wait for a verdict
        self.verdicts = {}  # device: verdicts that wait for a PUBACK

    def up(self, kind, flags, body, whole):
        if kind == PUBLISH and flags & 6:
            topic, rest = topic_and_rest(body)
            if topic.startswith("/devices/") and topic.endswith("/attach"):
                self.devices[rest[:2]] = topic.split("/")[2]
        return whole

    def settle(self, device):
        """What may go to the device once an acknowledgement and its verdict are there."""
        if not self.acks.get(device) or not self.verdicts.get(device):
            return b""
        ack = self.acks[device].pop(0)
        return ack if self.verdicts[device].pop(0) else b""

    def down(self, kind, flags, body, whole):
        if kind == CONNACK and body[1] == REFUSED_BY_PLUGIN:
            return whole[:3] + bytes([REFUSED_BY_IOT_CORE])
        if kind == PUBACK and body in self.devices:
            device = self.devices.pop(body)
            self.acks.setdefault(device, []).append(whole)
            return self.settle(device)
        if kind == PUBLISH:
            topic, rest = topic_and_rest(body)
            if topic.startswith("verdict/"):
                device = topic.partition("/")[2]
                self.verdicts.setdefault(device, []).append(rest == b"ok")
                return self.settle(device)
        return whole


async def pump(reader, writer, translate):
    buffer = bytearray()
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await reader.read(65536):
            buffer += data
            writer.write(b"".join(translate(*packet) for packet in packets(buffer)))
            await writer.drain()
    writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("certificate")
    parser.add_argument("key")
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(arguments.certificate, arguments.key)

    async def serve(reader, writer):
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", arguments.port)
        except OSError:
            writer.transport.abort()
            return
        connection = Connection()
        await asyncio.gather(pump(reader, up_writer, connection.up), pump(up_reader, writer, connection.down))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    await control.serve({"port": server.sockets[0].getsockname()[1]}, {})
    server.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
