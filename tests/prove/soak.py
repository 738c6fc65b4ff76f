#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything at once for a long time: 200 devices of six plugins' sources (two of them in processes of their own) deliver to four clouds while
links are cut, stalled and reset, brokers are killed, a bus and a modem are unplugged, plugins crash, the configuration is reloaded and
tokens are renewed. At the end everything that was accepted has arrived, in order and with one body a number; memory, descriptors, threads
and files have not grown.

    soak.py            as long as TIDEGATE_SOAK_S says (25 s); TIDEGATE_SOAK_SEED repeats a run
"""
import json
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))

from aws import Aws, aws_cloud  # noqa: E402
from field import hub_cloud, identity, simulated  # noqa: E402
from fleet import allow_descriptors  # noqa: E402
from gateway import Gateway, configuration  # noqa: E402
from gcp import Bridge, Registry  # noqa: E402
from harness import Expired, Stage, vectors, wait_until  # noqa: E402
from hub import Hub  # noqa: E402
from pki import Pki  # noqa: E402
from pubsub import PubSub, pubsub_cloud  # noqa: E402
from verdict import delivered, judge, table  # noqa: E402

SECONDS = float(os.environ.get("TIDEGATE_SOAK_S") or 25)
SEED = int(os.environ.get("TIDEGATE_SOAK_SEED") or time.time())
LOOK_S = max(1.0, min(30.0, SECONDS / 40))
BATCH = {"max_samples": 20, "max_delay": "3s"}
DRAIN_S = 180


def names(prefix, count):
    return [f"{prefix}-{number:03}" for number in range(count)]


class Field:
    """The devices and what they are connected to."""

    def __init__(self, stage, pki):
        profiles = vectors("southbound/modbus_profiles.json")
        self.tcp = stage.peer("meter_server.py", "--profiles", profiles, "--units", ",".join(map(str, range(1, 21))))
        self.bus = stage.peer("meter_server.py", "--profiles", profiles, "--units", "31,32,33,34", "--rtu", "--link", stage.path("ttyBus"))
        self.modem = stage.peer("at_modem.py", "--link", stage.path("ttyModem"))
        self.hub = names("plant", 100) + names("meter", 20) + names("feeder", 4) + ["modem-000"]
        self.both = self.hub[:15]  # these deliver to the lake as well
        self.crash = names("crash", 20)
        self.gcp, self.aws, self.pubsub = names("gcp", 20), names("aws", 20), names("pub", 15)
        for name in self.hub + self.crash:
            pki.add(name, "sas")

    def sources(self, pki, registry, aws, period):
        points = [{"name": name, "address": f"input:{address}", "type": "float32", "every": "1s"}
                  for name, address in (("voltage", 0), ("current", 6), ("power", 12))]

        def device(name, settings, points):
            return {"id": name, "clouds": ["hub"], "identity": identity(pki, name, "sas"), "settings": settings, "points": points}

        sas = {name: (["hub", "lake"] if name in self.both else ["hub"], identity(pki, name, "sas")) for name in names("plant", 100)}
        return [
            simulated("plant", {name: who for name, who in list(sas.items())[:80]}, every="1s"),
            simulated("changing", {name: who for name, who in list(sas.items())[80:]}, every=period),
            {**simulated("crashing", {name: (["hub"], identity(pki, name, "sas")) for name in self.crash}, every="1s"), "isolation": "process"},
            simulated("gcp", {name: (["gcp"], {"jwt_key": registry.key(name)}) for name in self.gcp}, every="1s"),
            simulated("aws", {name: (["aws"], aws.identity(name)) for name in self.aws}, every="1s"),
            simulated("pubsub", {name: (["lake"], None) for name in self.pubsub}, every="1s"),
            {"name": "boiler-room", "plugin": "modbus", "isolation": "process",
             "settings": {"transport": "tcp", "host": "127.0.0.1", "port": str(self.tcp.ready["port"]), "timeout": "500ms"},
             "devices": [device(name, {"unit": unit, "max_count": 80}, points) for unit, name in enumerate(names("meter", 20), 1)]},
            {"name": "bus", "plugin": "modbus",
             "settings": {"transport": "rtu", "port": self.bus.ready["path"], "baud": "115200", "timeout": "300ms"},
             "devices": [device(name, {"unit": unit, "max_count": 80}, points) for unit, name in enumerate(names("feeder", 4), 31)]},
            {"name": "modem", "plugin": "at", "settings": {"port": self.modem.ready["path"], "baud": 115200, "script": "cellular", "timeout": "1s"},
             "devices": [device("modem-000", {}, [
                 {"name": "temperature", "command": "AT+TEMP?", "match": r"^\+TEMP: (-?[\d.]+)$", "type": "real", "every": "2s"}])]},
        ]


class Soak:
    def __init__(self, stage):
        self.stage, self.random = stage, random.Random(SEED)
        self.pki = Pki(stage.path("pki"))
        self.field = Field(stage, self.pki)
        self.hub = Hub(stage, self.pki, keys=True, mosquitto={"max_queued_messages": 1000})
        self.registry = Registry(stage.path("gcp"))
        for name in self.field.gcp:
            self.registry.add(name)
        self.bridge = Bridge(stage, self.registry)
        self.aws = Aws(stage, Pki(stage.path("aws-pki")))
        for name in self.field.aws:
            self.aws.add(name)
        self.lake = PubSub(stage, self.pki)
        peers = {"hub": self.hub.port, "gcp": self.bridge.port, "aws": self.aws.port, "lake": self.lake.port}
        self.link = stage.peer("link.py", *(f"{name}=127.0.0.1:{port}" for name, port in peers.items()))
        self.ports = self.link.ready["ports"]
        self.links = list(peers)
        self.period, self.done, self.looks = 1000, {}, []
        self.gateway = Gateway(stage, self.configure())

    def configure(self):
        bridge = {**self.bridge.entry(name="gcp"), "port": self.ports["gcp"], "batch": BATCH}
        clouds = [hub_cloud(self.hub, self.ports["hub"], batch=BATCH, max_backoff="3s", max_connects_per_second=100,
                            sas_lifetime="10m", keepalive="30s"),
                  bridge, aws_cloud(self.aws, self.ports["aws"], batch=BATCH, compress="off"),
                  pubsub_cloud(self.ports["lake"], self.pki.path("ca.pem"), self.lake.account)]
        return configuration(self.stage, clouds, self.field.sources(self.pki, self.registry, self.aws, f"{self.period}ms"),
                             outbox={"commit_interval": "50ms", "limit": "64MiB"})

    # --- what happens to it ---

    def cut(self):
        name = self.random.choice(self.links)
        what = self.random.choice(["cut", "cut", "stall", "rst", "slow"])
        self.link.command(f"{what} {name}" + (" 20000" if what == "slow" else ""))
        return f"{what} {name}", self.random.uniform(1, 12), lambda: self.link.command(f"restore {name}")

    def cut_all(self):
        for name in self.links:
            self.link.command(f"cut {name}")
        return "cut all", self.random.uniform(5, 20), lambda: [self.link.command(f"restore {name}") for name in self.links]

    def broker(self):
        broker = self.random.choice([self.hub, self.bridge, self.aws])
        broker.kill()
        return "broker killed", self.random.uniform(0.5, 5), broker.start

    def bus(self):
        self.field.bus.command("unplug")
        return "bus unplugged", self.random.uniform(1, 5), lambda: self.field.bus.command("plug")

    def modem(self):
        self.field.modem.command("unplug")
        return "modem unplugged", self.random.uniform(1, 5), lambda: self.field.modem.command("plug")

    def meter(self):
        unit = self.random.randint(1, 20)
        self.field.tcp.command(f"dead {unit}")
        return "meter dead", self.random.uniform(2, 10), lambda: self.field.tcp.command(f"alive {unit}")

    def crash(self):
        children = subprocess.run(["pgrep", "-P", str(self.gateway.process.child.pid)], capture_output=True, text=True, check=False).stdout.split()
        if children:
            os.kill(int(self.random.choice(children)), signal.SIGKILL)
        return "plugin killed", 1, lambda: None

    def reload(self):
        self.period = 1000 if self.period != 1000 else 700
        self.configure()
        self.gateway.reload()
        return "reload", 1, lambda: None

    def command(self):
        self.gateway.send(self.random.choice(self.field.hub[:100]), "set", {"setpoint": self.random.randint(0, 100)}, check=None)
        return "command", 0.2, lambda: None

    # --- watching ---

    def look(self):
        pid = self.gateway.process.child.pid
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            private = sum(int(line.split()[1]) for line in file if line.startswith(("Private_Dirty", "Private_Clean", "Shared_Dirty")))
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            times = file.read().rsplit(")", 1)[1].split()
        state = self.stage.path("state")
        files = [os.path.join(folder, name) for folder, _, found in os.walk(state) for name in found]
        status = self.gateway.status()
        return {"at": time.monotonic(), "rss_kib": private, "fds": len(os.listdir(f"/proc/{pid}/fd")), "threads": len(os.listdir(f"/proc/{pid}/task")),
                "files": len(files), "disk_bytes": sum(os.path.getsize(path) for path in files if os.path.exists(path)),
                "cpu_s": (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
                "pending": sum(cloud["pending"] for device in status["devices"] for cloud in device["clouds"]),
                "online": sum(cloud["state"] == "online" for device in status["devices"] for cloud in device["clouds"])}

    def whole(self, status):
        return all(cloud["state"] == "online" and cloud["pending"] < 100 for device in status["devices"] for cloud in device["clouds"])

    def settle(self):
        """Looks are comparable only when nothing is broken and nothing waits."""
        wait_until(lambda: self.whole(self.gateway.status()), DRAIN_S, "every session to be back")
        self.looks.append(self.look())
        one = self.looks[-1]
        print(f"{one['at'] - self.looks[0]['at']:7.0f} s  {one['rss_kib']:>7} KiB  {one['fds']} descriptors  {one['threads']} threads  "
              f"{one['files']} files  {one['disk_bytes'] >> 10} KiB on disk  {one['online']} online", flush=True)

    def play(self):
        wait_until(lambda: self.whole(self.gateway.status()), 90, "all sessions to be online")
        self.settle()
        mishaps = [self.cut, self.cut, self.cut_all, self.broker, self.bus, self.modem, self.meter, self.crash, self.reload, self.command]
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            until = time.monotonic() + LOOK_S
            while time.monotonic() < until:
                what, seconds, undo = self.random.choice(mishaps)()
                self.done[what] = self.done.get(what, 0) + 1
                over = time.monotonic() + seconds
                wait_until(lambda over=over: time.monotonic() >= over, seconds + 60, what)
                undo()
                assert self.gateway.process.running, self.gateway.process.report()
            self.settle()
        return self.judge()

    def growth(self, key):
        """The highest of the second quarter of the looks, and of the last one: memory goes up with every burst of handshakes and is given back."""
        values = [look[key] for look in self.looks]
        quarter = max(1, len(values) // 4)
        return max(values[quarter:2 * quarter] or values[:1]), max(values[-quarter:])

    def records(self):
        field = self.field
        hub = field.hub + field.crash
        return [(self.hub.record, hub), (self.bridge.record, field.gcp), (self.aws.record, field.aws)]

    def lake_row(self, name, last):
        self.lake.read()
        account = self.lake.accounts.get(name)
        return account and account.prefix >= last and not account.conflicts and not account.out_of_order

    def judge(self):
        for source in ("hub", "gcp", "aws"):
            self.link.command(f"restore {source}")
        wait_until(lambda: self.whole(self.gateway.status()), DRAIN_S, "every session to be back at the end")
        accounts = self.gateway.accounts()
        lost = repeated = collected = 0
        for record, members in self.records():
            mine = {name: accounts[name] for name in members}
            wait_until(lambda record=record, mine=mine: delivered(record, mine), DRAIN_S, "everything to be delivered")
            rows = judge(record, mine)
            if not all(row.holds for row in rows):
                raise AssertionError(table([row for row in rows if not row.holds]))
            lost, repeated, collected = lost + sum(row.lost for row in rows), repeated + sum(row.duplicates for row in rows), \
                collected + sum(row.collected for row in rows)
        wait_until(lambda: all(self.lake_row(name, accounts[name]) for name in self.field.pubsub + self.field.both), DRAIN_S, "the lake to have everything")
        collected += sum(accounts[name] for name in self.field.pubsub)
        assert self.gateway.stop(60) == 0
        return self.verdict(collected, lost, repeated)

    def verdict(self, collected, lost, repeated):
        figures = {"seconds": round(self.looks[-1]["at"] - self.looks[0]["at"]), "devices": 200, "samples": collected, "lost": lost, "duplicates": repeated,
                   "mishaps": sum(self.done.values()), "cpu_percent": round(100 * (self.looks[-1]["cpu_s"] - self.looks[0]["cpu_s"]) /
                                                                            max(1, self.looks[-1]["at"] - self.looks[0]["at"]), 1)}
        faults = []
        for key, slack in (("rss_kib", 2048), ("fds", 4), ("threads", 1), ("files", 2), ("disk_bytes", 4 << 20)):
            before, after = self.growth(key)
            figures[key] = f"{before:.0f} -> {after:.0f}"
            if len(self.looks) >= 12 and after > before * (1.05 if key == "rss_kib" else 1) + slack:
                faults.append(f"{key} grew: {figures[key]}")
        print(f"seed {SEED}: " + ", ".join(f"{what} {count}" for what, count in sorted(self.done.items())))
        print(json.dumps(figures))
        if os.environ.get("TIDEGATE_PROOF"):
            with open(os.environ["TIDEGATE_PROOF"], "a", encoding="utf-8") as file:
                file.write(json.dumps({"clause": "C11", "test": "soak", "trials": sum(self.done.values()), "failures": len(faults), "figures": figures,
                                       "note": "200 devices, four clouds, random mishaps; growth from the second quarter to the last"}) + "\n")
        assert not faults, "; ".join(faults)
        return 0


if __name__ == "__main__":
    allow_descriptors(4096)
    print(f"soak for {SECONDS:.0f} s, seed {SEED}", flush=True)
    try:
        with Stage() as main_stage:
            code = Soak(main_stage).play()
        sys.exit(code)
    except Expired as error:
        print(f"NOT as it should be: {error}", file=sys.stderr)
        sys.exit(1)
