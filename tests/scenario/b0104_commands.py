#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A cloud-to-device message and `tidegate send` set a writable point; wrong ones are refused with the reason; a message that
comes twice runs once."""
import json

from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import samples


def last_setpoint(record):
    entries = record.telemetry("sas-1")
    return samples(entries[-1])[-1]["values"].get("setpoint") if entries else None


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("sas-1", "sas")
    hub = Hub(stage, pki)
    config = configuration(stage, [hub_cloud(hub)], [simulated("rehearsal", {"sas-1": (["hub"], identity(pki, "sas-1", "sas"))})])
    gateway = Gateway(stage, config)
    wait_until(lambda: all_online(gateway), 20, "the session")
    with hub.service() as service:
        service.c2d("sas-1", '{"command":"set","arguments":{"setpoint":42.5}}', "%24.mid=m-1")
        wait_until(lambda: last_setpoint(hub.record) == 42.5, 10, "the set point in the telemetry")
        service.c2d("sas-1", '{"setpoint":43}', "%24.mid=m-2&command=set")
        wait_until(lambda: last_setpoint(hub.record) == 43, 10, "the set point by property")
        service.c2d("sas-1", '{"command":"set","arguments":{"setpoint":1}}', "%24.mid=m-1")
        wait_until(lambda: "not run twice" in gateway.errors(), 10, "the repeated message to be recognised")
        assert last_setpoint(hub.record) == 43
        for body, says in (("{", "no JSON"), ('{"command":"set","arguments":{"setpoint":101}}', "outside the point's range"),
                           ('{"command":"set","arguments":{"level":1}}', "not writable"),
                           ('{"command":"set","arguments":{"nope":1}}', "no such point"), ('["set"]', "no object"),
                           ('{"command":"set","arguments":{"setpoint":1,"nope":1}}', "nothing was written")):
            service.c2d("sas-1", body)
            wait_until(lambda: says in gateway.errors(), 10, f"a line that says {says}")
    assert last_setpoint(hub.record) == 43
    answer = json.loads(gateway.send("sas-1", "set", {"setpoint": 12}).stdout.split(" ", 1)[1])
    assert answer == {}, answer
    wait_until(lambda: last_setpoint(hub.record) == 12, 10, "the set point by `send`")
    assert "busy" not in gateway.errors()
    refused = gateway.send("sas-1", "set", {"setpoint": "high"}, check=1)
    assert "invalid" in refused.stdout, refused.stdout
    assert run("send", "-c", config, "nobody", "set", "{}").returncode == 1
    assert run("send", "-c", config, "sas-1", "set", "{x").returncode == 2
    assert run("send", "--socket", stage.path("nowhere"), "sas-1", "set", "{}").returncode == 3
    assert gateway.session("sas-1", "hub")["commands"] >= 8
    assert gateway.stop() == 0
