#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The broker behind the module cannot be reached for a while: the samples wait in the outbox, the status says what the module said, and
with `confirm: echo` all of them arrive, also when the connection stalls, echoes are withheld, or the module loses messages."""
from carry import METERS, Yard
from harness import Stage, wait_until

with Stage() as stage:
    yard = Yard(stage, confirm="echo")
    yard.start()
    yard.wait_online()
    yard.delivers()

    # --- cut: connections end, and new ones are refused
    yard.way.command("cut", "broker")
    wait_until(lambda: "could not connect to the broker" in yard.state().get("last_error", ""), 30, "the module's answer in the status")
    yard.grows(200)
    assert all(yard.state(meter)["pending"] >= 150 for meter in METERS)
    yard.way.command("restore", "broker")
    rows = yard.settled()

    # --- stalled: nothing breaks, and nothing comes back
    yard.after(lambda: yard.way.command("stall", "broker"), "the outcome of a message has not come")
    yard.way.command("restore", "broker")
    yard.settled()

    # --- the broker takes everything, but echoes are withheld: sent again, so duplicates
    yard.after(lambda: yard.module.command("mute", "on"), "the outcome of a message has not come")
    yard.module.command("mute", "off")
    rows = yard.settled()
    assert sum(row.duplicates for row in rows) > 0

    # --- the module loses messages without a word
    yard.module.command("drop", "3")
    wait_until(lambda: yard.module.command("state")["dropped"] == 3, 30, "messages to be lost")
    yard.settled()
    yard.close()
