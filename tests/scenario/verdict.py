# SPDX-License-Identifier: GPL-2.0-or-later
"""verdict - did everything that was accepted arrive? Computed from what the broker received, not from what was sent.

For each device, of the samples up to a seq that the gateway said was accepted: every seq from 1 on is there (none lost),
a repeated seq has the same body (duplicates are counted and allowed), and first deliveries came in order.
"""
import base64
import json


class Row:
    def __init__(self, device, collected, account):
        self.device, self.collected = device, collected
        self.missing = [] if account.prefix >= collected else [
            seq for seq in range(account.prefix + 1, collected + 1) if seq not in account.seen]
        self.delivered = collected - len(self.missing)
        self.beyond = len(account.seen) - self.delivered  # accepted after the gateway was asked
        self.duplicates = account.duplicates
        self.gaps = account.gaps                  # what gap records said
        self.conflicts = account.conflicts        # seqs that arrived with two bodies
        self.out_of_order = account.out_of_order  # first deliveries behind a higher seq

    @property
    def lost(self):
        return len(self.missing)

    @property
    def holds(self):
        return self.collected > 0 and self.lost == 0 and not self.conflicts and self.out_of_order == 0


class Account:
    """What came from one device, sample by sample."""

    def __init__(self):
        self.seen = {}  # seq: a hash of the body
        self.prefix = self.highest = self.duplicates = self.out_of_order = 0
        self.conflicts, self.gaps = [], []

    def take(self, sample):
        seq, body = sample["seq"], hash(json.dumps(sample, sort_keys=True))
        if seq in self.seen:
            self.duplicates += 1
            if self.seen[seq] != body:
                self.conflicts.append(seq)
            return
        self.seen[seq] = body
        if "gap" in sample:
            self.gaps.append(sample["gap"])
        self.out_of_order += seq < self.highest
        self.highest = max(self.highest, seq)
        while self.prefix + 1 in self.seen:
            self.prefix += 1


class Ledger:
    """The accounts of all devices in a hub's Record; reads each entry once, so that it may be asked often."""

    def __init__(self, record):
        self.record, self.read = record, 0
        self.accounts = {}

    def account(self, device):
        entries = self.record.read()
        is_telemetry = getattr(self.record, "is_telemetry", lambda topic: "/messages/events/" in topic)  # other clouds, other topics
        for entry in entries[self.read:]:
            if entry["ev"] == "publish" and is_telemetry(entry["topic"]):
                account = self.accounts.setdefault(entry["device"], Account())
                for sample in samples(entry):
                    account.take(sample)
        self.read = len(entries)
        return self.accounts.setdefault(device, Account())


def samples(entry):
    """The samples of one recorded message, oldest first."""
    text = entry["payload"] if "payload" in entry else base64.b64decode(entry["payload_b64"]).decode()
    body = json.loads(text)
    return [item for item in (body if isinstance(body, list) else [body]) if "seq" in item]


def ledger_of(record):
    if not hasattr(record, "ledger"):
        record.ledger = Ledger(record)
    return record.ledger


def judge(record, accounts):
    """A row a device; accounts is {device: highest seq that the gateway accepted}, record the hub's Record."""
    return [Row(device, last, ledger_of(record).account(device)) for device, last in accounts.items()]


def ranges(numbers):
    """[1, 2, 3, 7] → "1-3, 7", for people."""
    spans = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


def table(rows):
    lines = [f"{'DEVICE':<16} {'COLLECTED':>10} {'DELIVERED':>10} {'LOST':>6} {'DUPLICATES':>11}  SEQUENCE"]
    for row in rows:
        faults = []
        if row.missing:
            faults.append(f"missing {ranges(row.missing[:50])}")
        if row.conflicts:
            faults.append(f"two bodies for {ranges(sorted(set(row.conflicts))[:50])}")
        if row.out_of_order:
            faults.append(f"{row.out_of_order} out of order")
        if row.collected == 0:
            faults.append("nothing was collected")
        lines.append(f"{row.device:<16} {row.collected:>10} {row.delivered:>10} {row.lost:>6} {row.duplicates:>11}  "
                     f"{'; '.join(faults) or f'1-{row.collected} without a hole, in order'}")
    return "\n".join(lines)


def delivered(record, accounts):
    """Whether everything has arrived; for waiting."""
    return all(ledger_of(record).account(device).prefix >= last for device, last in accounts.items())
