# SPDX-License-Identifier: GPL-2.0-or-later
"""qualify - what the qualification scenarios share: one gateway with simulated devices at one misbehaving broker.

The cases are those that clouds qualify a device for (AWS Device Advisor by name; Azure's certification has a part of them).
"""
import base64
import json
import socket
import threading

from field import broker_cloud, simulated
from gateway import Gateway, configuration
from harness import wait_until
from pki import Pki


def start(stage, broker, devices=("meter",), every="20ms", ca_file=None, **cloud):
    return Gateway(stage, configuration(stage, [broker_cloud(broker.ready["port"], ca_file, **cloud)], [
        simulated("field", {device: (["broker"], None) for device in devices}, every=every)]))


def online(gateway, devices=("meter",), seconds=40):
    wait_until(lambda: all(gateway.session(device, "broker")["state"] == "online" for device in devices), seconds, "every session")


def tls_broker(stage, server="server", *arguments):
    """A broker with TLS, and the PKI its certificate is from; `server` names another certificate of that folder."""
    pki = Pki(stage.path("pki"))
    return pki, stage.peer("bad_broker.py", "--cert", pki.path(f"{server}.pem"), "--key", pki.path(f"{server}.key"), *arguments)


class Packets:
    """All that the broker saw, kept over several looks."""

    def __init__(self, broker):
        self.broker, self.all = broker, []

    def look(self, kind=None):
        self.all += self.broker.command("seen")["packets"]
        return [packet for packet in self.all if kind in (None, packet["packet"])]

    def wait(self, kind, count=1, seconds=40):
        return wait_until(lambda: len(self.look(kind)) >= count and self.look(kind), seconds, f"{count} packets of kind {kind}")

    def samples(self):
        """{seq: sample} of the published bodies; a seq with two bodies is a failure."""
        seen = {}
        for packet in self.look("publish"):
            body = json.loads(base64.b64decode(packet["payload"]))
            for sample in body if isinstance(body, list) else [body]:
                assert seen.setdefault(sample["seq"], sample) == sample, f"two bodies under seq {sample['seq']}"
        return seen


def everything_arrives(gateway, packets, device="meter", seconds=40):
    last = gateway.device(device)["last_seq"]
    wait_until(lambda: packets.samples().keys() >= set(range(1, last + 1)), seconds, f"all {last} samples")


def pauses(broker):
    """{client: [ms between the end of a connection and the next CONNECT of the same client]}, in order."""
    ended, result = {}, {}
    for event in broker.command("timeline")["events"]:
        client = event["client"]
        if event["what"] == "lost" and client:
            ended[client] = event["at_ms"]
        elif event["what"] == "connect" and client in ended:
            result.setdefault(client, []).append(event["at_ms"] - ended.pop(client))
    return result


class Hello:
    """What a client offers: the parts of one ClientHello (RFC 8446 section 4.1.2)."""

    def __init__(self, record):
        at = 5 + 4 + 2 + 32  # record and handshake heads, version, random
        at += 1 + record[at]  # session id
        size = int.from_bytes(record[at:at + 2], "big")
        self.suites = [int.from_bytes(record[i:i + 2], "big") for i in range(at + 2, at + 2 + size, 2)]
        at += 2 + size
        self.compressions = list(record[at + 1:at + 1 + record[at]])
        at += 1 + record[at] + 2
        self.extensions = {}
        while at < len(record):
            kind, size = int.from_bytes(record[at:at + 2], "big"), int.from_bytes(record[at + 2:at + 4], "big")
            self.extensions[kind] = record[at + 4:at + 4 + size]
            at += 4 + size
        names = self.extensions.get(0, b"")
        self.sni = names[5:].decode() if names else None
        versions = self.extensions.get(43, b"\x02\x03\x03")
        self.versions = [int.from_bytes(versions[i:i + 2], "big") for i in range(1, len(versions), 2)]


class HelloServer:
    """A TCP server that reads the first TLS record of each connection and closes it."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.hellos = self.socket.getsockname()[1], []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.socket.accept()
            with connection, connection.makefile("rb") as stream:
                connection.settimeout(20)
                head = stream.read(5)
                self.hellos.append(Hello(head + stream.read(int.from_bytes(head[3:5], "big"))))
