# SPDX-License-Identifier: GPL-2.0-or-later
"""modbus_support - what the Modbus scenarios share: a gateway with one plain cloud that is never there, meters, and what is read."""
import json
import os

from field import broker_cloud
from gateway import Gateway, configuration, run
from harness import free_port, wait_until

SDM630 = [("voltage_l1", 0), ("voltage_l2", 2), ("voltage_l3", 4), ("power_total", 52), ("frequency", 70), ("import_kwh", 72)]


def device(name, unit, points, **settings):
    return {"id": name, "clouds": ["broker"], "settings": {"unit": unit, **settings}, "points": points}


def meter_points(every="100ms"):
    return [{"name": name, "address": f"input:{address}", "type": "float32", "every": every} for name, address in SDM630]


def start(stage, sources, name="gateway"):
    """The samples stay in the outbox, where values() looks: no cloud is needed to see what was read."""
    folder = stage.path(name)
    os.makedirs(folder, exist_ok=True)
    config = configuration(stage, [broker_cloud(free_port())], sources, name=f"{name}.yaml",
                           gateway={"state_dir": os.path.join(folder, "state"), "control_socket": os.path.join(folder, "s")})
    return Gateway(stage, config, name=name)


def counts(gateway):
    return {entry["id"]: entry["last_seq"] for entry in gateway.status()["devices"]}


def wait_samples(gateway, *names, count=3):
    before = counts(gateway)
    wait_until(lambda: all(counts(gateway)[name] >= before[name] + count for name in names), 40, f"{count} samples of {names}")


def ask(gateway, name, command, **arguments):
    """What a command answers, as an object: `tidegate send` prints "ok {…}"."""
    return json.loads(gateway.send(name, command, arguments).stdout.split(" ", 1)[1])


def stored(gateway, name):
    """The samples of a device in the outbox, oldest first."""
    out = run("outbox", "export", "-c", gateway.config, check=0).stdout
    rows = [json.loads(line) for line in out.splitlines() if line.strip()]
    return [row["sample"] for row in rows if row["device"] == name]
