# SPDX-License-Identifier: GPL-2.0-or-later
"""clocks - a gateway whose wall clock the test sets, and what its samples' stamps have to be.

    clock = Clock(stage, "@1970-01-01 00:00:30")     # libfaketime; the monotonic clocks stay as they are
    gateway = Gateway(stage, config, env=clock.env)
    truth = Truth(gateway)                           # by polls: this seq was given at this moment
    truth.look(); …; clock.set("+0"); …
    truth.check(samples)                             # {device: [sample, …]}
"""
import calendar
import datetime
import glob
import os
import time

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
assert LIBRARY, "libfaketime is missing: install Debian's libfaketime (./dev setup does)"
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Clock:
    def __init__(self, stage, text):
        self.stage = stage
        self.set(text)
        # Without the last one libfaketime bends the deadlines of condition variables too, and no sample is ever committed.
        self.env = {"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": stage.path("clock"), "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                    "FAKETIME_NO_CACHE": "1", "FAKETIME_FORCE_MONOTONIC_FIX": "0"}

    def set(self, text):
        """From now on: +SECONDS from the real time, or @YYYY-MM-DD hh:mm:ss where it begins to run."""
        self.stage.write("clock.new", text + "\n")
        os.replace(self.stage.path("clock.new"), self.stage.path("clock"))


def seconds(ts):
    """Unix time of a stamp."""
    at = datetime.datetime.strptime(ts, "%Y-%m-%dT%H:%M:%S.%fZ")
    return calendar.timegm(at.timetuple()) + at.microsecond / 1e6


class Truth:
    """Between which two moments, by the real clock, each seq was given."""

    def __init__(self, gateway):
        self.gateway, self.looks = gateway, {}

    def look(self):
        before = time.time()
        accounts = self.gateway.accounts()
        for device, seq in accounts.items():
            self.looks.setdefault(device, []).append((seq, before, time.time()))
        return accounts

    def check(self, device, stamps, tolerance=1.0, offset=0.0):
        """stamps: {seq: ts}. A sample up to the seq of a look was taken before it, one above it not before the look before the last: a gateway that
        was not given the processor answers a look before it numbers what was sampled meanwhile. How many were checked."""
        checked, looks = 0, self.looks[device]
        for at, (seq, _, after) in enumerate(looks):
            if seq in stamps:
                assert seconds(stamps[seq]) <= after + offset + tolerance, (device, seq, stamps[seq], after)
                checked += 1
            if seq + 1 in stamps and at >= 2:
                before = looks[at - 2][1]
                assert seconds(stamps[seq + 1]) >= before + offset - tolerance, (device, seq + 1, stamps[seq + 1], before)
        return checked


def in_order(device, stamps):
    """Stamps do not fall as seq grows."""
    last = ""
    for seq in sorted(stamps):
        assert stamps[seq] >= last, (device, seq, stamps[seq], last)
        last = stamps[seq]
