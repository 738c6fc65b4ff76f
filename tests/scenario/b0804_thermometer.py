#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A plugin from outside of the tree: the example thermometer is built against the installed package alone, passes its own test, reads a
thermometer on a pty through everything that goes wrong on a serial line, and delivers through the whole gateway to a broker."""
import os
import shutil

from broker import Broker
from field import broker_cloud
from gateway import Gateway, configuration
from harness import SOURCE, Stage, wait_until
from kit import Kit, events
from pki import Pki

with Stage() as stage:
    kit = Kit(stage)
    example = stage.path("thermometer")
    shutil.copytree(os.path.join(SOURCE, "plugins", "examples", "thermometer"), example)
    build = kit.build(example)
    kit.run("ctest", "--test-dir", build, "--output-on-failure", check=0)
    port = stage.path("ttyTH1")
    peer = stage.peer("thermometer.py", "--link", port)

    def source(every="50ms", timeout="10s", **more):
        return {"name": "cold-store", "plugin": "thermometer", "settings": {"port": port, "timeout": timeout}, "devices": [{
            "id": "cold-store-1", **more, "points": [{"name": "temperature", "quantity": "temperature", "unit": "Cel", "every": every},
                                                     {"name": "humidity", "quantity": "humidity", "every": every},
                                                     {"name": "limit", "quantity": "limit", "every": every, "writable": True}]}]}
    alone = configuration(stage, [], [source()], name="alone.yaml")
    hasty = configuration(stage, [], [source(timeout="100ms")], name="hasty.yaml")

    def trial(*more, file=alone, check=0):
        return events(kit.tidegate("plugin", "test", f"{build}/thermometer.so", "-c", file, "--json", *more, check=check))

    def values(seen):
        return {name: value for sample in seen["sample"] for name, value in sample["values"].items()}

    # --- by itself: values, a set point, a sensor that is broken
    assert values(trial("--samples", 3)) == {"temperature": 21.5, "humidity": 45.0, "limit": 30.0}
    assert trial("--samples", 6, "--send", "cold-store-1", "set", '{"limit": 28.5}')["answer"][0]["status"] == "ok"
    assert peer.command("stats")["values"]["L"] == 28.5
    refused = trial("--samples", 3, "--send", "cold-store-1", "set", '{"limit": 150}', check=1)
    assert "does not take this value" in refused["answer"][0]["result"], refused["answer"]
    peer.command("broken T on")
    seen = trial("--samples", 3)
    assert [sample["quality"] for sample in seen["sample"] if sample["quality"]] == [{"temperature": "sensor"}], seen["sample"]
    peer.command("broken T off")

    # --- what goes wrong on a line costs that one answer, and no wrong value ever
    for lie in ("garble", "half", "long"):
        peer.command(f"{lie} 1")
        seen = trial("--samples", 4)
        assert seen["sample"][0]["quality"] == {"temperature": "comm"} and values(seen)["temperature"] == 21.5, (lie, seen["sample"])
        assert [state["state"] for state in seen["state"]] == ["suspect", "ok"], (lie, seen["state"])
    peer.command("late 1")
    assert values(trial("--samples", 3)) == {"temperature": 21.5, "humidity": 45.0, "limit": 28.5}
    peer.command("mute 1000")
    down = trial("--samples", 3, file=hasty, check=1)
    assert [state["state"] for state in down["state"]] == ["suspect", "down"], down["state"]
    assert down["sample"][0]["quality"] == {"temperature": "timeout"}, down["sample"]
    assert down["end"][0]["wrong"] == ["down: device cold-store-1: no answer in 100 ms", "no sample had a value"], down["end"]
    peer.command("mute 0")
    peer.command("unplug")
    gone = trial("--for", "300ms", check=1)
    assert f"{port}: No such file or directory" in gone["end"][0]["wrong"][0], gone["end"]
    peer.command("plug")
    wrong = stage.write("two.yaml", open(alone, encoding="utf-8").read().replace("  devices:", "  devices:\n  - {id: second}"))
    done = kit.tidegate("plugin", "test", f"{build}/thermometer.so", "-c", wrong, "--for", "200ms", check=1)
    assert "a line has one thermometer" in done.stdout, done.stdout

    # --- installed, in the whole gateway, to a broker
    kit.run("cmake", "--install", build, check=0)
    assert "th1" in kit.tidegate("plugin", "describe", "thermometer", check=0).stdout
    pki = Pki(stage.path("pki"))
    broker = Broker(stage, pki, users={"cold-store-1": "right"})
    login = {"username": "cold-store-1", "password_file": stage.write("right", "right\n")}
    config = configuration(stage, [broker_cloud(broker.port, pki.path("ca.pem"))],
                           [source(clouds=["broker"], identity=login)], gateway={"plugin_dirs": [kit.variable("plugindir")]})
    gateway = Gateway(stage, config)

    def received():
        bodies = broker.heard("tidegate/cold-store-1/data")
        return [sample for body in bodies for sample in (body if isinstance(body, list) else [body])]
    wait_until(lambda: any(sample["values"].get("temperature") == 21.5 for sample in received()), 40, "a temperature in the cloud")
    peer.command("set T -3.5")
    wait_until(lambda: any(sample["values"].get("temperature") == -3.5 for sample in received()), 40, "the frost in the cloud")
    gateway.send("cold-store-1", "set", {"limit": 5})
    wait_until(lambda: any(sample["values"].get("limit") == 5 for sample in received()), 40, "the new limit in the cloud")
    peer.command("unplug")
    wait_until(lambda: gateway.device("cold-store-1")["state"] == "down", 40, "the line to be missed")
    peer.command("plug")
    wait_until(lambda: gateway.device("cold-store-1")["state"] == "ok", 40, "the line to be back")
    assert gateway.stop() == 0
    assert {sample["values"].get("temperature") for sample in received()} <= {21.5, -3.5, None}
    broker.close()
    print(f"{len(received())} samples of a plugin from elsewhere")
