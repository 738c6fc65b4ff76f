# SPDX-License-Identifier: GPL-2.0-or-later
"""peers - the same work done by the gateway and by what a user would pick instead, on this machine, in one run.

    ./dev bench --peers [WORK …]     throughput, outage, kill, start, sessions; contenders.py has who takes part

An independent subscriber at the broker (broker_judge.c) decides what arrived; processor time, memory and what was written are the
kernel's figures of the contender's process. The whole run takes under eight minutes; peers_table.py makes the manual's table of it.
"""
import contextlib
import json
import os
import subprocess
import time

import results
from contenders import (AzureSdk, AzureSdkAlone, Judge, Mosquitto, PahoC, PahoPython, Sqlite, Tidegate, TidegateFleet)
from peers_table import peers_table
from results import line
from rig import BENCH, Broker, pause, wait_until
from harness import Expired, Stage  # found by rig
from hub import Hub
from pki import Pki
from service_link import PASSWORD

WITH_STORE = (Tidegate, Sqlite, Mosquitto, PahoC)
RATE = 500        # samples a second in an outage
OUTAGE_S = 20
SESSIONS = 200
ROOMY = {"max_queued_messages": 1000000, "max_inflight_messages": 20000}  # of the hub, so that it loses nothing by itself
SETTLED_S = 4     # what has not come for so long does not come any more


def row(what, form, values, less=True):
    """One line of the table: a figure of everyone who can do it; less: fewer is better."""
    results.peers.setdefault("rows", []).append({"what": what, "form": form, "less": less, "values": values})
    print(f"     {what}: " + ", ".join(f"{key} {form.format(value)}" for key, value in values.items()), flush=True)


# --- throughput, with the store on


def bare(stage, broker):
    """The yardstick, heard by a judge as well."""
    judge = Judge(stage, broker.plain_port, qos=0)
    out = subprocess.run([os.path.join(BENCH, "bare_mosquitto"), str(broker.port), broker.ca, "150000", "195"], check=True, capture_output=True)
    judge.stop()
    return json.loads(out.stdout)["per_second"]


def through(stage, broker, kind, count):
    """Samples a second between the first and the last arrival; processor time and disk for each."""
    judge = Judge(stage, broker.plain_port, qos=0)
    one = kind(stage, "throughput", broker.port, broker.ca, 0, count)
    heard = judge.until(count, 30)
    wait_until(lambda: judge.heard()["distinct"] == heard["distinct"] or heard["distinct"] < count, 5, "the last one")
    figures = ((heard["distinct"] - 1) / (heard["last_ns"] - heard["first_ns"]) * 1e9, 1e6 * one.cpu_seconds() / heard["distinct"],
               one.written() / heard["distinct"], heard["missing"])
    one.stop()
    judge.stop()
    return figures


def work_throughput():
    with Stage() as stage:
        broker = Broker(stage)
        counts = {Tidegate: 300000, Sqlite: 200000, Mosquitto: 150000, PahoC: 30000}
        before = bare(stage, broker)
        got = {Tidegate.key: through(stage, broker, Tidegate, counts[Tidegate])}
        yard = (before + bare(stage, broker)) / 2  # on both sides of what it is compared with
        got.update({kind.key: through(stage, broker, kind, counts[kind]) for kind in WITH_STORE[1:]})
    rates, cpu, disk = ({key: figures[at] for key, figures in got.items()} for at in range(3))
    row(f"QoS 1, TLS, one sample a message through the store, samples/s (bare libmosquitto without a store: {yard:,.0f})", "{:,.0f}", rates, less=False)
    row("CPU of it, µs a sample", "{:.1f}", cpu)
    row("written to the disk meanwhile, bytes a sample", "{:,.0f}", disk)
    ratio = rates["tidegate"] / yard
    line("tidegate with its store / bare libmosquitto without one, both judged", ">= 0.8", f"{ratio:.2f}", ratio >= 0.8, ratio=ratio)
    ratio = rates["tidegate"] / rates["sqlite_bridge"]
    line("tidegate / a bridge of an afternoon with SQLite and libmosquitto", ">= 0.9", f"{ratio:.2f}", ratio >= 0.9, ratio=ratio)
    ratio = cpu["tidegate"] / cpu["sqlite_bridge"]
    line("CPU of a sample, tidegate / that bridge", "<= 1", f"{ratio:.2f}", ratio <= 1, ratio=ratio)


# --- the broker is away for 20 seconds


