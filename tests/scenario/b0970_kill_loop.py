#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Gateway and broker are killed (SIGKILL) at random moments, again and again, in their starts too: in the end the broker has taken exactly what was accepted, each
number with one body, the first time in order, and what came twice is at most what a broken connection may repeat.

TIDEGATE_KILLS: how often. The broker's record (tests/peers/ledger.c) is written before it acknowledges, so what it took is known whatever becomes of it."""
import collections
import json
import os
import random
import select
import shutil
import signal
import subprocess

from field import broker_cloud, simulated
from gateway import PROGRAM, Gateway, configuration
from harness import BUILD, Process, Stage, accepts, free_port, wait_until
from hub import Record
from proof import count, report
from verdict import Ledger, ranges, samples

KILLS = count("TIDEGATE_KILLS", 12)
SEED = int(os.environ.get("TIDEGATE_SEED") or 1)
DEVICES = [f"meter-{number}" for number in range(1, 6)]
IN_FLIGHT, BATCH = 5, 10
# Acknowledgements wait for the next commit (20 ms, and the time that it takes): what the broker took in this time before a kill may come again.
UNSTORED_MS = 1000


class Broker:
    def __init__(self, stage):
        self.stage, self.port = stage, free_port()
        self.record = Record(stage.path("ledger"))
        self.record.is_telemetry = lambda topic: topic.endswith("/data")
        self.start()
        wait_until(lambda: accepts(self.port), 30, "the broker")

    def start(self):
        lines = ["per_listener_settings false", "allow_anonymous true", "persistence true", f"persistence_location {self.stage.folder}/", "autosave_interval 1",
                 "autosave_on_changes true", "max_queued_messages 0", "set_tcp_nodelay true", f"plugin {os.path.join(BUILD, 'peers', 'ledger.so')}",
                 f"plugin_opt_record {self.record.path}", f"listener {self.port} 127.0.0.1"]
        if os.geteuid() == 0:
            lines.insert(0, "user root")
        self.process = Process(self.stage, "mosquitto", [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c",
                                                         self.stage.write("mosquitto.conf", "\n".join(lines) + "\n")])


def tidegate(*words):
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=False, timeout=60)


def reported(config):
    """{device: (a number up to which all are accepted, the highest that was given)}; nothing while it starts."""
    done = tidegate("status", "--json", "-c", config)
    if done.returncode:
        return {}
    status = json.loads(done.stdout)
    return {device["id"]: (device["last_seq"] - status["outbox"]["uncommitted"], device["last_seq"]) for device in status["devices"]}


def repeats(record, device):
    """For each connection of the device: (samples in it that had come before, the most that may)."""
    seen, before, found = set(), collections.deque(), []
    again = allowed = 0
    for entry in record.read():
        if entry["device"] != device:
            continue
        if entry["ev"] == "connect":
            found.append((again, allowed))
            last = before[-1][0] if before else 0
            again, allowed = 0, IN_FLIGHT * BATCH + sum(number for at, number in before if at >= last - UNSTORED_MS)
            before.clear()
        elif entry["ev"] == "publish":
            numbers = [sample["seq"] for sample in samples(entry)]
            again += sum(number in seen for number in numbers)
            seen.update(numbers)
            before.append((entry["t"], len(numbers)))
    return [*found, (again, allowed)][1:]


