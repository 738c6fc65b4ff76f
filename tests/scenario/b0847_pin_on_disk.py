#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A PIN is not entered before the disk has it that it is tried: else a power cut in between would have it tried twice. Where the disk takes
nothing, it is said, nothing is entered, and a start on a disk that does enters it once."""
import os
import subprocess

from cellular import NOWHERE, modem, modem_source, secret, text_of
from gateway import Gateway, configuration
from harness import Stage, wait_until

PIN = "4711"

tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
assert tried.returncode == 0, f"this test injects faults with strace, which may not trace here: {tried.stderr.strip()}"

with Stage() as stage:
    peer = modem(stage, "--pin", PIN)
    source = modem_source(stage, settings={"pin_file": secret(stage, "sim.pin", PIN + "\n")})
    config = configuration(stage, [NOWHERE], [source])
    notes = [word for end in ("", "-wal", "-journal") for word in ("-P", stage.path("state", "notes.db" + end))]

    def pins():
        return peer.command("stats")["pins"]

    # The notes' file alone cannot be synced; -D: the gateway stays this program's child.
    gateway = Gateway(stage, config, under=["strace", "-D", "-f", "-o", stage.path("strace"), "-s", "0", *notes,
                                            "-e", "inject=fdatasync,fsync:error=EIO"])
    wait_until(lambda: "cannot be written to the disk, so it is not entered" in text_of(gateway), 60,
               f"the PIN to be kept back, the device says {text_of(gateway)!r}")
    assert pins() == 0
    gateway.kill()
    assert pins() == 0

    gateway.under = []
    gateway.start()
    wait_until(lambda: gateway.device("modem-1")["state"] == "ok", 60, "the PIN to be entered and the modem to be well")
    assert pins() == 1
    assert gateway.stop() == 0
