#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A plugin in a process of its own crashes, is killed, hangs: it is started again within a second, its devices say why, no other
source misses a beat, and no sample that was accepted is missing at the broker."""
import os
import signal

from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, free_port, wait_until
from hub import Hub
from isolated import GATEWAY, ask, pid_of, source, troubled
from metrics import metric
from pki import Pki
from verdict import delivered, judge, samples, table

DEVICES = ("wild", "tame", "steady")
EVERY_MS = 250
HANG_S = 6


def largest_gap_ms(record, device):
    """Between neighbouring values of the simulated counter, in the plugin's own time stamps."""
    times = [sample["ts"] for entry in record.telemetry(device) for sample in samples(entry)]
    stamps = sorted(float(text[17:-1]) + 60 * (int(text[14:16]) + 60 * (int(text[11:13]) + 24 * int(text[8:10]))) for text in times)
    return max(1000 * (after - before) for before, after in zip(stamps, stamps[1:]))


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device in DEVICES:
        pki.add(device, "sas")
    hub = Hub(stage, pki)
    tame = simulated("isolated-too", {"tame": (["hub"], identity(pki, "tame", "sas"))}, every=f"{EVERY_MS}ms")
    steady = simulated("in-process", {"steady": (["hub"], identity(pki, "steady", "sas"))}, every=f"{EVERY_MS}ms")
    web = free_port()
    config = configuration(stage, [hub_cloud(hub)], [
        troubled("troubled", "wild", ["hub"], identity(pki, "wild", "sas"), every="5ms", hang_timeout=f"{HANG_S}s"),
        {**tame, "isolation": "process"}, steady], gateway={**GATEWAY, "http": f"127.0.0.1:{web}"})
    checked = run("check", "-c", config, check=0).stdout
    assert "isolation: " in checked and "process of source troubled: at most 256 MiB (memory_limit)" in checked, checked
    gateway = Gateway(stage, config)
    wait_until(lambda: all_online(gateway) and min(gateway.accounts().values()) > 3, 30, "samples of all")

    def ends(what, says):
        """Makes it end: it is told, started again, and goes on where it was not."""
        before = source(gateway, "troubled")["process"]["restarts"]
        what()
        wait_until(lambda: source(gateway, "troubled")["process"]["restarts"] == before + 1, 30, f"its end: {says}")
        wait_until(lambda: says in gateway.errors(), 30, f"a line that says {says}")
        wait_until(lambda: source(gateway, "troubled")["open"], 60, "its next start")
        last = gateway.accounts()["wild"]
        wait_until(lambda: gateway.accounts()["wild"] > last + 20, 30, "samples of the next process")
        assert gateway.device("wild")["state"] == "ok", gateway.device("wild")

    asked = gateway.send("wild", "crash", {}, check=None)
    wait_until(lambda: "crashed (SIGSEGV)" in gateway.errors(), 30, "the crash")
    assert asked.returncode != 0 and "not known" in asked.stdout + asked.stderr, asked.stdout + asked.stderr
    wait_until(lambda: source(gateway, "troubled")["open"], 30, "its first restart")
    assert "starting it again in 0.2 s" in gateway.errors(), gateway.errors()
    ends(lambda: os.kill(pid_of(gateway, "troubled"), signal.SIGKILL), "was killed by somebody else (SIGKILL)")
    ends(lambda: gateway.send("wild", "hang", {}, check=None), "hung: no function of it has come back")
    assert ask(gateway, "wild", "echo") == {}
    state = source(gateway, "troubled")
    assert state["process"]["restarts"] == 3 and "hung" in state["process"]["last_end"], state
    assert metric(web, "tidegate_source_restarts_total", source="troubled") == 3
    assert all(text in gateway.errors() for text in ("ended: ", "are down, what they had sent is kept, starting it again in")), gateway.errors()
    assert source(gateway, "isolated-too")["process"]["restarts"] == 0 and "process" not in source(gateway, "in-process")
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 30, "everything to be delivered")
    for device in ("tame", "steady"):
        gap = largest_gap_ms(hub.record, device)
        # Whoever waits for the one that hangs waits for all of its time; less than half of it may be a machine that has much to do.
        assert gap < HANG_S * 1000 / 2, f"{device} was disturbed: {gap:.0f} ms without a sample"
    pid = pid_of(gateway, "troubled")
    accounts = gateway.accounts()
    assert gateway.stop() == 0
    assert not os.path.exists(f"/proc/{pid}"), "the process outlived the gateway"
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds for row in rows)
