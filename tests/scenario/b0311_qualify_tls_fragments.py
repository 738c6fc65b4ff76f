#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS Receive Maximum Size Fragments: a message that fills whole TLS records, and one that comes a byte in each, are both understood."""
from harness import Stage, wait_until
from qualify import Packets, everything_arrives, online, start, tls_broker

RECORD_MAX = 16384


def command(setpoint, size):
    body = f'{{"command":"set","arguments":{{"setpoint":{setpoint}}}}}'
    return body + " " * (size - len(body))


with Stage() as stage:
    pki, broker = tls_broker(stage, "server", "--version", "1.2")
    packets = Packets(broker)
    gateway = start(stage, broker, ca_file=pki.path("ca.pem"))
    online(gateway)
    topic = packets.wait("subscribe")[0]["filters"][0][0].replace("/#", "")
    broker.command("publish", topic, command(41, 3 * RECORD_MAX))
    wait_until(lambda: any(sample["values"]["setpoint"] == 41 for sample in packets.samples().values()), 40, "the message in large records")
    broker.command("crumbs on")
    broker.command("publish", topic, command(42, 300))
    wait_until(lambda: any(sample["values"]["setpoint"] == 42 for sample in packets.samples().values()), 40, "the message in crumbs")
    broker.command("crumbs off")
    everything_arrives(gateway, packets)
    assert gateway.session("meter", "broker")["connects"] == 1
    assert gateway.stop() == 0
