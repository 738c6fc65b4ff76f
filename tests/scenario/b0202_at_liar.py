#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""2,000 interleaved commands with a device that lies in every way: no answer is given to another command."""
import unittest

from at_support import OK, Probe, point
from harness import Stage, wait_until

COMMANDS = 2000
LIES = {"silence": 0.002, "late": 0.003, "nofinal": 0.002, "garbage": 0.03, "endless": 0.02, "nul": 0.05, "urc": 0.1,
        "prompt": 0.03, "error": 0.03, "split": 0.1, "twice": 0.03, "lf": 0.05, "cr": 0.05, "quote": 0.003, "like": 0.05}
ECHOES = 6


class Liar(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)

    def test_liar(self):
        liar = self.stage.peer("at_liar.py", "--link", self.stage.path("port"), "--seed", 7)
        for name, share in LIES.items():
            liar.command(f"lie {name} {share}")
        liar.command("delay 0.3")
        points = []
        for i in range(ECHOES):
            points += point(f"echo{i}", 5, command=f"AT+ECHO={i}", match=r"^\+ECHO: (\d+)$", type="int")
        points += point("count", 5, command="AT+COUNT?", match=r"^\+COUNT: (\d+)$", type="int", urc=r"^\+COUNT: \d+,(urc)$")
        points += point("like", 0, urc=r"^\+COUNT: (\d+),urc$", type="int")
        points += point("level", 0, urc=r"^\+LEVEL: (\d+)$", type="int")
        points += point("none", 50, command="AT+NONE?", match=r"^\+NONE: (\d+)$", null="99")
        points += point("odd", 50, command="AT+ODD?", match=r"^\+ODD: (.*)$")
        points += point("out", 50, command="AT+OUT=1?", match=r"^\+OUT: (\d+)$", type="int", write="AT+OUT=1,{value}")
        probe = Probe(self.stage, self.stage.path("port"), *points, pause="3ms", timeout="150ms", init=["AT+CMEE=1"],
                      urc_prefixes=["+LIAR:", "RING", "+COUNT: 999999"])
        written = 0

        def enough():
            nonlocal written
            written += 1
            status, answer = probe.ask(f"write 0 11 {written % 7}")  # writes go between the polls
            self.assertIn(status, (0, -4, -6, -8), answer)
            return sum(liar.command("stats")["commands"].values()) > COMMANDS

        wait_until(enough, 75, f"{COMMANDS} commands")
        self.check(probe, liar)
        liar_says = liar.command("stats")
        for name in LIES:
            liar.command(f"lie {name} 0")
        since = len(probe.said)
        probe.wait_value("echo0", since=since)  # and it is whole again
        self.assertEqual([state for state in probe.states() if state == OK][-1:], [OK])
        probe.tell("stats")
        slowest = wait_until(lambda: [item["slowest_ms"] for item in probe.said if "slowest_ms" in item], 10, "stats")[0]
        probe.finish()
        print(f"{sum(liar_says['commands'].values())} commands, {liar_says['urcs']} URCs, {len(probe.samples())} samples, "
              f"slowest call {slowest} ms")

    def check(self, probe, liar):
        for i in range(ECHOES):
            values = probe.values(f"echo{i}")
            self.assertGreater(len(values), 50)
            self.assertEqual(set(values), {i})
        counts = [value for value in probe.values("count") if value is not None]
        self.assertEqual(counts, sorted(set(counts)), "a count came twice or out of order")
        given = liar.command("stats")["count"]  # not before: it goes on counting
        self.assertTrue(all(0 < count <= given for count in counts), (given, counts[-3:]))
        self.assertEqual(set(probe.values("like")), {999999})
        self.assertEqual(set(probe.values("none")) | set(probe.values("odd")), set(), "there is no value to be had")
        self.assertLessEqual(set(probe.values("out")), set(range(7)))
        self.assertTrue(all(0 <= level < 100 for level in probe.values("level")))
        good = sum(len(sample["values"]) for sample in probe.samples())
        bad = sum(1 for sample in probe.samples() for name in sample["quality"] if name not in ("none", "odd", "count"))
        self.assertGreater(good, 5 * bad, "most commands are answered well")


if __name__ == "__main__":
    unittest.main()
