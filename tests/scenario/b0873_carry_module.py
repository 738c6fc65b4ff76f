#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The module restarts in the middle, its connections are cut, and its port is unplugged: with `confirm: echo` nothing is lost."""
from carry import Yard
from harness import Stage, wait_until

with Stage() as stage:
    yard = Yard(stage, confirm="echo")
    yard.start()
    yard.wait_online()
    yard.delivers()

    # --- cut by the module, again and again
    for _ in range(3):
        yard.after(lambda: yard.module.command("cut"), "the module's connection to the broker ended")
        yard.delivers(20)
    yard.settled()

    # --- restarted while messages are under way
    yard.module.command("mute", "on")  # so that some are not confirmed
    wait_until(lambda: yard.state()["in_flight"] > 0, 30, "messages under way")
    yard.after(lambda: yard.module.command("restart"), "the module has restarted")
    yard.module.command("mute", "off")
    yard.wait_online()
    yard.settled()

    # --- unplugged
    yard.module.command("unplug")
    wait_until(lambda: "unplugged" in yard.state().get("last_error", ""), 30, "the status to say why")
    yard.grows(50)
    yard.module.command("plug")
    yard.wait_online()
    yard.settled()

    # --- a module that refuses: its words are in the status
    yard.module.command("fail", "AT+UDCP=mqtt", "-1")
    yard.module.command("cut")
    wait_until(lambda: "the module answered ERROR to AT+UDCP=mqtt" in yard.state().get("last_error", ""), 30, "the module's answer in the status")
    assert yard.state()["pending"] >= 0 and not yard.online()
    yard.module.command("fail", "AT+UDCP=mqtt", "0")
    yard.wait_online()
    yard.settled()
    yard.wait_peers()
    yard.close()
