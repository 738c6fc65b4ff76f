#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A link that is cut, stalled and reset loses nothing: five identities, everything the gateway accepted arrives in order."""
from field import accepted, all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, free_port, wait_until
from hub import Hub
from metrics import metric
from pki import Pki
from verdict import delivered, judge, table

KINDS = {"sas-1": "sas", "sas-2": "sas", "ca-1": "x509-ca", "ca-2": "x509-chain", "self-1": "x509-thumbprint"}

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device, kind in KINDS.items():
        pki.add(device, kind)
    hub = Hub(stage, pki)
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    web = free_port()
    gateway = Gateway(stage, configuration(stage, [hub_cloud(hub, link.ready["ports"]["hub"])], [
        simulated("rehearsal", {device: (["hub"], identity(pki, device, kind)) for device, kind in KINDS.items()})],
        gateway={"http": f"127.0.0.1:{web}"}))
    wait_until(lambda: all_online(gateway), 20, "all five sessions to be online")
    for lever in ("cut hub", "stall hub", "stall hub up", "rst hub"):
        before = gateway.accounts()
        link.command(lever)
        wait_until(lambda: all(seq >= before[device] + 100 for device, seq in gateway.accounts().items()), 30,
                   f"a hundred samples a device during `{lever}`")
        if lever == "cut hub":
            wait_until(lambda: metric(web, "tidegate_cloud_outage_seconds", cloud="hub") > 0, 20, "the metrics to say how long the outage has been")
        link.command("restore hub")
        wait_until(lambda: delivered(hub.record, before), 40, f"what came before `{lever}` to be delivered")
    wait_until(lambda: all_online(gateway), 20, "all sessions to be online again")
    wait_until(lambda: metric(web, "tidegate_cloud_outage_seconds", cloud="hub") == 0, 20, "the outage to be over in the metrics")
    assert metric(web, "tidegate_cloud_outages_total", cloud="hub") >= 1
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 40, "everything to be delivered")
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds for row in rows)
    # Duplicates: at most the in-flight window (20 messages of 20 samples) for each of the four broken connections.
    assert all(row.duplicates <= 4 * 20 * 20 for row in rows)
