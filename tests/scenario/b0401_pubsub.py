#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Pub/Sub gets every sample of every device in order through an outage and a restart: one connection, requests of one device each,
self-signed tokens."""
from field import all_online, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import Pki
from pubsub import PubSub, pubsub_cloud

DEVICES = ("meter-1", "meter-2", "meter-3")

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    cloud = PubSub(stage, pki)
    link = stage.peer("link.py", f"cloud=127.0.0.1:{cloud.port}")
    gateway = Gateway(stage, configuration(
        stage, [pubsub_cloud(link.ready["ports"]["cloud"], pki.path("ca.pem"), cloud.account, attributes=["site=north & south"],
                             max_messages=200)],
        [simulated("field", {device: (["lake"], None) for device in DEVICES})]))
    wait_until(lambda: all_online(gateway), 30, "the sessions to be online")
    wait_until(lambda: all(cloud.received(device) > 20 for device in DEVICES), 30, "the first samples")
    assert all(message["attributes"]["site"] == "north & south" for message in cloud.read())
    assert link.command("stats cloud")["accepted"] == 1, "all devices share one connection"

    link.command("cut cloud")
    before = gateway.accounts()
    wait_until(lambda: all(gateway.accounts()[device] > before[device] + 150 for device in DEVICES), 30, "a backlog")
    wait_until(lambda: gateway.session("meter-1", "lake")["state"] != "online", 30, "the outage to be seen")
    link.command("restore cloud")
    accounts = gateway.accounts()
    wait_until(lambda: all(cloud.received(device) >= accounts[device] for device in DEVICES), 30, "the backlog to be delivered")
    assert cloud.stats()["largest"] > 20, "a backlog goes in large requests"

    link.command("stall cloud")
    wait_until(lambda: "no answer to a publish request within 2 s" in gateway.session("meter-1", "lake").get("last_error", ""), 30,
               "a line that is dead to be noticed")
    gateway.kill()
    link.command("restore cloud")
    gateway.start()
    accounts = gateway.accounts()
    wait_until(lambda: all(cloud.received(device) >= accounts[device] for device in DEVICES), 30, "what was there before the crash")
    assert gateway.stop() == 0
    accounts = {device: cloud.accounts[device] for device in DEVICES}
    cloud.read()
    for device, account in accounts.items():
        assert not account.conflicts and account.out_of_order == 0, f"{device}: {account.conflicts} {account.out_of_order}"
        print(f"{device}: {account.prefix} delivered, {account.duplicates} twice")
    assert cloud.stats()["refused"] == [], cloud.stats()
