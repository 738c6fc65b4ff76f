#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A device removed from a source is disconnected, one added to it is connected; the source's other devices keep their
connections, their numbers and every sample, though the source's instance is opened anew."""
from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import delivered, judge, table

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    names = ("one", "two", "three", "four")
    for name in names:
        pki.add(name, "sas")
    hub = Hub(stage, pki)

    def write(*devices):
        source = simulated("all", {n: (["hub"], identity(pki, n, "sas")) for n in devices}, every="20ms")
        configuration(stage, [hub_cloud(hub)], [source])
    write("one", "two", "three")
    gateway = Gateway(stage, stage.path("tidegate.yaml"))
    wait_until(lambda: all_online(gateway), 20, "three sessions")
    wait_until(lambda: all(d["accepted"] > 5 for d in gateway.status()["devices"]), 20, "samples of each")
    before = {d["id"]: d["last_seq"] for d in gateway.status()["devices"]}

    write("three", "four", "one")  # another order, too
    gateway.reload()
    wait_until(lambda: {d["id"] for d in gateway.status()["devices"]} == {"one", "three", "four"} and all_online(gateway), 20,
               "the fourth device")
    hub.record.wait("disconnect", "two")
    for name in ("one", "three"):
        assert gateway.session(name, "hub")["connects"] == 1, name
        assert len(hub.record.select("connect", name)) == 1, name
        wait_until(lambda: next(d for d in gateway.status()["devices"] if d["id"] == name)["last_seq"] > before[name] + 5, 20,
                   f"new samples of {name}")
    wait_until(lambda: next(d for d in gateway.status()["devices"] if d["id"] == "four")["accepted"] > 5, 20, "samples of four")
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 20, "everything to be delivered")
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds for row in rows)
