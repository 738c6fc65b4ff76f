#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A bus at 9600 baud with its real timing: a dead unit takes less than a tenth of the pace from the units that live."""
import time

from harness import Stage, vectors, wait_until
from modbus_support import ask, counts, device, meter_points, start, wait_samples

MEASURED_S = 6


def bus(stage, name, units):
    meters = stage.peer("meter_server.py", "--profiles", vectors("southbound/modbus_profiles.json"), "--units", "1,2,3", "--dead", "3", "--rtu")
    line = stage.peer("paced_line.py", "--baud", "9600", "--to", meters.ready["path"])
    gateway = start(stage, [{
        "name": "bus", "plugin": "modbus",
        "settings": {"transport": "rtu", "port": line.ready["path"], "baud": "9600", "timeout": "500ms"},
        "devices": [device(f"unit-{unit}", unit, meter_points("50ms"), max_count=80, max_gap=60) for unit in units]}], name)
    return gateway, line


def pace(gateway):
    """Samples a second of both live units together."""
    before, begin = counts(gateway), time.monotonic()
    wait_until(lambda: time.monotonic() - begin >= MEASURED_S, MEASURED_S + 5, "the time of a measurement")
    now, took = counts(gateway), time.monotonic() - begin
    return sum(now[name] - before[name] for name in ("unit-1", "unit-2")) / took


with Stage() as stage:
    with_dead, line = bus(stage, "three", (1, 2, 3))
    without, _ = bus(stage, "two", (1, 2))
    for gateway in (with_dead, without):
        wait_samples(gateway, "unit-1", "unit-2", count=2)
    wait_until(lambda: with_dead.device("unit-3")["state"] == "down", 30, "the dead unit to be down")
    ratio = pace(with_dead) / pace(without)
    stats, wire = ask(with_dead, "unit-1", "stats"), line.command("stats")
    print(f"pace of the live units beside a dead one: {ratio:.2f}; {stats}; {wire}")
    assert wire["collisions"] == 0, wire
    assert ratio >= 0.85, ratio  # over so short a time; ./dev bench measures longer and wants 0.9
    assert stats["bus"]["worst_cycle_ms"] < 10000, stats
    assert with_dead.stop() == 0 and without.stop() == 0
