#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A boot at 1970, the gateway is killed and started again in the same boot, twice; then NTP has the time: the samples of all three processes arrive
with the times at which they were taken, and with the same ones when they come twice."""
from clocks import Clock, Truth, in_order
from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from proof import report
from verdict import delivered, judge, samples, table

DEVICES = [f"meter-{i}" for i in range(4)]

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device in DEVICES:
        pki.add(device, "sas")
    hub = Hub(stage, pki)
    clock = Clock(stage, "@1970-01-01 00:00:30")
    config = configuration(stage, [hub_cloud(hub)], [
        simulated("site", {device: (["hub"], identity(pki, device, "sas")) for device in DEVICES}, every="10ms")])
    gateway = Gateway(stage, config, env=clock.env)
    truth = Truth(gateway)

    def more(count):
        before = truth.look()
        wait_until(lambda: all(seq >= before[device] + count for device, seq in truth.look().items()), 30, f"{count} samples")
        return truth.look()
    for _ in range(2):
        more(150)
        gateway.kill()
        gateway.start()
    end = more(150)
    status = gateway.status()["gateway"]["clock"]
    assert status["waiting_samples"] >= sum(end.values()) - 200, (status, end)

    clock.set("+0")
    wait_until(lambda: all_online(gateway), 30, "the sessions, when the clock has been set")
    wait_until(lambda: hub.record.telemetry(DEVICES[0]), 30, "the first of the backlog")
    gateway.kill()  # what was in flight comes again: with the same stamps, or it would be another body
    gateway.start()
    end = more(50)
    wait_until(lambda: delivered(hub.record, end), 60, "everything")
    assert gateway.stop() == 0
    rows = judge(hub.record, end)
    print(table(rows))
    assert all(row.holds for row in rows)
    checked = 0
    for device in DEVICES:
        stamps = {sample["seq"]: sample["ts"] for entry in hub.record.telemetry(device) for sample in samples(entry)}
        in_order(device, stamps)
        checked += truth.check(device, stamps)
    print(f"{checked} stamps compared with the time at which they were taken")
    assert checked > 8
    report("C9", "killed_before_the_clock_is_set", len(end), 0, {"accepted": sum(end.values()), "lost": 0, "stamps_compared": checked, "stamps_wrong": 0},
           "The same with a gateway that is killed twice before the time is known. Trials: devices")
