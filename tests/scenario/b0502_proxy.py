#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Through an HTTP proxy with a password, to a hub and in WebSocket frames to a broker: TLS is the target's, the proxy resolves the
name, what it refuses is told, and everything arrives."""
import os
import re

from broker import Broker
from field import all_online, broker_cloud, hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import samples

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("sas-1", "sas")
    pki.add("cert-1", "x509-thumbprint")
    hub, broker = Hub(stage, pki), Broker(stage, pki, users={"unused": "unused"})
    gate = stage.peer("ws_gate.py", f"127.0.0.1:{broker.back_port}")
    proxy = stage.peer("connect_proxy.py")
    proxy.command("auth gate 'pass word:1'")
    url = f"http://127.0.0.1:{proxy.ready['port']}"
    password = stage.write("proxy-password", "pass word:1\n")
    through = {"proxy": url, "proxy_user": "gate", "proxy_password_file": password}
    config = configuration(stage, [hub_cloud(hub, **through), broker_cloud(gate.ready["port"], transport="websocket", **through)],
                           [simulated("rehearsal", {"sas-1": (["hub"], identity(pki, "sas-1", "sas")),
                                                    "cert-1": (["hub"], identity(pki, "cert-1", "x509")), "pump-1": (["broker"], None)})])
    gateway = Gateway(stage, config)
    wait_until(lambda: all_online(gateway), 30, "the sessions")
    stats = proxy.command("stats")
    assert stats["tunnels"] == 3 and stats["refused"] == 0, stats
    assert set(stats["asked"]) == {f"localhost:{hub.port}", f"localhost:{gate.ready['port']}"}, stats

    def last_error(device, cloud):
        return gateway.session(device, cloud).get("last_error", "")

    proxy.command("refuse 503")
    proxy.command("cut")
    for device, cloud in (("sas-1", "hub"), ("cert-1", "hub"), ("pump-1", "broker")):
        wait_until(lambda: "the proxy 127.0.0.1" in last_error(device, cloud) and "could not connect to localhost" in last_error(device, cloud),
                   30, f"{device} to be told of the refusal")
    assert "asks to be left alone" not in gateway.errors()
    proxy.command("retry_after 2")
    waits = r'device=pump-1 .* asks to be left alone for 2 s; \d+ samples? (?:is|are) kept, retrying in ([\d.]+) s'
    wait_until(lambda: re.search(waits, gateway.errors()), 30, "the wait that the proxy asks for")
    assert float(re.search(waits, gateway.errors())[1]) >= 2.0, re.search(waits, gateway.errors())[0]
    proxy.command("retry_after ''")
    proxy.command("refuse 0")
    wait_until(lambda: all_online(gateway), 30, "the sessions to be back")

    stage.write("proxy-password", "wrong\n")  # read anew with each attempt
    proxy.command("cut")
    wait_until(lambda: "refused the user name or the password (407" in last_error("sas-1", "hub"), 30, "the wrong password to be told")
    os.chmod(password, 0o644)
    wait_until(lambda: "proxy_password_file" in last_error("pump-1", "broker"), 30, "the file's mode to be told")
    os.chmod(password, 0o600)
    stage.write("proxy-password", "pass word:1\n")
    wait_until(lambda: all_online(gateway), 30, "the sessions to be back")
    accounts = gateway.accounts()

    def delivered(device):
        bodies = broker.heard("tidegate/pump-1/data") if device == "pump-1" else \
            [sample for entry in hub.record.telemetry(device) for sample in samples(entry)]
        return [sample["seq"] for body in bodies for sample in (body if isinstance(body, list) else [body])]
    for device in accounts:
        wait_until(lambda: set(delivered(device)) >= set(range(1, accounts[device] + 1)), 30, f"everything of {device}")
        print(f"{device}: {accounts[device]} delivered")
    assert gateway.stop() == 0
    said = gateway.errors()
    assert "pass word" not in said and "cGFzcyB3b3JkOjE" not in said, "the password is in the log"
    broker.close()

    for bad, says in (({"proxy": "proxy.example:3128"}, "does not begin with http://"), ({"proxy": "http://u:secret@proxy.example:3128"}, "proxy_password_file"),
                      ({"proxy_user": "gate"}, "it needs a `proxy`"), ({"proxy": url, "proxy_user": "gate"}, "need each other"),
                      ({"proxy": url, "proxy_user": "ga:te", "proxy_password_file": password}, "a colon")):
        refused = run("check", "-c", configuration(stage, [broker_cloud(1883, **bad)], [simulated("s", {"d": (["broker"], None)})], name="bad.yaml"),
                      check=1)
        text = refused.stdout + refused.stderr
        assert sum("bad.yaml:" in line and says in line for line in text.splitlines()) == 1 and "secret" not in text, text
