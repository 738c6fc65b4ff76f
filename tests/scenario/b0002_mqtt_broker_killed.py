#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A mosquitto killed with a full window comes back: with the session, the same ids with DUP before anything new;
without it, the same ids without DUP; and no message is missing."""
import os

from mqtt_support import Mosquitto, Probe, check, run

WINDOW = 20
FIRST = 500  # quiet before the first kill
MORE = 300   # for each outage


def outage(broker, probe, first, keep_session):
    """Freezes the broker, so that the window fills; kills it; starts it again. Returns the ids that were in flight."""
    if keep_session:
        broker.save()
    broker.freeze()
    probe.say(f"publish t/probe {first} {MORE} 200")
    probe.expect(f"window-full in_flight={WINDOW}")
    broker.kill()
    probe.expect(f"closed in_flight={WINDOW} .*")
    if not keep_session:
        os.remove(broker.database)
    broker.start()
    before = len(broker.received("probe"))
    probe.say(f"connect {broker.port} probe keep 60")
    probe.expect(f"connected session={int(keep_session)} rc=0")
    for tag in range(first, first + WINDOW):
        probe.expect(f"resent tag={tag}", skip="$")
    probe.expect("idle")
    return broker.received("probe")[before:]


def scenario(program, directory, stack):
    broker = Mosquitto(directory)
    stack.append(broker)
    broker.start()
    probe = Probe(program, WINDOW)
    stack.append(probe)
    probe.say(f"connect {broker.port} probe keep 60")
    probe.expect("connected session=0 rc=0")
    probe.say(f"publish t/probe 1 {FIRST} 200")
    probe.expect("idle")

    again = outage(broker, probe, FIRST + 1, keep_session=True)
    ids = list(range(FIRST + 1, FIRST + 1 + MORE))
    check(again == [(1, id) for id in ids[:WINDOW]] + [(0, id) for id in ids[WINDOW:]],
          f"with the session the broker saw {again[:WINDOW + 2]}…")

    again = outage(broker, probe, FIRST + MORE + 1, keep_session=False)
    ids = list(range(FIRST + MORE + 1, FIRST + 1 + 2 * MORE))
    check(again == [(0, id) for id in ids], f"without the session the broker saw {again[:WINDOW + 2]}…")

    acked = [line for line in probe.lines.seen if line.startswith("acked ")]
    check(len(acked) == FIRST + 2 * MORE, f"{len(acked)} acknowledged of {FIRST + 2 * MORE}")
    probe.end()


if __name__ == "__main__":
    raise SystemExit(run(scenario))
