#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Fifty Modbus TCP sources add no thread to the gateway, a serial one adds one; devices that do not accept, do not answer or are not there hold
up nobody; the end is prompt although requests are under way."""
import os
import socket
import time

from harness import BUILD, Peer, Process, Stage, wait_until
from modbus_support import ask, device, start

SOURCES = 50
POINTS = [{"name": f"r{i}", "address": f"holding:{10 * i}", "every": "200ms"} for i in range(3)]


class Fleet(Peer):
    def __init__(self, stage, count):
        Process.__init__(self, stage, "modbus_fleet", [os.path.join(BUILD, "peers", "modbus_fleet"), str(count)], pipes=True)
        self.buffer = b""
        self.ready = self.read_line()

    def stop(self, seconds=15):
        return Process.stop(self, seconds)


def source(name, host, port, **settings):
    return {"name": name, "plugin": "modbus", "settings": {"transport": "tcp", "host": host, "port": str(port), "timeout": "1s", **settings},
            "devices": [device(name, 1, POINTS)]}


def threads(gateway):
    return len(os.listdir(f"/proc/{gateway.process.child.pid}/task"))


def last_seqs(gateway, names):
    seqs = gateway.accounts()
    return [seqs[name] for name in names]


def run_with(stage, name, sources, names, more=lambda gateway: None):
    gateway = start(stage, sources, name)
    wait_until(lambda: min(last_seqs(gateway, names)) >= 3, 60, "every device to have been read three times")
    # The first attempt to reach the cloud, which is not there, starts the threads that look names up.
    wait_until(lambda: gateway.session(names[0], "broker").get("last_error"), 30, "an attempt to connect to the cloud")
    count = threads(gateway)
    more(gateway)
    begin = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - begin < 20, "the end waits for requests that are under way"
    return count


with Stage() as stage:
    fleet = Fleet(stage, SOURCES)
    names = [f"d{i}" for i in range(SOURCES)]
    good = [source(name, f"127.8.0.{i + 1}", fleet.ready["port"]) for i, name in enumerate(names)]
    meter = stage.peer("modbus_liar.py", "--rtu")
    serial = {"name": "line", "plugin": "modbus", "settings": {"transport": "rtu", "port": meter.ready["path"], "baud": "115200"},
              "devices": [device("line", 1, POINTS)]}

    # One of them accepts and never answers; one never accepts; one is not there.
    silent = socket.create_server(("127.0.0.1", 0))
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = [socket.socket() for _ in range(8)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    gone = socket.create_server(("127.0.0.1", 0))
    port = gone.getsockname()[1]
    gone.close()
    bad = [source("silent", "127.0.0.1", silent.getsockname()[1], timeout="60s"),
           source("full", "127.0.0.1", full.getsockname()[1], connect_timeout="60s"), source("gone", "127.0.0.1", port)]

    def look(gateway):
        for name in ("d0", "d49"):  # commands reach a source beside its reads
            words = ask(gateway, name, "read", address="holding:5")
            assert len(words["words"]) == 1, words
            stats = ask(gateway, name, "stats")
            assert stats["state"] == "ok" and not stats["errors"], stats
        before = last_seqs(gateway, names)
        wait_until(lambda: all(now >= was + 5 for now, was in zip(last_seqs(gateway, names), before)), 30,
                   "the good ones to be read on beside the bad ones")
        wait_until(lambda: gateway.device("gone")["state"] == "down" and gateway.device("d0")["state"] == "ok", 30,
                   "what is not there to be down and the others to be well")

    one = run_with(stage, "one", good[:1], names[:1])
    all_of_them = run_with(stage, "all", good + bad, names, look)
    with_serial = run_with(stage, "serial", good + [serial], names + ["line"])
    print(f"threads: {one} with one source, {all_of_them} with {SOURCES + len(bad)}, {with_serial} with a serial one")
    assert all_of_them == one, f"{SOURCES} sources need {all_of_them - one} more threads"
    assert with_serial == one + 1, f"a serial source needs {with_serial - one} threads"
    fleet.stop()
    for filler in fillers:
        filler.close()
