#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A device that answers nothing gets AT, ESC, +++ and a dropped DTR before its port is opened anew; one stuck in data mode is brought back
by them; a gateway that may not touch DTR does not."""
import os
import unittest

from at_support import BUILD, DOWN, Probe, point
from harness import Stage, wait_until

# LD_PRELOAD takes no path with a space in it, LD_LIBRARY_PATH does.
SHIM = {"LD_LIBRARY_PATH": os.path.join(BUILD, "tests"), "LD_PRELOAD": "libmodem_lines.so"}
POINT = point("state", 50, command="AT+STATE?", match=r"^\+STATE: (\w+)$", type="text")


class LastResorts(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)
        self.device = self.stage.peer("at_device.py", "--link", self.stage.path("port"))

    def lines(self):
        path = self.stage.path("lines")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="ascii") as file:
            return file.read()

    def probe(self, **settings):
        return Probe(self.stage, self.stage.path("port"), *POINT, pause="2ms", timeout="100ms",
                     env={**SHIM, "MODEM_LINES": self.stage.path("lines")}, **settings)

    def test_dtr(self):
        self.device.command("online on")
        self.device.command("escape off")
        probe = self.probe()
        wait_until(lambda: self.lines().startswith("-+"), 60, "DTR to be dropped, and raised when the port is opened again")
        heard = bytes.fromhex(self.device.command("stats")["online"])
        first = heard[:heard.index(b"+++") + 6]
        self.assertEqual(first, b"AT\rAT\r\x1bAT\r+++AT\r")
        self.device.command("online off")
        self.assertEqual(probe.wait_value("state", seconds=60), "OPEN")
        probe.finish()

    def test_escape(self):
        self.device.command("online on")
        probe = self.probe(dtr_reset="false")
        self.assertEqual(probe.wait_value("state", seconds=60), "OPEN")  # +++ was enough
        self.assertNotIn(DOWN, probe.states())
        self.assertEqual(self.lines(), "")
        probe.finish()

    def test_without_dtr(self):
        self.device.command("online on")
        self.device.command("escape off")
        probe = self.probe(dtr_reset="false")
        wait_until(lambda: self.device.command("stats")["online"].count(b"+++".hex()) >= 2, 60, "a second round")
        self.assertEqual(self.lines(), "")
        probe.finish()


if __name__ == "__main__":
    unittest.main()
