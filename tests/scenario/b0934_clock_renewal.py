#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tokens were made by a clock that is an hour ahead; then it is set right, to and fro before it stays: each session makes one new token, within a part of the
token's life, not all at one moment, and nothing is cut, lost or repeated."""
import time

from clocks import Clock
from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import delivered, judge, table

DEVICES = [f"meter-{i}" for i in range(8)]
LIFE_S = 120  # renewed by plan after 90 to 102 s; after a step within a sixteenth and an eighth of it

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device in DEVICES:
        pki.add(device, "sas")
    hub = Hub(stage, pki)
    clock = Clock(stage, "+3600")
    gateway = Gateway(stage, configuration(stage, [hub_cloud(hub, sas_lifetime=f"{LIFE_S}s")], [
        simulated("site", {device: (["hub"], identity(pki, device, "sas")) for device in DEVICES}, every="20ms")]), env=clock.env)

    def sessions():
        return [device["clouds"][0] for device in gateway.status()["devices"]]
    wait_until(lambda: all_online(gateway), 30, "the sessions")
    begin = time.time()
    for count, to in enumerate(("+0", "+3600", "+0"), 1):
        clock.set(to)
        wait_until(lambda: gateway.status()["gateway"]["clock"]["jumps"] == count, 30, f"the clock at {to} to be seen")
    assert all(session["connects"] == 1 for session in sessions()), "a session was cut although the clock has not settled"
    wait_until(lambda: all(session["connects"] == 2 and session["state"] == "online" for session in sessions()), 80, "a new token for each")
    assert time.time() - begin < 80, "that was the renewal that was planned anyway"
    moments = [hub.record.select("connect", device)[1]["t"] for device in DEVICES]  # within 7.5 s
    assert max(moments) - min(moments) > 500, f"all at one moment: {moments}"
    for session in sessions():
        assert session["failures"] == 0 and session["resent"] == 0, session
        assert abs(session["token_ends_s"] - time.time() - LIFE_S) < 60, session
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 30, "everything")
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds and row.duplicates == 0 for row in rows)
