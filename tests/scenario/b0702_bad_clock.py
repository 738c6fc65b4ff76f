#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A boot in 1970: JWTs, the service account's token and registrations at the provisioning service wait for the time without a single
login, say so, and go at once when it is there; nothing of what was sampled meanwhile is lost. (SAS tokens and certificates at
the hub: b0112_clock.py.)"""
import glob
import os

from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from gcp import Bridge, Registry
from harness import Stage, wait_until
from hub import Dps, Hub
from pki import Pki
from pubsub import PubSub, pubsub_cloud
from verdict import delivered, judge, table

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
assert LIBRARY, "libfaketime is missing: install Debian's libfaketime (./dev setup does)"
DEVICES = {"by-jwt": "core", "by-account": "lake", "by-group": "hub", "by-certificate": "hub"}

with Stage() as stage:
    def set_clock(text):
        stage.write("clock.new", text + "\n")
        os.replace(stage.path("clock.new"), stage.path("clock"))

    pki = Pki(stage.path("pki"))
    hub = Hub(stage, pki)
    dps = Dps(stage, pki, hub)
    group = stage.write("group.key", dps.group("meters") + "\n")
    dps.enrol("by-group", group="meters")
    dps.enrol("by-certificate", "x509-ca")
    registry = Registry(stage.path("gcp"))
    registry.add("by-jwt")
    bridge = Bridge(stage, registry)
    store = PubSub(stage, pki)
    assigned = hub_cloud(hub, provisioning={"id_scope": dps.id_scope, "host": "localhost", "port": dps.port})
    del assigned["host"]
    set_clock("@1970-01-01 00:00:30")
    gateway = Gateway(stage, configuration(stage, [bridge.entry(name="core"), pubsub_cloud(store.port, pki.path("ca.pem"), store.account), assigned], [
        simulated("field", {"by-jwt": (["core"], {"jwt_key": registry.key("by-jwt")}), "by-account": (["lake"], None),
                            "by-group": (["hub"], {"derive_from_group": group}), "by-certificate": (["hub"], identity(pki, "by-certificate", "x509"))})]),
                      env={"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": stage.path("clock"), "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                           "FAKETIME_NO_CACHE": "1"})
    wait_until(lambda: all(seq > 100 for seq in gateway.accounts().values()), 30, "samples without a clock")
    for device, cloud in DEVICES.items():
        wait_until(lambda: gateway.session(device, cloud).get("waits_for") == "clock", 30, f"{device} to wait for the clock")
        session = gateway.session(device, cloud)
        assert session["state"] == "waiting" and "clock" in session["last_error"], session
        assert session["failures"] == 0 and session["connects"] == 0 and session["pending"] > 50, session
    assert gateway.errors().count("it connects when the clock has been set") == len(DEVICES), gateway.errors()  # once each, not once a look
    for record in (hub.record, dps.record, bridge.record):
        assert not any(record.select(event, device) for event in ("connect", "refused") for device in DEVICES), record.path
    assert store.stats()["served"] == 0 and not dps.requests(), store.stats()

    set_clock("+0")
    wait_until(lambda: all_online(gateway), 30, "all sessions, when the clock has been set")
    assert all(cloud["failures"] == 0 and cloud["connects"] == 1 for device in gateway.status()["devices"] for cloud in device["clouds"])
    accounts = gateway.accounts()
    account = accounts.pop("by-account")
    jwt = {"by-jwt": accounts.pop("by-jwt")}
    wait_until(lambda: delivered(hub.record, accounts) and delivered(bridge.record, jwt) and store.received("by-account") >= account, 30,
               "everything to be delivered")
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts) + judge(bridge.record, jwt)
    print(table(rows))
    assert all(row.holds and row.duplicates == 0 for row in rows)
    assert not store.accounts["by-account"].conflicts and store.accounts["by-account"].out_of_order == 0
