#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A device's tokens are renewed before they end: IoT Core never cuts a connection, nothing is lost and nothing comes twice; a key
that is not the registered one is told, and counts as soon as the file is right."""
import shutil

from field import simulated
from gateway import Gateway, configuration
from gcp import Bridge, Registry
from harness import Stage, wait_until
from verdict import delivered, judge, table

with Stage() as stage:
    registry = Registry(stage.path("gcp"))
    registry.add("meter-1")
    registry.add("meter-2")
    shutil.copy(registry.key("meter-2"), registry.path("right.key"))
    registry.make_key("meter-2")  # the file has another key now than the registry
    bridge = Bridge(stage, registry, skew=0)
    gateway = Gateway(stage, configuration(stage, [bridge.entry(token_lifetime="24s")], [
        simulated("rehearsal", {name: (["lake"], {"jwt_key": registry.key(name)}) for name in ("meter-1", "meter-2")}, every="10ms")]))
    bridge.record.wait("refused", "meter-2", "another key", seconds=30)
    wait_until(lambda: "not authorised" in gateway.session("meter-2", "lake").get("last_error", ""), 30, "the refusal in the status")
    assert gateway.session("meter-2", "lake").get("waits_for", "change") == "change"  # absent while it tries again
    shutil.copy(registry.path("right.key"), registry.key("meter-2"))
    bridge.record.wait("connect", "meter-1", count=2, seconds=90)  # 3.6 s and more before the end of its token
    bridge.record.wait("connect", "meter-2", seconds=90)
    accounts = gateway.accounts()
    wait_until(lambda: delivered(bridge.record, accounts), 30, "everything to be delivered")
    assert gateway.session("meter-1", "lake")["failures"] == 0
    assert gateway.stop() == 0
    rows = judge(bridge.record, accounts)
    print(table(rows))
    assert all(row.holds and row.duplicates == 0 for row in rows)
    assert not bridge.record.select("disconnect", None, "expired"), "the bridge had to cut a connection whose token had ended"
