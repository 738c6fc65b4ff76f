#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The reference consumer by itself: ranges, duplicates, holes, gap records, its state; and as a command."""
import json
import os
import random
import subprocess
import sys
import unittest

FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "packaging", "consumer")
sys.path.insert(0, FOLDER)
from tidegate_consumer import Consumer, Ranges  # noqa: E402


def sample(seq):
    return {"ts": "2026-11-20T13:00:00.123Z", "seq": seq, "values": {"v": seq}}


def gap(seq, first, last, count, cloud="hub", reasons=("limit",)):
    return {"ts": "2026-11-20T13:00:00.123Z", "seq": seq,
            "gap": {"first_seq": first, "last_seq": last, "count": count, "reasons": list(reasons), "cloud": cloud}}


class RangesTest(unittest.TestCase):
    def test_against_a_set(self):
        chance = random.Random(1)
        for _ in range(200):
            ranges, numbers = Ranges(), set()
            for _ in range(60):
                first = chance.randrange(100)
                last = first + chance.choice((0, 0, 0, 3, 20))
                ranges.add(first, last)
                numbers.update(range(first, last + 1))
            self.assertEqual([n in ranges for n in range(130)], [n in numbers for n in range(130)])
            self.assertEqual(len(ranges), len(numbers))
            self.assertTrue(all(a[1] + 1 < b[0] for a, b in zip(ranges.ranges, ranges.ranges[1:])))
            holes = {n for low, high in ranges.holes(0) for n in range(low, high + 1)}
            self.assertEqual(holes, set(range(max(numbers))) - numbers)
            other = Ranges([[10, 20], [40, 70]])
            left = {n for low, high in ranges.minus(other.ranges).ranges for n in range(low, high + 1)}
            self.assertEqual(left, {n for n in numbers if n not in other})


class ConsumerTest(unittest.TestCase):
    def setUp(self):
        self.consumer = Consumer("hub", first=1)

    def take(self, *samples):
        return [self.consumer.take("m", each) for each in samples]

    def verdict(self):
        return self.consumer.devices["m"].verdict()

    def test_duplicates(self):
        self.assertEqual(self.take(sample(1), sample(2), sample(1), sample(3), sample(3)), [True, True, False, True, False])
        self.assertEqual((self.verdict()["duplicates"], self.verdict()["missing"]), (2, 0))
        self.assertTrue(self.consumer.devices["m"].sound)

    def test_a_hole_that_nobody_told_of(self):
        self.take(sample(1), sample(5))
        self.assertEqual(self.verdict()["unexplained"], [[2, 4]])
        self.assertFalse(self.consumer.devices["m"].sound)

    def test_a_hole_that_was_told(self):
        self.assertEqual(self.take(sample(1), sample(5), gap(6, 2, 4, 3)), [True, True, False])
        self.assertEqual((self.verdict()["explained"], self.verdict()["reasons"]), (3, ["limit"]))
        self.assertTrue(self.consumer.devices["m"].sound)
        self.take(gap(6, 2, 4, 3))  # once more: the same record
        self.assertEqual(self.verdict()["told"], 3)

    def test_another_clouds_loss(self):
        self.take(sample(1), sample(5), gap(6, 2, 4, 3, cloud="lake"))
        self.assertEqual(self.verdict()["unexplained"], [[2, 4]])

    def test_a_range_does_not_excuse_more_than_its_count(self):
        self.take(sample(1), sample(11), gap(12, 2, 10, 4))
        self.assertEqual((self.verdict()["unexplained"], self.verdict()["beyond_count"]), ([], 5))
        self.assertFalse(self.consumer.devices["m"].sound)

    def test_before_the_first(self):
        self.take(sample(3))
        self.assertEqual(self.verdict()["missing"], 2)
        late = Consumer("hub")
        late.take("m", sample(3))
        self.assertEqual(late.devices["m"].verdict()["missing"], 0)

    def test_state(self):
        self.take(sample(1), sample(5), gap(6, 2, 4, 3), sample(5))
        again = Consumer.from_state(json.loads(json.dumps(self.consumer.state())))
        self.assertEqual(again.devices["m"].verdict(), self.verdict())
        self.assertFalse(again.take("m", sample(5)))

    def test_command(self):
        lines = "".join(f"tidegate/m/data {json.dumps(body)}\n" for body in (sample(1), [sample(4), gap(5, 2, 3, 2)]))
        program = os.path.join(FOLDER, "tidegate_consumer.py")
        done = subprocess.run([sys.executable, program, "--cloud", "hub"], input=lines, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, json.loads(done.stdout)["explained"]), (0, 2), done.stderr)
        done = subprocess.run([sys.executable, program, "--cloud", "lake"], input=lines, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)


if __name__ == "__main__":
    unittest.main()
