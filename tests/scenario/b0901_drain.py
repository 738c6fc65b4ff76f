#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""After an outage with 20,000 samples of twenty devices: in-order delivers strictly by seq, fair and newest-first deliver the first fresh
sample long before the end of the backlog, an alarm of the outage is the first to arrive everywhere; every sample arrives once."""
import os
import shutil

from drain import Rehearsal
from gateway import run
from harness import SOURCE, Stage

DEVICES = [f"d{number:02}" for number in range(20)]
BACKLOG = 20000
ALARMED = ("d03", "d11")

with Stage() as stage:
    shutil.copy(os.path.join(SOURCE, "config", "examples", "drain.yaml"), stage.path("example.yaml"))
    assert "is good: 2 clouds, 1 source, 1 device" in run("check", "-c", stage.path("example.yaml"), check=0).stdout
    case = Rehearsal(stage, {"order": None, "fair": "fair", "newest": "newest-first"}, DEVICES, rate=100, count=2500)
    case.await_backlog(BACKLOG // 3)
    for device in ALARMED:
        case.gateway.send(device, "set", {"alarm": 1})
    case.await_backlog(BACKLOG)
    before = case.gateway.accounts()
    case.link.command("restore broker")
    case.link.command("slow broker 60000")  # each connection
    case.await_all("order", before)
    accounts = case.gateway.accounts()
    case.link.command("restore broker")
    for cloud in ("order", "fair", "newest"):
        case.await_all(cloud, accounts)
    assert case.gateway.stop() == 0
    run("outbox", "verify", "-c", case.config, check=0)
    case.collect()

    for device in DEVICES:
        end = before[device]
        for cloud in ("order", "fair", "newest"):
            came = case.of(cloud, device)
            assert came.duplicates == 0, f"{cloud}/{device}: {came.duplicates} duplicates without a broken connection"
            # The first sample of all has every point; then those whose alarm changed.
            urgent = [seq for seq in sorted(came.seen) if '"alarm"' in came.seen[seq]]
            assert urgent[0] == 1 and len(urgent) == (2 if device in ALARMED else 1), f"{device}: priority has {urgent}"
            assert came.order[:len(urgent)] == urgent, f"{cloud}/{device}: begins with {came.order[:5]}, not with {urgent}"
            rest = [seq for seq in came.order if seq not in urgent]
            backlog = [seq for seq in rest if seq <= end]
            fresh = [seq for seq in rest if seq > end]
            assert backlog == sorted(backlog), f"{cloud}/{device}: the backlog is out of order"
            if cloud == "order":
                assert rest == sorted(rest), f"{device}: not in order"
            else:
                early = sum(rest.index(seq) < rest.index(backlog[-1]) for seq in fresh[:20])
                assert rest.index(fresh[0]) < rest.index(backlog[-1]), f"{cloud}/{device}: no fresh sample before the end of the backlog"
                assert early >= 10, f"{cloud}/{device}: only {early} of the first fresh samples came before the end of the backlog"
    case.close()
