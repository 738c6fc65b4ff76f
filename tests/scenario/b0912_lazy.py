#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Durability lazy: with a good link nothing is written; killed again and again, no number stands for two samples and only the window
is lost; without a link everything older than the window survives a kill, and a stop loses nothing."""
from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import ledger_of, samples

DEVICES = {"sas-1": "sas", "ca-1": "x509-ca"}
WINDOW_MS = 3000  # longer than a busy machine keeps an acknowledgement waiting
LEAP = 1 << 18

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device, kind in DEVICES.items():
        pki.add(device, kind)
    hub = Hub(stage, pki)
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    config = configuration(stage, [hub_cloud(hub, link.ready["ports"]["hub"])],
                           [simulated("rehearsal", {device: (["hub"], identity(pki, device, kind)) for device, kind in DEVICES.items()},
                                      every="5ms")],
                           outbox={"durability": "lazy", "lazy_window": f"{WINDOW_MS}ms"})
    gateway = Gateway(stage, config)
    wait_until(lambda: all_online(gateway), 20, "both sessions")

    def highest(device):
        return ledger_of(hub.record).account(device).highest

    # A good link: nothing but what was there at the start.
    before = gateway.status()["outbox"]
    wait_until(lambda: gateway.status()["outbox"]["spared"] >= before["spared"] + 600, 30, "600 samples that are never written")
    outbox = gateway.status()["outbox"]
    assert outbox["rows"] == before["rows"] and outbox["lazy_window_ms"] == WINDOW_MS, outbox
    assert outbox["written_bytes"] <= before["written_bytes"] + 100000, (before, outbox)
    text = run("status", "-c", config, check=0).stdout
    assert "lazy, 3.0 s in memory" in text and "that a crash would lose now" in text, text

    # Killed again and again while samples flow.
    for cycle in range(4):
        reached = {device: highest(device) for device in DEVICES}
        gateway.kill()
        gateway.start()
        wait_until(lambda: all(highest(device) > max(reached[device], 1) + LEAP + 20 for device in DEVICES), 30, "delivery above all that was given")
        for device in DEVICES:
            account = ledger_of(hub.record).account(device)
            assert not account.conflicts and not account.out_of_order, (cycle, device, account.conflicts[:5])

    # No link: what is older than the window is on disk. The simulator says when a sample was taken.
    link.command("cut hub")
    wait_until(lambda: gateway.status()["outbox"]["rows"] > 400, 30, "a backlog")
    stored = gateway.status()
    last = {device["id"]: device["last_seq"] for device in stored["devices"]}
    at_risk = stored["outbox"]["at_risk"]
    assert at_risk < 2 * 2 * 200 * WINDOW_MS / 1000 + 100, stored["outbox"]
    gateway.kill()
    known = {device: highest(device) for device in DEVICES}
    link.command("restore hub")
    gateway.start()
    wait_until(lambda: all(highest(device) > last[device] + LEAP for device in DEVICES), 30, "the backlog and new samples")
    missing = 0
    for device in DEVICES:
        got = {sample["seq"] for entry in hub.record.telemetry(device) for sample in samples(entry)}
        missing += sum(seq not in got for seq in range(known[device] + 1, last[device] + 1))
    print(f"kill without a link: {sum(last[d] - known[d] for d in DEVICES)} samples waited, {missing} were lost, {at_risk} were at risk")
    assert missing <= at_risk, (missing, at_risk)

    # A stop stores what is not acknowledged: nothing is missing from here on.
    link.command("cut hub")
    begin = {device: highest(device) for device in DEVICES}
    wait_until(lambda: gateway.status()["outbox"]["at_risk"] > 20, 30, "samples in memory")
    assert gateway.stop() == 0
    run("outbox", "verify", "-c", config, check=0)
    link.command("restore hub")
    gateway.start()
    goal = gateway.accounts()
    wait_until(lambda: all(highest(device) >= goal[device] for device in DEVICES), 30, "everything")
    assert gateway.stop() == 0
    for device in DEVICES:
        account = ledger_of(hub.record).account(device)
        got = {sample["seq"] for entry in hub.record.telemetry(device) for sample in samples(entry)}
        assert set(range(begin[device], goal[device] + 1)) <= got, device
        assert not account.conflicts and not account.out_of_order, (device, account.conflicts[:5])
    run("outbox", "verify", "-c", config, check=0)
