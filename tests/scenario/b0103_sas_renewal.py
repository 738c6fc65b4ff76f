#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""SAS tokens are renewed before they end: the hub never cuts a session, nothing is lost and nothing comes twice."""
from field import hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import delivered, judge, table

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("sas-1", "sas")
    hub = Hub(stage, pki)
    gateway = Gateway(stage, configuration(stage, [hub_cloud(hub, sas_lifetime="10s")], [
        simulated("rehearsal", {"sas-1": (["hub"], identity(pki, "sas-1", "sas"))}, every="10ms")]))
    hub.record.wait("connect", "sas-1", count=4, seconds=60)
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 20, "everything to be delivered")
    assert gateway.session("sas-1", "hub")["failures"] == 0
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds and row.duplicates == 0 for row in rows)
    assert not hub.record.select("disconnect", "sas-1", "expired"), "the hub had to cut a session whose token had ended"
