#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An outage that is longer than the outbox is large, under a strict Sparkplug host: the loss is announced by a birth and told by the
metrics Gap/…, their counts explain every missing value, and a rebirth repeats what was told last."""
from field import simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from sparkplug import NODE, Plant

DEVICES = ("d1", "d2")
FIELDS = ("first_seq", "last_seq", "count", "reasons", "cloud")

with Stage() as stage:
    plant = Plant(stage, DEVICES)
    gateway = Gateway(stage, configuration(stage, [plant.cloud], [simulated("rehearsal", {name: (["broker"], None) for name in DEVICES}, every="4ms")],
                                           outbox={"limit": "256KiB"}))
    wait_until(plant.all_born, 30, "births")
    wait_until(lambda: all(len(plant.values(name, "value")) > 50 for name in DEVICES), 30, "data before the outage")
    assert all("Gap/count" not in plant.host.command("birth", NODE, name)["metrics"] for name in DEVICES)

    plant.link.command("cut broker")
    wait_until(lambda: all(gateway.session(name, "broker").get("gap", {}).get("count", 0) > 200 for name in DEVICES), 60, "losses of both")
    plant.link.command("restore broker")
    wait_until(plant.all_born, 30, "births after the outage")
    wait_until(lambda: all(plant.values(name, "Gap/count") for name in DEVICES), 60, "the losses to be told")
    # What was pushed out while the backlog went out is told with the next connection.
    wait_until(lambda: all(gateway.session(name, "broker")["pending"] < 100 for name in DEVICES), 40, "the backlog to be delivered")
    plant.link.command("rst broker")
    wait_until(lambda: all("gap" not in gateway.session(name, "broker") for name in DEVICES), 60, "every loss to be told")
    assert gateway.stop() == 0

    for name in DEVICES:
        records = {}
        for field in FIELDS:
            for at, value, _historical, quality in plant.values(name, f"Gap/{field}"):
                assert quality is None
                records.setdefault(at, {})[field] = value
        assert all(set(record) == set(FIELDS) for record in records.values()), records
        assert all(record["reasons"] == "limit" and record["cloud"] == "broker" for record in records.values()), records
        told = sum(record["count"] for record in records.values())
        numbers = {int(entry[1]) for entry in plant.values(name, "value")}
        missing = max(numbers) + 1 - min(numbers) - len(numbers)
        print(name, "missing", missing, "told", told, "in", len(records), "records")
        # What was on its way when it was pushed out may have arrived: twenty messages of twenty samples.
        assert 0 < missing <= told <= missing + 400, (missing, told, records)
        # A host that asks gets the last record with the birth, at its own time.
        born = plant.host.command("birth", NODE, name)["metrics"]
        assert all(f"Gap/{field}" in born for field in FIELDS), born.keys()
        assert born["Gap/count"]["timestamp"] in records, (born["Gap/count"], records)
    plant.assert_clean()
    plant.close()
