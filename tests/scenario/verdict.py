# SPDX-License-Identifier: GPL-2.0-or-later
"""verdict - did everything that was accepted arrive? Computed from what the broker received, not from what was sent.

For each device, of the samples up to a seq that the gateway said was accepted: every seq from 1 on is there (none lost),
a repeated seq has the same body (duplicates are counted and allowed), and first deliveries came in order.
"""
import base64
import json


class Row:
    def __init__(self, device, collected):
        self.device, self.collected = device, collected
        self.delivered = self.duplicates = self.beyond = 0
        self.missing = []      # seqs that did not arrive
        self.conflicts = []    # seqs that arrived with two bodies
        self.out_of_order = 0  # first deliveries behind a higher seq

    @property
    def lost(self):
        return self.collected - self.delivered

    @property
    def holds(self):
        return self.collected > 0 and self.lost == 0 and not self.conflicts and self.out_of_order == 0


def samples(entry):
    """The samples of one recorded message, oldest first."""
    text = entry["payload"] if "payload" in entry else base64.b64decode(entry["payload_b64"]).decode()
    body = json.loads(text)
    return [item for item in (body if isinstance(body, list) else [body]) if "seq" in item]


def judge(record, accounts):
    """A row a device; accounts is {device: highest seq that the gateway accepted}, record the hub's Record."""
    rows = []
    for device, last in accounts.items():
        row = Row(device, last)
        seen, highest = {}, 0
        for entry in record.telemetry(device):
            for sample in samples(entry):
                seq = sample["seq"]
                if seq in seen:
                    row.duplicates += 1
                    if seen[seq] != sample:
                        row.conflicts.append(seq)
                    continue
                seen[seq] = sample
                row.out_of_order += seq < highest
                highest = max(highest, seq)
        row.delivered = sum(1 for seq in seen if 1 <= seq <= last)
        row.beyond = sum(1 for seq in seen if seq > last)
        row.missing = [seq for seq in range(1, last + 1) if seq not in seen]
        rows.append(row)
    return rows


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
    return all(row.lost == 0 for row in judge(record, accounts))
