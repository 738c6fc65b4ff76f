#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`baud: auto` finds the rate at which a device answers, remembers it, and searches again when the device has changed its own."""
import unittest

from at_support import DOWN, Probe, point
from harness import Stage

POINT = point("state", 50, command="AT+STATE?", match=r"^\+STATE: (\w+)$", type="text")


class Baud(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)

    def device(self, baud):
        return self.stage.peer("at_device.py", "--link", self.stage.path("port"), "--baud", baud)

    def probe(self, **settings):
        return Probe(self.stage, self.stage.path("port"), *POINT, pause="2ms", timeout="200ms", init=["ATE0"], **settings)

    def test_found_and_remembered(self):
        device = self.device(9600)
        probe = self.probe(baud="auto", baud_candidates=["115200", "9600", "38400"])
        probe.wait_log("answers at 9600 baud", seconds=40)
        self.assertEqual(probe.wait_value("state"), "OPEN")
        since = len(probe.said)  # opened anew: at once at the rate of last time
        device.command("unplug")
        probe.wait_state(DOWN, since)
        device.command("plug")
        probe.wait_value("state", since=since, seconds=40)
        self.assertFalse([text for text in probe.logs(since) if "baud" in text])
        status, answer = probe.ask("call stats")
        self.assertEqual((status, answer["baud"]), (0, 9600))
        since = len(probe.said)
        device.command("baud 38400")
        probe.wait_log("answers at 38400 baud", since, 60)
        probe.wait_value("state", since=len(probe.said), seconds=40)
        probe.finish()

    def test_none(self):
        self.device(57600)
        probe = self.probe(baud="auto", baud_candidates=["115200", "9600"])
        probe.wait_state(DOWN, seconds=40)
        probe.wait_log("AT at every rate")
        self.assertFalse(probe.values("state"))
        probe.finish()

    def test_wrong_rates(self):
        for settings in ({"baud": "12345"}, {"baud": "fast"}, {"baud": "auto", "baud_candidates": ["9600", "1x"]}):
            probe = self.probe(**settings)
            self.assertEqual(probe.wait(), 1)
            probe.reader.join(10)
            self.assertIn("is no rate", probe.said[-1]["error"])


if __name__ == "__main__":
    unittest.main()
