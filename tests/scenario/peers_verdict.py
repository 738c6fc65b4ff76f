#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The judge of demo and scenarios sees a loss, a conflict and a wrong order, and allows a true repetition."""
import base64
import json
import unittest

from verdict import delivered, judge, ranges, table


class Record:
    """Stands for a hub's record."""

    def __init__(self):
        self.entries = []
        self.is_telemetry = lambda topic: "/events" in topic

    def read(self):
        return self.entries

    def publish(self, *seqs, value=1, topic="devices/d/messages/events/", single=False, packed=False):
        body = [{"seq": seq, "values": {"v": value}} for seq in seqs]
        text = json.dumps(body[0] if single else body)
        payload = {"payload_b64": base64.b64encode(text.encode()).decode()} if packed else {"payload": text}
        self.entries.append({"ev": "publish", "device": "d", "topic": topic, **payload})


class Verdict(unittest.TestCase):
    def setUp(self):
        self.record = Record()

    def row(self, last):
        return judge(self.record, {"d": last})[0]

    def test_all_there(self):
        self.record.publish(1, 2)
        self.record.publish(3, single=True)
        self.record.publish(4, packed=True)
        row = self.row(4)
        self.assertTrue(row.holds)
        self.assertEqual((row.collected, row.delivered, row.lost, row.duplicates, row.beyond), (4, 4, 0, 0, 0))
        self.assertTrue(delivered(self.record, {"d": 4}))

    def test_a_repetition_is_counted_and_allowed(self):
        self.record.publish(1, 2, 3)
        self.record.publish(2, 3, 4)
        row = self.row(3)
        self.assertTrue(row.holds)
        self.assertEqual((row.duplicates, row.beyond), (2, 1))

    def test_a_loss(self):
        self.record.publish(1, 2, 5)
        self.assertFalse(delivered(self.record, {"d": 5}))
        row = self.row(6)
        self.assertFalse(row.holds)
        self.assertEqual((row.delivered, row.missing), (3, [3, 4, 6]))
        self.assertIn("missing 3-4, 6", table([row]))
        self.record.publish(3, 4, 6)  # came late: delivered, but not in order
        self.assertTrue(delivered(self.record, {"d": 6}))
        self.assertEqual((self.row(6).lost, self.row(6).out_of_order, self.row(6).holds), (0, 2, False))

    def test_two_bodies_for_one_seq(self):
        self.record.publish(1)
        self.record.publish(1, value=2)
        row = self.row(1)
        self.assertEqual((row.conflicts, row.holds), ([1], False))

    def test_nothing_collected_is_no_success(self):
        self.assertFalse(self.row(0).holds)

    def test_what_is_no_telemetry_does_not_count(self):
        self.record.publish(1, topic="$iothub/twin/PATCH/properties/reported/?$rid=1")
        self.assertEqual(self.row(1).delivered, 0)

    def test_ranges(self):
        self.assertEqual(ranges([1, 2, 3, 7, 9, 10]), "1-3, 7, 9-10")


if __name__ == "__main__":
    unittest.main(verbosity=2)
