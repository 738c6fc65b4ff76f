#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`tidegate discover modbus` finds the units behind TCP and on a serial port, says what they are, writes nothing, and prints a source
that the gateway takes as it is; a port that the gateway has is named as such."""
import json

import yaml

from field import broker_cloud
from gateway import configuration, run
from harness import Stage, free_port, vectors
from modbus_support import device, meter_points, start, wait_samples

with Stage() as stage:
    profiles = vectors("southbound/modbus_profiles.json")
    model = ("--model", "Acme/PM-5/1.2")
    tcp = stage.peer("meter_server.py", "--profiles", profiles, "--units", "1,7,247", *model)
    rtu = stage.peer("meter_server.py", "--profiles", profiles, "--units", "3,4", "--rtu", "--link", stage.path("ttyRS485"), *model)
    sunspec = stage.peer("modbus_liar.py", "--tcp")
    common = [0x5375, 0x6E53, 1, 66]
    text = "SolarCo".ljust(32, "\0") + "Inverter 5".ljust(32, "\0") + "\0" * 16 + "2.01".ljust(16, "\0") + "SN1".ljust(32, "\0")
    common += [int.from_bytes(text[i:i + 2].encode(), "big") for i in range(0, len(text), 2)] + [0, 0]
    for offset, word in enumerate(common):
        sunspec.command("put", 5, 40000 + offset, word)

    def discover(*arguments, check=0):
        return run("discover", "modbus", *arguments, seconds=90, check=check)

    # Over TCP: the units, what they are, progress on stderr.
    where = f"127.0.0.1:{tcp.ready['port']}"
    done = discover(where, "--units", "1-10,247", "--timeout", "200ms")
    for unit in (1, 7, 247):
        assert f"- id: unit-{unit}  # Acme PM-5 1.2" in done.stdout, done.stdout
        assert f"unit {unit} answers" in done.stderr, done.stderr
    assert done.stdout.count("- id:") == 3 and "asking 11 unit ids, at most" in done.stderr, done.stdout + done.stderr
    found = json.loads(discover(where, "--units", "1,2,7", "--timeout", "200ms", "--json").stdout)
    assert [unit["unit"] for unit in found["units"]] == [1, 7] and found["asked"] == 3 and found["units"][0]["product"] == "PM-5", found
    assert tcp.command("holding", 1, 0)["value"] == 0

    # On a serial port.
    done = discover(rtu.ready["path"], "--units", "0-5", "--baud", "19200", "--parity", "none", "--timeout", "300ms")
    assert done.stdout.count("- id:") == 2 and "unit-3  # Acme PM-5 1.2" in done.stdout and "baud: 19200" in done.stdout, done.stdout

    # A SunSpec device, known by its marker; it is only read.
    done = discover(f"127.0.0.1:{sunspec.ready['port']}", "--units", "5", "--timeout", "500ms")
    assert "SolarCo Inverter 5 2.01; SunSpec at holding:40000" in done.stdout, done.stdout
    assert "profile: sunspec" in done.stdout and "holding-0" not in done.stdout, done.stdout
    assert {function for _, function, *_ in sunspec.command("log")["log"]} <= {3, 4, 17, 43}

    # What was printed is a source: the gateway takes it and reads.
    [source] = yaml.safe_load(discover(where, "--units", "1,7", "--timeout", "500ms").stdout)
    for entry in source["devices"]:
        assert entry["clouds"] == ["CLOUD"], entry
        entry.update(clouds=["broker"])
    run("check", "-c", configuration(stage, [broker_cloud(free_port())], [source], name="pasted.yaml"), check=0)

    # Nobody there, wrong usage, and a port that the gateway has.
    assert "nobody answered" in discover(where, "--units", "20-21", "--timeout", "100ms", check=1).stderr
    assert "--units 0-300 is not understood" in discover("--units", "0-300", check=2).stderr
    assert "unknown option --jason; there are --units" in discover(where, "--jason", check=2).stderr
    asked = discover("--help")
    assert asked.stdout.startswith("usage: tidegate discover modbus HOST") and not asked.stderr, asked
    assert "refused" in discover(f"127.0.0.1:{free_port()}", check=1).stderr
    gateway = start(stage, [{"name": "bus", "plugin": "modbus", "settings": {"transport": "rtu", "port": rtu.ready["path"], "baud": "19200"},
                             "devices": [device("unit-3", 3, meter_points(), max_count=80, max_gap=60)]}])
    wait_samples(gateway, "unit-3")
    refused = discover(rtu.ready["path"], check=1).stderr
    assert "is in use by another program" in refused and "stop the gateway or take its source out" in refused, refused
    wait_samples(gateway, "unit-3")
    assert gateway.stop() == 0
    listed = run("discover", "modbus")
    assert listed.returncode in (0, 1) and "none was opened" in listed.stderr, listed
