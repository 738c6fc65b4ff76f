#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every program of `./dev bench --peers` still delivers, says the judge; the judge still finds what is wrong; results are kept."""
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import results  # noqa: E402
from contenders import AzureSdk, AzureSdkAlone, Judge, Mosquitto, PahoC, PahoPython, Sqlite, Tidegate, TidegateFleet  # noqa: E402
from peers import ROOMY, Trial  # noqa: E402
from peers_table import better, peers_table  # noqa: E402
from rig import BENCH, Broker, wait_until  # noqa: E402
from harness import Stage  # noqa: E402
from hub import Hub  # noqa: E402
from pki import Pki  # noqa: E402
from service_link import PASSWORD  # noqa: E402

COUNT = 200


class WithStore(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.broker = Broker(cls.stage)

    def judge(self):
        judge = Judge(self.stage, self.broker.plain_port)
        self.addCleanup(judge.stop)
        return judge

    def test_each_delivers_what_it_accepted(self):
        for kind in (Tidegate, Sqlite, Mosquitto, PahoC):
            with self.subTest(kind.key):
                judge = self.judge()
                one = kind(self.stage, "smoke", self.broker.port, self.broker.ca, 0, COUNT)
                heard = judge.until(COUNT, 30)
                self.assertEqual([heard[key] for key in ("distinct", "missing", "twice", "late", "changed")], [COUNT, 0, 0, 0, 0],
                                 one.process.report())
                wait_until(lambda: one.accepted() == COUNT, 30, f"{kind.key} to say that it has accepted all")
                self.assertGreater(one.resident(), 1e6)
                self.assertGreater(one.written(), 0)
                one.stop()

    def test_a_restart_goes_on_behind_what_was_accepted(self):
        for kind in (Sqlite, PahoC):
            with self.subTest(kind.key):
                judge = self.judge()
                one = kind(self.stage, "again", self.broker.port, self.broker.ca, 100)
                judge.until(20, 30)
                one.kill()
                one.start()
                had = one.accepted()
                wait_until(lambda: judge.heard()["highest"] > had + 20, 30, "it to go on")
                self.assertEqual([judge.heard(had)[key] for key in ("missing", "changed")], [0, 0])
                one.stop()

    def test_the_judge_finds_what_is_wrong(self):
        judge = self.judge()
        for body in ('{"seq":1}', '{"seq":2,"a":1}', '{"seq":5}', '{"seq":4}', '{"seq":2,"a":1}', '{"seq":2,"a":2}', "hello"):
            subprocess.run(["/usr/bin/mosquitto_pub", "-p", str(self.broker.plain_port), "-q", "1", "-t", "x", "-m", body], check=True)
        heard = judge.until(4, 30)
        wait_until(lambda: judge.heard()["messages"] == 6, 30, "all six")
        heard = judge.heard()
        self.assertEqual([heard[key] for key in ("distinct", "missing", "twice", "late", "changed", "highest")], [4, 1, 2, 1, 1, 5])
        self.assertEqual(judge.heard(7)["missing"], 3)

    def test_the_yardstick(self):
        out = subprocess.run([os.path.join(BENCH, "bare_mosquitto"), str(self.broker.port), self.broker.ca, str(COUNT), "195"], check=True,
                             capture_output=True)
        self.assertEqual(json.loads(out.stdout)["messages"], COUNT)


class AtAHub(unittest.TestCase):
    def test_each_fleet_delivers(self):
        with Stage() as stage:
            pki = Pki(stage.path("pki"))
            for device in ("d0", "d1"):
                pki.add(device, "sas")
            hub = Hub(stage, pki, mosquitto=ROOMY)
            login = ("service", stage.write("password", PASSWORD))
            for kind in (TidegateFleet, AzureSdk, PahoPython):
                with self.subTest(kind.key):
                    fleet = kind(stage, f"smoke {kind.key}", hub, ["d0", "d1"])
                    judge = Judge(stage, hub.service_port, 1, login)
                    fleet.rate(100)
                    heard = judge.until(COUNT, 30)
                    self.assertEqual([heard[key] for key in ("streams", "missing", "twice", "changed")], [2, 0, 0, 0], fleet.process.report())
                    self.assertGreaterEqual(heard["distinct"], COUNT)
                    fleet.stop()
                    judge.stop()

    def test_the_sdk_behind_a_line_that_can_be_cut(self):
        with Stage() as stage:
            trial = Trial(stage, AzureSdkAlone, "smoke")
            trial.judge.until(COUNT, 30)
            self.assertGreaterEqual(trial.one.accepted(), COUNT)
            self.assertEqual(trial.judge.heard()["missing"], 0)
            trial.finish()


class Kept(unittest.TestCase):
    """results.py and the table, without a run."""

    def found(self, *rows, date="2026-01-02", **more):
        lines = [{"key": f"b: {name}", "what": name, "reach": ">= 1", "got": f"{value:.2f} (of x)", "ok": ok, kind: value}
                 for name, kind, value, ok in rows]
        return {"date": date, "commit": "abc", "machine": "one", "load": 0, "lines": lines, **more}

    def test_an_earlier_run(self):
        before = self.found(("same", "ratio", 1.0, True), ("slow", "ratio", 1.0, True), ("lost", "count", 0, True), ("gone", "count", 0, True),
                            ("bad", "ratio", 2.0, True))
        after = self.found(("same", "ratio", 1.05, True), ("slow", "ratio", 0.8, True), ("lost", "count", 3, True), ("bad", "ratio", 0.5, False),
                           ("more", "count", 1, True))
        text = results.differences(before, after)
        self.assertEqual([line.split()[0] for line in text], ["MISSED", "ratio", "count", "new", "gone"])
        self.assertIn("slow: 1.00 -> 0.80 (-20%)", text[1])
        self.assertEqual(results.differences(before, before), [])

    def test_a_line_has_the_same_key_with_other_numbers(self):
        results.begin("single")
        self.assertEqual(results.key_of("1,000 sessions of 194 B"), results.key_of("20 sessions of 7 B"))

    def test_the_page(self):
        with Stage() as stage:
            page = stage.write("page.md", "before\n<!-- measured: written by ./dev bench -->\nold\n<!-- /measured -->\nafter\n")
            results.write_page(self.found(("a ratio", "ratio", 1.5, True), ("another", "ratio", 0.5, False)), page)
            with open(page, encoding="utf-8") as file:
                text = file.read()
            self.assertEqual(text.splitlines()[0::len(text.splitlines()) - 1], ["before", "after"])
            self.assertIn("One run on 2026-01-02 of abc: one, Debian 12.\n", text)
            self.assertIn("| a ratio | ≥ 1 | **1.50** (of x) |\n| another | ≥ 1 | **0.50** (of x), not reached |\n", text)
            self.assertNotIn("old", text)
            with self.assertRaisesRegex(ValueError, "markers"):
                results.write_page(self.found(peers={"rows": []}), page)

    def test_the_table_says_who_is_better(self):
        rows = [{"what": "lost", "form": "{:,}", "less": True, "values": {"tidegate": 0, "paho_bridge": 7}},
                {"what": "samples/s", "form": "{:,.0f}", "less": False, "values": {"tidegate": 1000, "paho_bridge": 1500}},
                {"what": "near", "form": "{:.0f}", "less": True, "values": {"tidegate": 100, "paho_bridge": 95}}]
        self.assertEqual(better(rows), [("Paho C", "samples/s: 1,500 against 1,000")])
        table = "\n".join(peers_table({"rows": rows}))
        self.assertIn("| what | tidegate | Paho C |", table)
        self.assertIn("| samples/s | 1,000 | **1,500** (×1.5) |", table)
        self.assertIn("- Paho C: samples/s: 1,500 against 1,000", table)


if __name__ == "__main__":
    unittest.main(verbosity=2)
