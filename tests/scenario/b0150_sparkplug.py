#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Sparkplug edge node with three devices under the eyes of a strict host: births before data, rebirth on request, commands by name and
by alias, a link that breaks, and a backlog that comes as history; nothing is lost and no rule is broken. Tahu's library reads it."""
import json
import os
import shutil
import subprocess

from field import all_online, simulated
from gateway import Gateway, configuration
from harness import PEERS, Stage, wait_until
from sparkplug import NODE, Plant
from sparkplug_wire import decode

DEVICES = ("d1", "d2", "d3")
TAHU = os.path.join(PEERS, "node-sparkplug")


def tahu(**job):
    assert os.path.isdir(os.path.join(TAHU, "node_modules")), "Tahu's library is not installed: ./dev setup does it"
    done = subprocess.run([shutil.which("node") or "nodejs", os.path.join(TAHU, "payload.js"), json.dumps(job)], capture_output=True,
                          text=True, timeout=60, check=True)
    return json.loads(done.stdout)


with Stage() as stage:
    plant = Plant(stage, DEVICES)
    gateway = Gateway(stage, configuration(stage, [plant.cloud], [simulated("rehearsal", {device: (["broker"], None) for device in DEVICES})]))
    wait_until(plant.all_born, 30, "all births")
    wait_until(lambda: all(plant.counted(device) > 20 for device in DEVICES), 30, "data of all devices")
    births = plant.node()["births"]

    # Rebirth: the whole sequence anew, on the same connection.
    before = plant.node()
    plant.host.command("rebirth", NODE)
    wait_until(lambda: plant.all_born() and plant.node()["births"] == births + 1, 30, "a rebirth")
    after = plant.node()
    assert after["bdSeq"] == before["bdSeq"] and after["deaths"] == 0, (before, after)

    # Commands: by the name of the metric, by its alias, and as another library writes them.
    plant.host.command("set", NODE, "d1", "setpoint", "42", "name")
    wait_until(lambda: plant.values("d1", "setpoint")[-1][1] == 42, 30, "the set point of d1, by name")
    plant.host.command("set", NODE, "d2", "setpoint", "17", "alias")
    wait_until(lambda: plant.values("d2", "setpoint")[-1][1] == 17, 30, "the set point of d2, by alias")
    written = tahu(encode=[{"timestamp": 1, "metrics": [{"name": "setpoint", "type": "Int32", "value": 33}]}])["encoded"][0]
    plant.host.command("raw", f"spBv1.0/G/DCMD/{NODE}/d3", written)
    wait_until(lambda: plant.values("d3", "setpoint")[-1][1] == 33, 30, "the set point of d3, by Tahu")
    plant.host.command("raw", f"spBv1.0/G/DCMD/{NODE}/d3", "12ff")
    wait_until(lambda: "no Sparkplug B payload" in gateway.errors(), 30, "a damaged command to be told")

    # Another library reads the same.
    samples = {kind: payload for kind, payload in plant.host.command("samples").items() if kind != "NDEATH"}
    read = tahu(decode=list(samples.values()))["decoded"]
    for (kind, payload), theirs in zip(samples.items(), read):
        ours = decode(bytes.fromhex(payload))
        assert int(theirs["seq"]) == ours["seq"], kind
        assert len(theirs["metrics"]) == len(ours["metrics"]) > 0, kind
        for their, our in zip(theirs["metrics"], ours["metrics"]):
            assert their.get("name") == our.get("name") and int(their.get("alias", -1)) == our.get("alias", -1), (kind, their, our)
            value = their["value"]
            assert (float(value) if isinstance(value, str) else value) == our["value"], (kind, their, our)

    # The link breaks: the broker says the node's death, the backlog comes as history after new births.
    bd_seq = plant.node()["bdSeq"]
    accounts = gateway.accounts()
    plant.link.command("cut broker")
    wait_until(lambda: not plant.node()["online"], 30, "the node's death")
    wait_until(lambda: all(gateway.accounts()[device] > accounts[device] + 50 for device in DEVICES), 30, "a backlog")
    history = gateway.accounts()
    plant.link.command("restore broker")
    wait_until(lambda: all_online(gateway) and plant.all_born(), 30, "births after the outage")
    assert plant.node()["bdSeq"] != bd_seq
    plant.await_everything(history)
    for device in DEVICES:
        entries = plant.values(device, "value")
        assert sum(entry[2] for entry in entries) >= 40, f"{device}: {sum(entry[2] for entry in entries)} historical values"
        wait_until(lambda: not plant.values(device, "value")[-1][2], 30, "live values again")

    # Short cuts while data flows lose nothing either.
    for _ in range(3):
        connects = plant.node()["births"]
        plant.link.command("rst broker")
        wait_until(lambda: plant.node()["births"] > connects and plant.all_born(), 30, "births after a reset")

    bd_seq = plant.node()["bdSeq"]
    accounts = gateway.accounts()
    assert gateway.stop() == 0
    wait_until(lambda: not plant.node()["online"], 30, "the last words")
    assert all(device["deaths"] for device in plant.node()["devices"].values()), plant.node()
    assert "closed its connection" not in str(plant.broker.logged(r"Socket error.*edge")), "the node did not disconnect in order"
    plant.await_everything(accounts)
    gateway.start()
    wait_until(plant.all_born, 30, "births after a restart")
    assert plant.node()["bdSeq"] == (bd_seq + 1) % 256, "bdSeq goes on after a restart"
    assert gateway.stop() == 0
    plant.assert_clean()
    print({device: (plant.counted(device), len(plant.values(device, "value"))) for device in DEVICES})
    plant.close()
