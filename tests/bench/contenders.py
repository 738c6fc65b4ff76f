# SPDX-License-Identifier: GPL-2.0-or-later
"""contenders - the gateway and what a user would pick instead, driven in the same way.

    one = Sqlite(stage, "first", port, ca, rate=500, count=0)     # runs; rate 0: as fast as it takes samples
    one.accepted()                                                # the newest number that it has to deliver
    one.kill(); one.start()                                       # as a power cut and a supervisor would
    one.stop()

`port` speaks TLS 1.2 or 1.3 and shows a certificate for localhost. All try again every second when the broker is away, and have at most
100 messages on their way. What they accept stands in DIR/accepted (tests/bench/peers/source.h); the gateway says it itself.
"""
import contextlib
import json
import os
import shutil
import struct
import time

from rig import BENCH, PEERS, PYTHON, Gateway, accepts, cpu_seconds, flood, free_port, resident, wait_until, written
from harness import Peer, Process  # found by rig

HERE = os.path.dirname(os.path.abspath(__file__))
EVERY_SECOND = "min_backoff: 1s, max_backoff: 1s"
NODE = shutil.which("node") or shutil.which("nodejs") or "node"
AZURE = os.path.join(PEERS, "node-azure")


class Program(Peer):
    """A peer of any language that says a ready line and answers lines."""

    def __init__(self, stage, name, *arguments):
        Process.__init__(self, stage, name, list(map(str, arguments)), pipes=True)
        self.buffer = b""
        self.ready = self.read_line()


class Judge(Program):
    """Hears everything at the broker, on a listener without TLS (tests/bench/peers/broker_judge.c)."""

    def __init__(self, stage, port, qos=1, login=()):
        super().__init__(stage, "judge", os.path.join(BENCH, "broker_judge"), port, qos, *login)

    def heard(self, upto=0):
        return self.command(f"report {upto}")

    def until(self, distinct, seconds):
        """What it has heard when so many different samples are there, or after that time."""
        end = time.monotonic() + seconds
        while True:
            heard = self.command(f"wait {distinct} 2000")
            if heard["distinct"] >= distinct or time.monotonic() >= end:
                return heard


class Contender:
    key = title = store = ""

    def __init__(self, stage, name, port, ca, rate, count=0):
        self.stage, self.port, self.ca, self.rate, self.count = stage, port, ca, rate, count
        self.folder = stage.path(f"{self.key} {name}")
        os.makedirs(self.folder)
        self.process = None
        self.started_ns = 0
        self.start()

    def program(self, name, port, ca):
        return self.stage.process(name, os.path.join(BENCH, name), port, ca, self.folder, self.rate, self.count)

    def start(self):
        self.started_ns = time.monotonic_ns()
        self.process = self.program(self.key, self.port, self.ca)

    def accepted(self):
        with contextlib.suppress(OSError, struct.error), open(os.path.join(self.folder, "accepted"), "rb") as file:
            return struct.unpack("=Q", file.read(8))[0]
        return 0

    def kill(self):
        self.process.kill()

    def stop(self):
        self.process.kill()  # what was measured is measured

    def cpu_seconds(self):
        return cpu_seconds(self.process)

    def resident(self):
        return resident(self.process)

    def written(self):
        return written(self.process)


class Tidegate(Contender):
    key, title, store = "tidegate", "tidegate", "SQLite, `full`"

    def start(self):
        self.started_ns = time.monotonic_ns()
        if self.process:
            self.gateway.start()
        else:
            source = flood(self.count, points=8, ident="one")
            if self.rate:
                source = source.replace("flood: true", f"rate: {self.rate}")
            self.gateway = Gateway(self.stage, os.path.basename(self.folder), self.port, self.ca, source, backoff=EVERY_SECOND)
        self.process = self.gateway.process

    def accepted(self):
        status = self.gateway.status()
        return status["devices"][0]["last_seq"] - status["outbox"]["uncommitted"]


class Sqlite(Contender):
    key, title, store = "sqlite_bridge", "SQLite and libmosquitto", "SQLite, WAL FULL"


class PahoC(Contender):
    key, title, store = "paho_bridge", "Paho C", "its file persistence"


