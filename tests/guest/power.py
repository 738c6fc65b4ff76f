#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""power - the whole gateway, unmodified, in a machine whose power is cut at a random moment.

It runs in the guest with simulated devices and stores on an ext4 disk of which qemu logs every write and flush. Two of its four devices deliver all
the time, to a broker on the host, which outlives the guest; two have a broker that is away. What the gateway says is accepted is
told to the host over a port of its own. Then qemu is killed, and the disk gets what a disk could hold: all up to the last flush, and any part of
what was written later. A guest that boots from that verifies the outbox and starts the gateway, which delivers what is left to both brokers. All that was
said to be accepted has to be in their records, each number with one body, and numbers go on above.

TIDEGATE_POWER_CUTS (1): so many with `durability: full`. TIDEGATE_POWER_CONTROLS (0): so many with `normal` and as many with a file system that does not
flush (nobarrier); of each at least one cut must lose something. Status 77: skipped, with the reason.
"""
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import boot
import image
import write_log

sys.path.insert(0, os.path.join(boot.SOURCE, "tests", "scenario"))

import yaml  # noqa: E402

from field import broker_cloud  # noqa: E402  (found in tests/scenario)
from harness import Process, Stage, die_with_parent, accepts, free_port, wait_until  # noqa: E402
from proof import count, report  # noqa: E402

DISK_MIB = 96
DISK_IOPS = 40  # writes a second: as slow as bad flash: most of the time something is written that is not flushed yet, when the power goes
BOOT_S = 600
DEVICES = {"live-1": "live", "live-2": "live", "away-1": "away", "away-2": "away"}


class Broker:
    """mosquitto on the host and all that it was given. `away` until open()."""

    def __init__(self, stage, name):
        self.stage, self.name, self.port = stage, name, free_port()
        self.heard = stage.path(f"{name}.heard")
        self.offset, self.bodies, self.conflicts, self.doubles = 0, {}, 0, 0
        with open(self.heard, "wb"):
            pass

    def open(self):
        conf = self.stage.write(f"{self.name}.conf", f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\n")
        Process(self.stage, f"mosquitto-{self.name}", [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", conf])
        wait_until(lambda: accepts(self.port), 30, "the broker")
        Process(self.stage, f"ear-{self.name}", ["sh", "-c", f"exec mosquitto_sub -p {self.port} -q 1 -t 'tidegate/#' -v >'{self.heard}'"])

    def numbers(self, device):
        """Every seq that has come of it."""
        with open(self.heard, "rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self.offset += whole
        for line in data[:whole].decode().splitlines():
            topic, _, text = line.partition(" ")
            body = json.loads(text)
            for sample in body if isinstance(body, list) else [body]:
                known = self.bodies.setdefault(topic.split("/")[1], {})
                said = json.dumps(sample, sort_keys=True)
                self.doubles += sample["seq"] in known
                self.conflicts += known.setdefault(sample["seq"], said) != said
        return self.bodies.get(device, {})


def configuration(brokers, durability):
    clouds = [broker_cloud(broker.port, name=name, batch={"max_samples": 20, "max_delay": "50ms"}) for name, broker in brokers.items()]
    devices = [{"id": device, "clouds": [cloud], "settings": {"every": "10ms"},
                "points": [{"name": "value", "signal": "counter"}, {"name": "level", "signal": "sine"}]} for device, cloud in DEVICES.items()]
    return yaml.safe_dump({"gateway": {"name": "power", "state_dir": "/run/disk/state", "control_socket": "/run/control.sock", "http": "off"},
                           "outbox": {"durability": durability, "commit_interval": "20ms", "limit": "2MiB"}, "clouds": clouds,
                           "sources": [{"name": "rehearsal", "plugin": "simulator", "devices": devices}]})


class Guest:
    """One boot. `drive`: qemu's options for its disk."""

    def __init__(self, stage, kernel, phase, mount, brokers, drive):
        self.folder = stage.path(phase)
        os.makedirs(self.folder, exist_ok=True)
        shutil.copyfile(stage.path("tidegate.yaml"), os.path.join(self.folder, "tidegate.yaml"))
        self.port, self.console = os.path.join(self.folder, "witness"), os.path.join(self.folder, "console")
        environment = "".join(f"{name}={boot.quoted(value)}\n" for name, value in {
            "TIDEGATE_SOURCE": os.path.abspath(boot.SOURCE), "TIDEGATE_BUILD": os.path.abspath(boot.BUILD), "GUEST_KERNEL": os.path.abspath(kernel),
            "GUEST_INSIDE": "power_inside", "GUEST_PHASE": phase, "GUEST_MOUNT": mount,
            "GUEST_BROKERS": " ".join(str(broker.port) for broker in brokers.values())}.items())
        first = os.path.join(self.folder, "first")
        with open(first, "wb") as file:
            file.write(image.first_files(kernel, os.path.join(boot.SOURCE, "tests", "guest", "init"), environment))
        command = boot.qemu_command(kernel, first, self.folder) + drive + [
            "-netdev", "user,id=net,restrict=off", "-device", "virtio-net-pci,netdev=net,romfile=",
            "-device", "virtio-serial-pci", "-chardev", f"file,id=witness,path={self.port.replace(',', ',,')}",
            "-device", "virtserialport,chardev=witness,name=witness"]
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)  # pylint: disable=consider-using-with

    def told(self):
        """The lines so far that are whole."""
        try:
            with open(self.port, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in data[:data.rfind(b"\n") + 1].splitlines()]

    def says(self):
        with open(self.console, encoding="utf-8", errors="replace") as file:
            return file.read()[-6000:]

    def wait(self, condition, what):
        def look():
            lines = self.told()
            answer = condition(lines)
            if not answer and self.process.poll() is not None:
                raise AssertionError(f"the guest ended before {what}: {lines[-3:]}\n{self.says()}")
            return answer
        try:
            return wait_until(look, BOOT_S, what)
        except AssertionError:
            print(self.says())
            raise

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def work(stage, kernel, mount, brokers, dice):
    """A life that ends by a power cut: what it said is accepted."""
    disk, log = stage.path("disk"), stage.path("log")
    shutil.copyfile(stage.path("base"), disk)
    with open(log, "wb") as file:
        file.truncate(2 << 30)
    quick = "cache.no-flush=on"  # the host need not sync: it is the log that says what was flushed
    guest = Guest(stage, kernel, "work", mount, brokers, [
        "-blockdev", f"driver=file,filename={disk},node-name=raw,{quick}",
        "-object", f"throttle-group,id=slow,x-iops-write={DISK_IOPS}", "-blockdev", "driver=throttle,node-name=f0,throttle-group=slow,file=raw",
        "-blockdev", f"driver=file,filename={log},node-name=l0,{quick}",
        "-blockdev", "driver=blklogwrites,node-name=bl,file=f0,log=l0,log-sector-size=512",
        "-device", "virtio-blk-pci,drive=bl"])
    tail = write_log.Tail(log)
    try:
        guest.wait(lambda lines: lines and min(lines[-1]["accepted"].values(), default=0) > 40, "the gateway stores samples")
        more = len(guest.told()) + dice.randint(0, 120)
        guest.wait(lambda lines: len(lines) >= more, "the moment has come")
        time.sleep(dice.random() * 0.05)  # any moment between two reports
        until = time.monotonic() + (3 if dice.random() < 0.6 else 0)  # or one in the middle of a commit
        while time.monotonic() < until and not tail.unflushed():
            pass
    finally:
        guest.end()
        tail.close()
    # A later report may be the weaker one: what is not committed is counted for all devices together.
    return {device: max(line["accepted"].get(device, 0) for line in guest.told()) for device in DEVICES}


