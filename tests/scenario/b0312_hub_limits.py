#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A hub that disables a device, deletes it, has used up its quota or is throttled: the device's backlog waits, its neighbour goes on, the
gateway neither hammers nor gives up, and once the hub takes it again everything arrives in order."""
from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import delivered, judge, table

DEVICES = ("meter", "neighbour")

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device in DEVICES:
        pki.add(device, "sas")
    hub = Hub(stage, pki, twin=True)
    service = hub.service()
    gateway = Gateway(stage, configuration(stage, [hub_cloud(hub, min_backoff="100ms", max_backoff="1s")], [
        simulated("field", {device: (["hub"], identity(pki, device, "sas")) for device in DEVICES})]))
    wait_until(lambda: all_online(gateway), 40, "both sessions")
    registered = pki.lines["meter"]

    def logins():
        return [entry for event in ("refused", "connect") for entry in hub.record.select(event, "meter")]

    def trouble(begin, end, shows, logins_at_least):
        """`shows` is what the operator reads; meanwhile the neighbour delivers and samples pile up."""
        before, tried = gateway.accounts(), len(logins())
        begin()
        wait_until(lambda: len(logins()) >= tried + logins_at_least, 40, f"{logins_at_least} logins of the device in trouble")
        wait_until(lambda: shows in gateway.session("meter", "hub").get("last_error", ""), 40, f"the operator to read: {shows}")
        times = sorted(entry["t"] for entry in logins())[tried:]
        assert len(times) < 6 + (times[-1] - times[0]) / 100, f"the hub is hammered: {len(times)} logins in {times[-1] - times[0]} ms"
        wait_until(lambda: gateway.session("neighbour", "hub")["acked_seq"] > before["neighbour"] + 20, 40, "the neighbour's samples")
        end()
        wait_until(lambda: all_online(gateway), 40, "both sessions again")
        now = gateway.accounts()
        wait_until(lambda: delivered(hub.record, now), 40, "everything")

    def disable_and_delete():
        pki.enable("meter", False)
        hub.record.wait("refused", "meter", "disabled", seconds=40)
        pki.remove("meter")
        hub.record.wait("refused", "meter", "unknown", seconds=40)

    trouble(disable_and_delete, lambda: pki.register("meter", *registered), "not authorised", 2)
    trouble(lambda: service.lever("meter", "quota", 0), lambda: service.lever("meter", "quota"), "", 4)
    trouble(lambda: service.lever("meter", "quota", 3), lambda: service.lever("meter", "quota"), "", 4)
    assert len(hub.record.select("connect", "neighbour")) == 1, "the neighbour was disturbed"

    service.lever("*", "slow", 50)  # a hub that is throttled delays, and breaks nothing
    connects = len(hub.record.select("connect"))
    before = gateway.accounts()
    wait_until(lambda: all(gateway.session(device, "hub")["acked_seq"] > before[device] for device in DEVICES), 40, "slow acknowledgements")
    service.lever("*", "slow")
    last = gateway.accounts()
    wait_until(lambda: delivered(hub.record, last), 40, "everything after the throttling")
    assert len(hub.record.select("connect")) == connects, "throttling cost a connection"
    assert gateway.stop() == 0
    rows = judge(hub.record, last)
    print(table(rows))
    assert all(row.holds for row in rows)
    service.link.close()
