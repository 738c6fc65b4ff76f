#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Twins at the hub's limits: 32 KiB and ten levels are taken, one level more is left out with its reason and nothing else; a document of
reported properties that would grow beyond them is not sent, is told once, and is sent when it fits again."""
from field import hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from twins import size
from verdict import delivered, judge, samples

LIMIT = 32768


def nested(levels, inside):
    document = inside
    for _ in range(levels):
        document = {"d": document}
    return document


def filled(document, more=0):
    """The document with texts that make it what the hub counts as 32 KiB, and `more`."""
    document, number = dict(document), 0
    while (left := LIMIT + more - size(document)) > 4096 + 8:
        document[f"note-{number:02}"] = "x" * 4080
        number += 1
    document["last"] = "x" * (left - 4)
    return document


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device in ("meter-1", "meter-2"):
        pki.add(device, "sas")
    hub = Hub(stage, pki, twin=True)
    twin = hub.twin("meter-1")
    gateway = Gateway(stage, configuration(stage, [hub_cloud(hub)], [
        simulated("field", {device: (["hub"], identity(pki, device, "sas")) for device in ("meter-1", "meter-2")}, every="50ms")]))
    twin.wait_reported(lambda reported: reported.get("gateway") == "test")

    def written(value):
        wait_until(lambda: any(samples(entry)[-1]["values"]["setpoint"] == value for entry in hub.record.telemetry("meter-1")[-1:]), 30,
                   f"the set point {value}")

    def notice(says):
        wait_until(lambda: says in gateway.session("meter-1", "hub").get("notice", ""), 30, f"the status to say: {says}")

    # Ten levels and exactly 32 KiB: taken, with all that is in it; what no point takes is not repeated in the answer.
    twin.set_desired(filled({"deep": nested(10, 1), "setpoint": 31}))
    written(31)
    reported = twin.wait_reported(lambda reported: reported.get("setpoint", {}).get("value") == 31 and "last" in reported)
    assert reported["deep"]["ac"] == reported["last"]["ac"] == 404 and "value" not in reported["note-00"], reported
    # So many wrong ones that their answers are too many: told once, and sent when they are fewer.
    names = {f"wrong-{n:03}" + "x" * 50: "y" * 200 for n in range(100)}
    twin.set_desired({**names, "deep": None, **{f"note-{n:02}": None for n in range(9)}, "last": None, "setpoint": 35})
    written(35)
    notice("the reported properties of this device are not sent")
    twin.set_desired({"setpoint": 36})
    written(36)
    assert twin.reported["setpoint"]["value"] != 36
    twin.set_desired({**{name: None for name in names}, "setpoint": 37})
    twin.wait_reported(lambda reported: reported.get("setpoint", {}).get("value") == 37 and not any("wrong" in name for name in reported))
    assert gateway.errors().count("are not sent") == 1, gateway.errors()
    # One level more, half as large again: left out, whatever else is in it, but known, so that the next one is no gap.
    version, gets = twin.desired["$version"], len(twin.requests("get"))
    twin.push(version + 1, {**filled({"setpoint": 32}, -100), "deep": nested(11, 1)})
    notice("nested more than 10 levels deep")
    twin.push(version + 2, filled({"setpoint": 33}, 17000))
    notice("more than 49152 bytes")
    twin.push(version + 3, {"setpoint": 34})
    written(34)
    assert len(twin.requests("get")) == gets and "setpoint 32" not in gateway.errors()
    for device in ("meter-1", "meter-2"):
        session = gateway.session(device, "hub")
        assert (session["state"], session["connects"], session["failures"]) == ("online", 1, 0), session
    assert "notice" not in gateway.session("meter-2", "hub")
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 30, "everything to be delivered")
    assert gateway.stop() == 0
    assert all(row.holds and row.duplicates == 0 for row in judge(hub.record, accounts))