dice = random.Random(SEED)
with Stage() as stage:
    broker = Broker(stage)

    def configure(every):
        return configuration(stage, [broker_cloud(broker.port, max_in_flight=IN_FLIGHT, batch={"max_samples": BATCH, "max_delay": "20ms"})],
                             [simulated("rehearsal", {device: (["broker"], None) for device in DEVICES}, every=every)])
    config = configure("5ms")
    gateway = Gateway(stage, config)
    kills = collections.Counter()
    floor, false, unsound, frozen = {}, 0, [], 0
    while sum(kills.values()) < KILLS:
        select.select([], [], [], dice.choice((0.03, 0.1, 0.3, 0.6, 0.9)) * dice.uniform(0.5, 1.5))  # any moment
        said = reported(config)
        false += any(highest < floor[device] for device, (_, highest) in said.items() if device in floor)  # what was accepted is not any more
        floor.update({device: max(sure, floor.get(device, 0)) for device, (sure, _) in said.items()})
        victims = dice.choice((["gateway"], ["gateway"], ["broker"], ["gateway", "broker"], ["broker", "gateway"]))
        if dice.random() < 0.4:  # what is in flight gathers first, to the full window
            broker.process.signal(signal.SIGSTOP)
            select.select([], [], [], dice.uniform(0.02, 0.4))
            frozen += 1
        for victim in victims:
            (gateway.process if victim == "gateway" else broker.process).kill()
            kills[victim] += 1
        if "broker" not in victims:
            broker.process.signal(signal.SIGCONT)
        if kills["gateway"] % 10 == 1 and "gateway" in victims:
            done = tidegate("outbox", "verify", "-c", config)
            if done.returncode:
                unsound.append(done.stdout + done.stderr)
        for victim in victims:
            if victim == "broker":
                broker.start()
            else:
                gateway.start(wait=False)
        stage.processes[:] = [process for process in stage.processes if process.running]
    wait_until(lambda: any(sure > floor[device] for device, (sure, _) in reported(config).items()), 60, "the gateway to be up")
    ledger = Ledger(broker.record)
    assert gateway.stop() == 0
    # A last life, in which nearly nothing is sampled, delivers the rest: then both sides can be compared to the number.
    gateway = Gateway(stage, configure("1h"))
    wait_until(lambda: all(cloud["pending"] == 0 for device in gateway.status()["devices"] for cloud in device["clouds"]), 90, "everything to be delivered")
    assert gateway.stop() == 0
    accounts = {device["id"]: device["last_seq"] for device in json.loads(tidegate("outbox", "stats", "--json", "-c", config).stdout)["devices"]}

    taken = {device: ledger.account(device) for device in DEVICES}
    lost = {device: [seq for seq in range(1, accounts[device] + 1) if seq not in taken[device].seen] for device in DEVICES}
    beyond = sum(seq > accounts[device] for device in DEVICES for seq in taken[device].seen)
    conflicts = sum(len(account.conflicts) for account in taken.values())
    disorder = sum(account.out_of_order for account in taken.values())
    doubles = sum(account.duplicates for account in taken.values())
    connections = {device: repeats(broker.record, device) for device in DEVICES}
    excess = [(device, pair) for device, pairs in connections.items() for pair in pairs if pair[0] > pair[1]]
    worst = max(again for pairs in connections.values() for again, _ in pairs)
    accepted = sum(accounts.values())
    for device in DEVICES:
        print(f"{device}: {accounts[device]} accepted, {len(lost[device])} lost {ranges(lost[device][:50])}, {taken[device].duplicates} twice in "
              f"{len(connections[device])} connections")
    print(f"{dict(kills)}, {accepted} accepted, {doubles} twice, at most {worst} in a connection, {conflicts} conflicts, {disorder} out of order")
    total = sum(kills.values())
    report("C4", "kill_loop", total, sum(map(len, lost.values())) + beyond + conflicts + false + len(unsound) + len(excess), {
        "gateway_killed": kills["gateway"], "broker_killed": kills["broker"], "with_a_window_in_flight": frozen, "accepted": accepted, "received_and_not_accepted": beyond,
        "accepted_and_not_received": sum(map(len, lost.values())), "received_twice": doubles, "most_in_one_connection": worst,
        "connections": sum(map(len, connections.values())), "numbers_with_two_bodies": conflicts},
        "Gateway and broker (mosquitto with persistence) are killed (SIGKILL) at random moments, in their starts too, with five devices at work: accepted and received are the same "
        "sets of (device, seq), bodies are equal, what comes twice in a connection is at most what was in flight and the acknowledgements that were not stored yet")
    report("C1", "kill_loop", total, false + len(unsound), {"accepted": accepted, "accepted_and_not_there_after_the_kill": false, "unsound_stores": len(unsound)},
           "In the same run: the numbers that `status` had reported as accepted before a kill are there after it, and `tidegate outbox verify` finds nothing")
    report("C5", "kill_loop_order", total, disorder, {"first_deliveries": accepted, "out_of_order": disorder},
           "In the same run: the first delivery of each sample of a device comes behind those of all lower numbers")
    assert not any(lost.values()) and not conflicts and not disorder and not false and not beyond, (lost, conflicts, disorder, false, beyond)
    assert not unsound and not excess, (unsound, excess)
