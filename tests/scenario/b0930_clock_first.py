#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A boot at 1970: ten thousand samples are taken before NTP has the time, by sessions over TLS and by one without; then all of them arrive, in
order, none lost, stamped with the time at which they were really taken. TIDEGATE_CLOCK_SAMPLES makes it longer."""
import json
import os

from broker import Broker
from clocks import Clock, Truth, in_order
from field import all_online, broker_cloud, hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from proof import report
from verdict import delivered, judge, samples, table

SAMPLES = int(os.environ.get("TIDEGATE_CLOCK_SAMPLES", "10000"))
SECURE = [f"meter-{i}" for i in range(12)]
PLAIN = [f"plain-{i}" for i in range(4)]

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device in SECURE:
        pki.add(device, "sas")
    hub = Hub(stage, pki)
    broker = Broker(stage, pki, users={"nobody": "here"})
    clock = Clock(stage, "@1970-01-01 00:00:30")
    # The devices without TLS are online long before: nothing but the time holds their samples back.
    config = configuration(stage, [hub_cloud(hub), broker_cloud(broker.back_port, name="plain", batch={"max_samples": 20, "max_delay": "50ms"})], [
        simulated("secure", {device: (["hub"], identity(pki, device, "sas")) for device in SECURE}, every="10ms"),
        simulated("open", {device: (["plain"], None) for device in PLAIN}, every="10ms")], outbox={"max_age": "1h"})
    gateway = Gateway(stage, config, env=clock.env)
    truth = Truth(gateway)
    wait_until(lambda: gateway.session(PLAIN[0], "plain")["state"] == "online", 30, "the session without TLS")
    wait_until(lambda: sum(truth.look().values()) >= SAMPLES, 60 + SAMPLES / 200, f"{SAMPLES} samples")

    status = gateway.status()["gateway"]["clock"]
    assert status["source"] == "none" and status["waiting_samples"] >= SAMPLES, status
    assert "for the clock" in status["text"], status
    session = gateway.session(PLAIN[0], "plain")
    assert session["state"] == "online" and session["waits_for"] == "clock" and session["pending"] > 100, session
    assert not any(broker.heard(f"tidegate/{device}/data") for device in PLAIN)
    assert gateway.errors().count("the clock has no valid time") == 1, gateway.errors()
    out = run("outbox", "stats", "--json", "-c", config, check=0).stdout
    assert json.loads(out)["waiting_for_clock"] >= SAMPLES, out
    out = run("outbox", "export", "--device", PLAIN[0], "-c", config, check=0).stdout.splitlines()
    first = json.loads(out[0])["sample"]
    assert first["seq"] == 1 and first["ts"] is None and first["time"] == "unknown" and first["since_boot_ms"] > 0, first
    assert "sound" in run("outbox", "verify", "-c", config, check=0).stdout

    clock.set("+0")
    wait_until(lambda: all_online(gateway), 30, "the sessions, when the clock has been set")
    wait_until(lambda: "the clock has a valid time now" in gateway.errors(), 30, "that to be told")
    end = truth.look()
    wait_until(lambda: delivered(hub.record, {device: end[device] for device in SECURE}), 60 + SAMPLES / 200, "everything of the hub's devices")

    def received(device):
        bodies = broker.heard(f"tidegate/{device}/data")
        return [sample for body in bodies for sample in (body if isinstance(body, list) else [body])]
    wait_until(lambda: all(len(received(device)) >= end[device] for device in PLAIN), 60 + SAMPLES / 200, "everything of the others")
    status = gateway.status()
    assert status["gateway"]["clock"]["waiting_samples"] == 0 and status["gateway"]["clock"]["jumps"] == 0, status["gateway"]["clock"]
    assert status["outbox"]["dropped"]["age"] == 0
    assert gateway.stop() == 0

    rows = judge(hub.record, {device: end[device] for device in SECURE})
    print(table(rows))
    assert all(row.holds and row.duplicates == 0 for row in rows)
    for device in PLAIN:
        assert [sample["seq"] for sample in received(device)][:end[device]] == list(range(1, end[device] + 1))
    checked = 0
    for device in SECURE + PLAIN:
        got = received(device) if device in PLAIN else [sample for entry in hub.record.telemetry(device) for sample in samples(entry)]
        assert all("time" not in sample for sample in got), got[0]
        stamps = {sample["seq"]: sample["ts"] for sample in got}
        in_order(device, stamps)
        checked += truth.check(device, stamps)
    print(f"{checked} stamps compared with the time at which they were taken")
    assert checked > 16
    broker.close()
    report("C9", "before_the_clock_is_set", len(end), 0, {"accepted": sum(end.values()), "lost": 0, "out_of_order": 0, "stamps_compared": checked, "stamps_wrong": 0},
           "A boot in 1970: samples are taken before the time is known, then it is set: all arrive in order, with the time at which they were really taken. Trials: devices")
