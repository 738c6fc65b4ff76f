#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""aedes, a broker of another origin: a publish window, a connection that the broker cuts with acknowledgements
owed, the session resumed with the same ids and DUP, a command redelivered, and a refused subscription."""
import os

from mqtt_support import Aedes, Probe, check, run

WINDOW = 20
COUNT = 300


def scenario(program, directory, stack):
    del directory
    broker = Aedes(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers", "node"))
    stack.append(broker)
    probe = Probe(program, WINDOW)
    stack.append(probe)
    probe.say(f"connect {broker.port} probe keep 60")
    probe.expect("connected session=0 rc=0")
    probe.say("subscribe down/# 1")
    probe.expect("suback code=1")
    probe.say("subscribe forbidden/# 1")
    probe.expect("suback code=128")
    probe.say(f"publish t/probe 1 {COUNT} 200")
    probe.expect("idle")

    broker.say("hold")  # no more PUBACKs
    broker.say("send down/probe one")
    probe.say("hold")
    probe.expect(r"message id=\d+ qos=1 dup=0 down/probe one")
    probe.say(f"publish t/probe {COUNT + 1} {COUNT} 200")
    probe.expect(f"window-full in_flight={WINDOW}")
    broker.say("cut")
    probe.expect(f"closed in_flight={WINDOW} by the broker")
    broker.say("release")
    probe.say(f"connect {broker.port} probe keep 60")
    probe.expect("connected session=1 rc=0")
    probe.expect("idle")
    commands = [line for line in probe.lines.seen if line.startswith("message ")]
    # aedes delivers again under the same id but leaves DUP at 0: DUP is no duplicate filter.
    check(len(commands) == 2 and commands[0] == commands[1], f"the command was not delivered again: {commands}")
    probe.say("ack")
    probe.say("disconnect")
    probe.expect("closed in_flight=0 disconnected")
    probe.end()

    seen = [(m["messageId"], m["dup"]) for m in broker.end() if m.get("cmd") == "publish"]
    # The ids begin at 3: the two SUBSCRIBEs had 1 and 2. What the broker held back was read by it once already.
    first = [(id, False) for id in range(3, 3 + COUNT)]
    held = [(id, False) for id in range(3 + COUNT, 3 + COUNT + WINDOW)]
    resumed = [(id, True) for id, _ in held] + [(id, False) for id in range(3 + COUNT + WINDOW, 3 + 2 * COUNT)]
    check(seen[:COUNT] == first, "the first messages came otherwise")
    check(seen[-COUNT:] == resumed, f"after the cut: {seen[-COUNT:][:WINDOW + 2]}…")
    check(all(m in held for m in seen[COUNT:-COUNT]), "another message than those in flight came before the cut")


if __name__ == "__main__":
    raise SystemExit(run(scenario))
