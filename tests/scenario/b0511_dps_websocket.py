#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A site with port 443 only and a group's key: the gateway asks the provisioning service and talks to the hub it names in WebSocket
frames, at their own names and ports, and later through a proxy; a refusal is told, what was assigned is remembered, nothing is lost."""
import firewall

SERVICE, HUB, PATH = "global.azure-devices-provisioning.net", "plant-7.azure-devices.net", "/$iothub/websocket"
firewall.site({SERVICE: "127.0.0.2", HUB: "127.0.0.3"})

from field import all_online, hub_cloud, simulated  # noqa: E402  (after the program has run itself again)
from gateway import Gateway, configuration  # noqa: E402
from harness import Stage, wait_until  # noqa: E402
from hub import Dps, Hub  # noqa: E402
from pki import Pki  # noqa: E402
from verdict import delivered, judge, samples, table  # noqa: E402

DEVICES = ("meter-1", "meter-2")

with Stage() as stage:
    pki = Pki(stage.path("pki"), names=[SERVICE, HUB])
    hub = Hub(stage, pki, options={"hosts": HUB})
    dps = Dps(stage, pki, hub, host=HUB)
    group = stage.write("group.key", dps.group("meters") + "\n")
    for name in DEVICES:
        dps.enrol(name, group="meters")

    def gate(broker, address):
        return stage.peer("ws_gate.py", f"127.0.0.1:{broker.port}", "--path", PATH, "--certificate", pki.path("server.pem"), "--key",
                          pki.path("server.key"), "--upstream-ca", pki.path("ca.pem"), "--listen", f"{address}:443")
    service_gate, hub_gate = gate(dps, "127.0.0.2"), gate(hub, "127.0.0.3")
    service_gate.command("refuse 503")

    # Nothing but what people write: no host, no port.
    cloud = hub_cloud(hub, transport="websocket", identity={"derive_from_group": group}, provisioning={"id_scope": dps.id_scope})
    del cloud["host"], cloud["port"]
    sources = [simulated("rehearsal", {name: (["hub"], None) for name in DEVICES})]
    gateway = Gateway(stage, configuration(stage, [cloud], sources))
    wait_until(lambda: f"{SERVICE}:443: refused the WebSocket at \"{PATH}\" with 503" in gateway.session("meter-1", "hub").get("last_error", ""), 30,
               "the service's refusal to be told")
    assert not dps.record.select("connect", "meter-1") and not hub_gate.command("stats")["paths"]
    service_gate.command("refuse 0")
    wait_until(lambda: all_online(gateway), 40, "both devices to be assigned and online")
    for name in DEVICES:
        dps.record.wait("connect", name, "sas")
        hub.record.wait("connect", name, "sas")
        wait_until(lambda: hub.record.telemetry(name), 30, f"the first message of {name}")
    for peer, host in ((service_gate, SERVICE), (hub_gate, HUB)):
        stats = peer.command("stats")
        assert set(stats["paths"]) == {PATH} and set(stats["hosts"]) == {host} and stats["accepted"] >= len(DEVICES), stats

    with hub.service() as service:
        service.c2d("meter-1", '{"command":"set","arguments":{"setpoint":42.5}}', "%24.mid=m-1")
        wait_until(lambda: samples(hub.record.telemetry("meter-1")[-1])[-1]["values"]["setpoint"] == 42.5, 30, "the set point in the telemetry")

    # The hub's way is lost and comes back: what was assigned holds, nobody asks again.
    asked = len(dps.requests())
    hub_gate.command("refuse 503")
    hub_gate.command("close 1001 'moving house'")
    wait_until(lambda: f"{HUB}:443: refused the WebSocket at \"{PATH}\" with 503" in gateway.session("meter-2", "hub").get("last_error", ""), 30,
               "the hub's refusal to be told")
    before = gateway.accounts()
    wait_until(lambda: all(gateway.accounts()[name] > before[name] + 20 for name in DEVICES), 30, "a backlog")
    hub_gate.command("refuse 0")
    wait_until(lambda: all_online(gateway), 30, "both sessions to be back")
    assert gateway.stop() == 0
    proxy = stage.peer("connect_proxy.py", f"{SERVICE}=127.0.0.2", f"{HUB}=127.0.0.3")
    proxy.command("auth gate secret")
    cloud |= {"proxy": f"http://127.0.0.1:{proxy.ready['port']}", "proxy_user": "gate",
              "proxy_password_file": stage.write("proxy-password", "secret\n")}
    gateway.config = configuration(stage, [cloud], sources)
    gateway.start()
    wait_until(lambda: all_online(gateway), 30, "both sessions after a restart")
    assert len(dps.requests()) == asked, dps.requests()[asked:]
    stats = proxy.command("stats")
    assert set(stats["asked"]) == {f"{HUB}:443"} and stats["opened"] >= len(DEVICES) and stats["refused"] == 0, stats

    # The device was deleted and enrolled anew: the hub refuses it, and the service is asked again, by the same way.
    pki.remove("meter-2")
    with hub.service() as service:
        service.lever("meter-2", "kick")
    hub.record.wait("refused", "meter-2")
    dps.enrol("meter-2", group="meters")
    wait_until(lambda: len(dps.requests("meter-2", "register")) >= 2 and all_online(gateway), 40, "meter-2 to be assigned again")
    stats = proxy.command("stats")
    assert set(stats["asked"]) == {f"{SERVICE}:443", f"{HUB}:443"}, stats
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 30, "everything to be delivered")
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds for row in rows)
