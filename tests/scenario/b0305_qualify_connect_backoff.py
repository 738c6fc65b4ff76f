#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Connect retries without CONNACK: they go on, the wait grows exponentially to its limit with jitter, the devices do not move in step, and
when the broker answers again everything arrives."""
from harness import Stage, wait_until
from qualify import online, pauses, start

BASE_MS, CAP_MS, SLACK_MS, TRIES = 100, 1600, 5000, 7  # slack: a machine on which the broker sees late what came
DEVICES = [f"meter-{n}" for n in range(8)]

with Stage() as stage:
    broker = stage.peer("bad_broker.py")
    broker.command("connack never")
    gateway = start(stage, broker, DEVICES, every="200ms", connect_timeout="1s", min_backoff=f"{BASE_MS}ms", max_backoff=f"{CAP_MS}ms")
    wait_until(lambda: len(pauses(broker)) == len(DEVICES) and all(len(waits) >= TRIES for waits in pauses(broker).values()), 60,
               f"{TRIES} retries of each device")
    waited = {client: waits[:TRIES] for client, waits in pauses(broker).items()}
    for client, waits in waited.items():
        print(client, waits)
        for n, wait in enumerate(waits):
            limit = min(CAP_MS, BASE_MS << n)
            assert wait <= limit + SLACK_MS, f"{client}: retry {n + 1} after {wait} ms, at most {limit} ms were due"
    # Full jitter: each wait is anywhere below its limit. Over eight devices chance does not hide what a fixed or linear wait would show.
    late = [wait for waits in waited.values() for wait in waits[-2:]]
    early = [waits[0] for waits in waited.values()]
    assert sum(late) > 2 * sum(early), f"the waits do not grow: first {early}, last {late}"
    assert max(late) > 4 * BASE_MS, f"the waits stay at their first length: {late}"
    assert max(late) - min(late) > CAP_MS // 4, f"the waits have no jitter: {late}"
    assert len({tuple(waits) for waits in waited.values()}) == len(DEVICES), "devices move in step"
    failures = gateway.session(DEVICES[0], "broker")
    assert "no CONNACK within" in failures["last_error"], failures
    broker.command("connack 0")
    online(gateway, DEVICES)
    last = gateway.accounts()
    for device in DEVICES:
        wait_until(lambda: gateway.session(device, "broker")["acked_seq"] >= last[device], 30, f"all samples of {device}")
    assert gateway.stop() == 0
