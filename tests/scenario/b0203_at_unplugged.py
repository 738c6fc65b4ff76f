#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A port that disappears is closed at once and opened again when it is back; a restarted device is initialised anew;
one that falls silent is down, and up again when it answers."""
import contextlib
import os
import unittest

from at_support import DOWN, OK, SUSPECT, Probe, point
from harness import Stage, wait_until

POINTS = [*point("count", 20, command="AT+COUNT?", match=r"^\+COUNT: (\d+)$", type="int"),
          *point("out", 0, write="AT+OUT=1,{value}")]


class Unplugged(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)
        self.port = self.stage.path("port")

    def liar(self):
        return self.stage.peer("at_liar.py", "--link", self.port)

    def probe(self):
        return Probe(self.stage, self.port, *POINTS, pause="2ms", timeout="100ms", init=["ATE0"])

    def fds(self, probe):
        folder, paths = f"/proc/{probe.child.pid}/fd", []
        for fd in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed since
                paths.append(os.readlink(f"{folder}/{fd}"))
        return paths

    def test_unplugged_and_back(self):
        probe = self.probe()  # the device is not there yet
        probe.wait_state(DOWN)
        probe.wait_log("cannot be opened: No such file or directory; is the device plugged in?")
        self.assertEqual(probe.qualities("count"), ["comm"])
        self.assertEqual(probe.ask("write 0 1 1")[0], -4)
        liar = self.liar()
        probe.wait_state(OK)
        probe.wait_value("count")
        for _ in range(2):
            since = len(probe.said)
            liar.command("unplug")
            probe.wait_state(DOWN, since)
            self.assertFalse([path for path in self.fds(probe) if path.startswith("/dev/pts")], "the port stays taken")
            self.assertEqual(probe.qualities("count", since)[-1:], ["comm"])
            self.assertTrue(any("was unplugged" in text for text in probe.logs(since)))
            liar.command("plug")
            probe.wait_state(OK, since)
            probe.wait_value("count", since=since)
        self.assertGreaterEqual(liar.command("stats")["commands"]["ATE"], 3)  # initialised each time
        since = len(probe.said)
        liar.command("boot")
        probe.wait_log("the device has restarted", since)
        wait_until(lambda: liar.command("stats")["commands"]["ATE"] >= 4, 20, "ATE0 after the restart")
        probe.wait_value("count", since=len(probe.said))
        values = probe.values("count")
        self.assertEqual(values, sorted(set(values)))
        probe.finish()

    def test_silence(self):
        liar = self.liar()
        probe = self.probe()
        probe.wait_value("count")
        liar.command("mute 100000")
        probe.wait_state(SUSPECT)
        probe.wait_quality("count", "timeout")
        probe.wait_state(DOWN)
        probe.wait_quality("count", "down")
        since = len(probe.said)
        self.assertEqual(probe.ask("write 0 1 1", 30)[0], -4)  # an answer comes, and nothing is sent later
        liar.command("mute 0")
        probe.wait_state(OK, since)
        probe.wait_value("count", since=since)
        self.assertEqual(liar.command("stats")["outputs"], {})
        back = next(i for i, item in enumerate(list(probe.said)) if i >= since and item.get("state") == OK)
        self.assertNotIn("timeout", probe.qualities("count", since, back), "a device that is down is not sampled")
        probe.finish()

    def test_two_programs_on_one_port(self):
        liar = self.liar()
        first = self.probe()
        first.wait_value("count")
        second = self.probe()
        second.wait_log("is in use by another program")
        since = len(first.said)
        first.wait_value("count", since=since)
        self.assertFalse(second.values("count"))
        first.finish()
        second.wait_state(OK)  # takes over
        second.finish()
        del liar

    def test_wrong_configuration(self):
        def refused(*words, **settings):
            probe = Probe(self.stage, self.port, *words, **settings)
            self.assertEqual(probe.wait(), 1)
            probe.reader.join(10)
            return probe.said[-1]["error"]

        good = {"command": "AT", "match": "(x)"}
        self.assertIn("is no rate", refused(baud=12345))
        self.assertIn("control character", refused(init=["AT\x01"]))
        self.assertIn("wrong at character 3", refused(*point("p", 1000, **{**good, "match": "(x"})))
        self.assertIn("group 2 does not exist", refused(*point("p", 1000, **good, group=2)))
        self.assertIn("needs `every`", refused(*point("p", 0, **good)))
        self.assertIn("needs `match`", refused(*point("p", 1000, command="AT")))
        self.assertIn("belongs to `command`", refused(*point("p", 1000, urc="(x)", match="(x)")))
        self.assertIn("needs `command`", refused(*point("p", 1000)))
        self.assertIn("no {value}", refused(*point("p", 1000, write="AT+X=1")))


if __name__ == "__main__":
    unittest.main()
