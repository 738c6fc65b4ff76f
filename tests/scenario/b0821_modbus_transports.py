#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Modbus through the whole gateway over TCP, RTU and RTU over TCP, served by pymodbus: the same values arrive, what is written is there."""
import os
import shutil

from gateway import run
from harness import SOURCE, Stage, vectors, wait_until
from modbus_support import ask, device, meter_points, start, stored, wait_samples

WRITABLE = [{"name": "set", "address": "40006", "type": "int16", "every": "200ms", "writable": True},
            {"name": "mode", "address": "holding:9.4-6", "every": "200ms", "writable": True, "enum": {0: "off", 3: "boost"}},
            {"name": "relay", "address": "00004", "every": "200ms", "writable": True}]

with Stage() as stage:
    profiles = vectors("southbound/modbus_profiles.json")
    meters = {
        "tcp": stage.peer("meter_server.py", "--profiles", profiles, "--units", "1,2"),
        "rtu": stage.peer("meter_server.py", "--profiles", profiles, "--units", "1,2", "--rtu", "--link", stage.path("ttyRS485")),
        "rtu-over-tcp": stage.peer("meter_server.py", "--profiles", profiles, "--units", "1,2", "--rtu-over-tcp")}
    sources = []
    for transport, meter in meters.items():
        where = {"port": meter.ready["path"], "baud": "115200"} if transport == "rtu" else {"host": "127.0.0.1", "port": str(meter.ready["port"])}
        sources.append({"name": transport, "plugin": "modbus", "settings": {"transport": transport, "timeout": "1s", **where},
                        "devices": [device(f"{transport}-{unit}", unit, meter_points() + WRITABLE, max_count=80, max_gap=60) for unit in (1, 2)]})
        for unit in (1, 2):
            meter.command("freeze", unit, "voltage_l1", 230.0 + unit)
    gateway = start(stage, sources)
    names = [entry["id"] for source in sources for entry in source["devices"]]
    wait_samples(gateway, *names)
    for transport, meter in meters.items():
        for unit in (1, 2):
            name = f"{transport}-{unit}"
            said = ask(gateway, name, "set", set=-1000 - unit, relay=True, mode="boost")
            assert said["set"] == {"function": 6, "address": 5, "count": 1, "words": [f"{0x10000 - 1000 - unit:04X}"]}, said
            assert said["relay"]["function"] == 5 and said["mode"]["function"] == 22, said
            assert meter.command("holding", unit, 5)["value"] == 0x10000 - 1000 - unit
            assert meter.command("holding", unit, 9)["value"] == 3 << 4
            assert meter.command("coil", unit, 3)["value"] == 1
            words = ask(gateway, name, "read", address="input:0", type="float32")
            assert words["value"] == 230.0 + unit, words
            stats = ask(gateway, name, "stats")
            assert stats["state"] == "ok" and stats["answers"] > 0 and stats["writes"] == 3, stats

    def arrived(name, unit):
        rows = [row for row in stored(gateway, name) if "voltage_l1" in row["values"]]
        assert all(row["values"]["voltage_l1"] == 230.0 + unit for row in rows), rows[-1]
        return any(row["values"].get("set") == -1000 - unit and row["values"].get("mode") == "boost" and row["values"].get("relay") is True
                   for row in rows)
    for transport in meters:
        for unit in (1, 2):
            wait_until(lambda name=f"{transport}-{unit}", unit=unit: arrived(name, unit), 30, f"what was written to be read from {transport}-{unit}")
    assert gateway.stop() == 0

    # The example is good as it stands.
    example = os.path.join(SOURCE, "config", "examples", "modbus.yaml")
    done = run("check", "-c", shutil.copy(example, stage.path("example.yaml")), check=0)
    assert "is good: 1 cloud, 2 sources, 3 devices" in done.stdout and not done.stderr, done.stdout + done.stderr
