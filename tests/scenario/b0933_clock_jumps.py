#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The clock is set to and fro by an hour, a day and to 2038, smears and repeats a second, with a backlog and a short max_age: nothing expires, nothing
changes its order, no session that is up is cut; each jump is told once. TIDEGATE_CLOCK_LONG=yes also waits until what is really too old expires, also
after a jump."""
import calendar
import os
import time

from clocks import Clock
from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from proof import report
from verdict import delivered, judge, table

LONG = os.environ.get("TIDEGATE_CLOCK_LONG") == "yes"
DEVICES = {"live-1": "live", "live-2": "live", "away-1": "away"}
TO_2038 = calendar.timegm((2038, 1, 20, 0, 0, 0)) - int(time.time())

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device in DEVICES:
        pki.add(device, "sas")
    hub = Hub(stage, pki)
    link = stage.peer("link.py", f"away=127.0.0.1:{hub.port}")
    link.command("cut away")
    clock = Clock(stage, "+0")
    clouds = [hub_cloud(hub, name="live"), hub_cloud(hub, name="away", port=link.ready["ports"]["away"])]
    config = configuration(stage, clouds, [
        simulated("site", {device: ([cloud], identity(pki, device, "sas")) for device, cloud in DEVICES.items()}, every="10ms")],
        outbox={"max_age": "1m"}, gateway={"http": "off"})
    gateway = Gateway(stage, config, env=clock.env)

    def live():
        return [gateway.session(device, "live") for device in ("live-1", "live-2")]

    def more(count):
        before = gateway.accounts()
        wait_until(lambda: all(seq >= before[device] + count for device, seq in gateway.accounts().items()), 30, f"{count} samples")

    def jumps():
        return gateway.status()["gateway"]["clock"]["jumps"]
    wait_until(lambda: all(session["state"] == "online" for session in live()), 30, "the sessions")
    more(50)
    assert jumps() == 0
    count, here = 0, 0
    for to in (3600, 0, -3600, 0, -86400, 0, 86400, TO_2038, 0):
        clock.set(f"{to:+d}")
        count += 1
        wait_until(lambda: jumps() == count, 30, f"the jump to {to:+d} to be seen")
        status = gateway.status()["gateway"]["clock"]
        assert abs(status["last_jump_ms"] - (to - here) * 1000) < 3000, (status, to, here)
        here = to
        more(20)
    # A leap second is repeated, then one is smeared away in steps: that is no jump.
    for text in ("-1", "+0", "+0.2", "+0.4", "+0.6", "+0.8", "+1"):
        clock.set(text)
        more(20)
    assert jumps() == count, gateway.status()["gateway"]["clock"]
    assert gateway.errors().count("the wall clock was set from") == count, gateway.errors()
    clock.set("+0")
    # Nothing of the backlog has expired although the clock has been further away than max_age: time for a look at the ages (each 7.5 s).
    seconds = time.time()
    wait_until(lambda: time.time() - seconds > 8.5, 30, "the next look at the ages")
    status = gateway.status()
    assert status["outbox"]["dropped"]["age"] == 0, status["outbox"]
    for session in live():
        assert session["connects"] == 1 and session["failures"] == 0, session

    if LONG:
        clock.set("-3600")
        wait_until(lambda: gateway.status()["outbox"]["dropped"]["age"] > 0, 120, "what is too old to expire")
        early = gateway.status()["outbox"]["dropped"]["age"]
        total = gateway.accounts()["away-1"]
        assert early < total, (early, total)
        clock.set("+86400")
        more(20)
        wait_until(lambda: gateway.status()["outbox"]["dropped"]["age"] > early, 120, "more of it")
        assert gateway.session("away-1", "away")["pending"] >= 45 * 100, gateway.session("away-1", "away")
        clock.set("+0")
    link.command("restore away")
    wait_until(lambda: all_online(gateway), 30, "the session that was away")
    more(20)
    accounts = gateway.accounts()
    if LONG:
        accounts.pop("away-1")
    wait_until(lambda: delivered(hub.record, accounts), 60, "everything")
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds and row.duplicates == 0 for row in rows)
    report("C9", "clock_jumps_with_a_backlog", count, 0, {"accepted": sum(accounts.values()), "lost": 0, "out_of_order": 0, "twice": 0, "wrongly_expired": 0,
                                                         "connections_cut": 0},
           "The clock goes to and fro by an hour, a day and to 2038, repeats and smears a second, with a backlog and a maximal age of a minute: nothing expires before its time, nothing changes its order, "
           "no session is cut, each jump is told once. Trials: jumps")
