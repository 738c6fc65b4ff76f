#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A box without a battery for its clock: it logs in by the modem's time before NTP has any; stamps, tokens and certificates go by it; the system's
clock is left alone and wins as soon as it has been set; a modem's default date, or a time without a zone, is not taken; times that are apart are
told."""
import datetime
import glob
import os

from cellular import modem, modem_source, run
from field import hub_cloud, identity
from gateway import run as tidegate
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import samples

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
assert LIBRARY, "libfaketime is missing: install Debian's libfaketime (./dev setup does)"

with Stage() as stage:
    def set_clock(text):
        stage.write("clock.new", text + "\n")
        os.replace(stage.path("clock.new"), stage.path("clock"))

    def clock():
        return gateway.status()["gateway"]["clock"]

    def new_clock(text):
        """The modem has another time, and says that the network told one."""
        peer.command(f'clock "{text}"')
        before = peer.command("log")["commands"].count("AT+CCLK?")
        peer.command('urc "+CTZV: +08"')
        wait_until(lambda: peer.command("log")["commands"].count("AT+CCLK?") > before, 30, "the modem to be asked for its clock")

    pki = Pki(stage.path("pki"))
    pki.add("modem-1", "sas")
    hub = Hub(stage, pki)
    peer = modem(stage)
    peer.command('clock "80/01/06,00:00:12+00"')
    set_clock("@1970-01-01 00:00:30")
    # Without the last one libfaketime bends the deadlines of condition variables too, and no sample is ever committed.
    gateway = run(stage, [hub_cloud(hub)], modem_source(stage, device={"identity": identity(pki, "modem-1", "sas")}, clouds=["hub"]),
                  env={"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": stage.path("clock"), "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                       "FAKETIME_NO_CACHE": "1", "FAKETIME_FORCE_MONOTONIC_FIX": "0"})
    wait_until(lambda: gateway.session("modem-1", "hub").get("waits_for") == "clock", 30, "the session to wait for a time")
    wait_until(lambda: "offers a time that cannot be (2080-01-06" in gateway.errors(), 30, "the default date to be refused")
    new_clock("26/11/20,13:00:00")
    wait_until(lambda: "without a time zone" in gateway.errors(), 30, "a time without a zone to be told")
    assert clock()["source"] == "none" and clock()["waiting_samples"] > 0, clock()
    assert "clock without a valid time" in tidegate("status", "-c", gateway.config, check=0).stdout

    # --- the network's time, in summer two hours east: the login goes through, with a token that the hub accepts, over TLS that it verifies
    new_clock("summer")
    wait_until(lambda: gateway.session("modem-1", "hub")["state"] == "online", 30, "the login by the modem's time")
    assert clock()["source"] == "offered" and clock()["offered_by"] == "modem", clock()
    assert "the system's clock has no valid time" in gateway.errors()
    assert "clock from modem" in tidegate("status", "-c", gateway.config, check=0).stdout
    assert gateway.session("modem-1", "hub")["failures"] == 0

    def fresh():
        stamps = [sample["ts"] for entry in hub.record.telemetry("modem-1") for sample in samples(entry)]
        if not stamps:
            return False
        last = datetime.datetime.strptime(stamps[-1], "%Y-%m-%dT%H:%M:%S.%fZ")
        return abs(last - datetime.datetime.utcnow()) < datetime.timedelta(seconds=30)
    wait_until(fresh, 30, "samples with the right stamp")
    every = [sample["ts"] for entry in hub.record.telemetry("modem-1") for sample in samples(entry)]
    assert min(every) > "2026", min(every)  # those from before as well

    # --- NTP has the time: the system's counts; then it is an hour off, which is told
    set_clock("+0")
    wait_until(lambda: clock()["source"] == "system", 30, "the system's clock to count")
    wait_until(lambda: "the system's clock has been set" in gateway.errors(), 30, "that to be told")
    new_clock("summer")
    wait_until(lambda: abs(clock().get("difference_ms", 10 ** 9)) < 5000, 30, "the two times to be compared")
    assert " s apart (" not in gateway.errors()
    set_clock("+3600")
    new_clock("summer")
    wait_until(lambda: " s apart (" in gateway.errors(), 30, "the hour to be told")
    assert clock()["source"] == "system" and abs(clock()["difference_ms"] - 3600000) < 10000, clock()
    assert gateway.session("modem-1", "hub")["connects"] == 1
    assert gateway.stop() == 0
