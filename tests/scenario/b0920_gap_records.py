#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An outage that is longer than the outbox is large: what was given up is told to the cloud that missed it, by gap records which
explain every hole; the other cloud missed nothing and hears whose loss it was."""
from broker import Broker
from consumer import Behind
from field import all_online, broker_cloud, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from pki import Pki

NAMES = ["m1", "m2", "m3", "m4"]

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    hub, lake = (Broker(stage, pki, users={name: "right" for name in NAMES}, name=name) for name in ("hub", "lake"))
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    who = {"username": "", "password_file": stage.write("right", "right\n")}
    batch = {"max_samples": 20, "max_delay": "50ms"}
    clouds = [broker_cloud(link.ready["ports"]["hub"], pki.path("ca.pem"), name="hub", batch=batch),
              broker_cloud(lake.port, pki.path("ca.pem"), name="lake", batch=batch)]
    source = simulated("all", {name: (["hub", "lake"], {**who, "username": name}) for name in NAMES}, every="4ms")
    gateway = Gateway(stage, configuration(stage, clouds, [source], outbox={"limit": "256KiB"}))
    consumers = {"hub": Behind(hub, "hub"), "lake": Behind(lake, "lake")}
    wait_until(lambda: all_online(gateway), 30, "all sessions to be online")
    wait_until(lambda: all(consumers["hub"].highest(name) > 50 for name in NAMES), 30, "samples at the hub")

    link.command("cut hub")
    wait_until(lambda: gateway.status()["outbox"]["dropped"]["limit"] > 500, 40, "the limit to push samples out")
    lost = wait_until(lambda: gateway.session("m1", "hub").get("gap"), 30, "the first device's loss in the status")
    assert lost["count"] > 0 and lost["reasons"] == ["limit"], lost
    assert "gap" not in gateway.session("m1", "lake")
    link.command("restore hub")
    wait_until(lambda: all(consumers["hub"].verdict(name)["told"] > 0 for name in NAMES), 40, "a gap record of each device")
    # What was pushed out while the backlog went out is told a minute later, or with the next connection: now.
    accounts = gateway.accounts()
    wait_until(lambda: all(consumers["hub"].highest(name) >= accounts[name] for name in NAMES), 60, "the backlog to be delivered")
    link.command("rst hub")
    wait_until(lambda: all("gap" not in gateway.session(name, "hub") for name in NAMES), 40, "every loss to be told")
    accounts = gateway.accounts()
    for name in NAMES:
        for cloud, behind in consumers.items():
            wait_until(lambda: behind.highest(name) >= accounts[name], 40, f"everything of {name} at {cloud}")
    assert gateway.stop() == 0
    for name in NAMES:
        at_hub, at_lake = consumers["hub"].verdict(name), consumers["lake"].verdict(name)
        print(name, at_hub)
        assert not at_hub["unexplained"] and at_hub["beyond_count"] == 0, at_hub
        assert at_hub["missing"] > 0 and at_hub["reasons"] == ["limit"], at_hub
        # What was on its way when it was pushed out may have arrived; nothing else is told in vain: 20 messages of 20 samples.
        assert at_hub["missing"] <= at_hub["told"] <= at_hub["missing"] + 400, at_hub
        assert at_lake["missing"] == 0 and at_lake["told"] == 0, at_lake
        theirs = [sample for _, body in lake.messages for sample in [body] if b'"gap"' in sample and b'"cloud":"hub"' in sample]
        assert theirs, "the lake hears whose loss it was"
    run("outbox", "verify", "-c", gateway.config, check=0)
    print(run("outbox", "stats", "-c", gateway.config, check=0).stdout)
    hub.close()
    lake.close()
