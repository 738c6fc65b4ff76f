#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A box that never got a time before it was off again: boots at 1970 without NTP, then one with it. What was taken in between is stamped between the
newest time known before and the start of the next boot, in order, and says that this is an estimate; so do the same samples sent twice."""
import json
import os
import sys
import time
import uuid

from clocks import Clock, in_order, seconds
from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, private_mounts, wait_until
from hub import Hub
from pki import Pki
from proof import report
from verdict import delivered, judge, samples, table

private_mounts()
FRESH_BOOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fresh_boot.py")


class Machine(Gateway):
    """A gateway that is started by boot() only."""

    def __init__(self, stage, config, env, under):  # pylint: disable=super-init-not-called
        self.stage, self.config, self.env, self.name, self.under, self.process = stage, config, env, "tidegate", under, None


with Stage() as stage:
    def boot(text):
        """The machine starts anew, as far as the gateway can see: another boot id, a boot clock that begins at 0, and this wall clock."""
        clock.set(text)
        gateway.under[-2:] = [stage.write("boot_id", f"{uuid.uuid4()}\n"), str(-time.clock_gettime(time.CLOCK_BOOTTIME))]
        began.append(time.time())
        gateway.start()

    pki = Pki(stage.path("pki"))
    pki.add("meter-1", "sas")
    hub = Hub(stage, pki)
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    clock = Clock(stage, "+0")
    config = configuration(stage, [hub_cloud(hub, port=link.ready["ports"]["hub"])], [
        simulated("site", {"meter-1": (["hub"], identity(pki, "meter-1", "sas"))}, every="10ms")], outbox={"max_age": "1h"})

    def more(count):
        before = gateway.accounts()["meter-1"]
        wait_until(lambda: gateway.accounts()["meter-1"] >= before + count, 30, f"{count} samples")

    # A boot with a time, whose backlog stays; two without; one with a time again.
    began = []
    gateway = Machine(stage, config, env=clock.env, under=[sys.executable, FRESH_BOOT, "", ""])
    boot("+0")
    wait_until(lambda: all_online(gateway), 30, "the session")
    link.command("cut hub")
    more(100)
    assert gateway.stop() == 0
    ends = []
    for _ in range(2):
        boot("@1970-01-01 00:00:30")
        more(150)
        gateway.kill()
        # What is on the disk; numbers that were given a moment before may not be.
        ends.append(json.loads(run("outbox", "stats", "--json", "-c", config, check=0).stdout)["devices"][0]["last_seq"])
    link.command("restore hub")
    boot("+0")
    wait_until(lambda: all_online(gateway), 30, "the session, after the last boot")
    wait_until(lambda: hub.record.telemetry("meter-1"), 30, "the first of the backlog")
    gateway.kill()
    gateway.start()
    more(50)
    end = gateway.accounts()
    wait_until(lambda: delivered(hub.record, end), 60, "everything")
    status = gateway.status()
    assert status["gateway"]["clock"]["waiting_samples"] == 0 and status["outbox"]["dropped"]["age"] == 0, status["gateway"]["clock"]
    assert gateway.stop() == 0
    rows = judge(hub.record, end)
    print(table(rows))
    assert all(row.holds for row in rows)
    got = [sample for entry in hub.record.telemetry("meter-1") for sample in samples(entry)]
    stamps = {sample["seq"]: sample["ts"] for sample in got}
    estimated = {sample["seq"] for sample in got if sample.get("time") == "estimated"}
    in_order("meter-1", stamps)
    assert all("time" not in sample or sample["time"] == "estimated" for sample in got)
    # Nothing of the first boot is estimated, and all of the two without a time.
    assert min(estimated) > 100 and estimated == set(range(min(estimated), max(estimated) + 1)), (min(estimated), max(estimated), ends)
    assert len(estimated) > 280 and max(estimated) >= ends[-1], (len(estimated), max(estimated), ends)
    print(f"{len(estimated)} samples estimated, from {stamps[min(estimated)]} to {stamps[max(estimated)]}")
    # Between the last sample that had a time and the start of the boot that has one again; here boots follow each other at once.
    assert seconds(stamps[min(estimated)]) >= seconds(stamps[min(estimated) - 1]) - 1, stamps[min(estimated)]
    assert seconds(stamps[max(estimated)]) <= began[-1] + 1, (stamps[max(estimated)], began)
    report("C9", "a_boot_without_a_time", 1, 0, {"samples_estimated": len(estimated), "out_of_order": 0, "lost": 0},
           "A boot that never got a time, then one that does: what was taken in between is stamped between the two, in order, and marked as estimated")
