#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""As a systemd service: it says when it is ready, alive, reloading and stopping; SIGTERM delivers what the link takes and keeps the
rest; the unit file is valid and tight."""
import json
import os
import re
import signal
import socket
import subprocess

from field import all_online, hub_cloud, identity, simulated
from gateway import PROGRAM, Gateway, configuration, run
from harness import SOURCE, Process, Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import delivered, judge, table


class Service(Gateway):
    """The gateway with the notify socket that systemd would hold."""

    def start(self, wait=True):
        path = self.stage.path("notify")
        if os.path.exists(path):
            os.unlink(path)
        self.heard = []
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(path)
        self.notify.setblocking(False)
        self.process = Process(self.stage, self.name, [PROGRAM, "run", "-c", self.config], env={"NOTIFY_SOCKET": path, **self.env})
        if wait:
            self.expect("READY=1")

    def lines(self):
        while True:
            try:
                self.heard += self.notify.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.heard

    def expect(self, text, count=1):
        wait_until(lambda: sum(line.startswith(text) for line in self.lines()) >= count, 20, f"{count} × {text}; came: {self.heard}")


def outbox(config):
    return json.loads(run("outbox", "stats", "--json", "-c", config, check=0).stdout)["devices"][0]


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("sas-1", "sas")
    hub = Hub(stage, pki)
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    config = configuration(stage, [hub_cloud(hub, link.ready["ports"]["hub"])], [
        simulated("rehearsal", {"sas-1": (["hub"], identity(pki, "sas-1", "sas"))}, every="5ms")])
    gateway = Service(stage, config, env={"WATCHDOG_USEC": "1000000"})
    gateway.expect("WATCHDOG=1", 3)
    wait_until(lambda: all_online(gateway), 20, "the session")
    gateway.expect("STATUS=1 of 1 session online, ")
    assert gateway.heard.index("READY=1") < gateway.heard.index("WATCHDOG=1")
    gateway.process.signal(signal.SIGHUP)
    gateway.expect("RELOADING=1")
    gateway.expect("MONOTONIC_USEC=")
    gateway.expect("READY=1", 2)

    # An outage: SIGTERM ends at once, what is not delivered stays.
    link.command("cut hub")
    before = gateway.accounts()["sas-1"]
    wait_until(lambda: gateway.accounts()["sas-1"] > before + 200, 20, "a backlog")
    gateway.process.signal(signal.SIGTERM)
    assert gateway.process.wait(10) == 0
    gateway.expect("STOPPING=1")
    assert "what is not delivered stays in the outbox" in gateway.errors()
    kept = outbox(config)
    assert kept["pending"] >= 200, kept

    # Started again with the link up, it delivers the backlog; SIGTERM in the middle of more waits for the PUBACKs of what it has.
    gateway.start()
    link.command("restore hub")
    wait_until(lambda: delivered(hub.record, {"sas-1": kept["last_seq"]}), 20, "the backlog")
    assert gateway.stop() == 0
    gateway.expect("STOPPING=1")
    last = outbox(config)
    assert last["pending"] == 0, f"SIGTERM with the link up left {last['pending']} samples behind"
    wait_until(lambda: delivered(hub.record, {"sas-1": last["last_seq"]}), 10, "what was drained")
    rows = judge(hub.record, {"sas-1": last["last_seq"]})
    print(table(rows))
    assert all(row.holds for row in rows)
    assert not run("status", "-c", config, check=3).stdout

    with open(os.path.join(SOURCE, "packaging", "tidegate.service"), encoding="ascii") as file:
        unit = file.read()
    assert "Type=notify" in unit and re.search(r"^WatchdogSec=\d+$", unit, re.M)
    # /proc/sys/kernel/random/boot_id has to be seen: without it no sample's boot is known.
    assert not re.search(r"^ProcSubset=pid", unit, re.M)
    assert int(re.search(r"^TimeoutStartSec=(\d+)$", unit, re.M)[1]) >= 600, "a large store that is checked page by page takes minutes"
    os.mkdir(stage.path("unit"))
    stage.write("unit/tidegate.service", unit.replace("/usr/bin/tidegate run", "/bin/true run"))  # it need not be installed here
    for arguments in (["verify", "--man=no"], ["security", "--offline=yes", "--no-pager", "--threshold=20"]):
        done = subprocess.run(["systemd-analyze", *arguments, stage.path("unit", "tidegate.service")], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout.splitlines()[-1])
