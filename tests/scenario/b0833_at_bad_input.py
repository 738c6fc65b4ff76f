#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a device gets wrong is a counted, named error and never a value; a device that flaps does not fill the log, one that floods does
not hold the gateway; lengths that lie, prompts too early, a hang-up in the middle of an answer."""
import unittest

from at_support import DOWN, OK, Probe, point
from harness import Stage, wait_until

RAW = {"line": ("AT+READ=0", r"^\+READ: ", {}), "quoted": ("AT+USORD=0,64", r"^\+USORD: 0,", {"payload_field": 1}),
       "block": ("AT+USORB=0", r"^\+USORB:0,", {})}


class BadInput(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)
        self.device = self.stage.peer("at_device.py", "--link", self.stage.path("port"))

    def probe(self, *points, **more):
        return Probe(self.stage, self.stage.path("port"), *points,
                     **{"pause": "2ms", "timeout": "150ms", "init": ["ATE0"], "urc_prefixes": ["+NOISE:"], **more})

    def errors(self, probe):
        status, answer = probe.ask("call stats", 40)
        self.assertEqual(status, 0)
        return {name: count for name, count in answer["errors"].items() if count}

    def test_lengths_that_lie(self):
        points = []
        for name, (command, match, more) in RAW.items():
            points += point(name, 30, command=command, match=match, payload=name, type="text", **more)
        points += point("state", 30, command="AT+STATE?", match=r"^\+STATE: (\w+)$", type="text")
        probe = self.probe(*points)
        for name in RAW:
            self.assertEqual(probe.wait_value(name), "HELLO")
        for lie, quality in (("shorter", "comm"), ("word", None), ("longer", "timeout"), ("huge", None)):
            self.device.command(f"lie {lie}")
            since = len(probe.said)
            for name in RAW:
                wait_until(lambda name=name: [q for q in probe.qualities(name, since) if quality in (None, q)], 40,
                           f"{name} with {lie} lengths")
            self.device.command("lie off")
            since = len(probe.said)
            for name in RAW:
                probe.wait_value(name, since=since, seconds=40)
            probe.wait_value("state", since=since, seconds=40)
        for name in RAW:
            self.assertEqual(set(probe.values(name)), {"HELLO"}, "half a payload is no value")
        self.assertEqual(set(probe.values("state")), {"OPEN"})
        errors = self.errors(probe)
        self.assertGreater(errors["payload_length"], 0)
        self.assertGreater(errors["timeout"], 0)
        self.device.command(f"data {'41' * 5000}")
        since = len(probe.said)
        probe.wait_quality("line", "range", since, 40)
        self.assertGreater(self.errors(probe)["payload_size"], 0)
        probe.finish()

    def test_the_log_is_not_filled(self):
        probe = self.probe(*point("odd", 5, command="AT+STATE?", match=r"^\+STATE: (\d+)$"),
                           *point("none", 5, command="AT+NONE?", match="(.*)"),
                           *point("word", 5, command="AT+STATE?", match=r"^\+STATE: (\w+)$", type="int"))
        wait_until(lambda: len(probe.qualities("none")) > 200, 40, "200 bad polls")
        errors = self.errors(probe)
        for kind in ("no_match", "error", "type"):
            self.assertGreater(errors[kind], 100)
        logs = probe.logs()
        self.assertLess(len(logs), 15, logs)
        for text in ("fits its pattern", 'answered "ERROR"', "is not of its type"):
            self.assertEqual(len([line for line in logs if text in line]), 3, logs)
        self.assertFalse(probe.values("odd") + probe.values("none") + probe.values("word"))
        probe.finish()

    def test_flood(self):
        probe = self.probe(*point("state", 50, command="AT+STATE?", match=r"^\+STATE: (\w+)$", type="text"),
                           *point("noise", 0, urc=r"^\+NOISE: (\d+)$", type="int"), urc_limit=20)
        probe.wait_value("state")
        self.device.command("flood 600")
        probe.wait_log("the device sends more than", seconds=40)
        probe.wait_log("unasked lines a second", seconds=40)
        probe.tell("stats")
        since = len(probe.said)
        probe.wait_value("state", since=since, seconds=60)  # and it is heard again
        errors = self.errors(probe)
        self.assertGreater(errors["flood"], 0)
        self.assertGreater(errors["urc_flood"], 1000)
        self.assertLess(len(probe.values("noise")), 1000)
        probe.finish()

    def test_prompts_and_hang_ups(self):
        probe = self.probe(*point("state", 20, command="AT+STATE?", match=r"^\+STATE: (\w+)$", type="text"))
        probe.wait_value("state")
        self.device.command("early on")
        since = len(probe.said)
        wait_until(lambda: len(probe.values("state", since)) > 5, 40, "values behind early prompts")
        self.device.command("early off")
        for cut in (1, 14):
            since = len(probe.said)
            self.device.command(f"hang {cut}")
            probe.wait_state(DOWN, since, 40)
            self.device.command("plug")
            probe.wait_state(OK, since, 40)
        self.assertEqual(set(probe.values("state")), {"OPEN"})
        probe.finish()


if __name__ == "__main__":
    unittest.main()
