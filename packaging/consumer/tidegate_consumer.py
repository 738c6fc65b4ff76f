#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tidegate_consumer - the cloud's side of what tidegate promises: duplicates by (device, seq) out, holes in seq found, and each hole
checked against the gap records that the gateway sent. For messages in `format: json`; Python 3.9 or newer, nothing else.

    consumer = Consumer(cloud="hub")              # the cloud's name in the gateway's configuration
    for sample in body if isinstance(body, list) else [body]:
        if consumer.take("meter-1", sample):      # True: new, use it. False: had it before, or it is a gap record
            store("meter-1", sample)
    consumer.devices["meter-1"].verdict()         # {"received": …, "missing": …, "explained": …, "unexplained": [[17, 18]], …}

The account of a device is a few ranges, not a set of numbers: it stays small for years. state() gives it as JSON types and
Consumer.from_state() takes it up again, so it can be kept beside the data, best in the same transaction.

What may be missing: between the first and the last number of a gap record's range, up to `count` numbers. A hole beyond these was
not told (yet): the record comes behind the backlog that was waiting when the link came back.

By hand:   mosquitto_sub -t 'tidegate/+/data' -F '%t %p' | tidegate_consumer.py --cloud broker
"""
import argparse
import bisect
import json
import sys


class Ranges:
    """A set of whole numbers as disjoint ranges in order, [[first, last], …]."""

    def __init__(self, ranges=()):
        self.ranges = [list(pair) for pair in ranges]

    def __contains__(self, number):
        at = bisect.bisect_right(self.ranges, [number, float("inf")]) - 1
        return at >= 0 and number <= self.ranges[at][1]

    def __len__(self):
        return sum(last - first + 1 for first, last in self.ranges)

    def add(self, first, last=None):
        last = first if last is None else last
        low = bisect.bisect_left(self.ranges, [first, 0])
        if low > 0 and self.ranges[low - 1][1] >= first - 1:
            low -= 1
        high = low
        while high < len(self.ranges) and self.ranges[high][0] <= last + 1:
            first, last = min(first, self.ranges[high][0]), max(last, self.ranges[high][1])
            high += 1
        self.ranges[low:high] = [[first, last]]

    def holes(self, first=None):
        """What is missing between `first` (None: the lowest) and the highest number."""
        found = []
        at = first if first is not None else self.ranges[0][0] if self.ranges else 0
        for low, high in self.ranges:
            if low > at:
                found.append([at, low - 1])
            at = max(at, high + 1)
        return found

    def minus(self, ranges):
        """These numbers without those of `ranges`."""
        left = []
        for first, last in self.ranges:
            for low, high in sorted(map(list, ranges)):
                if high < first or low > last:
                    continue
                if low > first:
                    left.append([first, low - 1])
                first = high + 1
            if first <= last:
                left.append([first, last])
        return Ranges(left)


class Device:
    """What came from one device. `first`: the number it began with; None: whatever came first."""

    def __init__(self, first=None):
        self.first, self.seen, self.gaps = first, Ranges(), []
        self.duplicates = 0

    def take(self, sample, cloud):
        seq = sample["seq"]
        if seq in self.seen:
            self.duplicates += 1
            return False
        self.seen.add(seq)
        gap = sample.get("gap")
        if gap is None:
            return True
        if gap["cloud"] == cloud:  # another cloud's loss is not ours
            self.gaps.append(gap)
        return False

    def verdict(self):
        missing = Ranges(self.seen.holes(self.first))
        told = Ranges()
        for gap in self.gaps:
            told.add(gap["first_seq"], gap["last_seq"])
        unexplained = missing.minus(told.ranges)
        # A range may hold numbers that did arrive; how many are lost in all the ranges is said by their counts.
        beyond = max(0, len(missing) - len(unexplained) - sum(gap["count"] for gap in self.gaps))
        return {"received": len(self.seen), "duplicates": self.duplicates, "missing": len(missing),
                "explained": len(missing) - len(unexplained) - beyond, "told": sum(gap["count"] for gap in self.gaps),
                "reasons": sorted({reason for gap in self.gaps for reason in gap["reasons"]}),
                "unexplained": unexplained.ranges, "beyond_count": beyond}

    @property
    def sound(self):
        verdict = self.verdict()
        return not verdict["unexplained"] and verdict["beyond_count"] == 0


class Consumer:
    def __init__(self, cloud, first=None):
        self.cloud, self.first, self.devices = cloud, first, {}

    def take(self, device, sample):
        """True when the sample is new and is one (not a gap record)."""
        return self.devices.setdefault(device, Device(self.first)).take(sample, self.cloud)

    def state(self):
        return {"cloud": self.cloud, "first": self.first,
                "devices": {name: {"first": device.first, "seen": device.seen.ranges, "gaps": device.gaps, "duplicates": device.duplicates}
                            for name, device in self.devices.items()}}

    @classmethod
    def from_state(cls, state):
        consumer = cls(state["cloud"], state["first"])
        for name, kept in state["devices"].items():
            device = consumer.devices[name] = Device(kept["first"])
            device.seen, device.gaps, device.duplicates = Ranges(kept["seen"]), list(kept["gaps"]), kept["duplicates"]
        return consumer


def main():
    parser = argparse.ArgumentParser(description="Reads lines `TOPIC BODY` (mosquitto_sub -F '%%t %%p'), says at the end what came of each "
                                                 "device. Exit 1: a hole is not explained.")
    parser.add_argument("--cloud", required=True, help="the cloud's name in the gateway's configuration")
    parser.add_argument("--level", type=int, default=1, help="which level of the topic is the device (from 0; default 1)")
    parser.add_argument("--first", type=int, help="the number that each device began with; default: whatever comes first")
    arguments = parser.parse_args()
    consumer = Consumer(arguments.cloud, arguments.first)
    try:
        for line in sys.stdin:
            topic, _, text = line.partition(" ")
            body = json.loads(text)
            for sample in body if isinstance(body, list) else [body]:
                consumer.take(topic.split("/")[arguments.level], sample)
    except KeyboardInterrupt:
        pass
    for name, device in sorted(consumer.devices.items()):
        print(json.dumps({"device": name, **device.verdict()}))
    return 0 if all(device.sound for device in consumer.devices.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
