#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the manual of the AT source shows is true: its example is good, its profiles are, wrong entries are shown with
line and column, and `tidegate decode at` says what the manual says it says."""
import os
import re
import shlex
import subprocess
import unittest

from harness import BUILD, SOURCE, Stage

TIDEGATE = os.path.join(BUILD, "tidegate")
HEAD = """gateway: {name: t, state_dir: ., control_socket: ./socket, http: off}
clouds:
  - {name: hub, type: azure-iot-hub, host: contoso.azure-devices.net}
"""


def tidegate(*words):
    return subprocess.run([TIDEGATE, *words], env={**os.environ, "TIDEGATE_PLUGIN_DIR": os.path.join(BUILD, "plugins")},
                          capture_output=True, text=True, timeout=30)


class Manual(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)
        os.mkdir(self.stage.path("keys"))
        self.stage.write("keys/modem-1.key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
        with open(os.path.join(SOURCE, "docs", "plugins", "at.md"), encoding="utf-8") as file:
            self.manual = file.read()
        self.example = HEAD + re.search(r"```yaml\n(.*?)```", self.manual, re.S)[1]

    def check(self, text):
        return tidegate("check", "-c", self.stage.write("tidegate.yaml", text))

    def test_example_and_profiles(self):
        for text in (self.example, self.example.replace("profile: cellular ", "profile: cellular-lte ")):
            done = self.check(text)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_wrong_entries(self):
        def fault(old, new, where, what):
            self.assertIn(old, self.example)
            text = self.example.replace(old, new)
            done = self.check(text)
            self.assertEqual(done.returncode, 1, done.stdout)
            line = next(i for i, row in enumerate(text.splitlines(), 1) if new in row)
            self.assertRegex(done.stdout + done.stderr, rf"tidegate\.yaml:{line}:\d+: .*{where}.*{what}")

        fault(r"'^\+TEMP: (\S+)$'", r"'^\+TEMP: (\S+$'", "match", "wrong at character 15")
        fault("{name: message, ", "{name: message, group: 2, ", "group", "group 2 does not exist")
        fault("'AT+UGPIOW=16,{value}'", "'AT+UGPIOW=16'", "write", "no {value}")
        fault("script: cellular", "script: celular", "script", "cellular")

    def test_decode(self):
        block = re.search(r"```\n\$ tidegate (decode at .*?)\n(.*?)```", self.manual, re.S)
        done = tidegate(*shlex.split(block[1]))
        self.assertEqual((done.returncode, done.stdout), (0, block[2]))
        path = self.stage.write("transcript", "AT+CPIN?\r\r\n+CME ERROR: 10\r\n")
        done = tidegate("decode", "at", "--file", path, "--json")
        self.assertEqual(done.returncode, 1)
        self.assertIn('"status":"cme_error"', done.stdout)


if __name__ == "__main__":
    unittest.main()
