#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A dead second cloud keeps to its quota and costs the first one nothing; a chatty device keeps to its own and costs the others nothing.
A quota that is changed in the file counts after a reload, without a reconnect."""
from broker import Broker
from consumer import Behind
from field import broker_cloud, simulated
from gateway import Gateway, configuration, run
from harness import Stage, free_port, wait_until
from pki import Pki

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    names = ("chatty", "calm")
    hub = Broker(stage, pki, users={name: "right" for name in names}, name="hub")
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    secret = stage.write("right", "right\n")
    batch = {"max_samples": 20, "max_delay": "50ms"}
    dead = broker_cloud(free_port(), name="dead", batch=batch)

    def write(cloud_quota, device_quota):
        def source(name, every):
            return simulated(f"source-{name}", {name: (["hub", "dead"], {"username": name, "password_file": secret})}, every=every)
        talks, calm = source("chatty", "2ms"), source("calm", "20ms")
        talks["devices"][0]["outbox"] = {"max_pending": device_quota}
        calm["outbox"] = {"max_pending": 100000}  # a source's default
        return configuration(stage, [broker_cloud(link.ready["ports"]["hub"], pki.path("ca.pem"), name="hub", batch=batch),
                                     {**dead, "outbox": {"max_pending": cloud_quota, "max_age": "1h"}}], [talks, calm])
    gateway = Gateway(stage, write(cloud_quota=400, device_quota=1000))
    consumer = Behind(hub, "hub")
    wait_until(lambda: all(gateway.session(name, "hub")["state"] == "online" for name in names), 30, "the hub's sessions")

    def waits(cloud):
        return sum(gateway.session(name, cloud)["pending"] for name in names)
    wait_until(lambda: gateway.status()["outbox"]["dropped"]["quota"] > 500, 40, "the dead cloud to be over its quota")
    for _ in range(5):  # with slack, and what waits for its commit
        assert waits("dead") < 400 + 400 // 32 + 25 + 200, waits("dead")
    lost = gateway.session("chatty", "dead")["gap"]
    assert lost["reasons"] == ["quota"] and lost["first_seq"] == 1, lost
    assert "gap" not in gateway.session("chatty", "hub")

    # An outage: the chatty device has room for 1000, the calm one for all it has.
    link.command("cut hub")
    before = gateway.accounts()["calm"]
    wait_until(lambda: "gap" in gateway.session("chatty", "hub") and gateway.session("chatty", "hub")["gap"]["count"] > 300, 40,
               "the chatty device to be over its quota")
    wait_until(lambda: gateway.accounts()["calm"] > before + 100, 40, "samples of the calm device")
    assert gateway.session("chatty", "hub")["pending"] < 1000 + 1000 // 32 + 62 + 200
    assert "gap" not in gateway.session("calm", "hub")
    # A lower quota, by a reload.
    connects = {name: gateway.session(name, "hub")["connects"] for name in names}
    write(cloud_quota=400, device_quota=200)
    gateway.reload()
    wait_until(lambda: gateway.session("chatty", "hub")["pending"] < 200 + 16 + 6 + 200, 40, "the lower quota to count")
    # From here on nothing more is lost, however slow this machine is.
    write(cloud_quota=400, device_quota=1000000)
    gateway.reload()
    lost = gateway.session("chatty", "hub")["gap"]["count"]
    wait_until(lambda: gateway.session("chatty", "hub")["pending"] > 400, 40, "the higher quota to count")
    link.command("restore hub")
    wait_until(lambda: consumer.verdict("chatty")["told"] >= lost, 40, "the chatty device's gap record")
    link.command("rst hub")
    wait_until(lambda: all("gap" not in gateway.session(name, "hub") and gateway.session(name, "hub")["state"] == "online" for name in names),
               40, "every loss to be told")
    accounts = gateway.accounts()
    wait_until(lambda: all(consumer.highest(name) >= accounts[name] for name in names), 40, "everything at the hub")
    chatty, calm = consumer.verdict("chatty"), consumer.verdict("calm")
    print(chatty, calm)
    assert calm["missing"] == 0 and calm["told"] == 0, calm
    assert chatty["missing"] > 300 and not chatty["unexplained"] and chatty["beyond_count"] == 0, chatty
    assert chatty["reasons"] == ["quota"] and chatty["told"] <= chatty["missing"] + 400, chatty
    assert gateway.stop() == 0
    run("outbox", "verify", "-c", gateway.config, check=0)
    hub.close()
