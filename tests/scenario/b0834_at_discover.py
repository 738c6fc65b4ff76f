#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`tidegate discover at` lists ports without opening one, tells modems from u-connectXpress modules and other devices at whatever rate
they have, says who has a port, and what it prints can be pasted into a configuration."""
import json
import os
import unittest

import yaml

from at_support import Probe, point
from gateway import run
from harness import Stage

HEAD = {"gateway": {"name": "t", "state_dir": ".", "control_socket": "./socket", "http": "off"},
        "clouds": [{"name": "hub", "type": "mqtt", "host": "localhost", "tls": "off"}]}


class Discover(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)

    def device(self, name, *options):
        self.stage.peer("at_device.py", "--link", self.stage.path(name), *options)
        return self.stage.path(name)

    def discover(self, *words, code=0):
        done = run("discover", "at", *words, seconds=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def test_list(self):
        done = run("discover", "at")
        self.assertIn("none was opened", done.stderr)
        self.assertEqual(done.returncode, 0 if "# serial port" in done.stdout else 1)
        ports = json.loads(run("discover", "at", "--json").stdout)["ports"]
        self.assertEqual(len(ports), done.stdout.count("# serial port"))

    def test_kinds(self):
        modem = self.device("modem", "--creg", "--baud", 9600)
        module = self.device("module", "--model", "NINA-W152")
        other = self.device("other", "--baud", 115200)
        silent = self.device("silent", "--baud", 921600)
        done = self.discover("--port", modem, "--port", module, other, silent, "--baud", "115200,9600")
        self.assertIn(f"{silent}: no answer to AT", done.stderr)
        sources = {source["name"]: source for source in yaml.safe_load("sources:\n" + done.stdout)["sources"]}
        self.assertEqual(set(sources), {"modem", "ucx", "generic"})
        self.assertEqual(sources["modem"]["settings"], {"port": modem, "baud": 9600, "script": "cellular"})
        self.assertEqual(sources["generic"]["settings"], {"port": other, "baud": 115200})
        self.assertEqual((sources["ucx"]["plugin"], sources["ucx"]["settings"]), ("ucx", {"port": module, "baud": 115200}))
        self.assertIn("a cellular modem: tidegate test works Tide sensor 01.02, serial number #", done.stdout)
        self.assertNotIn("356938035643809", done.stdout + done.stderr)
        pasted = {**HEAD, "sources": [sources["modem"], sources["generic"]]}
        checked = run("check", "-c", self.stage.write("pasted.yaml", yaml.safe_dump(pasted)))
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_json_and_identifiers(self):
        modem = self.device("modem", "--creg")
        found = json.loads(self.discover(modem, "--json", "--show-identifiers").stdout)["ports"][0]
        self.assertEqual((found["kind"], found["baud"], found["serial"], found["sim"]), ("modem", 115200, "356938035643809", "READY"))
        hidden = [json.loads(self.discover(modem, "--json").stdout)["ports"][0]["serial"] for _ in range(2)]
        self.assertEqual(hidden[0], hidden[1])
        self.assertRegex(hidden[0], "^#[0-9a-f]{12}$")

    def test_a_port_that_somebody_has(self):
        port = self.device("other")
        probe = Probe(self.stage, port, *point("state", 50, command="AT+STATE?", match=r"^\+STATE: (\w+)$", type="text"), pause="2ms")
        probe.wait_value("state")
        done = self.discover(port, code=1)
        self.assertIn("is in use by another program", done.stderr)
        self.assertIn("stop it, or take its source out", done.stderr)
        probe.wait_value("state", since=len(probe.said))  # which was not disturbed
        probe.finish()
        self.discover(port, "--baud", "115200")
        lock = f"/var/lock/LCK..{os.path.realpath(port).removeprefix('/dev/').replace('/', '_')}"
        if os.access("/var/lock", os.W_OK) and not os.path.exists(lock):
            with open(lock, "w", encoding="ascii") as file:
                file.write(f"{os.getpid():10d}\n")
            self.addCleanup(os.unlink, lock)
            self.assertIn(f"process {os.getpid()}, by its lock file", self.discover(port, code=1).stderr)
        done = self.discover(self.stage.path("nothing"), code=1)
        self.assertIn("is the device plugged in?", done.stderr)

    def test_wrong_usage(self):
        for words in (["--baud", "12345"], ["--baud", ""], ["--port"], ["--colour", "x"], ["--help"]):
            self.assertIn("usage: tidegate discover at", self.discover(*words, code=2).stderr)


if __name__ == "__main__":
    unittest.main()
