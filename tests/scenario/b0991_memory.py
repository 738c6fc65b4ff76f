#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory: what `tidegate check` says holds for 10, 200 and, with TIDEGATE_FLEET, more devices; in a memory cgroup of that size the gateway lives through an outage and its backlog;
when the kernel kills it all the same, the next start loses nothing that was accepted.

TIDEGATE_FLEETS: sizes, separated by commas."""
import os
import re
import subprocess

from broker import Broker
from field import broker_cloud, simulated
from fleet import allow_descriptors
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from pki import Pki
from proof import report

FLEETS = [int(size) for size in os.environ.get("TIDEGATE_FLEETS", "10,200").split(",")]
GROUPS = "/sys/fs/cgroup/memory"
MIB = 1 << 20
UNITS = {"KiB": 1 << 10, "MiB": MIB}


class Group:
    """A memory cgroup of version 1; None where one may not be made."""

    def __init__(self, name, limit):
        self.path = os.path.join(GROUPS, name)
        os.mkdir(self.path)
        self.set("memory.limit_in_bytes", limit)

    def set(self, name, value):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as file:
            file.write(str(value))

    def get(self, name):
        with open(os.path.join(self.path, name), encoding="ascii") as file:
            return file.read()

    def close(self):
        os.rmdir(self.path)


def can_group():
    path = os.path.join(GROUPS, f"tidegate-{os.getpid()}")
    try:
        os.mkdir(path)
        os.rmdir(path)
        return os.path.exists(os.path.join(GROUPS, "memory.limit_in_bytes"))
    except OSError:
        return False


def budget(config):
    said = run("check", "-c", config, check=0)
    found = re.search(r"memory: at most (\d+) (KiB|MiB) in all", said.stdout + said.stderr)
    return int(found[1]) * UNITS[found[2]]


def peak(gateway):
    with open(f"/proc/{gateway.process.child.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) << 10


def online(gateway):
    return sum(cloud["online"] for cloud in gateway.status()["clouds"])


def arrived(broker, names):
    seqs = {name: set() for name in names}
    for topic, body in list(broker.messages):
        name = next((part for part in topic.split("/") if part in seqs), None)
        if name:
            seqs[name].update(map(int, re.findall(rb'"seq":\s*(\d+)', body)))
    return seqs


def life(stage, size, grouped):
    """An outage with a backlog within the budget; measured, and kept by a cgroup where there is one."""
    pki = Pki(stage.path(f"pki-{size}"))
    names = [f"device-{number:04}" for number in range(size)]
    broker = Broker(stage, pki, users={name: "right" for name in names}, name=f"broker-{size}")
    link = stage.peer("link.py", f"broker=127.0.0.1:{broker.port}")
    secret = stage.write("right", "right\n")
    every = f"{max(20, size)}ms"  # about a thousand samples a second, whatever the number of devices
    cloud = broker_cloud(link.ready["ports"]["broker"], pki.path("ca.pem"), max_connects_per_second=100, connect_timeout="10s", handshake_timeout="10s")
    config = configuration(stage, [cloud], [simulated("fleet", {name: (["broker"], {"username": name, "password_file": secret}) for name in names}, every=every)],
                           gateway={"state_dir": stage.path(f"state-{size}"), "control_socket": stage.path(f"{size}.sock")}, name=f"{size}.yaml")
    allowed = budget(config)
    group = Group(f"tidegate-{os.getpid()}-{size}", allowed) if grouped else None
    gateway = Gateway(stage, config, name=f"tidegate-{size}", under=["sh", "-c", f"echo $$ > {group.path}/cgroup.procs; exec \"$@\"", "sh"] if group else ())
    wait_until(lambda: online(gateway) == size, 60, f"{size} sessions")
    begin = gateway.accounts()
    link.command("cut broker")
    wait_until(lambda: sum(gateway.accounts().values()) - sum(begin.values()) > 4000, 60, "a backlog")
    link.command("restore broker")
    wait_until(lambda: online(gateway) == size, 60, "the fleet to be back")
    before = gateway.accounts()
    wait_until(lambda: all(device["clouds"][0]["acked_seq"] >= before[device["id"]] for device in gateway.status()["devices"]), 60, "the backlog to be delivered")
    measured = peak(gateway)
    failures = int(group.get("memory.failcnt")) if group else 0
    assert not group or int(group.get("memory.max_usage_in_bytes")) > measured / 2, "it is not in its group"
    print(f"{size} devices: check says at most {allowed / MIB:.0f} MiB, the peak was {measured / MIB:.1f} MiB ({measured / allowed:.0%})"
          + (f", the cgroup of that size was full {failures} times (its page cache goes then)" if group else ""))
    assert measured <= allowed, f"{measured} bytes, {allowed} were said"
    assert measured >= allowed / 5, f"{measured} bytes are far below the {allowed} that were said: the estimate says nothing"
    report("C11", f"memory_{size}", 1, 0, {"said_mib": round(allowed / MIB, 1), "peak_mib": round(measured / MIB, 1)},
           f"What tidegate check says of memory, and what {size} devices with a TLS session each really took at most, an outage and its backlog included"
           + (", in a memory cgroup of that size" if group else ""))
    return gateway, group, broker, link, names


def killed_for_memory(gateway, group, broker, link, names):
    """The limit is far too low: the kernel ends the process. What was accepted until then arrives."""
    before = gateway.accounts()
    limit = int(group.get("memory.usage_in_bytes"))
    try:
        while limit > MIB:  # what can be given back is; then it is as tight as can be
            limit -= 128 << 10
            group.set("memory.limit_in_bytes", limit)
    except OSError:
        pass

    def ended():
        run("status", "-c", gateway.config)  # asks for a little more memory
        link.command("rst broker")
        return not gateway.process.running
    wait_until(ended, 30, "the kernel to end it")
    assert re.search(r"^oom_kill [1-9]", group.get("memory.oom_control"), re.M), group.get("memory.oom_control")
    group.set("memory.limit_in_bytes", 512 * MIB)
    gateway.start()
    wait_until(lambda: online(gateway) == len(names), 60, "the fleet to be back")
    wait_until(lambda: all(device["clouds"][0]["acked_seq"] >= before[device["id"]] for device in gateway.status()["devices"]), 60, "what was accepted before")
    accounts = {device["id"]: device["clouds"][0]["acked_seq"] for device in gateway.status()["devices"]}
    assert gateway.stop() == 0
    run("outbox", "verify", "-c", gateway.config, check=0)
    wait_until(lambda: not any(set(range(1, accounts[name] + 1)) - seqs for name, seqs in arrived(broker, names).items()), 20, "every number to be there")
    print(f"ended by the kernel: {sum(accounts.values())} samples, none is missing")
    report("C14", "killed_for_memory", 1, 0, {"accepted": sum(accounts.values()), "lost": 0},
           "The running gateway is ended by the kernel because its memory cgroup is too small; started again, everything that was accepted arrives")


with Stage() as stage:
    allow_descriptors(4096 if max(FLEETS) > 200 else 1024)
    grouped = can_group()
    if not grouped:
        print("no memory cgroup can be made here: only measured")
    for size in FLEETS:
        gateway, group, broker, link, names = life(stage, size, grouped)
        if group and size == FLEETS[0]:
            killed_for_memory(gateway, group, broker, link, names)
        else:
            assert gateway.stop() == 0
        if group:
            group.close()
        broker.close()
