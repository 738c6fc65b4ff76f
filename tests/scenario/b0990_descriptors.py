#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The process has no file descriptor left, while it runs and from the start: the loop goes on and does not spin, one clear line, a metric; what was
accepted is delivered, and everything goes on by itself when there are some again."""
import os
import re
import resource
import socket
import time
import urllib.request

from broker import Broker
from field import broker_cloud, simulated
from gateway import Gateway, configuration, run
from harness import Stage, free_port, wait_until
from pki import Pki
from proof import report

FLEET = 50
LINE = "no file descriptor is left (the limit of this process): new connections, lookups and files have to wait"
HERTZ = os.sysconf("SC_CLK_TCK")


def allow(pid, soft):
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(soft, hard), hard))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HERTZ


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def metric(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", answer.read().decode(), re.M)
    assert found, f"no metric {name}"
    return float(found[1])


def online(gateway):
    return sum(cloud["online"] for cloud in gateway.status()["clouds"])


def knock(path):
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    client.connect(path)
    return client


def outage(stage, gateway, broker, link, web, names):
    pid = gateway.process.child.pid
    soft, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    many, before = descriptors(pid), gateway.accounts()
    # From now on no new descriptor: the connections break, so that every session wants one; people knock at both doors; the disk goes on.
    allow(pid, 3)
    link.command("rst broker")
    wait_until(lambda: descriptors(pid) < many - FLEET / 2, 30, "the broken connections to be closed")
    clients = [knock(stage.path("control.sock")) for _ in range(5)]
    visitor = socket.create_connection(("127.0.0.1", web))
    begun, cpu = time.monotonic(), cpu_seconds(pid)
    wait_until(lambda: LINE in gateway.errors(), 30, "the line")
    wait_until(lambda: time.monotonic() > begun + 3, 10, "three seconds of it")
    share = (cpu_seconds(pid) - cpu) / (time.monotonic() - begun)
    assert share < 0.25, f"{share:.0%} of a processor"
    allow(pid, soft)
    for client in clients:
        client.close()
    visitor.close()
    wait_until(lambda: online(gateway) == FLEET, 30, "the fleet to be online again")
    after = gateway.accounts()
    assert all(after[name] > before[name] + 5 for name in names), "it took no samples meanwhile"
    wait_until(lambda: "there are file descriptors again" in gateway.errors(), 30, "the end of it to be said")
    assert gateway.errors().count(LINE) == 1
    print(f"{many} descriptors, then {FLEET} fewer and none to be had: {share:.1%} of a processor, missed {metric(web, 'tidegate_descriptors_missed_total'):.0f} times")
    assert metric(web, "tidegate_descriptors_missed_total") > 0
    return after


def too_few_from_the_start(gateway):
    """A service with LimitNOFILE=60: who comes first is online, the others say why."""
    gateway.under = ["prlimit", "--nofile=60:60"]
    gateway.start()
    pid = gateway.process.child.pid
    wait_until(lambda: 0 < online(gateway) < FLEET and LINE in gateway.errors(), 30, "as many sessions as there are descriptors")
    status = gateway.status()  # who asks gets in between two attempts of the sessions
    reasons = {device["clouds"][0].get("last_error", "") for device in status["devices"] if device["clouds"][0]["state"] != "online"}
    assert any("Too many open files" in reason or "no file descriptor" in reason for reason in reasons), reasons
    cpu, begun = cpu_seconds(pid), time.monotonic()
    wait_until(lambda: time.monotonic() > begun + 2, 10, "two seconds of it")
    share = (cpu_seconds(pid) - cpu) / (time.monotonic() - begun)
    assert share < 0.3, f"{share:.0%} of a processor"
    assert gateway.errors().count(LINE) == 1 and "out of memory" not in gateway.errors()
    print(f"60 descriptors: {sum(cloud['online'] for cloud in status['clouds'])} of {FLEET} online, {share:.1%} of a processor")
    assert gateway.stop() == 0
    gateway.under = []


def a_database_that_cannot_be_opened_again(gateway):
    """A commit whose outcome is not known wants the database opened again, and there is no descriptor for it."""
    gateway.under = ["strace", "-D", "-f", "--seccomp-bpf", "-o", gateway.stage.path("strace"), "-s", "0", "-e", "trace=fdatasync",
                     "-e", "inject=fdatasync:error=EIO:when=100..101"]
    gateway.start()
    pid = gateway.process.child.pid
    soft, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    allow(pid, 3)
    wait_until(lambda: "kept in memory (at most " in gateway.errors(), 30, "the trouble to be told")
    allow(pid, soft)
    wait_until(lambda: "can be written again" in gateway.errors(), 30, "the trouble to be over")
    outbox = [line for line in gateway.errors().splitlines() if "outbox:" in line]
    print("\n".join(outbox))
    assert len(outbox) == 2 and gateway.errors().count(LINE) <= 1, outbox
    wait_until(lambda: online(gateway) == FLEET, 30, "the fleet to be online")
    assert gateway.stop() == 0
    gateway.under = []


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    names = [f"device-{number:02}" for number in range(FLEET)]
    broker = Broker(stage, pki, users={name: "right" for name in names})
    link = stage.peer("link.py", f"broker=127.0.0.1:{broker.port}")
    secret = stage.write("right", "right\n")
    web = free_port()
    config = configuration(stage, [broker_cloud(link.ready["ports"]["broker"], pki.path("ca.pem"))],
                           [simulated("fleet", {name: (["broker"], {"username": name, "password_file": secret}) for name in names}, every="200ms")],
                           gateway={"http": f"127.0.0.1:{web}"})
    gateway = Gateway(stage, config, env={"WATCHDOG_USEC": "1000000"})
    wait_until(lambda: online(gateway) == FLEET, 30, "the fleet to be online")
    outage(stage, gateway, broker, link, web, names)
    assert gateway.stop() == 0
    too_few_from_the_start(gateway)
    a_database_that_cannot_be_opened_again(gateway)
    gateway.start()
    wait_until(lambda: all(cloud["pending"] < 5 for device in gateway.status()["devices"] for cloud in device["clouds"]), 30, "the backlog to be delivered")
    accounts = {device["id"]: device["clouds"][0]["acked_seq"] for device in gateway.status()["devices"]}
    assert gateway.stop() == 0
    run("outbox", "verify", "-c", config, check=0)

    def missing():
        arrived = {name: set() for name in names}
        for topic, body in list(broker.messages):
            name = next((part for part in topic.split("/") if part in arrived), None)
            if name:
                arrived[name].update(map(int, re.findall(rb'"seq":\s*(\d+)', body)))
        return {name: gone for name, seqs in arrived.items() if (gone := sorted(set(range(1, accounts[name] + 1)) - seqs))}
    try:
        wait_until(lambda: not missing(), 30, "the test's own client to have read everything")
    except AssertionError as late:
        raise AssertionError(f"missing: {missing()}, accounts {accounts}") from late
    report("C14", "descriptors", 3, 0, {"accepted": sum(accounts.values()), "lost": 0},
           "No file descriptor is left: while 50 devices run and every connection breaks; from the start (60 for 50 devices); when the database has to be opened again. The loop goes on, "
           "one line says so, it recovers by itself, what was accepted arrives")
