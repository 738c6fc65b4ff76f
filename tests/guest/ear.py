# SPDX-License-Identifier: GPL-2.0-or-later
"""ear - a broker in the guest and all that it heard, and the gateway's control socket (core/gateway/control.h), for checks that run the whole gateway:
a program of its own for each question would cost a quarter of a second."""
import json
import shutil
import socket

from field import broker_cloud
from harness import Process, accepts, free_port, wait_until


class Ear:
    def __init__(self, stage):
        self.port = free_port()
        conf = stage.write("broker.conf", f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\n")
        Process(stage, "mosquitto", [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", conf])
        wait_until(lambda: accepts(self.port), 30, "the broker")
        self.heard = stage.path("heard")
        with open(self.heard, "wb"):
            Process(stage, "ear", ["sh", "-c", f"exec mosquitto_sub -p {self.port} -q 1 -t 'tidegate/#' -v >'{self.heard}'"])

    def cloud(self):
        return broker_cloud(self.port)

    def samples(self, device):
        found = []
        with open(self.heard, encoding="utf-8") as file:
            for line in file:
                topic, _, body = line.partition(" ")
                if topic == f"tidegate/{device}/data" and line.endswith("\n"):
                    body = json.loads(body)
                    found += body if isinstance(body, list) else [body]
        return found

    def more(self, devices, count, what):
        """So many more samples of each of them, from now on."""
        had = {device: len(self.samples(device)) for device in devices}
        for device in devices:
            wait_until(lambda d=device: len(self.samples(d)) >= had[d] + count, 60, f"{device}: {what}")

    def complete(self, gateway):
        """Every sequence number that the gateway has accepted of each device is here."""
        for device, last in gateway.accounts().items():
            wait_until(lambda d=device, n=last: any(sample["seq"] >= n for sample in self.samples(d)), 30, f"the last sample of {device}")
            numbers = sorted({sample["seq"] for sample in self.samples(device)})
            missing = set(range(1, last + 1)) - set(numbers)
            assert not missing, f"{device}: of {last} missing {sorted(missing)[:20]}"


class Control:
    def __init__(self, stage):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(stage.path("control.sock"))
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def ask(self, verb, **more):
        self.socket.sendall(json.dumps({"verb": verb, **more}).encode() + b"\n")
        return json.loads(self.lines.readline())

    def send(self, device, command, arguments=None):
        return self.ask("send", device=device, command=command, arguments=arguments or {})["result"]

    def devices(self):
        return {device["id"]: device for device in self.ask("status")["devices"]}
