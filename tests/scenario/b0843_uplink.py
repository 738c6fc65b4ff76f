#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a modem says of the way to the network: sessions in a long back-off connect when it is back, paced; a connection that went silent is found at
once, long before its keepalive; a modem that is wrong about it stops no delivery; it is in status, metrics and log."""
import urllib.request

from cellular import NOWHERE, modem, modem_source, uplink
from field import broker_cloud, simulated
from gateway import Gateway, configuration
from harness import Stage, free_port, wait_until
from broker import Broker
from pki import Pki

COUNT = 12
DEVICES = [f"d-{n}" for n in range(COUNT)]

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for name in DEVICES:
        pki.add(name, "x509-ca")
    broker = Broker(stage, pki, name="certificates")
    link = stage.peer("link.py", f"broker=127.0.0.1:{broker.port}")
    peer = modem(stage)
    http = free_port()
    cloud = broker_cloud(link.ready["ports"]["broker"], pki.path("ca.pem"), keepalive="10m", min_backoff="5m", max_backoff="10m",
                         connect_timeout="10s", handshake_timeout="10s", max_connects_per_second=8, ack_timeout="10m")
    devices = {name: (["broker"], {"certificate": pki.path(f"{name}.pem"), "key": pki.path(f"{name}.key")}) for name in DEVICES}
    link.command("cut broker")
    peer.command("register 2")
    gateway = Gateway(stage, configuration(stage, [cloud, NOWHERE], [modem_source(stage), simulated("rehearsal", devices, every="100ms")],
                                           gateway={"http": f"127.0.0.1:{http}"}))

    def states():
        return [session["state"] for session in sessions().values()]

    def sessions():
        return {device["id"]: device["clouds"][0] for device in gateway.status()["devices"] if device["id"] != "modem-1"}

    def online():
        return states().count("online")

    def metric(name):
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/metrics", timeout=10) as page:
            return [float(line.split()[1]) for line in page.read().decode().splitlines() if line.startswith(name + " ")]

    wait_until(lambda: states().count("waiting") == COUNT, 30, "all to wait in their back-off")
    wait_until(lambda: uplink(gateway).get("state") == "down", 30, "the uplink to be down")
    assert metric("tidegate_uplink_up") == [0.0]

    # --- back: no session waits for the end of its minutes; eight a second at most
    link.command("restore broker")
    peer.command("register 1")
    wait_until(lambda: online() == COUNT, 60, "the sessions, when the network is back")
    assert metric("tidegate_uplink_up") == [1.0]
    assert "the uplink is up (registered, home network" in gateway.errors()
    assert all(session["connects"] == 1 for session in sessions().values())

    # --- gone: silent connections are found by a PINGREQ now (10 s), not by the keepalive of ten minutes
    link.command("stall broker")
    peer.command("register 2")
    waits = {}

    def all_found():
        for name, session in sessions().items():
            if session["state"] == "waiting":
                waits.setdefault(name, session["retry_in_ms"])  # when it was first seen to wait
        return len(waits) == COUNT
    wait_until(all_found, 60, "the silent connections to be found")
    assert min(waits.values()) > 200000, waits  # the slow end: half of max_backoff and more
    link.command("restore broker")
    peer.command("register 5")
    wait_until(lambda: online() == COUNT, 60, "the sessions, when the network is back again")

    # --- a modem that lies: nothing that works is cut, and everything goes on being delivered
    connects = sum(session["connects"] for session in sessions().values())
    peer.command("register 3")
    wait_until(lambda: uplink(gateway)["state"] == "down", 30, "the lie")
    before = {name: session["acked_seq"] for name, session in sessions().items()}
    wait_until(lambda: all(session["acked_seq"] > before[name] + 20 for name, session in sessions().items()), 30, "delivery to go on")
    assert connects == sum(session["connects"] for session in sessions().values())

    # --- the source is taken out: nobody says any more
    gateway.config = configuration(stage, [cloud, NOWHERE], [simulated("rehearsal", devices, every="100ms")], gateway={"http": f"127.0.0.1:{http}"})
    gateway.reload()
    wait_until(lambda: uplink(gateway).get("state") == "unknown", 30, "that nobody says how the uplink is")
    assert metric("tidegate_uplink_up") == []
    assert gateway.stop() == 0
