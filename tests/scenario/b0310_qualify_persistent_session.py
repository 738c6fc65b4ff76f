#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Persistent Session: the gateway asks for one (CleanSession 0), does not subscribe again while the broker has it, and gets what the cloud
said while it was away; when the session has expired it subscribes again."""
import json

from field import hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from qualify import Packets, everything_arrives, online, start
from verdict import samples

with Stage() as stage:  # a broker that keeps sessions: the hub
    pki = Pki(stage.path("pki"))
    pki.add("meter", "sas")
    hub = Hub(stage, pki)
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    gateway = Gateway(stage, configuration(stage, [hub_cloud(hub, link.ready["ports"]["hub"])], [
        simulated("field", {"meter": (["hub"], identity(pki, "meter", "sas"))})]))
    hub.record.wait("subscribe", "meter", "devicebound", seconds=40)
    link.command("cut hub")
    hub.record.wait("disconnect", "meter", seconds=40)
    with hub.service() as service:
        service.c2d("meter", json.dumps({"command": "set", "arguments": {"setpoint": 42}}), "%24.mid=while-away")
    link.command("restore hub")
    hub.record.wait("connect", "meter", count=2, seconds=40)
    wait_until(lambda: any(sample["values"]["setpoint"] == 42 for entry in hub.record.telemetry("meter")[-5:] for sample in samples(entry)), 40,
               "the message that waited in the session")
    subscribed = hub.record.select("subscribe", "meter", "devicebound")
    assert len(subscribed) == 1, f"subscribed again although the session was there: {subscribed}"
    assert gateway.stop() == 0

with Stage() as stage:  # a broker that says whether it has the session
    broker = stage.peer("bad_broker.py")
    packets = Packets(broker)
    gateway = start(stage, broker)
    packets.wait("subscribe")
    assert all(packet["flags"] & 2 == 0 for packet in packets.look("connect")), "CleanSession 1"
    for kept, subscribes in (("on", 1), ("off", 2), ("on", 2)):  # off: expired
        broker.command("session", kept)
        connects = broker.command("stats")["connects"]
        acked = gateway.session("meter", "broker")["acked_seq"]
        broker.command("close")
        wait_until(lambda: broker.command("stats")["connects"] > connects, 40, "the next connection")
        online(gateway)
        wait_until(lambda: gateway.session("meter", "broker")["acked_seq"] > acked + 10, 40, "telemetry")
        wait_until(lambda: len(packets.look("subscribe")) >= subscribes, 40, "SUBSCRIBE")
        assert len(packets.look("subscribe")) == subscribes, f"session {kept}: {packets.look('subscribe')}"
    everything_arrives(gateway, packets)
    assert gateway.stop() == 0
