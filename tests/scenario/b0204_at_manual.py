#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the manual of the AT source shows is true: its example is good, its profiles are, wrong entries are shown with
line and column, and `tidegate decode at` says what the manual says it says."""
import json
import os
import re
import shlex
import subprocess
import unittest

from harness import BUILD, SOURCE, Stage, vectors

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

    def test_decode_transcripts(self):
        """Each transcript of one command that needs no clock: what the core says of it, the command line says too."""
        with open(vectors("southbound/at_transcripts.json"), encoding="utf-8") as file:
            known = json.load(file)["vectors"]
        tried = 0
        for vector in known:
            steps = vector.get("steps", [])
            commands = [step for step in steps if "command" in step]
            received = "".join(step.get("rx", "") for step in steps)
            if len(commands) != 1 or any("rx_repeat" in step for step in steps) or {"prompt", "payload"} & set(commands[0]):
                continue
            want = vector["expect"]["results"][0]
            if want["status"] == "timeout":
                continue
            command = commands[0]["command"]
            if command in received:  # the echo is dropped by the core too
                received = received.replace(command, "", 1)
            path = self.stage.path("transcript")
            with open(path, "wb") as file:
                file.write(received.encode("latin-1"))
            urcs = [word for prefix in vector.get("urc_prefixes", []) for word in ("--urc", prefix)]
            numeric = ["--numeric"] if vector.get("config", {}).get("numeric_results") else []
            numeric += ["--match", commands[0]["response_regex"], "--group", "0"] if "response_regex" in commands[0] else []
            done = tidegate("decode", "at", "--json", "--command", command, *urcs, *numeric, "--file", path)
            got = json.loads(done.stdout)["exchanges"][0]
            self.assertEqual((got["status"], got["lines"]), (want["status"], want.get("lines", got["lines"])), vector["id"])
            tried += 1
        self.assertGreater(tried, 15)


if __name__ == "__main__":
    unittest.main()
