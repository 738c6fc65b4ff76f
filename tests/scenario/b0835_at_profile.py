#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole script is a data file of the integrator's own: the example is good, runs a device, and what is wrong in it is shown where it
stands."""
import os
import re
import shutil
import unittest

from gateway import Gateway, run
from harness import SOURCE, Stage, wait_until

EXAMPLES = os.path.join(SOURCE, "config", "examples")
PROFILE = "profiles/at/weather-mast.yaml"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


class Profile(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)
        for folder in ("keys", "profiles/at", "state"):
            os.makedirs(self.stage.path(folder), mode=0o700)
        shutil.copy(os.path.join(EXAMPLES, PROFILE), self.stage.path(PROFILE))
        os.chmod(self.stage.write("keys/mast-7.key", KEY + "\n"), 0o600)
        with open(os.path.join(EXAMPLES, "at-script.yaml"), encoding="utf-8") as file:
            self.example = file.read()

    def write(self, text):
        return self.stage.write("tidegate.yaml", text)

    def test_example(self):
        done = run("check", "-c", self.write(self.example))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_faults_in_the_profile(self):
        with open(self.stage.path(PROFILE), encoding="utf-8") as file:
            good = file.read()
        for old, new, what in ((r"'^\+STATE: (\w+)$'", r"'^\+STATE: (\w+$'", "wrong at character"),
                               ("{OPEN: 1, SHUT: 0}", "[OPEN]", "an equals sign"), ("payload: line", "payload: lines", "line"),
                               ("init_timeouts", "init_timeout", "init_timeouts"),
                               ("data_end: none", "data_end: cr, allow: ['1'], write_block: true", "no `prompt`")):
            self.assertIn(old, good)
            text = good.replace(old, new)
            self.stage.write(PROFILE, text)
            done = run("check", "-c", self.write(self.example))
            self.assertEqual(done.returncode, 1, new)
            line = next(i for i, row in enumerate(text.splitlines(), 1) if new in row)
            self.assertRegex(done.stdout + done.stderr, rf"weather-mast\.yaml:{line}:\d+: .*{re.escape(what)}")

    def test_it_runs(self):
        device = self.stage.peer("at_device.py", "--link", self.stage.path("port"), "--baud", 9600)
        device.command("slow 3")  # longer than the source's timeout: the profile gives it 30 s
        text = self.example.replace("/dev/serial/by-id/usb-mast-if00", self.stage.path("port"))
        text = text.replace("contoso.azure-devices.net", "localhost").replace("[115200, 9600]", "[9600]")
        gateway = Gateway(self.stage, self.write(text))
        wait_until(lambda: gateway.device("mast-7")["last_seq"] >= 3, 40, "samples of the device")
        stats = device.command("stats")
        self.assertEqual((stats["commands"]["AT+MODE"], stats["commands"]["AT+SLOW"], stats["echo"]), (1, 1, False))
        self.assertEqual(gateway.device("mast-7")["state"], "ok")
        device.command("boot")
        wait_until(lambda: device.command("stats")["commands"]["AT+SLOW"] == 2, 40, "the initial commands after a restart")
        gateway.process.stop(30)


if __name__ == "__main__":
    unittest.main()
