# SPDX-License-Identifier: GPL-2.0-or-later
"""air - simulated adapters for checks written in Python; tests/guest/vhci_controller.c has the levers.

    with Controller("--sensors", "5") as adapter:      # adapter.name is "hci0"
        adapter.say("rate", 100)
        adapter.stat()["adverts"]
"""
import json
import os
import subprocess
import sys
import time

BUILD = os.environ["TIDEGATE_BUILD"]
LEAST_S = int(os.environ.get("TIDEGATE_LEAST_S") or 30)  # as in tests/scenario/harness.py
SOURCE = os.environ["TIDEGATE_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "scenario"))


def wait_until(condition, seconds, what):
    """Polls until the condition gives something true; that. A check ends with what was waited for otherwise."""
    seconds = max(seconds, LEAST_S)
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Controller:
    def __init__(self, *options):
        subprocess.run(["modprobe", "-a", "hci_vhci", "cmac", "ecb"], check=True)
        self.process = subprocess.Popen([os.path.join(BUILD, "tests", "vhci_controller"), *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.name = self.line()
        assert self.name.startswith("hci"), self.name
        wait_until(lambda: os.path.exists("/sys/class/bluetooth/" + self.name), 30, self.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def line(self):
        return self.process.stdout.readline().strip()

    def say(self, *words):
        """A command; its answer."""
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        answer = self.line()
        assert not answer.startswith(("unknown", "wrong")), answer
        return answer

    def stat(self):
        return {name: int(value) for name, value in (field.split("=") for field in self.say("stat").split())}

    def leave(self):
        self.say("remove")
        wait_until(lambda: not os.path.exists("/sys/class/bluetooth/" + self.name), 30, "the adapter's going")

    def come_back(self):
        self.name = self.say("return")


class Bluetoothd:
    """The system's bus and its Bluetooth daemon, as they run beside the gateway on most boxes."""

    def __enter__(self):
        os.makedirs("/run/dbus", exist_ok=True)
        os.makedirs("/var/lib/bluetooth", exist_ok=True)
        with open("/etc/machine-id", "w", encoding="ascii") as file:
            file.write("0123456789abcdef0123456789abcdef\n")
        with open("/run/bus.conf", "w", encoding="ascii") as file:
            file.write('<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" '
                       '"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd"><busconfig><type>system</type>'
                       '<listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth><policy context="default">'
                       '<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>')
        self.bus = subprocess.Popen(["dbus-daemon", "--config-file=/run/bus.conf", "--nofork"])
        wait_until(lambda: os.path.exists("/run/dbus/system_bus_socket"), 30, "the bus")
        self.daemon = subprocess.Popen(["/usr/libexec/bluetooth/bluetoothd", "-n"], stderr=subprocess.DEVNULL)
        wait_until(lambda: "Controller" in self.control("list"), 30, "bluetoothd")
        return self

    def __exit__(self, *_):
        for process in (self.daemon, self.bus):
            process.terminate()
            process.wait()

    @staticmethod
    def control(*words, seconds=None):
        limit = ["--timeout", str(seconds)] if seconds else []
        return subprocess.run(["bluetoothctl", *limit, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout


class Probe:
    """The plugin in the smallest host there is (ble_probe.c)."""

    def __init__(self, devices, *options, capability=None, log=None):
        """capability: the only one it has, beside those that let it read the host's files."""
        limits = ["setpriv", f"--bounding-set=-all,+dac_override,+dac_read_search,+{capability}"] if capability else []
        self.log = open(log or "/run/probe.log", "w+", encoding="utf-8")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen([*limits, os.path.join(BUILD, "tests", "ble_probe"), os.path.join(BUILD, "plugins", "ble.so"),
                                         str(devices), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, bufsize=1)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        code = self.process.wait()
        print(self.logged())
        assert kind or code == 0, code

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        return json.loads(self.process.stdout.readline())

    def report(self):
        return self.ask("report")

    def logged(self):
        with open(self.log.name, encoding="utf-8") as file:
            return file.read()

    def wait(self, condition, seconds, what):
        """Until condition(report) is true; that report."""
        def asked():
            report = self.report()
            return report if condition(report) else None
        try:
            return wait_until(asked, seconds, what)
        except AssertionError:
            print(self.report(), self.logged())
            raise

    def wait_log(self, text, seconds=30):
        wait_until(lambda: text in self.logged(), seconds, f"the log to say: {text}")
