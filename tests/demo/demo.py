#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole product on one machine, rehearsing an outage: `./dev demo`.

Starts a local hub (mosquitto with TLS and the hub's rules), two meters behind Modbus TCP, two on a serial bus, a
modem, and the gateway. Cuts the link to the hub for a while, restores it, and ends with a verdict computed from what
the hub received. Exit code 0 only if nothing was lost.
"""
import argparse
import contextlib
import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))

from gateway import PROGRAM, Gateway, configuration, run  # noqa: E402
from harness import Expired, Stage, vectors, wait_until  # noqa: E402
from hub import Hub  # noqa: E402
from pki import Pki  # noqa: E402
from verdict import delivered, judge, ledger_of, table  # noqa: E402

HUB_NAME = "tidegate-demo.azure-devices.net"
DRAIN_S = 40
IDENTITIES = {"meter-1": "sas", "meter-2": "x509-ca", "feeder-1": "x509-chain", "feeder-2": "x509-thumbprint",
              "modem-1": "sas"}
IDENTITY_NAMES = {"sas": "SAS key", "x509-ca": "CA-signed", "x509-chain": "CA, chain", "x509-thumbprint": "self-signed"}


class Screen:
    """A block that is redrawn in place on a terminal; plain lines elsewhere."""

    def __init__(self, out=sys.stdout):
        self.out, self.live, self.drawn = out, out.isatty(), 0

    def line(self, text=""):
        self.out.write(text + "\n")
        self.out.flush()
        self.drawn = 0

    def title(self, text):
        self.line(f"\n\033[1m{text}\033[0m" if self.live else f"\n{text}")

    def block(self, lines):
        if self.drawn:
            self.out.write(f"\033[{self.drawn}A")
        width = shutil.get_terminal_size((110, 40)).columns
        for line in lines:
            self.out.write(f"{line[:width]}\033[K\n" if self.live else line + "\n")
        self.out.flush()
        self.drawn = len(lines) if self.live else 0


def identity(pki, device):
    if IDENTITIES[device] == "sas":
        return {"sas_key_file": pki.path(f"{device}.sas")}
    return {"certificate": pki.path(f"{device}.pem"), "key": pki.path(f"{device}.key")}


def meter_points(every):
    names = {"voltage": 0, "current": 6, "power": 12, "frequency": 70}
    units = {"voltage": "V", "current": "A", "power": "W", "frequency": "Hz"}
    return [{"name": name, "address": f"input:{address}", "type": "float32", "unit": units[name], "every": every}
            for name, address in names.items()]


def sources(pki, meters, bus, modem):
    def device(name, settings, points):
        return {"id": name, "clouds": ["hub"], "identity": identity(pki, name), "settings": settings, "points": points}

    relay = {"name": "relay", "address": "coil:0", "type": "bool", "every": "1s", "writable": True}
    return [
        {"name": "boiler-room", "plugin": "modbus",
         "settings": {"transport": "tcp", "host": "127.0.0.1", "port": str(meters.ready["port"]), "timeout": "500ms"},
         "devices": [device("meter-1", {"unit": 1, "max_count": 80}, meter_points("250ms") + [relay]),
                     device("meter-2", {"unit": 2, "max_count": 80}, meter_points("250ms"))]},
        {"name": "distribution", "plugin": "modbus",
         "settings": {"transport": "rtu", "port": bus.ready["path"], "baud": "115200", "timeout": "500ms"},
         "devices": [device("feeder-1", {"unit": 11, "max_count": 80}, meter_points("500ms")),
                     device("feeder-2", {"unit": 12, "max_count": 80}, meter_points("500ms"))]},
        {"name": "modem", "plugin": "at",
         "settings": {"port": modem.ready["path"], "baud": 115200, "script": "cellular", "timeout": "1s"},
         "devices": [device("modem-1", {}, [
             {"name": "rssi", "command": "AT+CSQ", "match": r"^\+CSQ: (\d+),\d+$", "type": "int", "scale": 2,
              "offset": -113, "unit": "dBm", "every": "1s"},
             {"name": "temperature", "command": "AT+TEMP?", "match": r"^\+TEMP: (-?[\d.]+)$", "type": "real",
              "unit": "Cel", "every": "1s"}])]},
    ]


class Demo:
    def __init__(self, stage, screen, outage, quiet):
        self.stage, self.screen = stage, screen
        self.outage, self.quiet = outage, quiet
        self.began = time.monotonic()
        self.link_state = "up"
        self.deepest = 0
        self.shown = 0.0
        profiles = vectors("southbound/modbus_profiles.json")
        self.pki = Pki(stage.path("pki"))
        for device, kind in IDENTITIES.items():
            self.pki.add(device, kind)
        self.hub = Hub(stage, self.pki, options={"hosts": HUB_NAME})
        self.meters = stage.peer("meter_server.py", "--profiles", profiles, "--units", "1,2")
        bus = stage.peer("meter_server.py", "--profiles", profiles, "--units", "11,12", "--rtu",
                         "--link", stage.path("ttyRS485"))
        modem = stage.peer("at_modem.py", "--link", stage.path("ttyModem"))
        self.link = stage.peer("link.py", f"hub=127.0.0.1:{self.hub.port}")
        self.config = configuration(
            stage,
            clouds=[{"name": "hub", "type": "azure-iot-hub", "host": "localhost", "hub_host": HUB_NAME,
                     "port": self.link.ready["ports"]["hub"], "ca_file": self.pki.path("ca.pem"),
                     "batch": {"max_samples": 20, "max_delay": "500ms"}, "max_backoff": "5s"}],
            sources=sources(self.pki, self.meters, bus, modem),
            gateway={"name": "demo"})

    def elapsed(self):
        return time.monotonic() - self.began

    def overview(self, status):
        received = {device: len(ledger_of(self.hub.record).account(device).seen) for device in IDENTITIES}
        waiting = sum(session["pending"] for device in status["devices"] for session in device["clouds"])
        self.deepest = max(self.deepest, waiting)
        lines = [f"{self.elapsed():5.1f} s   link {self.link_state:<5} waiting {waiting:>5}  {'#' * min(waiting // 8, 60)}"]
        if not self.screen.live:
            return lines
        lines.append(f"{'DEVICE':<10} {'SOURCE':<13} {'IDENTITY':<12} {'DEVICE IS':<10} {'ACCEPTED':>8} {'SESSION':<11} "
                     f"{'WAITING':>7} {'HUB HAS':>8}")
        for device in status["devices"]:
            session = device["clouds"][0]
            lines.append(f"{device['id']:<10} {device['source']:<13} {IDENTITY_NAMES[IDENTITIES[device['id']]]:<12} "
                         f"{device['state']:<10} {device['accepted']:>8} {session['state']:<11} {session['pending']:>7} "
                         f"{received[device['id']]:>8}")
        return lines

    def watch(self, gateway, condition, seconds, what):
        """Shows the state twice a second (every 2 s without a terminal) until the condition holds."""
        step = 0.5 if self.screen.live else 2.0

        def look():
            status = gateway.status()
            if time.monotonic() - self.shown >= step:
                self.shown = time.monotonic()
                self.screen.block(self.overview(status))
            return condition(status)

        return wait_until(look, seconds, what)

    def until(self, seconds):
        end = time.monotonic() + seconds
        return lambda status: time.monotonic() >= end

    @staticmethod
    def all_online(status):
        return all(session["state"] == "online" for device in status["devices"] for session in device["clouds"])

    @staticmethod
    def all_read(status):
        return all(device["accepted"] > 0 for device in status["devices"])

    def command_from_the_cloud(self, gateway):
        with self.hub.service() as service:
            service.c2d("meter-1", '{"relay":true}', "%24.mid=demo-1&command=set")
        self.watch(gateway, lambda status: self.meters.command("coil 1 0")["value"] == 1, 10,
                   "the relay of meter-1 to close")
        self.screen.line("a command from the cloud closed the relay of meter-1")

    def play(self):
        say = self.screen
        say.title("Five devices, five identities, one gateway")
        run("check", "-c", self.config, check=0)
        gateway = Gateway(self.stage, self.config)
        # The modem is asked who it is, for its SIM and its network first, and now and then does not answer.
        self.watch(gateway, lambda status: self.all_online(status) and self.all_read(status), 60,
                   "every device to have its session and its first reading")
        self.watch(gateway, self.until(self.quiet), self.quiet + 60, "the first part")
        self.command_from_the_cloud(gateway)

        say.title(f"The link to the cloud is cut for {self.outage:g} seconds")
        self.link.command("cut hub")
        self.link_state = "CUT"
        during = len(self.hub.record.select("publish"))
        self.watch(gateway, self.until(self.outage), self.outage + 60, "the outage")
        silent = len(self.hub.record.select("publish")) == during
        backlog = self.deepest

        say.title("The link is back")
        self.link.command("restore hub")
        self.link_state = "up"
        self.watch(gateway, self.all_online, DRAIN_S, "every session to come back")
        self.watch(gateway, self.until(self.quiet), self.quiet + 60, "the last part")
        accounts = gateway.accounts()
        self.watch(gateway, lambda status: delivered(self.hub.record, accounts), DRAIN_S, "the backlog to drain")
        code = gateway.stop()
        return self.judge(accounts, silent, backlog, code)

    def judge(self, accounts, silent, backlog, code):
        say = self.screen
        rows = judge(self.hub.record, accounts)
        refused = self.hub.record.select("refused") + self.hub.record.select("closed")
        verified = run("outbox", "verify", "-c", self.config).returncode
        checks = [(all(row.holds for row in rows) and len(rows) == len(IDENTITIES), "every sample that was accepted arrived"),
                  (silent and backlog > 0, f"during the outage the hub heard nothing, and up to {backlog} samples waited"),
                  (not refused, "the hub refused nobody and closed nobody's connection" if not refused else
                   f"the hub refused or closed {len(refused)} times: {refused[0]['device']}: {refused[0]['reason']}"),
                  (code == 0, f"the gateway stopped with exit code {code}"),
                  (verified == 0, "its store is sound")]
        say.title("Verdict, from what the hub received")
        say.line(table(rows))
        say.line()
        for good, text in checks:
            say.line(f"{'ok ' if good else 'NOT'}  {text}")
        good = all(good for good, _ in checks)
        say.line(f"\ncollected {sum(row.collected for row in rows)}, delivered {sum(row.delivered for row in rows)}, "
                 f"lost {sum(row.lost for row in rows)}, duplicates {sum(row.duplicates for row in rows)}; "
                 f"{self.elapsed():.0f} s: {'the verdict holds' if good else 'THE VERDICT DOES NOT HOLD'}")
        return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="DIR", help="work in this folder and leave it, to look at it afterwards")
    parser.add_argument("--outage", type=float, default=20, metavar="SECONDS", help="how long the link is cut (20)")
    parser.add_argument("--quiet", type=float, default=12, metavar="SECONDS", help="how long before and after it (12)")
    arguments = parser.parse_args()
    if not os.path.exists(PROGRAM):
        parser.error(f"{PROGRAM} is not built: ./dev build")

    def interrupted(number, frame):
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        with Stage(arguments.keep and os.path.abspath(arguments.keep)) as stage:
            return Demo(stage, Screen(), arguments.outage, arguments.quiet).play()
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            print("\nstopped; everything that was started has ended")
        return 130
    except (Expired, AssertionError) as error:
        print(f"\nTHE VERDICT DOES NOT HOLD: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
