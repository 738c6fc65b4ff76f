#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that does not come back from a sync: the gateway still ends on SIGTERM within its time, says in one line what is not known to
be stored, and the next start loses nothing that was accepted."""
import os
import signal
import subprocess
import time

from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, free_port, wait_until
from hub import Hub
from metrics import metric
from pki import Pki
from verdict import ledger_of

LIMIT_S = 3 + 5 + 1 + 10  # drain, store, grace; and a busy machine

tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
assert tried.returncode == 0, f"this test injects faults with strace, which may not trace here: {tried.stderr.strip()}"


def about(pid, name):
    """A line of /proc/PID/status; "" when the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return next(line.split()[1] for line in file if line.startswith(name + ":"))
    except FileNotFoundError:
        return ""


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("sas-1", "sas")
    hub = Hub(stage, pki)
    web = free_port()
    config = configuration(stage, [hub_cloud(hub)], [simulated("rehearsal", {"sas-1": (["hub"], identity(pki, "sas-1", "sas"))}, every="5ms")],
                           gateway={"http": f"127.0.0.1:{web}"})
    gateway = Gateway(stage, config, under=[
        "strace", "-D", "-f", "--seccomp-bpf", "-o", stage.path("strace"), "-s", "0", "-e", "trace=fdatasync",
        "-e", "inject=fdatasync:delay_enter=600000000:when=60+"])
    wait_until(lambda: all_online(gateway), 20, "the session")

    def stuck():
        outbox = gateway.status()["outbox"]
        return outbox["at_risk"] > 100 and outbox
    wait_until(stuck, 30, "the disk to hang")
    accepted = gateway.status()["outbox"]["accepted"]
    assert metric(web, "tidegate_outbox_uncommitted_samples") > 100 and metric(web, "tidegate_outbox_state", state="ok") == 1
    assert metric(web, "tidegate_outbox_stuck") == 0  # not yet: that is said after a minute
    # strace, which holds the hanging call, would also hold back the news of the end: it is ended once the gateway is.
    pid = gateway.process.child.pid
    tracer = int(about(pid, "TracerPid"))
    assert tracer > 0
    try:
        begin = time.monotonic()
        gateway.process.signal(signal.SIGTERM)
        wait_until(lambda: about(pid, "State") in ("Z", "X", ""), 60, "the gateway to end")
        took = time.monotonic() - begin
    finally:
        os.kill(tracer, signal.SIGKILL)
    code = gateway.process.wait()
    assert code == 1, code
    assert took < LIMIT_S, took
    lines = [line for line in gateway.errors().splitlines() if "outbox:" in line]
    assert len(lines) == 1, lines
    for says in ("the disk has not answered for 6 s", "it is not known whether they are stored", "the gateway ends without waiting"):
        assert says in lines[0], lines
    print(f"ended {took:.1f} s after SIGTERM: {lines[0]}")

    gateway.under = []
    gateway.start()
    wait_until(lambda: ledger_of(hub.record).account("sas-1").highest > accepted + 200, 30, "delivery after the next start")
    assert gateway.stop() == 0
    run("outbox", "verify", "-c", config, check=0)
    account = ledger_of(hub.record).account("sas-1")
    assert not account.conflicts and not account.out_of_order, account
    assert account.prefix >= accepted, (account.prefix, accepted)
