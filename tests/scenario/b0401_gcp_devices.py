#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""IoT Core with a connection a device: events arrive whole, config and commands set points, state comes at most once a second, and
the bridge finds nothing to object to."""
import json

from field import all_online, simulated
from gateway import Gateway, configuration
from gcp import Bridge, Registry
from harness import Stage, wait_until
from verdict import delivered, judge, samples, table


def last_setpoint(record, device):
    entries = [entry for entry in record.select("publish", device) if "/events" in entry["topic"]]
    return samples(entries[-1])[-1]["values"].get("setpoint") if entries else None


def states(record, device):
    return [entry for entry in record.select("publish", device) if entry["topic"] == f"/devices/{device}/state"]


with Stage() as stage:
    registry = Registry(stage.path("gcp"))
    registry.add("meter-1")
    registry.add("meter-2", "rs256")
    bridge = Bridge(stage, registry)
    gateway = Gateway(stage, configuration(stage, [bridge.entry(event_subfolder="raw/fast")], [
        simulated("rehearsal", {name: (["lake"], {"jwt_key": registry.key(name)}) for name in ("meter-1", "meter-2")})]))
    wait_until(lambda: all_online(gateway), 30, "both devices to be online")
    record = bridge.record
    with bridge.cloud() as cloud:
        cloud.config("meter-1", '{"setpoint": 33}')
        wait_until(lambda: last_setpoint(record, "meter-1") == 33, 30, "the config's set point in the telemetry")
        wait_until(lambda: any('"setpoint"' in entry["payload"] for entry in states(record, "meter-1")), 30, "the state to say so")
        cloud.config("meter-1", "rate: 5")
        wait_until(lambda: "the config is left out" in gateway.errors(), 30, "a config that is no JSON to be told")
        record.wait("subscribe", "meter-1", "commands", seconds=30)
        cloud.command("meter-1", '{"setpoint": 42}', "set")
        wait_until(lambda: last_setpoint(record, "meter-1") == 42, 30, "the set point by a command with a subfolder")
        cloud.command("meter-1", '{"command": "set", "arguments": {"setpoint": 43}}')
        wait_until(lambda: last_setpoint(record, "meter-1") == 43, 30, "the set point by a command without one")
        for n in range(5):  # the newest wins
            cloud.config("meter-1", json.dumps({"setpoint": 50 + n}))
        wait_until(lambda: json.loads(states(record, "meter-1")[-1]["payload"]).get("setpoint") == 54, 30, "the last of five states")
    assert last_setpoint(record, "meter-2") == 21
    accounts = gateway.accounts()
    wait_until(lambda: delivered(record, accounts), 30, "everything to be delivered")
    assert gateway.stop() == 0
    rows = judge(record, accounts)
    print(table(rows))
    assert all(row.holds and row.duplicates == 0 for row in rows)
    events = [entry for entry in record.select("publish") if "/events" in entry["topic"]]
    assert all(entry["topic"] == f"/devices/{entry['device']}/events/raw/fast" and entry["qos"] == 1 for entry in events)
    assert not record.select("closed"), record.select("closed")
