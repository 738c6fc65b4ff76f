#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two clouds with 500 sessions each go away and come back at the same moment: all thousand return without a storm, at each cloud's
pace, resumed, at most eight handshakes at once, in orders that have nothing to do with each other; nothing is lost."""
import collections

from field import hub_cloud, identity, simulated
from fleet import allow_descriptors, check_pace, histogram, rank_correlation
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from proof import report
from verdict import delivered, judge

DEVICES = 500
PER_SECOND = 100
AT_ONCE = 8
IN_FLIGHT = 10
CLOUDS = ("hub", "lake")

allow_descriptors(4096)


def states(gateway):
    return collections.Counter(session["state"] for device in gateway.status()["devices"] for session in device["clouds"])


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    names = [f"meter-{number:03}" for number in range(DEVICES)]
    for name in names:
        pki.add(name, "sas")
    hubs = {name: Hub(stage, pki, name=name, keys=True) for name in CLOUDS}
    clouds = [hub_cloud(hub, name=name, max_connects_per_second=PER_SECOND, min_backoff="500ms", max_backoff="2s", max_in_flight=IN_FLIGHT,
                        connect_timeout="10s", handshake_timeout="10s", ack_timeout="20s") for name, hub in hubs.items()]
    gateway = Gateway(stage, configuration(stage, clouds, [
        simulated("fleet", {name: (list(CLOUDS), identity(pki, name, "sas")) for name in names}, every="2s")]))
    wait_until(lambda: states(gateway)["online"] == 2 * DEVICES, 60, "all sessions to be online")

    for hub in hubs.values():
        hub.stop()
    wait_until(lambda: states(gateway)["online"] == 0, 30, "the outage to be noticed")
    before = {name: len(hub.record.select("connect")) for name, hub in hubs.items()}
    for hub in hubs.values():
        assert hub.start()

    busiest = 0
    def back():
        global busiest
        now = states(gateway)
        busiest = max(busiest, now["connecting"] + now["login"])
        return now["online"] == 2 * DEVICES
    wait_until(back, 60, "all sessions to be back")
    assert busiest <= AT_ONCE, f"{busiest} handshakes at once"

    returns = {name: [(entry["device"], entry["t"]) for entry in hub.record.select("connect")[before[name]:]] for name, hub in hubs.items()}
    for name, came in returns.items():
        times = [at for _, at in came]
        assert len(came) == len(set(device for device, _ in came)) == DEVICES, f"{name}: {len(came)} logins of {DEVICES} devices"
        check_pace(times, PER_SECOND, name)
        print(f"{name}: back within {(max(times) - min(times)) / 1000:.1f} s; each half second {histogram(times)[1]}")
    resumed = sum(session["resumed"] for device in gateway.status()["devices"] for session in device["clouds"])
    assert resumed == 2 * DEVICES, f"{resumed} of {2 * DEVICES} sessions were resumed"

    # Neither cloud waits for the other, and a device's turn at one says nothing about its turn at the other.
    half = {name: sorted(at for _, at in came)[DEVICES // 2] for name, came in returns.items()}
    first = min(half, key=half.get)
    other = next(name for name in CLOUDS if name != first)
    meanwhile = sum(at <= half[first] for _, at in returns[other])
    assert meanwhile >= DEVICES // 8, f"{first} had half of its sessions back when {other} had {meanwhile}"
    orders = [[device for device, _ in sorted(returns[name], key=lambda came: came[1])] for name in CLOUDS]
    likeness = rank_correlation(*orders)
    print(f"at most {busiest} handshakes seen at once; {meanwhile} of {DEVICES} were back at {other} when half were at {first}; "
          f"likeness of the two orders {likeness:+.2f}")
    assert abs(likeness) < 0.25, f"the clouds are in lock-step: {likeness:.2f}"

    accounts = gateway.accounts()
    for name, hub in hubs.items():
        wait_until(lambda hub=hub: delivered(hub.record, accounts), 40, f"everything to be delivered to {name}")
    assert gateway.stop() == 0
    for name, hub in hubs.items():
        rows = judge(hub.record, accounts)
        assert all(row.holds for row in rows), [row.device for row in rows if not row.holds]
        assert all(row.duplicates <= IN_FLIGHT * 20 for row in rows), "more duplicates than the window"
    report("C10", "fleet_returns", 2 * DEVICES, 0, {"devices": DEVICES, "clouds": len(CLOUDS), "handshakes_at_once": busiest, "connects_per_second_allowed": PER_SECOND},
           "Two clouds go away and come back at the same moment: a thousand sessions return at the pace that is configured, never more than eight handshakes at once")
