#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Subscribe Retry: without SUBACK the connection is given up in time and SUBSCRIBE goes out again, until it is granted and commands arrive.
Telemetry is not held up meanwhile."""
from harness import Stage, wait_until
from qualify import Packets, everything_arrives, online, start

with Stage() as stage:
    broker = stage.peer("bad_broker.py")
    broker.command("suback never")
    broker.command("session on")  # even a broker that says it kept the session has not confirmed the subscription
    packets = Packets(broker)
    gateway = start(stage, broker, ack_timeout="1s")
    subscribes = packets.wait("subscribe", 3)
    assert len({packet["conn"] for packet in subscribes}) == len(subscribes), "SUBSCRIBE twice on one connection"
    assert len({str(packet["filters"]) for packet in subscribes}) == 1, subscribes
    assert "no SUBACK within" in gateway.errors()
    assert packets.samples(), "no telemetry without a subscription"
    broker.command("suback 1")
    wait_until(lambda: len(packets.look("subscribe")) > len(subscribes), 40, "the subscription that is granted")
    granted = packets.look("subscribe")[-1]
    online(gateway)
    topic = granted["filters"][0][0].replace("/#", "")
    broker.command("publish", topic, '{"command":"set","arguments":{"setpoint":42}}')
    wait_until(lambda: any(sample["values"].get("setpoint") == 42 for sample in packets.samples().values()), 40, "the command to work")
    everything_arrives(gateway, packets)
    assert gateway.stop() == 0
