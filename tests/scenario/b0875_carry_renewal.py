#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Through a module to IoT Hub with tokens of sixteen seconds: each new one goes into the module before the old one ends, and nothing is
lost; no token is seen in the log."""
from carry import module_source
from field import hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from ucx import Desk, Module
from verdict import delivered, judge, table

HUB = "contoso.azure-devices.net"

with Stage() as stage:
    pki = Pki(stage.path("pki"), (HUB,))
    hub = Hub(stage, pki, options={"hosts": HUB})
    pki.add("meter-1", "sas")
    pki.add("radio", "sas")
    direct = {**hub_cloud(hub), "host": HUB, "port": 8883}
    desk = Desk(stage, [direct], {"meter-1": ("hub", identity(pki, "meter-1", "sas"))})
    module = Module(stage, {(HUB, 8883): hub.port})
    desk.provision("meter-1", module, "--names", "root.pem,c.pem,k.pem", says="is connected to")

    cloud = {"name": "radio", "type": "module", "service": "azure-iot-hub", "source": "module", "host": HUB, "ca": "root.pem", "settle": "200ms",
             "sas_lifetime": "16s", "keepalive": "30s", "min_backoff": "100ms", "max_backoff": "500ms", "batch": {"max_samples": 20, "max_delay": "50ms"}}
    source = module_source(module.port, init=[])
    source["devices"][0]["identity"] = identity(pki, "radio", "sas")
    config = configuration(stage, [cloud], [source, simulated("hall", {"meter-1": (["radio"], identity(pki, "meter-1", "sas"))})])
    gateway = Gateway(stage, config)
    wait_until(lambda: gateway.session("meter-1", "radio")["state"] == "online", 60, "the meter to be online through the module")

    def tokens():
        return {command for command in module.said if command.startswith('AT+UDUV=') and "devices%2Fmeter-1" in command}

    before = len(tokens())
    wait_until(lambda: gateway.errors().count("renewing the credential") >= 2 and len(tokens()) >= before + 2, 60, "two renewals")
    accounts = {"meter-1": gateway.device("meter-1")["last_seq"]}
    wait_until(lambda: gateway.session("meter-1", "radio")["acked_seq"] >= accounts["meter-1"], 60, "the outbox to empty")
    wait_until(lambda: delivered(hub.record, accounts), 30, "what was confirmed to be at the hub")
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds and row.duplicates == 0 for row in rows)
    session = gateway.session("meter-1", "radio")
    assert session.get("failures", 0) == 0, session
    log = gateway.errors()
    assert "connection lost" not in log, log
    assert "SharedAccessSignature" not in log and "sig=" not in log and pki.secret("meter-1") not in log
    bags = {entry["topic"] for entry in hub.record.read() if entry["ev"] == "publish" and entry["device"] == "meter-1"}
    assert any(".ct=application%2Fjson" in topic and ".ce=utf-8" in topic for topic in bags), bags
    assert gateway.stop() == 0
