#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that fails a sync, fails for a while, turns read-only or is slow: whatever was accepted arrives in order, duplicates stay
within what a broken connection may repeat, and the operator reads what happens to the samples meanwhile."""
import os
import re
import subprocess

from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, free_port, wait_until
from hub import Hub
from metrics import metric
from pki import Pki
from proof import count, report
from verdict import delivered, judge, ledger_of, table

ROUNDS = count("TIDEGATE_FAULT_ROUNDS", 1)  # with the fault at another fsync each
WEB = free_port()
WINDOW = 20 * 20  # messages in flight × samples in a message
DEVICES = {"sas-1": "sas", "ca-1": "x509-ca"}

tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
assert tried.returncode == 0, f"this test injects faults with strace, which may not trace here: {tried.stderr.strip()}"


# -D: the gateway stays this program's child, so that signals and exit code are its own.
def strace(stage, name, *injections):
    words = [word for injection in injections for word in ("-e", f"inject={injection}")]
    return ["strace", "-D", "-f", "--seccomp-bpf", "-o", stage.path(f"{name}.strace"), "-s", "0", "-e", "trace=fdatasync,pwrite64", *words]


with Stage() as stage:
    def scene(name, injections, rate, check, says=(), jump=False):
        pki = Pki(stage.path(f"pki-{name}"))
        for device, kind in DEVICES.items():
            pki.add(device, kind)
        hub = Hub(stage, pki, name=f"hub-{name}")
        config = configuration(stage, [hub_cloud(hub)], [
            {**source, "devices": [{**device, "settings": {"rate": rate}} for device in source["devices"]]}
            for source in [simulated("rehearsal", {device: (["hub"], identity(pki, device, kind)) for device, kind in DEVICES.items()})]],
            gateway={"state_dir": stage.path(f"state-{name}"), "control_socket": stage.path(f"{name}.sock"), "http": f"127.0.0.1:{WEB}"}, name=f"{name}.yaml")
        gateway = Gateway(stage, config, name=f"tidegate-{name}", under=strace(stage, name, *injections))
        wait_until(lambda: all_online(gateway), 20, "both sessions")
        accounts = reached = check(gateway)
        wait_until(lambda: delivered(hub.record, accounts), 30, f"everything to be delivered ({name})")
        assert gateway.stop() == 0
        outbox = [line for line in gateway.errors().splitlines() if "outbox:" in line]
        for text in says:
            assert any(text in line for line in outbox), f"{text}\n" + "\n".join(outbox)
        with open(stage.path(f"{name}.strace"), encoding="ascii") as file:
            assert re.search("INJECTED|DELAYED", file.read()), "nothing was injected"
        # On a sound disk it goes on where it was: no number is given to two samples.
        run("outbox", "verify", "-c", config, check=0)
        gateway.under = []
        gateway.start()
        before = gateway.accounts()
        accounts = more(gateway, 100)
        wait_until(lambda: ledger_of(hub.record).account("ca-1").highest >= accounts["ca-1"] and
                   ledger_of(hub.record).account("sas-1").highest >= accounts["sas-1"], 30, f"delivery after a restart ({name})")
        assert gateway.stop() == 0
        run("outbox", "verify", "-c", config, check=0)
        for device in DEVICES:
            account = ledger_of(hub.record).account(device)
            assert not account.conflicts and not account.out_of_order, (name, device, account.conflicts[:5], account.out_of_order)
            assert account.duplicates <= WINDOW, (name, device, account.duplicates)
        if jump:  # what was delivered from memory while nothing could be stored: its numbers are left out, and above them it goes on
            assert all(before[device] > reached[device] + 2**31 for device in DEVICES), (before, reached)
            print(f"{name}: {reached}, then from {before}")
        else:
            rows = judge(hub.record, accounts)
            print(f"{name}\n{table(rows)}")
            assert all(row.holds for row in rows)
        hub.stop()

    def more(gateway, count):
        before = gateway.accounts()
        wait_until(lambda: all(seq >= before[device] + count for device, seq in gateway.accounts().items()), 30, f"{count} more samples")
        return gateway.accounts()

    def until_ok(gateway):
        more(gateway, 100)
        wait_until(lambda: metric(WEB, "tidegate_outbox_state", state="degraded") == 1, 20, "the trouble to be seen")
        wait_until(lambda: metric(WEB, "tidegate_outbox_state", state="ok") == 1, 20, "the trouble to be over")
        return more(gateway, 100)

    def broken(gateway):
        """For good: what could not be stored is said for as long as it runs."""
        more(gateway, 600)
        wait_until(lambda: metric(WEB, "tidegate_outbox_state", state="degraded") == 1 and metric(WEB, "tidegate_outbox_uncommitted_samples") > 0, 20,
                   "the metrics to say so")
        return more(gateway, 10)

    def slowly(gateway):
        """The disk takes a fifth of a second for each sync: memory stays where it is."""
        more(gateway, 2000)
        early = gateway.status()["gateway"]["resident_bytes"]
        accounts = more(gateway, 2000 * ROUNDS)
        status = gateway.status()
        grown = status["gateway"]["resident_bytes"] - early
        assert grown < 16 << 20, f"{grown} bytes more"
        assert metric(WEB, "tidegate_outbox_worst_commit_seconds") >= 0.2  # what a sync takes at least
        assert metric(WEB, "tidegate_outbox_rejected_samples_total") >= status["outbox"]["rejected"]
        report("C11", "slow_disk", sum(accounts.values()), 0, {"resident_mib": round(status["gateway"]["resident_bytes"] / (1 << 20), 1),
               "grown_kib": grown // 1024, "refused_and_counted": status["outbox"]["rejected"], "slowest_commit_ms": status["outbox"]["worst_commit_us"] // 1000},
               "Each fsync of the running gateway takes 200 ms more (strace), while two devices bring 4,000 samples a second: commits grow larger, memory does not; all that was "
               "accepted arrives. Trials: samples")
        return accounts

    for turn in range(ROUNDS):
        at, name = 40 + 7 * turn, f"-{turn}" if turn else ""
        scene(f"once{name}", [f"fdatasync:error=EIO:when={at}"], 200, lambda gateway: more(gateway, 600))
        scene(f"a-while{name}", [f"fdatasync:error=EIO:when={at}..{at + 4}"], 200, until_ok,
              says=("disk I/O error", "kept in memory (at most ", "and delivered from there, a crash would lose ", "can be written again"))
        scene(f"broken{name}", [f"fdatasync:error=EIO:when={at}+"], 200, broken, says=("that could not be stored",), jump=True)
    report("C3", "gateway_failed_fsync", 3 * ROUNDS, 0, {"lost": 0, "numbers_with_two_bodies": 0},
           "An fsync of the running gateway fails (EIO by strace): once, five times, and for good from then on; each at other moments. What was accepted arrives in order, on a "
           "sound disk it goes on where it was, and the operator reads what happens to the samples meanwhile")
    scene("slow", ["fdatasync:delay_enter=200000"], 2000, slowly)
