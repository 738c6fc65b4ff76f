# SPDX-License-Identifier: GPL-2.0-or-later
"""fleet - lines of the bench about many devices: processor, memory, threads, descriptors, bytes written.

FLEET maps the names of the lines to what measures them; bench.py runs them. What the peers need (broker, Modbus devices, subscriber) is not
counted: CPU is the gateway's own and its children's, out of /proc/PID/stat, over a window in which nothing starts or ends.
"""
import json
import os
import resource
import signal
import subprocess

from results import line
from rig import TIDEGATE, Broker, Gateway, pause
from harness import BUILD, Peer, Process, Stage, wait_until  # found by rig

MEASURE_S = 20


class Native(Peer):
    """A peer that is a program of this tree: a ready line, SIGUSR1 asks, SIGTERM ends it."""

    def __init__(self, stage, name, *arguments):
        Process.__init__(self, stage, name, [os.path.join(BUILD, "peers", name), *map(str, arguments)], pipes=True)
        self.buffer = b""
        self.ready = self.read_line()

    def ask(self):
        self.signal(signal.SIGUSR1)
        return self.read_line()

    def stop(self, seconds=15):
        code = Process.stop(self, seconds)
        self.child.stdin.close()
        self.child.stdout.close()
        return code


def many_files():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))  # for the broker and the peers


class Window:
    """What a running gateway uses between two looks."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.pid = gateway.process.child.pid
        self.begin, self.cpu, self.written = clock(), gateway.cpu_seconds(), self.bytes_written()

    def bytes_written(self):
        with open(f"/proc/{self.pid}/io", encoding="ascii") as file:
            return next(int(text.split()[1]) for text in file if text.startswith("write_bytes:"))

    def close(self):
        """Afterwards `share` of a core, `wrote` bytes, and what it holds now."""
        took = clock() - self.begin
        self.seconds = took
        self.share = (self.gateway.cpu_seconds() - self.cpu) / took
        self.wrote = self.bytes_written() - self.written
        self.resident = self.gateway.resident()
        self.threads = len(os.listdir(f"/proc/{self.pid}/task"))
        self.files = len(os.listdir(f"/proc/{self.pid}/fd"))
        return self


def clock():
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0])


# --- 500 Modbus TCP devices, the nearest peer's published work


def modbus_sources(devices, points, port):
    """A source a device: that is how an integrator with five hundred meters on a network writes them."""
    registers = "".join(f"          - {{name: r{i}, address: \"holding:{i}\", every: 1s}}\n" for i in range(points))
    return "".join(f"""  - name: line-{i}
    plugin: modbus
    settings: {{transport: tcp, host: 127.8.{i // 250}.{i % 250 + 1}, port: "{port}", timeout: 900ms}}
    devices:
      - id: d{i}
        clouds: [hub]
        settings: {{unit: 1}}
        points:
{registers}""" for i in range(devices))


def missed_turns(gateway, devices, every=25):
    """Of a sample of the devices, by the plugin's own count."""
    missed = 0
    for i in range(0, devices, every):
        out = subprocess.run([TIDEGATE, "send", "--socket", gateway.socket, f"d{i}", "stats"], capture_output=True, text=True, check=True)
        missed += json.loads(out.stdout.split(" ", 1)[1])["missed_turns"]
    return missed


def fleet_modbus():
    """500 devices x 30 registers a second, one message a device and second: over one session, and over one session each."""
    many_files()
    devices, points = 500, 30
    for how, share, memory in (("shared", 0.18, 45e6), ("per-device", None, 70e6)):
        with Stage() as stage:
            broker = Broker(stage)
            meters = Native(stage, "modbus_fleet", devices)
            gateway = Gateway(stage, how, broker.port, broker.ca, modbus_sources(devices, points, meters.ready["port"]),
                              batch="{max_samples: 1}", cloud=f", session: {how}")
            sessions = 1 if how == "shared" else devices
            wait_until(lambda: gateway.online() == devices and gateway.acked() >= 2 * devices, 120, "every device to be delivered")
            pause(6)  # what the handshakes needed goes back
            before, asked, missed = gateway.acked(), meters.ask()["requests"], missed_turns(gateway, devices)
            window = Window(gateway)
            pause(MEASURE_S)
            window.close()
            delivered, requests = gateway.acked() - before, meters.ask()["requests"] - asked
            missed = missed_turns(gateway, devices) - missed
            gateway.process.stop(30)
            meters.stop()
        what = f"{devices} Modbus TCP devices x {points} registers at 1 s, a message each, " + (
            "one shared session" if sessions == 1 else f"{sessions} TLS sessions")
        figures = (f"{window.resident / 1e6:.1f} MB, {window.threads} threads, {window.files} descriptors, "
                   f"{delivered / window.seconds:.0f} msg/s, {requests / window.seconds:.0f} requests/s, {missed} missed")
        reach = f"{'<= 18 %, ' if share else ''}<= {memory / 1e6:.0f} MB, <= 20 threads"
        line(what, reach, f"{100 * window.share:.1f} % of a core ({figures})",
             (not share or window.share <= share) and window.resident <= memory and window.threads <= 20 and missed == 0)


FLEET = {"fleet_modbus": fleet_modbus}
