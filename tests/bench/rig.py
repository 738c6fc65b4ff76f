# SPDX-License-Identifier: GPL-2.0-or-later
"""rig - what the benchmarks are driven with: the broker, the gateway under test, simulated sources, rates.

    with Stage() as stage:
        broker = Broker(stage)
        gateway = Gateway(stage, "one", broker.port, broker.ca, flood(count=1000))
        wait_until(lambda: gateway.acked() >= 1000, 30, "the samples to be acknowledged")
        gateway.process.stop(30)

Everything runs on loopback. Pacing uses the gateway's own status; nothing is extrapolated.
"""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from harness import BUILD, PEERS, PYTHON, accepts, free_port, wait_until  # noqa: E402

TIDEGATE = os.path.join(BUILD, "tidegate")
BENCH = os.path.join(BUILD, "tests")


def cpu_seconds(process):
    with open(f"/proc/{process.child.pid}/stat", encoding="ascii") as file:
        times = file.read().rsplit(")", 1)[1].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def resident(process):
    with open(f"/proc/{process.child.pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(text.split()[1]) * 1024 for text in file if text.startswith("Rss:"))


def written(process):
    """Bytes that it caused to be written to the disk so far."""
    with open(f"/proc/{process.child.pid}/io", encoding="ascii") as file:
        return next(int(text.split()[1]) for text in file if text.startswith("write_bytes:"))


class Broker:
    """mosquitto as it comes, with TLS; no persistence, queues unlimited. `keys`: its session tickets outlive a restart. `plain_port` is
    a listener without TLS, for a judge on this side."""

    def __init__(self, stage, port=None, keys=False, config="mosquitto.conf"):
        self.config = config
        self.stage, self.port, self.plain_port = stage, port or free_port(), free_port()
        self.env = {"LD_PRELOAD": os.path.join(BUILD, "peers", "ticket_keys.so")} if keys else None
        self.pki = stage.path("pki")
        if not os.path.exists(os.path.join(self.pki, "ca.pem")):
            subprocess.run([PYTHON, os.path.join(PEERS, "pki.py"), self.pki, "x=sas"], check=True, stdout=subprocess.DEVNULL)
        self.ca = os.path.join(self.pki, "ca.pem")
        self.start()

    def start(self):
        config = self.stage.write(self.config, "\n".join([
            f"listener {self.port} 127.0.0.1", f"cafile {self.ca}", f"certfile {self.pki}/server.pem",
            f"keyfile {self.pki}/server.key", f"listener {self.plain_port} 127.0.0.1", "allow_anonymous true", "persistence false", "max_inflight_messages 0",
            "max_queued_messages 0", "set_tcp_nodelay true", "log_type error", "user root", ""]))
        self.process = self.stage.process("mosquitto", "/usr/sbin/mosquitto", "-c", config, env=self.env)
        wait_until(lambda: accepts(self.port) and accepts(self.plain_port), 30, "mosquitto")

    def stop(self):
        self.process.stop()


class Gateway:
    def __init__(self, stage, name, port, ca, devices, batch="{max_samples: 1}", in_flight=100, commit="50ms", durability="full",
                 limit="4GiB", rate=1000, cloud="type: mqtt, command_topic: \"\"", backoff="min_backoff: 100ms, max_backoff: 500ms", under=()):
        self.stage, self.dir, self.under = stage, stage.path(name), under
        os.makedirs(os.path.join(self.dir, "state"), exist_ok=True)
        self.socket = os.path.join(self.dir, "s")
        text = f"""gateway: {{name: bench, state_dir: state, control_socket: s, log: {{level: warn}}}}
outbox: {{durability: {durability}, commit_interval: {commit}, limit: {limit}}}
clouds:
  - {{name: hub, {cloud}, host: localhost, port: {port}, ca_file: "{ca}", max_in_flight: {in_flight}, batch: {batch},
     max_connects_per_second: {rate}, {backoff}}}
sources:
"""
        text += devices if devices else "  []\n"
        self.config = os.path.join(self.dir, "tidegate.yaml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)
        self.start()

    def start(self):
        """Also used to run it again after its process has ended."""
        self.started = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.process = self.stage.process("tidegate", *self.under, TIDEGATE, "run", "-c", self.config)
        wait_until(lambda: self.try_status() or not self.process.running, 30, "the gateway")
        if not self.process.running:
            raise AssertionError(self.process.report())

    def try_status(self):
        done = subprocess.run([TIDEGATE, "status", "--json", "--socket", self.socket], capture_output=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def status(self):
        return self.try_status() or sys.exit(self.process.report())

    def acked(self):
        return sum(c["acked_samples"] for c in self.status()["clouds"])

    def pending(self):
        return sum(c["pending"] for d in self.status()["devices"] for c in d["clouds"])

    def online(self):
        return sum(c["online"] for c in self.status()["clouds"])

    def all_online(self, count):
        """Its descriptors are looked at first: status of a thousand devices costs it CPU that is being measured."""
        return len(os.listdir(f"/proc/{self.process.child.pid}/fd")) > count and self.online() == count

    def cpu_seconds(self):
        return cpu_seconds(self.process)

    def resident(self):
        return resident(self.process)


def flood(count=0, points=4, ident="flood", extra=""):
    return f"""  - name: {ident}
    plugin: simulator
    devices:
      - id: {ident}
        clouds: [hub]
        settings: {{flood: true, count: {count}{extra}}}
        points: [{', '.join(f'{{name: point{i}, signal: random, low: 100, high: 999}}' for i in range(points))}]
"""


def pause(seconds):
    """Lets the measured thing run on."""
    begin = time.monotonic()
    wait_until(lambda: time.monotonic() - begin >= seconds, seconds + 5, "the measurement")


def sustained(stage, broker, name, rates, batch, points):
    """The highest of the rates at which what is acknowledged keeps up with what comes in, as measured; 0 when none does."""
    for rate in rates:
        ident = f"{name}-{rate:.0f}"
        source = flood(points=points).replace("flood: true", f"rate: {rate:.0f}")
        gateway = Gateway(stage, ident, broker.port, broker.ca, source, batch)
        wait_until(lambda: gateway.acked() > 0, 20, "the first acknowledgement")
        pause(2)
        begin, first, behind = time.monotonic(), gateway.acked(), gateway.pending()
        pause(6)
        last, end, still = gateway.acked(), time.monotonic(), gateway.pending()
        size = body_bytes(gateway)
        gateway.process.stop(30)
        got = (last - first) / (end - begin)
        # Waiting for half a second of samples is the pipeline; a second look that finds more is a backlog that grows.
        if got >= 0.97 * rate and still < max(behind * 1.5, 0.5 * rate):
            return got, size
        print(f"     ({name}: {rate:,.0f}/s offered, {got:,.0f}/s acknowledged, {still:,} waiting)", flush=True)
    return 0, 0


def steady_rate(gateway, seconds, warm_up):
    """Acknowledged samples per second between two looks, after the first warm_up seconds."""
    wait_until(lambda: gateway.acked() > 0, 20, "the first acknowledgement")
    pause(warm_up)
    begin, first = time.monotonic(), gateway.acked()
    pause(seconds)
    last, end = gateway.acked(), time.monotonic()
    return (last - first) / (end - begin)


def body_bytes(gateway):
    done = subprocess.run([TIDEGATE, "outbox", "export", "--dir", os.path.join(gateway.dir, "state")], capture_output=True,
                          check=False)
    first = done.stdout.split(b"\n", 1)[0]
    return len(json.dumps(json.loads(first)["sample"], separators=(",", ":"))) if first else 0
