#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reconnects after the server has disconnected everybody, and on a connection that breaks again and again: spread by jitter, with waits that
grow as long as no connection holds; never all at once."""
from harness import Stage, wait_until
from proof import report
from qualify import online, pauses, start

BASE_MS, CAP_MS, SLACK_MS = 1000, 8000, 5000  # slack: a machine on which the broker sees late what came
DEVICES = [f"meter-{n:02d}" for n in range(20)]

with Stage() as stage:
    broker = stage.peer("bad_broker.py")
    gateway = start(stage, broker, DEVICES, every="500ms", min_backoff=f"{BASE_MS}ms", max_backoff=f"{CAP_MS}ms")
    online(gateway, DEVICES)
    for again in range(1, 4):
        broker.command("close")
        wait_until(lambda: len(pauses(broker)) == len(DEVICES) and all(len(waits) >= again for waits in pauses(broker).values()), 60,
                   f"everybody to be back, {again}")
        online(gateway, DEVICES)
    waits = pauses(broker)
    rounds = [sorted(times[n] for times in waits.values()) for n in range(3)]
    for n, times in enumerate(rounds):
        print(f"round {n + 1}: {times}")
        limit = min(CAP_MS, BASE_MS << n)
        assert times[-1] <= limit + SLACK_MS, f"round {n + 1}: a device waited {times[-1]} ms, at most {limit} ms were due"
        assert times[-1] - times[0] > limit // 3, f"round {n + 1}: no spread: {times}"
    # Uniform over four seconds: that half of them come within a tenth of that does not happen by chance.
    busiest = max(sum(begin <= time < begin + 400 for time in rounds[2]) for begin in rounds[2])
    assert busiest <= len(DEVICES) // 2, f"{busiest} of {len(DEVICES)} devices at once"
    assert sum(rounds[2]) > 1.5 * sum(rounds[0]), "on an unstable connection the waits do not grow"
    assert gateway.stop() == 0
    report("C10", "reconnect_jitter", 3 * len(DEVICES), 0, {"devices": len(DEVICES), "most_within_400_ms": busiest, "longest_wait_ms": max(map(max, rounds))},
           "A broker closes every connection, three times before one has held: each device waits anywhere below a limit that doubles, and they do not come back together")