def look(stage, kernel, mount, brokers):
    """The boot after it: what it told."""
    guest = Guest(stage, kernel, "look", mount, brokers, [
        "-blockdev", f"driver=file,filename={stage.path('left')},node-name=f0", "-device", "virtio-blk-pci,drive=f0"])
    try:
        return guest.wait(lambda lines: lines if lines and (lines[-1].get("done") or "trouble" in lines[-1]) else None, "what is left is delivered")
    finally:
        try:
            guest.process.wait(30)  # it unmounts and ends by itself
        except subprocess.TimeoutExpired:
            pass
        guest.end()


class Cut:
    """One power cut; what came of it."""

    def __init__(self, kernel, durability, mount, dice):
        with Stage(tempfile.mkdtemp(prefix="tidegate-power-")) as stage:
            try:
                self.run(stage, kernel, durability, mount, dice)
            finally:
                stage.own_folder = True

    def run(self, stage, kernel, durability, mount, dice):
        begin = time.monotonic()
        brokers = {name: Broker(stage, name) for name in ("live", "away")}
        brokers["live"].open()
        stage.write("tidegate.yaml", configuration(brokers, durability))
        with open(stage.path("base"), "wb") as file:
            file.truncate(DISK_MIB << 20)
        subprocess.run([mkfs(), "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", stage.path("base")], check=True)
        self.accepted = work(stage, kernel, mount, brokers, dice)
        at_cut = {device: set(brokers[cloud].numbers(device)) for device, cloud in DEVICES.items()}
        self.waiting = sum(len(set(range(1, last + 1)) - at_cut[device]) for device, last in self.accepted.items())
        self.disk = write_log.after_power_cut(stage.path("base"), stage.path("log"), stage.path("left"), dice)
        brokers["away"].open()
        lines = look(stage, kernel, mount, brokers)
        self.trouble = [line["trouble"] for line in lines if "trouble" in line]
        self.verify = next((line for line in lines if "verify" in line), None)
        self.end = lines[-1]
        self.lost, self.again = 0, 0
        for device, last in self.accepted.items():
            numbers = brokers[DEVICES[device]].numbers(device)
            self.lost += len([seq for seq in range(1, last + 1) if seq not in numbers])
        self.conflicts = sum(broker.conflicts for broker in brokers.values())
        self.doubles = sum(broker.doubles for broker in brokers.values())
        self.seconds = time.monotonic() - begin

    @property
    def holds(self):
        return not (self.lost or self.conflicts or self.trouble or self.verify["verify"] or self.end["stopped"])

    def __str__(self):
        return (f"{sum(self.accepted.values())} accepted, {self.waiting} of these not delivered at the cut, {self.lost} lost; {self.disk['writes']} writes, "
                f"{self.disk['flushes']} flushes, {self.disk['survived']} of {self.disk['after_flush']} later sectors survived; {self.doubles} delivered twice, "
                f"{self.conflicts} numbers with two bodies; {'; '.join(self.trouble) or 'sound' if not self.verify or self.verify['verify'] == 0 else self.verify['text']}; "
                f"{self.seconds:.0f} s")


