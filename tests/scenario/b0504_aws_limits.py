#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""AWS IoT: a backlog is sent at no more than 100 messages a second and with no more than 100 in flight, by Basic Ingest too."""
from aws import Aws, aws_cloud
from field import all_online, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import Pki
from verdict import delivered, judge

with Stage() as stage:
    aws = Aws(stage, Pki(stage.path("pki")))
    aws.add("meter-1")
    link = stage.peer("link.py", f"aws=127.0.0.1:{aws.port}")
    cloud = aws_cloud(aws, link.ready["ports"]["aws"], rule="store", max_in_flight=100,
                      batch={"max_samples": 1, "max_bytes": 3900, "max_delay": "0s"})
    gateway = Gateway(stage, configuration(stage, [cloud], [
        simulated("rehearsal", {"meter-1": (["aws"], aws.identity("meter-1"))}, every="20ms")]))
    wait_until(lambda: all_online(gateway), 30, "the session to be online")
    link.command("cut aws")
    before = gateway.accounts()["meter-1"]
    wait_until(lambda: gateway.accounts()["meter-1"] > before + 500, 60, "a backlog")
    link.command("restore aws")
    accounts = gateway.accounts()
    wait_until(lambda: delivered(aws.record, accounts), 60, "the backlog to be delivered")
    assert gateway.stop() == 0
    published = aws.record.select("publish", "meter-1")
    assert all(entry["topic"] == "$aws/rules/store/dt/tidegate/test/meter-1" and entry["qos"] == 1 for entry in published)
    assert all(row.holds for row in judge(aws.record, accounts))
    # Over any stretch of 3 s or more; shorter ones say how the machine schedules, not how the gateway sends.
    times = [entry["t"] for entry in published]
    for first, begin in enumerate(times):
        for last in range(first + 300, len(times), 50):
            span = (times[last] - begin) / 1000
            assert last - first <= 100 * (span + 1.5), (last - first, span)