class Trial:
    """One contender, its line to the broker, and its judge."""

    def __init__(self, stage, kind, name):
        self.kind = kind
        if kind is AzureSdkAlone:
            pki = Pki(stage.path(f"pki {name}"))
            pki.add("alone", "sas")
            hub = Hub(stage, pki, name=f"hub {name}", mosquitto=ROOMY)
            self.link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
            hub.options["hosts"] = f"localhost:{self.link.ready['ports']['hub']}"
            hub.stop()
            hub.start()
            password = stage.write(f"password {name}", PASSWORD)
            self.judge = Judge(stage, hub.service_port, 1, ("service", password))
            self.one = kind(stage, name, hub, self.link.ready["ports"]["hub"], RATE)
        else:
            broker = Broker(stage, config=f"mosquitto {kind.key} {name}.conf")
            self.link = stage.peer("link.py", f"hub=127.0.0.1:{broker.port}")
            self.judge = Judge(stage, broker.plain_port, 1)
            self.one = kind(stage, name, self.link.ready["ports"]["hub"], broker.ca, RATE)
        wait_until(lambda: self.judge.heard()["distinct"], 30, f"{kind.title} to publish")

    def steady(self, seconds):
        """Bytes on the wire and to the disk for each sample, while all is well."""
        looks = []
        for _ in range(2):
            stats = self.link.command("stats hub")
            looks.append((self.judge.heard()["distinct"], stats["up"] + stats["down"], self.one.written()))
            if len(looks) == 1:
                pause(seconds)
        samples = max(1, looks[1][0] - looks[0][0])
        self.wire, self.disk = ((looks[1][at] - looks[0][at]) / samples for at in (1, 2))

    def back(self):
        """Restores the line; how long until everything but the last quarter of a second has arrived, or nothing more comes."""
        before = self.judge.heard()["distinct"]
        self.link.command("restore hub")
        begin, missing = time.monotonic(), None
        self.hear_more(before)
        changed = time.monotonic()
        while time.monotonic() - changed < SETTLED_S:
            now = self.judge.heard(max(1, self.one.accepted() - RATE // 4))["missing"]
            if missing is None or now < missing:
                missing, changed = now, time.monotonic()
            if not now:
                break
            pause(0.05)
        self.drained = changed - begin

    def hear_more(self, before):
        """Nobody is given up for lost before his connection is back."""
        with contextlib.suppress(Expired):
            wait_until(lambda: self.judge.heard()["distinct"] > before, 30, "the connection to be back")

    def settle(self):
        """What was accepted until now and never comes."""
        upto, missing = self.one.accepted(), None
        changed = time.monotonic()
        while missing != 0 and time.monotonic() - changed < SETTLED_S:
            now = self.judge.heard(upto)["missing"]
            if now != missing:
                missing, changed = now, time.monotonic()
            pause(0.1)
        heard = self.judge.heard(upto)
        self.samples, self.lost, self.twice, self.late = upto, heard["missing"] + heard["changed"], heard["twice"], heard["late"]

    def finish(self):
        self.one.stop()
        self.judge.stop()


IN_OUTAGE = (*WITH_STORE, AzureSdkAlone)


def work_outage():
    trials = {}
    for kind in IN_OUTAGE:
        with Stage() as stage:
            trial = trials[kind.key] = Trial(stage, kind, "outage")
            pause(1)
            trial.steady(5)
            trial.link.command("cut hub")
            pause(OUTAGE_S)
            trial.memory = trial.one.resident() / 1e6
            trial.back()
            trial.settle()
            trial.whole = trial.one.written() / max(1, trial.samples)
            trial.finish()
    title = f"broker away for {OUTAGE_S} s at {RATE} samples/s"
    for what, form, name in ((f"{title}: accepted", "{:,}", "samples"), ("lost of them, or not back within 30 s", "{:,}", "lost"), ("delivered twice", "{:,}", "twice"),
                             ("out of order", "{:,}", "late"), ("broker back → all delivered, s", "{:.1f}", "drained"),
                             ("resident memory at its end, MB", "{:.1f}", "memory"),
                             ("written to the disk, bytes a sample, outage included", "{:,.0f}", "whole"),
                             (f"the same at {RATE} samples/s without an outage", "{:,.0f}", "disk"),
                             ("on the wire, both ways, bytes a sample", "{:,.0f}", "wire")):
        row(what, form, {key: getattr(trial, name) for key, trial in trials.items()}, less=None if name == "samples" else True)
    own = trials["tidegate"]
    line(f"tidegate, {title}: lost, out of order", "0, 0", f"{own.lost}, {own.late}", not own.lost and not own.late, count=own.lost + own.late)


def work_kill():
    """All at once: nothing is timed here."""
    with Stage() as stage:
        trials = {kind.key: Trial(stage, kind, "kill") for kind in IN_OUTAGE}
        pause(2)
        for trial in trials.values():
            trial.link.command("cut hub")
        pause(OUTAGE_S / 2)
        for trial in trials.values():
            trial.one.kill()
            if trial.kind is not AzureSdkAlone:
                trial.one.start()
        pause(OUTAGE_S / 2)
        before = {key: trial.judge.heard()["distinct"] for key, trial in trials.items()}
        for trial in trials.values():
            trial.link.command("restore hub")
        trials["azure_sdk"].one.start()  # its open() needs the hub
        for key, trial in trials.items():
            trial.hear_more(before[key])
            trial.settle()
            trial.finish()
    row("kill -9 in the middle of such an outage: lost", "{:,}", {key: trial.lost for key, trial in trials.items()})
    row("delivered twice", "{:,}", {key: trial.twice for key, trial in trials.items()})
    own = trials["tidegate"]
    line("tidegate, kill -9 in the middle of an outage: lost of what was accepted", "0", f"{own.lost}", not own.lost, count=own.lost)


# --- start


def work_start():
    took = {}
    for kind in WITH_STORE:
        times = []
        with Stage() as stage:
            broker = Broker(stage)
            for turn in range(5):
                judge = Judge(stage, broker.plain_port, 1)
                one = kind(stage, f"start{turn}", broker.port, broker.ca, 100)
                times.append((judge.until(1, 30)["first_ns"] - one.started_ns) / 1e6)
                one.stop()
                judge.stop()
        took[kind.key] = sorted(times)[2]
    row("exec → first sample at the broker, ms, median of 5", "{:.0f}", took)


# --- two hundred devices, each with its own connection and identity at a hub


def cpu_share(fleet, seconds):
    begin, before = time.monotonic(), fleet.cpu_seconds()
    pause(seconds)
    return 100 * (fleet.cpu_seconds() - before) / (time.monotonic() - begin)


def fleet_figures(stage, kind, hub, login):
    first = kind(stage, f"{kind.key} one", hub, ["d0"])
    pause(3)
    alone = first.resident()
    first.stop()
    fleet = kind(stage, f"{kind.key} all", hub, [f"d{i}" for i in range(SESSIONS)])
    pause(4)
    figures = {"memory": fleet.resident(), "each": (fleet.resident() - alone) / (SESSIONS - 1), "idle": cpu_share(fleet, 6)}
    judge = Judge(stage, hub.service_port, 0, login)
    fleet.rate(1)
    judge.until(2 * SESSIONS, 30)
    pause(1)
    before = judge.heard()["distinct"]
    figures["busy"] = cpu_share(fleet, 8)
    figures["delivered"] = (judge.heard()["distinct"] - before) / 8
    fleet.stop()
    judge.stop()
    return figures


def one_session(stage, kind, hub, login, count):
    """A single device as fast as it goes."""
    fleet = kind(stage, f"{kind.key} fast", hub, ["d0"])
    judge = Judge(stage, hub.service_port, 0, login)
    fleet.rate(0)
    heard = judge.until(count, 8)
    fleet.stop()
    judge.stop()
    return (heard["distinct"] - 1) / (heard["last_ns"] - heard["first_ns"]) * 1e9


def work_sessions():
    with Stage() as stage:
        pki = Pki(stage.path("pki"))
        for i in range(SESSIONS):
            pki.add(f"d{i}", "sas")
        hub = Hub(stage, pki, mosquitto=ROOMY)
        login = ("service", stage.write("password", PASSWORD))
        got = {kind.key: fleet_figures(stage, kind, hub, login) for kind in (TidegateFleet, AzureSdk, PahoPython)}
        fast = {kind.key: one_session(stage, kind, hub, login, 30000) for kind in (TidegateFleet, AzureSdk)}
    for what, form, name, scale in (
            (f"{SESSIONS} devices with a connection each at a hub by SAS: resident memory, MB", "{:.1f}", "memory", 1e-6),
            ("a further device, KB", "{:.1f}", "each", 1 / 1024), ("CPU of them idle, % of a core", "{:.1f}", "idle", 1),
            (f"CPU at {SESSIONS} samples/s, one a second from each, % of a core", "{:.1f}", "busy", 1)):
        row(what, form, {key: figures[name] * scale for key, figures in got.items()})
    row("one device at that hub as fast as it goes, samples/s", "{:,.0f}", fast, less=False)
    short = {key: figures["delivered"] for key, figures in got.items() if figures["delivered"] < 0.95 * SESSIONS}
    line(f"delivered of {SESSIONS} samples/s by each of the fleets", "all", "all" if not short else str(short), not short)
    ratio = got["tidegate"]["each"] / got["azure_sdk"]["each"]
    line("memory of a further device, tidegate / Azure SDK for Node", "<= 0.5", f"{ratio:.2f}", ratio <= 0.5, ratio=ratio)


WORKS = {"throughput": work_throughput, "outage": work_outage, "kill": work_kill, "start": work_start, "sessions": work_sessions}


def show():
    print()
    print("\n".join(peers_table(results.peers)))

