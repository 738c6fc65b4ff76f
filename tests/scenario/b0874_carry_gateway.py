#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway is killed while messages are under way through the module: with `confirm: echo` nothing is lost and what the module still
had is closed; with `confirm: settle` what is lost is no more than what the module loses without a word, and a broken connection takes
back what has not settled."""
from carry import Yard
from harness import Stage, wait_until

with Stage() as stage:
    yard = Yard(stage, confirm="echo")
    yard.start()
    for _ in range(2):
        yard.wait_online()
        yard.delivers(30)
        yard.gateway.kill()
        yard.start()
    yard.wait_online()
    yard.settled()
    yard.wait_peers()  # those of before are closed
    yard.close()

with Stage() as stage:
    yard = Yard(stage, confirm="settle", settle="1s")
    yard.start()
    yard.wait_online()
    yard.delivers(30)
    yard.gateway.kill()
    yard.start()
    yard.wait_online()
    yard.settled()

    # --- the connection breaks within the time: taken back, sent again
    for _ in range(2):
        yard.after(lambda: yard.module.command("cut"), "the module's connection to the broker ended")
        yard.delivers(20)
    yard.settled()

    # --- what the module loses without a word is lost: exactly that (at most 20 samples a message)
    yard.module.command("drop", "2")
    wait_until(lambda: yard.module.command("state")["dropped"] == 2, 30, "messages to be lost")
    yard.delivers(60)
    rows = yard.settled(lost=2 * 20)
    assert sum(row.lost for row in rows) > 0, "the double has lost them, so they cannot be there"
    yard.close()