def mkfs():
    return shutil.which("mkfs.ext4") or "/usr/sbin/mkfs.ext4"


def cuts(kernel, what, number, durability, mount, seed):
    done = []
    while len(done) < number:
        dice = random.Random(f"{what} {seed} {len(done)}")
        try:
            done.append(Cut(kernel, durability, mount, dice))
        except write_log.Torn as torn:
            print(f"{what}: one cut does not count, qemu's log is torn ({torn})")
            seed += 1000
            continue
        print(f"{what} {len(done)}: {done[-1]}", flush=True)
    return done


def prove(kernel):
    number, controls = count("TIDEGATE_POWER_CUTS", 1), int(os.environ.get("TIDEGATE_POWER_CONTROLS") or 0)
    seed = int(os.environ.get("TIDEGATE_POWER_SEED") or 1)
    full = cuts(kernel, "full", number, "full", "rw", seed)
    bad = [cut for cut in full if not cut.holds]
    report("C2", "whole_gateway_full", number, len(bad), {
        "accepted": sum(sum(cut.accepted.values()) for cut in full), "not_delivered_at_the_cut": sum(cut.waiting for cut in full),
        "accepted_and_lost": sum(cut.lost for cut in full), "cuts_with_unflushed_sectors": sum(cut.disk["after_flush"] > 0 for cut in full), "numbers_with_two_bodies": sum(cut.conflicts for cut in full),
        "delivered_twice": sum(cut.doubles for cut in full)},
        "The unmodified gateway in a virtual machine (ext4) whose power is cut at a random moment; the disk keeps all up to its last flush and any part of "
        "the sectors written later. The machine boots again: the outbox verifies as sound, and every sample that was reported as accepted before the cut reaches the "
        "brokers on the host, each number with one body")
    good = not bad
    for what, durability, mount, note in (
            ("control_normal", "normal", "rw", "Negative control: the same with durability normal, which may lose the newest samples. It must lose some, and no number may have two bodies"),
            ("control_nobarrier", "full", "rw,nobarrier", "Negative control: the same on a file system that is mounted without flushes. It must lose something")):
        if not controls:
            continue
        done = cuts(kernel, what, controls, durability, mount, seed)
        lost = [cut for cut in done if cut.lost or cut.trouble]
        wrong = (not lost) + (sum(cut.conflicts for cut in done) if durability == "normal" else 0)
        report("C2", what, controls, wrong, {"cuts_that_lost": len(lost), "accepted": sum(sum(cut.accepted.values()) for cut in done),
                                             "lost": sum(cut.lost for cut in done), "numbers_with_two_bodies": sum(cut.conflicts for cut in done)}, note)
        if wrong:
            print(f"{what}: {len(lost)} of {controls} cuts lost something, {sum(cut.conflicts for cut in done)} numbers have two bodies")
        good = good and not wrong
    return 0 if good else 1


def main():
    try:
        if platform.machine() != "x86_64":
            raise image.NotToBeHad(f"the guest is an x86_64 one and shares the host's programs, which are for {platform.machine()}")
        for program, package in (("qemu-system-x86_64", "qemu-system-x86"), (mkfs(), "e2fsprogs"), ("mosquitto_sub", "mosquitto-clients")):
            if not shutil.which(program):
                raise image.NotToBeHad(f"{program} is not installed (Debian: {package})")
        with image.locked(boot.CACHE):
            kernel = image.build_kernel(boot.CACHE)
    except image.NotToBeHad as reason:
        print(f"SKIPPED: the test guest cannot be had here: {reason}")
        return boot.SKIP
    return prove(kernel)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # so that a run that is given up leaves nothing
    sys.exit(main())
