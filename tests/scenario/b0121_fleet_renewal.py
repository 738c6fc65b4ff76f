#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""300 sessions whose SAS tokens were made at nearly the same time renew them spread over time and within the cloud's pace: no token
ends in use, no sample is lost, none comes twice but what was in flight."""
from field import hub_cloud, identity, simulated
from fleet import allow_descriptors, check_pace, histogram
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import delivered, judge

DEVICES = 300
PER_SECOND = 150
LIFETIME_S = 30
SPREAD_S = LIFETIME_S * 0.1  # a token is renewed when 75 to 85 % of its life have passed
IN_FLIGHT = 10

allow_descriptors(2048)

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    names = [f"meter-{number:03}" for number in range(DEVICES)]
    for name in names:
        pki.add(name, "sas")
    hub = Hub(stage, pki)
    cloud = hub_cloud(hub, sas_lifetime=f"{LIFETIME_S}s", max_connects_per_second=PER_SECOND, max_in_flight=IN_FLIGHT, connect_timeout="10s",
                      handshake_timeout="10s", ack_timeout="20s")
    gateway = Gateway(stage, configuration(stage, [cloud], [
        simulated("fleet", {name: (["hub"], identity(pki, name, "sas")) for name in names}, every="1s")]))
    hub.record.wait("connect", count=2 * DEVICES, seconds=LIFETIME_S + 60)
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 30, "everything to be delivered")
    logins = {}
    for entry in hub.record.select("connect"):
        logins.setdefault(entry["device"], []).append(entry["t"])
    sessions = [session for device in gateway.status()["devices"] for session in device["clouds"]]
    assert gateway.stop() == 0

    assert len(logins) == DEVICES and all(len(times) >= 2 for times in logins.values())
    first, second = ([times[at] for times in logins.values()] for at in (0, 1))
    ages = sorted((times[1] - times[0]) / 1000 for times in logins.values())
    print(f"first logins each half second: {histogram(first)[1]}\nrenewals each half second:     {histogram(second)[1]}\n"
          f"a token's age when it was renewed: {ages[0]:.1f} to {ages[-1]:.1f} s of {LIFETIME_S} s")
    check_pace(second, PER_SECOND, "renewals")
    # 300 ages over 3 s: that a third of that time has less than half of its share does not happen by chance, and a machine that stands still for
    # a moment does not make it so.
    thirds = [sum(LIFETIME_S * 0.75 + SPREAD_S * at / 3 <= age for age in ages) for at in range(3)] + [0]
    thirds = [more - less for more, less in zip(thirds, thirds[1:])]
    print(f"ages by thirds: {thirds}")
    assert min(thirds) >= DEVICES // 6, f"the renewals come in a bunch: {thirds}"
    assert ages[0] >= LIFETIME_S * 0.75 - 2 and ages[-1] < LIFETIME_S, "renewed too early or too late"
    assert sum(session["failures"] for session in sessions) == 0
    assert not hub.record.select("disconnect", reason="expired"), "the hub had to cut a session whose token had ended"
    rows = judge(hub.record, accounts)
    assert all(row.holds for row in rows), [row.device for row in rows if not row.holds]
    assert all(row.duplicates <= IN_FLIGHT * 20 for row in rows), "more duplicates than the window"
    print(f"{sum(row.collected for row in rows)} samples delivered, {sum(row.duplicates for row in rows)} twice")
