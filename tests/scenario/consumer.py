# SPDX-License-Identifier: GPL-2.0-or-later
"""consumer - the reference consumer (packaging/consumer) behind a Broker: what integrators take is what judges here."""
import json
import os
import sys

from harness import SOURCE

sys.path.insert(0, os.path.join(SOURCE, "packaging", "consumer"))
from tidegate_consumer import Consumer  # noqa: E402


class Behind:
    """Takes what a broker heard on tidegate/DEVICE/data; `first` 1: nothing may be missing from the beginning on."""

    def __init__(self, broker, cloud, first=1):
        self.broker, self.read = broker, 0
        self.consumer = Consumer(cloud, first)
        self.samples = {}

    def look(self):
        messages = list(self.broker.messages)
        for topic, body in messages[self.read:]:
            levels = topic.split("/")
            if levels[0] != "tidegate" or levels[-1] != "data":
                continue
            parsed = json.loads(body)
            for sample in parsed if isinstance(parsed, list) else [parsed]:
                if self.consumer.take(levels[1], sample):
                    self.samples[levels[1]] = self.samples.get(levels[1], 0) + 1
        self.read = len(messages)
        return self.consumer.devices

    def verdict(self, device):
        devices = self.look()
        return devices[device].verdict() if device in devices else {"received": 0, "told": 0, "missing": 0, "unexplained": [], "reasons": []}

    def highest(self, device):
        devices = self.look()
        return devices[device].seen.ranges[-1][1] if device in devices else 0
