#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The clock jumps by a day, back by a day, and begins in 1970: no sample is lost, reordered or expired, no session that is up is cut,
and what needs the time waits for it without a storm."""
import datetime
import glob
import os

from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from proof import report
from verdict import delivered, judge, samples, table

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
assert LIBRARY, "libfaketime is missing: install Debian's libfaketime (./dev setup does)"
DEVICES = {"sas-1": "sas", "ca-1": "x509-ca"}

with Stage() as stage:
    def set_clock(text):
        """The gateway's clock from now on: +SECONDS from the real one, or @YYYY-MM-DD hh:mm:ss where it begins to run."""
        stage.write("clock.new", text + "\n")
        os.replace(stage.path("clock.new"), stage.path("clock"))

    def stamp(ts):
        return datetime.datetime.strptime(ts, "%Y-%m-%dT%H:%M:%S.%fZ")

    def last_ts(device):
        entries = hub.record.telemetry(device)
        return samples(entries[-1])[-1]["ts"] if entries else ""

    pki = Pki(stage.path("pki"))
    for device, kind in DEVICES.items():
        pki.add(device, kind)
    hub = Hub(stage, pki)
    set_clock("+0")
    config = configuration(stage, [hub_cloud(hub)], [simulated("rehearsal", {
        device: (["hub"], identity(pki, device, kind)) for device, kind in DEVICES.items()}, every="10ms")])
    env = {"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": stage.path("clock"), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
    gateway = Gateway(stage, config, env=env)
    wait_until(lambda: all_online(gateway), 20, "both sessions")

    def more(count, what):
        before = gateway.accounts()
        wait_until(lambda: all(seq >= before[device] + count for device, seq in gateway.accounts().items()), 20, f"samples {what}")
        now = gateway.accounts()
        wait_until(lambda: delivered(hub.record, now), 20, f"their delivery {what}")
        return now

    for jump, day in (("+1d", 1), ("-1d", -1), ("+0", 0)):
        set_clock(jump)
        more(100, f"after a jump to {jump}")
        today = datetime.datetime.utcnow() + datetime.timedelta(days=day)
        assert abs(stamp(last_ts("sas-1")) - today) < datetime.timedelta(hours=1), last_ts("sas-1")
    assert all(cloud["connects"] == 1 and cloud["failures"] == 0 for device in gateway.status()["devices"] for cloud in device["clouds"])
    assert gateway.stop() == 0

    # A boot without a battery for the clock: neither token nor certificate can be judged until NTP has the time.
    set_clock("@1970-01-01 00:00:30")
    logins = len(hub.record.select("connect"))
    gateway.start()
    before = gateway.accounts()
    wait_until(lambda: all(seq > before[device] + 500 for device, seq in gateway.accounts().items()), 30, "five seconds of samples")
    for device in gateway.status()["devices"]:
        session = device["clouds"][0]
        assert session["state"] == "waiting" and "the clock here says 1970-01-01" in session["last_error"], session
        assert session["failures"] == 0 and session["pending"] > 400, session
    assert gateway.errors().count("it connects when the clock has been set") == 2, gateway.errors()  # once a session, not once a try
    assert len(hub.record.select("connect")) == logins
    set_clock("+0")
    wait_until(lambda: all_online(gateway), 20, "the sessions, when the clock has been set")
    more(100, "after the clock was set")
    assert all(cloud["connects"] == 1 and cloud["failures"] == 0 for device in gateway.status()["devices"] for cloud in device["clouds"])
    assert gateway.status()["outbox"]["dropped"]["age"] == 0
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 20, "everything to be delivered")
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds and row.duplicates == 0 for row in rows)
    report("C9", "clock_jumps", 5, 0, {"accepted": sum(row.collected for row in rows), "lost": 0, "out_of_order": 0, "expired": 0, "twice": 0},
           "The gateway's clock jumps a day on, a day back and back again, and begins in 1970 until it is set: no sample is lost, reordered or expired, no session that is up is cut, "
           "and nobody knocks at the cloud before the time is known")
