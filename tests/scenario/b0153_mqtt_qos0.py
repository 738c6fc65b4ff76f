#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Samples at QoS 0 over a line that is cut, reset and stalled: what was accepted arrives, in order, and what comes twice is the same."""
import json

from broker import Broker
from field import all_online, broker_cloud, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import Pki

DEVICES = ("alone", "d1", "d2", "d3")

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    broker = Broker(stage, pki, users={"site": "right"})
    link = stage.peer("link.py", f"private=127.0.0.1:{broker.port}", f"shared=127.0.0.1:{broker.port}")
    who = {"username": "site", "password_file": stage.write("site", "right\n")}
    ports = link.ready["ports"]
    clouds = [broker_cloud(ports["private"], pki.path("ca.pem"), name="private", qos=0, identity=who, batch={"max_samples": 10, "max_delay": "50ms"}),
              broker_cloud(ports["shared"], pki.path("ca.pem"), name="shared", qos=0, session="shared", identity=who, max_in_flight=4)]
    gateway = Gateway(stage, configuration(stage, clouds, [
        simulated("rehearsal", {device: (["private" if device == "alone" else "shared"], None) for device in DEVICES}, every="5ms")]))

    def received(device):
        bodies = broker.heard(f"tidegate/{device}/data")
        return [sample for body in bodies for sample in (body if isinstance(body, list) else [body])]

    def everything(accounts):
        return all({sample["seq"] for sample in received(device)} >= set(range(1, accounts[device] + 1)) for device in DEVICES)
    wait_until(lambda: all_online(gateway), 30, "the sessions to be online")
    for lever in ("rst", "cut", "stall", "rst", "cut", "rst"):
        before = gateway.accounts()
        for cloud in ("private", "shared"):
            link.command(f"{lever} {cloud}")
        wait_until(lambda: all(gateway.accounts()[device] > before[device] + 100 for device in DEVICES), 30, f"samples during {lever}")
        for cloud in ("private", "shared"):
            link.command(f"restore {cloud}")
        accounts = gateway.accounts()
        wait_until(lambda: everything(accounts), 40, f"everything after {lever}")
    wait_until(lambda: all(gateway.session(device, "private" if device == "alone" else "shared")["acked_seq"] > accounts[device] for device in DEVICES), 30,
               "confirmations")
    accounts = gateway.accounts()
    assert gateway.stop() == 0
    wait_until(lambda: everything(accounts), 30, "everything at the end")
    for device in DEVICES:
        first = list(dict.fromkeys(sample["seq"] for sample in received(device)))
        bodies = {json.dumps(sample, sort_keys=True) for sample in received(device)}
        assert first == sorted(first) and len(bodies) == len(first), f"{device}: out of order, or a number with two bodies"
        print(f"{device}: {len(first)} delivered, {len(received(device)) - len(first)} twice")
    assert broker.logged(r"Received PUBLISH from alone \(d0, q0, r0") and not broker.logged(r"Received PUBLISH from alone \(d\d, q1"), "QoS 0 only"
    broker.close()
