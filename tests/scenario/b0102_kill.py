#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of the gateway, again and again: what it reported as accepted arrives, in order, and no seq is ever used twice."""
import json
import subprocess

from field import all_online, hub_cloud, identity, simulated
from gateway import PROGRAM, Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import delivered, judge, table

CYCLES = 12

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("sas-1", "sas")
    pki.add("ca-1", "x509-ca")
    hub = Hub(stage, pki)
    config = configuration(stage, [hub_cloud(hub)], [simulated("rehearsal", {
        "sas-1": (["hub"], identity(pki, "sas-1", "sas")), "ca-1": (["hub"], identity(pki, "ca-1", "x509-ca"))}, every="5ms")])
    gateway = Gateway(stage, config)
    accounts = {}
    for cycle in range(CYCLES):
        before = accounts or {"sas-1": 0, "ca-1": 0}
        wait_until(lambda: all(seq >= before[device] + 40 * (cycle % 3 + 1) for device, seq in gateway.accounts().items()), 20,
                   "new samples")
        status = gateway.status()
        # `accepted` is what is committed; last_seq also counts what waits for its commit.
        uncommitted = status["outbox"]["uncommitted"]
        accounts = {device["id"]: device["last_seq"] - uncommitted for device in status["devices"]}
        gateway.kill()
        done = subprocess.run([PROGRAM, "outbox", "verify", "-c", config], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        gateway.start()
    wait_until(lambda: all_online(gateway), 20, "the sessions")
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 30, "everything to be delivered")
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds for row in rows), json.dumps([row.conflicts for row in rows])
