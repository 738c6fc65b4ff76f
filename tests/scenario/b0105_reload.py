#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGHUP changes only what is different: an untouched device keeps its connection, a removed one leaves, a new one comes, a
wrong file changes nothing."""
from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, free_port, wait_until
from hub import Hub
from metrics import metric
from pki import Pki
from verdict import delivered, judge, table

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for name in ("stays", "leaves", "comes"):
        pki.add(name, "sas")
    hub = Hub(stage, pki)

    def source(name, every="20ms"):
        return simulated(f"source-{name}", {name: (["hub"], identity(pki, name, "sas"))}, every=every)
    web = free_port()
    endpoint = {"http": f"127.0.0.1:{web}"}
    gateway = Gateway(stage, configuration(stage, [hub_cloud(hub)], [source("stays"), source("leaves")], gateway=endpoint))
    wait_until(lambda: all_online(gateway), 20, "both sessions")
    config = stage.path("tidegate.yaml")
    with open(config, encoding="utf-8") as file:
        good = file.read()
    stage.write("tidegate.yaml", good.replace("plugin: simulator", "plugin: simulater"))
    assert metric(web, "tidegate_reloads_refused_total") == 0
    gateway.reload()
    wait_until(lambda: "goes on with the configuration it has" in gateway.errors(), 10, "the wrong file to be refused")
    wait_until(lambda: metric(web, "tidegate_reloads_refused_total") == 1, 10, "the refusal to be counted")
    assert "did you mean \"simulator\"" in gateway.errors(), gateway.errors()
    assert all_online(gateway)
    configuration(stage, [hub_cloud(hub)], [source("stays"), source("comes")], gateway=endpoint)
    gateway.reload()
    wait_until(lambda: {d["id"] for d in gateway.status()["devices"]} == {"stays", "comes"} and all_online(gateway), 20,
               "the new device")
    hub.record.wait("disconnect", "leaves")
    assert gateway.session("stays", "hub")["connects"] == 1 and len(hub.record.select("connect", "stays")) == 1
    configuration(stage, [hub_cloud(hub)], [source("stays", "10ms"), source("comes"), source("leaves")], gateway=endpoint)
    gateway.reload()
    wait_until(lambda: len(gateway.status()["devices"]) == 3 and all_online(gateway), 20, "the third device and the changed one")
    assert len(hub.record.select("connect", "comes")) == 1
    assert metric(web, "tidegate_reloads_refused_total") == 1
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 20, "everything to be delivered")
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds for row in rows)
