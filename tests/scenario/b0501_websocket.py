#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""MQTT in WebSocket frames to a hub and to a broker: everything arrives once through small fragments, pings, close frames and
refused upgrades, and commands come back."""
import re

from broker import Broker
from field import all_online, broker_cloud, hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import samples

PATH = "/$iothub/websocket"

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("sas-1", "sas")
    hub, broker = Hub(stage, pki), Broker(stage, pki, users={"unused": "unused"})
    secure = stage.peer("ws_gate.py", f"127.0.0.1:{hub.port}", "--path", PATH, "--certificate", pki.path("server.pem"), "--key",
                        pki.path("server.key"), "--upstream-ca", pki.path("ca.pem"))
    plain = stage.peer("ws_gate.py", f"127.0.0.1:{broker.back_port}", "--path", "/broker/ws")
    config = configuration(
        stage, [hub_cloud(hub, secure.ready["port"], transport="websocket"),
                broker_cloud(plain.ready["port"], transport="websocket", websocket_path="/broker/ws")],
        [simulated("rehearsal", {"sas-1": (["hub"], identity(pki, "sas-1", "sas")), "pump-1": (["broker"], None)})])
    gateway = Gateway(stage, config)
    wait_until(lambda: all_online(gateway), 30, "both sessions")
    assert secure.command("stats")["paths"] == [PATH] and secure.command("stats")["hosts"] == [f"localhost:{secure.ready['port']}"]

    def delivered(device):
        bodies = broker.heard(f"tidegate/{device}/data") if device == "pump-1" else \
            [sample for entry in hub.record.telemetry(device) for sample in samples(entry)]
        return [sample["seq"] for body in bodies for sample in (body if isinstance(body, list) else [body])]

    def setpoint():
        entries = hub.record.telemetry("sas-1")
        return samples(entries[-1])[-1]["values"].get("setpoint") if entries else None

    for gate in (secure, plain):  # three bytes a fragment: no packet ends where a frame does
        gate.command("split 6")
    with hub.service() as service:
        service.c2d("sas-1", '{"command":"set","arguments":{"setpoint":42.5}}', "%24.mid=m-1")
        wait_until(lambda: setpoint() == 42.5, 30, "the set point in the telemetry")
    assert secure.command("ping")["answered"] == 1 and plain.command("ping")["answered"] == 1

    connects = gateway.session("sas-1", "hub")["connects"]
    secure.command("close 1001 'moving house'")
    wait_until(lambda: "closed the WebSocket: 1001 going away" in gateway.errors(), 30, "the close frame to be told")
    wait_until(lambda: gateway.session("sas-1", "hub")["connects"] > connects and all_online(gateway), 30, "the session to be back")

    plain.command("refuse 503")
    plain.command("close 1012 ''")
    wait_until(lambda: "refused the WebSocket at \"/broker/ws\" with 503" in gateway.session("pump-1", "broker").get("last_error", ""), 30,
               "the refusal to be told")
    assert "asks to be left alone" not in gateway.errors()
    # How long it wants to be left alone is kept, and up to a tenth more; what is no time is said and not followed.
    plain.command("retry_after soon")
    wait_until(lambda: "with a Retry-After that is no time to wait and is not followed" in gateway.session("pump-1", "broker").get("last_error", ""), 30,
               "the bad Retry-After to be told")
    plain.command("retry_after 4")
    waits = r'asks to be left alone for 4 s; \d+ samples? (?:is|are) kept, retrying in ([\d.]+) s'
    wait_until(lambda: re.search(waits, gateway.errors()), 30, "the wait that the server asks for")
    assert 4.0 <= float(re.search(waits, gateway.errors())[1]) <= 4.5, re.search(waits, gateway.errors())[0]
    reach = next(cloud["reach"] for cloud in gateway.status()["clouds"] if cloud["name"] == "broker")
    assert reach["failures"]["throttled"] >= 3, reach
    before = gateway.accounts()["pump-1"]
    wait_until(lambda: gateway.accounts()["pump-1"] > before + 20, 30, "a backlog")
    plain.command("refuse 0")
    wait_until(lambda: all_online(gateway), 30, "the session to be back")
    accounts = gateway.accounts()
    for device in accounts:
        wait_until(lambda: set(delivered(device)) >= set(range(1, accounts[device] + 1)), 30, f"everything of {device}")
    assert gateway.stop() == 0
    for device in accounts:
        first = list(dict.fromkeys(delivered(device)))
        assert first == sorted(first), f"{device} out of order"
        print(f"{device}: {len(first)} delivered, {len(delivered(device)) - len(first)} twice")
    broker.close()

    for key, value, says in (("websocket_path", "mqtt", "is not a path: it begins with /"), ("transport", "tcp", "it needs `transport: websocket`")):
        cloud = broker_cloud(plain.ready["port"], **{"transport": "websocket", "websocket_path": "/x", key: value})
        refused = run("check", "-c", configuration(stage, [cloud], [simulated("s", {"d": (["broker"], None)})], name="bad.yaml"), check=1)
        lines = [line for line in (refused.stdout + refused.stderr).splitlines() if "websocket_path" in line]
        assert len(lines) == 1 and says in lines[0] and "bad.yaml:" in lines[0], refused.stdout + refused.stderr
