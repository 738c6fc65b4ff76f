#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Fifty sessions through one proxy: it dies, is silent when it comes back, then works: all return, one tunnel each, nothing is lost."""
import os

from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import delivered, judge, table

FLEET = [f"meter-{number:02}" for number in range(50)]

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for name in FLEET:
        pki.add(name, "sas")
    hub = Hub(stage, pki)
    proxy = stage.peer("connect_proxy.py")
    port = proxy.ready["port"]
    proxy.command("auth gate secret")
    cloud = hub_cloud(hub, proxy=f"http://127.0.0.1:{port}", proxy_user="gate", proxy_password_file=stage.write("proxy-password", "secret\n"),
                      ack_timeout="20s", handshake_timeout="10s", max_backoff="1s", max_connects_per_second=100)
    gateway = Gateway(stage, configuration(stage, [cloud], [simulated(
        "rehearsal", {name: (["hub"], identity(pki, name, "sas")) for name in FLEET}, every="100ms")]))

    def count(condition):
        return sum(condition(cloud) for device in gateway.status()["devices"] for cloud in device["clouds"])

    def descriptors():
        return len(os.listdir(f"/proc/{gateway.process.child.pid}/fd"))

    wait_until(lambda: all_online(gateway), 40, "fifty sessions to be online")
    wait_until(lambda: proxy.command("stats")["tunnels"] == len(FLEET), 30, "one tunnel a session")
    stats = proxy.command("stats")
    assert stats["refused"] == 0 and set(stats["asked"]) == {f"localhost:{hub.port}"}, stats
    open_before = descriptors()

    proxy.kill()
    wait_until(lambda: count(lambda session: session["state"] != "online") == len(FLEET), 30, "all sessions to see the outage")
    wait_until(lambda: count(lambda session: f"the proxy: 127.0.0.1:{port}: cannot connect" in session.get("last_error", ""))
               == len(FLEET), 30, "all sessions to be told that the proxy is not there")
    before = gateway.accounts()
    wait_until(lambda: all(last > before[name] + 10 for name, last in gateway.accounts().items()), 30, "a backlog")

    proxy = stage.peer("connect_proxy.py", "--port", port)
    proxy.command("mode silent")
    proxy.command("auth gate secret")
    wait_until(lambda: count(lambda session: "in time" in session.get("last_error", "")) > 0, 30, "the silence to be told")
    proxy.command("mode ok")
    wait_until(lambda: all_online(gateway), 40, "fifty sessions to be back")
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 40, "everything to be delivered")
    wait_until(lambda: proxy.command("stats")["tunnels"] == len(FLEET) and descriptors() <= open_before + 2, 30,
               "one tunnel and one descriptor a session")
    assert gateway.stop() == 0
    wait_until(lambda: proxy.command("stats")["tunnels"] == 0, 30, "every tunnel to end")
    assert not hub.record.select("refused"), hub.record.select("refused")
    rows = judge(hub.record, accounts)
    print("\n".join(table(rows).splitlines()[:4]))
    assert all(row.holds for row in rows)
