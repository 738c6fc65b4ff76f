#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sensors that appear get an identity and a session each without a person, as many as may and no strangers: keys derived from the
group's, assigned by the provisioning service; they are back after a restart, and gone when they are forgotten; nobody else notices."""
import json

from field import hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from hub import Dps, Hub
from pki import Pki
from verdict import delivered, judge, table

SENSORS = [f"a4c13800000{n}" for n in range(1, 5)]
STRANGER = "ffee00000001"

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    hub = Hub(stage, pki)
    dps = Dps(stage, pki, hub)
    group = stage.write("group.key", dps.group("sensors") + "\n")
    for name in SENSORS + [STRANGER]:
        dps.enrol(f"site7-{name}", group="sensors")
    for name in ("beside", "elsewhere"):
        dps.enrol(name)
    cloud = hub_cloud(hub, provisioning={"id_scope": dps.id_scope, "host": "localhost", "port": dps.port})
    del cloud["host"]

    def write(ids, after="0s", **more):
        yard = simulated("yard", {"beside": (["hub"], identity(pki, "beside", "sas"))}, every="50ms")
        yard["settings"] = {"discover_after": after, "discover": {
            "clouds": ["hub"], "identity": {"derive_from_group": group}, "allow": ["a4c138??????"], "max": 3, "id_prefix": "site7-", **more}}
        if ids:
            yard["settings"]["discover_ids"] = ids
        return configuration(stage, [cloud], [yard, simulated("other", {"elsewhere": (["hub"], identity(pki, "elsewhere", "sas"))})])

    def ids_of(gateway):
        return {device["id"] for device in gateway.status()["devices"]}

    def online(gateway, *names):
        wait_until(lambda: set(names) == ids_of(gateway) and all(gateway.session(name, "hub")["state"] == "online" for name in names), 60,
                   f"{', '.join(names)} to be online, and nobody else")

    def discovery(gateway):
        return next(source for source in gateway.status()["sources"] if source["name"] == "yard")["discovery"]

    # --- five appear: one is a stranger, one has no room
    config = write([SENSORS[0], STRANGER] + SENSORS[1:], after="2s")
    gateway = Gateway(stage, config)
    online(gateway, "beside", "elsewhere", *SENSORS[:3])
    for name in SENSORS[:3]:
        dps.record.wait("connect", f"site7-{name}", "sas")
        hub.record.wait("connect", f"site7-{name}", "sas")
        wait_until(lambda: "temperature" in str(hub.record.telemetry(f"site7-{name}")), 40, f"telemetry of {name}")
        assert gateway.device(name)["discovered"] is True
    asked = {entry["id"] for entry in dps.requests()}
    assert asked == {"beside", "elsewhere", *(f"site7-{name}" for name in SENSORS[:3])}, asked
    assert "discovered" not in gateway.device("beside")
    for name in ("beside", "elsewhere"):
        assert gateway.session(name, "hub")["connects"] == 1 and len(hub.record.select("connect", name)) == 1, name
    wait_until(lambda: discovery(gateway)["candidates"], 30, "the instance to announce again what it hears")
    seen = discovery(gateway)
    assert (seen["used"], seen["max"], seen["denied"], seen["without_room"]) == (3, 3, 1, 1), seen
    assert {(entry["id"], entry["why"]) for entry in seen["candidates"]} == {(STRANGER, "not allowed"), (SENSORS[3], "full")}, seen
    listed = run("device", "list", "-c", config, check=0).stdout
    assert STRANGER in listed and all(name in listed for name in SENSORS), listed
    assert "discovered 3 of 3; heard and not taken: 1 not allowed, 1 without room" in run("status", "-c", config, check=0).stdout

    # --- nothing of anybody was lost over it
    def accounts_in_the_cloud():
        return {f"site7-{name}" if name in SENSORS else name: last for name, last in gateway.accounts().items()}
    accounts = accounts_in_the_cloud()
    wait_until(lambda: delivered(hub.record, accounts), 30, "everything to be delivered")
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds for row in rows)

    # --- a restart: nobody announces them, and the provisioning service is not asked
    assert gateway.stop() == 0
    before = len(dps.requests())
    write([])
    gateway.start()
    online(gateway, "beside", "elsewhere", *SENSORS[:3])
    assert len(dps.requests()) == before, dps.requests()[before:]
    known = json.loads(run("device", "list", "--json", "-c", config, check=0).stdout)
    assert [(entry["id"], entry["profile"], entry["running"]) for entry in known["devices"]] == [(name, "thermometer", True)
                                                                                                for name in SENSORS[:3]], known

    # --- forgotten: its session ends, and the others' do not
    gone = len(hub.record.select("disconnect", f"site7-{SENSORS[1]}"))
    run("device", "forget", SENSORS[1], "-c", config, check=0)
    online(gateway, "beside", "elsewhere", SENSORS[0], SENSORS[2])
    hub.record.wait("disconnect", f"site7-{SENSORS[1]}", count=gone + 1)
    for name in ("beside", "elsewhere", SENSORS[0], SENSORS[2]):
        assert gateway.session(name, "hub")["connects"] == 1, name
    done = run("device", "forget", "beside", "-c", config, check=1)
    assert "no discovered device has this id" in done.stderr, done.stderr

    # --- one more appears while the file is broken: it comes in with the next good one
    reloads = gateway.errors().count("configuration reloaded")
    write([SENSORS[3]], after="3s")
    gateway.reload()
    wait_until(lambda: gateway.errors().count("configuration reloaded") > reloads, 30, "the reload")
    with open(config, encoding="utf-8") as file:
        good = file.read()
    stage.write("tidegate.yaml", good.replace("plugin: simulator", "plugin: simulater"))
    wait_until(lambda: "has errors (above)" in gateway.errors(), 30, "the broken file to be noticed")
    assert ids_of(gateway) == {"beside", "elsewhere", SENSORS[0], SENSORS[2]}
    stage.write("tidegate.yaml", good)
    gateway.reload()
    online(gateway, "beside", "elsewhere", SENSORS[0], SENSORS[2], SENSORS[3])

    # --- the allow list has changed: what it does not have any more is left out, and said
    write([], allow=[SENSORS[0]])
    gateway.reload()
    online(gateway, "beside", "elsewhere", SENSORS[0])
    assert f"device={SENSORS[3]} was discovered and is left out: no pattern" in gateway.errors(), gateway.errors()
    assert "left out" in run("device", "list", "-c", config, check=0).stdout
    assert gateway.session("elsewhere", "hub")["connects"] == 1
    assert gateway.stop() == 0
