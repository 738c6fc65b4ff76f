#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIM's PIN: entered when it is asked for, never in the log; a refused one is never tried again, after a restart, a kill and another SIM
neither; what was not this gateway's doing, and the last tries, are left to a person; a PUK is never tried. With the argument `isolated` the
plugin runs in a process of its own."""
import os
import sys

from cellular import NOWHERE, modem, modem_source, run, secret, text_of
from harness import Stage, wait_until

PIN, WRONG, OTHER = "4711", "1234", "9876"

with Stage() as stage:
    peer = modem(stage, "--pin", PIN)
    pin_file = secret(stage, "sim.pin", WRONG + "\n")
    source = modem_source(stage, settings={"pin_file": pin_file})
    isolated = sys.argv[1:] == ["isolated"]
    if isolated:
        source["isolation"] = "process"

    def pins():
        return peer.command("stats")["pins"]

    def says(part, seconds=30):
        wait_until(lambda: part in text_of(gateway), seconds, f"{part!r}, the device says {text_of(gateway)!r}")

    def ready():
        wait_until(lambda: gateway.device("modem-1")["state"] == "ok", 30, "the modem to be well")

    def rewrite(text):
        secret(stage, "sim.pin.new", text + "\n")
        os.replace(stage.path("sim.pin.new"), pin_file)

    def look():
        """The SIM is looked at again before its 20 s are over."""
        peer.command('urc "+CPIN: SIM PIN"')

    # --- a wrong PIN is tried once; not again by itself, nor after a restart, nor after a kill, nor when the modem starts anew
    gateway = run(stage, [NOWHERE], source)
    says("was refused by this SIM")
    assert pins() == 1
    # A killed process leaves the port marked as its own as long as the other end holds it open, which a pty's does, and the confined one
    # has no right to look beyond that.
    for again in (gateway.stop, gateway.stop if isolated else gateway.kill):
        again()
        gateway.start()
        says("was refused by this SIM")
    peer.command("reboot")
    before = len(peer.command("log")["commands"])
    wait_until(lambda: "AT+CPINR" in peer.command("log")["commands"][before:], 30, "the SIM to be looked at again")
    says("was refused by this SIM")
    assert pins() == 1, pins()

    # --- another one in the file: two tries are left, and the missing one is known to be ours
    rewrite(PIN)
    look()
    ready()
    assert pins() == 2, "the modem is well before its SIM is unlocked"
    peer.command("reboot")  # locked again; the PIN is known to be good
    wait_until(lambda: pins() == 3, 30, "the PIN to be entered again")
    ready()

    if isolated:  # what is remembered reaches and leaves the other process: that was to be shown
        assert gateway.stop() == 0
        sys.exit(0)

    # --- two tries left, and not by us: a person has to say so
    peer.command(f"pin {PIN} 2 0")
    gateway.stop()
    for name in os.listdir(stage.path("state")):
        if name.startswith("notes.db"):
            os.unlink(os.path.join(stage.path("state"), name))
    gateway.start()
    says("has been used, and not by this gateway")
    assert pins() == 3
    gateway.send("modem-1", "enter_pin", {})
    ready()
    assert pins() == 4

    # --- one try left: nobody uses it here
    peer.command(f"pin {PIN} 1 0")
    peer.command("reboot")
    says("one try is left before the SIM is locked")
    gateway.send("modem-1", "enter_pin", {})
    before = len(peer.command("log")["commands"])
    look()
    wait_until(lambda: "AT+CPINR" in peer.command("log")["commands"][before:], 30, "the SIM to be looked at again")
    says("one try is left before the SIM is locked")
    assert pins() == 4
    peer.command(f"pin {PIN} 0 1")
    look()
    says("wants its PUK")
    assert pins() == 4 and not any("AT+CPIN=" in line and "," in line for line in peer.command("log")["commands"])

    # --- a modem that does not count: a refused PIN still stays refused; a third different one is left to a person
    peer.command("counter off")
    peer.command(f"pin {PIN} 3 0")
    rewrite(WRONG)
    look()
    says("was refused by this SIM")
    assert pins() == 5
    rewrite(OTHER)
    look()
    says("was refused by this SIM")
    wait_until(lambda: pins() == 6, 30, "another PIN to be tried")
    rewrite("5555")
    look()
    says("the third try is the last")
    assert pins() == 6

    # --- files that are no PIN
    for text, part in (("12a4", "does not hold a PIN"), ("123", "does not hold a PIN"), ("", "does not hold a PIN")):
        rewrite(text)
        look()
        says(part)
    os.unlink(pin_file)
    look()
    says("pin_file cannot be read")
    rewrite(PIN)
    os.chmod(pin_file, 0o644)
    look()
    says("pin_file cannot be read")
    wait_until(lambda: "chmod" in gateway.errors(), 30, "what to do about the mode")
    assert pins() == 6
    assert gateway.stop() == 0
    log = gateway.errors()
    for pin in (PIN, WRONG, OTHER):
        assert f'"{pin}"' not in log and f"={pin}" not in log and f" {pin}" not in log, pin
    with open(os.path.join(stage.path("state"), "notes.db"), "rb") as file:
        notes = file.read()
    for pin in (PIN, WRONG, OTHER):
        assert f" {pin} ".encode() not in notes and f'"{pin}"'.encode() not in notes