class Mosquitto(Contender):
    """Debian's broker as a bridge: persistence and its autosave as shipped, its queue without limit; local_source is its field. A
    restart_timeout of one number would leave its own 5 to 30 s."""
    key, title, store = "mosquitto_bridge", "mosquitto as bridge", "its persistence"

    def start(self):
        self.started_ns = time.monotonic_ns()
        if not self.process:
            self.local, self.feeder = free_port(), None
            with open(os.path.join(self.folder, "mosquitto.conf"), "w", encoding="utf-8") as file:
                file.write("\n".join([
                    f"listener {self.local} 127.0.0.1", "allow_anonymous true", "persistence true", f"persistence_location {self.folder}/",
                    "max_queued_messages 0", "max_inflight_messages 100", "set_tcp_nodelay true", "log_type error", "user root",
                    "connection uplink", f"address 127.0.0.1:{self.port}", "topic # out 1", "cleansession false",
                    f"bridge_cafile {self.ca}", "restart_timeout 1 1", "notifications false", "try_private false", ""]))
        self.process = self.stage.process("mosquitto", "/usr/sbin/mosquitto", "-c", os.path.join(self.folder, "mosquitto.conf"))
        if not self.feeder:
            wait_until(lambda: accepts(self.local), 20, "the local broker")
            self.feeder = self.program("local_source", self.local, "-")

    def stop(self):
        self.feeder.kill()
        super().stop()


# --- with the rules of a hub, an identity for each device


class Fleet:
    """`devices` of a test hub in one program; they give nothing until rate() says so."""
    title = ""

    def __init__(self, stage, name, hub, devices):
        self.stage, self.name, self.hub, self.devices = stage, name, hub, devices
        self.process = None
        self.begin()

    def cpu_seconds(self):
        return cpu_seconds(self.process)

    def resident(self):
        return resident(self.process)

    def rate(self, each):
        self.process.command(f"rate {each}")

    def stop(self):
        self.process.kill()


class TidegateFleet(Fleet):
    key, title = "tidegate", "tidegate"

    def begin(self, settings="every: 1h"):
        devices = "  - name: many\n    plugin: simulator\n    devices:\n" + "".join(
            f"      - {{id: {device}, clouds: [hub], identity: {{sas_key_file: \"{self.hub.pki.path(device + '.sas')}\"}}, "
            f"settings: {{{settings}}}, points: [{', '.join(f'{{name: p{i}, signal: random}}' for i in range(8))}]}}\n"
            for device in self.devices)
        self.gateway = Gateway(self.stage, self.name, self.hub.port, self.hub.pki.path("ca.pem"), devices, cloud="type: azure-iot-hub",
                               backoff=EVERY_SECOND)
        self.process = self.gateway.process
        wait_until(lambda: self.gateway.online() == len(self.devices), 60, "all sessions online")

    def rate(self, each):
        """A reload would do; a new start measures the same without what came before."""
        self.stop()
        self.name += "+"
        self.begin(f"every: {1000 // each}ms" if each else "flood: true, count: 30000")


class AzureSdk(Fleet):
    key, title, store = "azure_sdk", "Azure SDK for Node", "memory"

    def begin(self, rate=None, count=0, start_from=0, port=None):
        job = {"ca": self.hub.pki.path("ca.pem"), "rate": rate, "count": count, "from": start_from, "connections": [
            f"HostName=localhost:{port or self.hub.port};DeviceId={device};SharedAccessKey={self.hub.pki.secret(device)}"
            for device in self.devices]}
        self.process = Program(self.stage, "node", NODE, os.path.join(AZURE, "fleet.js"), json.dumps(job))


class PahoPython(Fleet):
    key, title = "paho_python", "paho-mqtt (Python)"

    def begin(self):
        job = {"port": self.hub.port, "ca": self.hub.pki.path("ca.pem"), "rate": None,
               "devices": {device: self.hub.pki.secret(device) for device in self.devices}}
        self.process = Program(self.stage, "fleet_paho", PYTHON, os.path.join(HERE, "peers", "fleet_paho.py"), json.dumps(job))


class AzureSdkAlone(Contender):
    """One device of a test hub as a contender in an outage: the same SDK, what waits is in its memory."""
    key, title, store = "azure_sdk", "Azure SDK for Node", "memory"

    def __init__(self, stage, name, hub, port, rate):
        self.hub, self.fleet, self.made = hub, None, 0
        super().__init__(stage, name, port, hub.pki.path("ca.pem"), rate)

    def start(self):
        self.started_ns = time.monotonic_ns()
        if not self.fleet:
            self.fleet = AzureSdk.__new__(AzureSdk)
            self.fleet.stage, self.fleet.hub, self.fleet.devices = self.stage, self.hub, ["alone"]
        self.fleet.begin(self.rate, 0, self.made, self.port)
        self.process, self.before = self.fleet.process, self.made

    def accepted(self):
        self.made = self.before + self.process.command("status")["accepted"]
        return self.made

    def kill(self):
        self.accepted()  # dies with its memory
        super().kill()

