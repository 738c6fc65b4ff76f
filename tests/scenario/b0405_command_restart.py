#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A command's id outlives the gateway: what ran before a crash or an orderly restart does not run again when the cloud delivers
it once more, and what came while the gateway was away runs once."""
from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import samples


def last_setpoint(record):
    entries = record.telemetry("sas-1")
    return samples(entries[-1])[-1]["values"].get("setpoint") if entries else None


def command(value):
    return f'{{"command":"set","arguments":{{"setpoint":{value}}}}}'


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("sas-1", "sas")
    hub = Hub(stage, pki)
    config = configuration(stage, [hub_cloud(hub)], [simulated("rehearsal", {"sas-1": (["hub"], identity(pki, "sas-1", "sas"))})])
    gateway = Gateway(stage, config)
    wait_until(lambda: all_online(gateway), 30, "the session")
    with hub.service() as service:
        for number, value in ((1, 11), (2, 22)):
            service.c2d("sas-1", command(value), f"%24.mid=m-{number}")
            wait_until(lambda: last_setpoint(hub.record) == value, 30, f"set point {value}")
        for end in (gateway.kill, gateway.stop):
            end()
            service.c2d("sas-1", command(1), "%24.mid=m-1")    # the hub had not heard that they were done
            service.c2d("sas-1", command(2), "%24.mid=m-2")
            gateway.start()
            wait_until(lambda: all_online(gateway), 30, "the session after the restart")
            wait_until(lambda: gateway.errors().count("not run twice") == 2, 30, "both to be recognised")
        service.c2d("sas-1", command(33), "%24.mid=m-3")
        wait_until(lambda: last_setpoint(hub.record) == 33, 30, "a new command to run")
    values = {sample["values"].get("setpoint") for entry in hub.record.telemetry("sas-1") for sample in samples(entry)}
    assert not values & {1, 2}, values
    assert gateway.stop() == 0
