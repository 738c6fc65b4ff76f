#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices find their hub through the provisioning service: by a group's key, their own, or a certificate; when it says to come
later they do; when it says no people read why; what it said is remembered, until the hub no longer knows the device."""
import json

from field import hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Dps, Hub
from pki import Pki
from verdict import samples


def state_of(gateway, device):
    return gateway.session(device, "hub")["state"]


def is_online(gateway, device):
    wait_until(lambda: state_of(gateway, device) == "online", 40, f"{device} to be online")


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    hub = Hub(stage, pki, twin=True)
    dps = Dps(stage, pki, hub)
    group = stage.write("group.key", dps.group("meters") + "\n")
    for name in ("in-group-1", "in-group-2"):
        dps.enrol(name, group="meters")
    dps.enrol("alone")
    dps.enrol("by-certificate", "x509-ca")
    dps.command("throttle", "alone", "register", 1, 429, 1)
    dps.command("throttle", "alone", "poll", 1, 503, 1)
    dps.command("payload", "in-group-1", '{"line":3}')
    dps.command("outcome", "in-group-2", "disabled")

    cloud = hub_cloud(hub, identity={"derive_from_group": group},
                      provisioning={"id_scope": dps.id_scope, "host": "localhost", "port": dps.port, "payload": '{"site": "s-7"}'})
    del cloud["host"]
    config = configuration(stage, [cloud], [simulated("rehearsal", {
        "in-group-1": (["hub"], None), "in-group-2": (["hub"], None), "alone": (["hub"], identity(pki, "alone", "sas")),
        "by-certificate": (["hub"], identity(pki, "by-certificate", "x509-ca"))}, every="100ms")])
    gateway = Gateway(stage, config)

    # --- assigned, each with its own credential; the data arrives as that device
    for name, how in (("in-group-1", "sas"), ("by-certificate", "x509"), ("alone", "sas")):
        is_online(gateway, name)
        dps.record.wait("connect", name, how)
        hub.record.wait("connect", name, how)
        wait_until(lambda: hub.record.telemetry(name), 30, f"telemetry of {name}")
    asked = dps.requests("alone")
    assert [(entry["kind"], entry["status"]) for entry in asked] == [("register", 429), ("register", 202), ("poll", 503), ("poll", 202),
                                                                     ("poll", 200)], asked
    assert all(later["at_ms"] - sooner["at_ms"] >= 950 for sooner, later in zip(asked, asked[1:])), asked
    assert json.loads(asked[0]["payload"]) == {"registrationId": "alone", "payload": {"site": "s-7"}}

    # --- refused: people read why, and nobody is hammered; what was mended is found
    wait_until(lambda: "the enrolment is disabled" in gateway.session("in-group-2", "hub")["last_error"], 30, "the reason in the status")
    assert not hub.record.select("connect", "in-group-2")
    dps.command("outcome", "in-group-2", "failed")
    wait_until(lambda: "code 400209" in gateway.session("in-group-2", "hub")["last_error"], 30, "Azure's own code")
    dps.command("outcome", "in-group-2", "assigned")
    is_online(gateway, "in-group-2")

    # --- remembered over a restart
    before = len(dps.requests())
    assert gateway.stop() == 0
    gateway.start()
    for name in ("in-group-1", "in-group-2", "alone", "by-certificate"):
        is_online(gateway, name)
    assert len(dps.requests()) == before, dps.requests()[before:]

    # --- the device was moved: its old place refuses it, the service knows the new one; what the old place had not acknowledged goes there
    pki.register("moved-7", *pki.lines["alone"][:2])
    pki.remove("alone")
    dps.command("assign", "alone", "localhost", "moved-7")
    hub.freeze()
    wait_until(lambda: gateway.session("alone", "hub")["in_flight"] > 0, 30, "a message without an acknowledgement")
    hub.kill()
    hub.start()
    hub.record.wait("connect", "moved-7", seconds=60)
    wait_until(lambda: hub.record.telemetry("moved-7"), 40, "telemetry under the new name")
    assert hub.record.select("refused", "alone")
    last = gateway.device("alone")["last_seq"]
    wait_until(lambda: gateway.session("alone", "hub")["acked_seq"] >= last, 40, "everything to be acknowledged")
    arrived = {sample["seq"] for name in ("alone", "moved-7") for entry in hub.record.telemetry(name) for sample in samples(entry)}
    assert arrived >= set(range(1, last + 1)), sorted(set(range(1, last + 1)) - arrived)
    assert gateway.stop() == 0
