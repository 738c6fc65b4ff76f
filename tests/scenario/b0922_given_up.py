#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`outbox drop` on a running and on a stopped gateway, and a device that leaves the file: an edit that is undone in time loses nothing,
else what waited is given up, counted, told, and holds nobody back."""
import json

from broker import Broker
from consumer import Behind
from field import broker_cloud, simulated
from gateway import Gateway, configuration, run
from harness import Stage, free_port, wait_until
from pki import Pki

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    names = ("stays", "leaves")
    hub = Broker(stage, pki, users={name: "right" for name in names}, name="hub")
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    secret = stage.write("right", "right\n")
    batch = {"max_samples": 20, "max_delay": "50ms"}

    def write(*devices, keep="1h", every="10ms"):
        return configuration(stage, [broker_cloud(link.ready["ports"]["hub"], pki.path("ca.pem"), name="hub", batch=batch),
                                     broker_cloud(free_port(), name="dead", batch=batch)],
                             [simulated(f"of-{name}", {name: (["hub", "dead"], {"username": name, "password_file": secret})}, every=every)
                              for name in devices], outbox={"keep_removed": keep})
    gateway = Gateway(stage, write(*names))
    consumer = Behind(hub, "hub")

    def pending(name, cloud):
        return gateway.session(name, cloud)["pending"]
    wait_until(lambda: all(pending(name, "dead") > 100 for name in names), 30, "a backlog for the dead cloud")

    # Without --yes it only says so.
    asked = run("outbox", "drop", "stays", "--cloud", "dead", "-c", gateway.config, check=1)
    assert "would be dropped" in asked.stdout and "nothing was dropped: say --yes" in asked.stderr, asked
    assert pending("stays", "dead") > 100
    run("outbox", "drop", "nobody", "--yes", "-c", gateway.config, check=1)
    run("outbox", "drop", "--yes", "-c", gateway.config, check=2)
    run("outbox", "drop", "stays", "--before", "yesterday", "--yes", "-c", gateway.config, check=2)
    none = json.loads(run("outbox", "drop", "stays", "--cloud", "dead", "--before", "1h", "--yes", "--json", "-c", gateway.config, check=0).stdout)
    assert none == {"dropped": True, "samples": 0}, none
    done = json.loads(run("outbox", "drop", "stays", "--cloud", "dead", "--yes", "--json", "-c", gateway.config, check=0).stdout)
    assert done["dropped"] and done["samples"] > 100, done
    wait_until(lambda: gateway.session("stays", "dead").get("gap", {}).get("reasons") == ["removed"], 30, "the status to say so")
    waits = {device["id"]: cloud["pending"] for device in gateway.status()["devices"] for cloud in device["clouds"] if cloud["name"] == "dead"}
    assert waits["leaves"] - waits["stays"] > done["samples"] / 2, (waits, done)  # both go on collecting
    assert "dropped on request (counted as removed)" in gateway.errors()

    # A device that leaves the file by mistake, while its cloud is away.
    link.command("cut hub")
    wait_until(lambda: all(pending(name, "hub") > 50 for name in names), 30, "a backlog for the hub")
    write("stays")
    gateway.reload()
    wait_until(lambda: "no longer configured: leaves at" in gateway.errors(), 30, "the gateway to say that it left")
    write(*names)
    gateway.reload()
    wait_until(lambda: len(gateway.status()["devices"]) == 2, 30, "it to be back")
    link.command("restore hub")
    accounts = gateway.accounts()
    wait_until(lambda: all(consumer.highest(name) >= accounts[name] for name in names), 40, "everything at the hub")
    assert all(consumer.verdict(name)["missing"] == 0 for name in names), "an edit that was undone loses nothing"

    # For good, with no grace: what waited is given up without a restart.
    assert gateway.stop() == 0
    write(*names, keep="0s")
    gateway.start()
    link.command("cut hub")
    wait_until(lambda: gateway.session("leaves", "hub")["state"] != "online", 30, "the cut to be noticed")
    sent = pending("leaves", "hub")  # some of these may be at the hub, which could not say so any more
    wait_until(lambda: pending("leaves", "hub") > sent + 60, 30, "a backlog for the hub")
    write("stays", keep="0s")
    gateway.reload()
    wait_until(lambda: "given up (counted as removed)" in gateway.errors(), 30, "what waited to be given up")
    wait_until(lambda: gateway.status()["outbox"]["dropped"]["removed"] > 50, 30, "it to be counted")
    write(*names, keep="0s")
    gateway.reload()
    wait_until(lambda: len(gateway.status()["devices"]) == 2, 30, "it to be back")
    link.command("restore hub")
    wait_until(lambda: "removed" in consumer.verdict("leaves")["reasons"], 40, "its cloud to be told")
    accounts = gateway.accounts()
    wait_until(lambda: all(consumer.highest(name) >= accounts[name] for name in names), 40, "everything at the hub")
    for name in names:
        verdict = consumer.verdict(name)
        print(name, verdict)
        assert not verdict["unexplained"] and verdict["beyond_count"] == 0, verdict
    assert consumer.verdict("stays")["missing"] == 0 and consumer.verdict("leaves")["missing"] > 50

    # On a stopped gateway, directly.
    assert gateway.stop() == 0
    done = run("outbox", "drop", "--all", "--yes", "-c", gateway.config, check=0)
    assert "dropped; their clouds are told" in done.stdout, done
    stats = json.loads(run("outbox", "stats", "--json", "-c", gateway.config, check=0).stdout)
    assert all(device["pending"] == 0 and device["dropped"]["removed"] > 0 for device in stats["devices"]), stats
    run("outbox", "verify", "-c", gateway.config, check=0)
    hub.close()
