#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Google's own Pub/Sub emulator takes what the gateway publishes, and a subscription with ordering gives each device's samples back in order."""
import json
import sys

from field import all_online, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pubsub import SKIP, Emulator, pubsub_cloud, take

DEVICES = ("meter-1", "meter-2")

jar = Emulator.find()
if not jar:
    print("skipped: the package google-cloud-cli-pubsub-emulator (or java) is not installed")
    sys.exit(SKIP)

with Stage() as stage:
    emulator = Emulator(stage, jar)
    emulator.create("reader")
    gateway = Gateway(stage, configuration(stage, [pubsub_cloud(emulator.port, ack_timeout="30s", attributes=["site=north"])],
                                           [simulated("field", {device: (["lake"], None) for device in DEVICES}, every="10ms")]))
    accounts = {}

    def received(device):
        for attributes, key, data in emulator.pull("reader"):
            assert attributes["site"] == "north", attributes
            take(accounts, attributes, key, json.loads(data))
        return accounts[device].prefix if device in accounts else 0
    wait_until(lambda: all_online(gateway), 30, "the sessions to be online")
    wait_until(lambda: all(received(device) > 100 for device in DEVICES), 60, "a hundred samples of each device")
    assert gateway.stop() == 0
    for device in DEVICES:
        account = accounts[device]
        assert not account.conflicts and account.out_of_order == 0, f"{device}: {account.conflicts} {account.out_of_order}"
        print(f"{device}: {account.prefix} pulled in order, {account.duplicates} twice")

    # A topic that does not exist is told as such, and it is no reason to lose anything.
    gateway.config = configuration(stage, [pubsub_cloud(emulator.port, topic="missing", name="other")],
                                   [simulated("field", {"meter-1": (["other"], None)})], name="other.yaml")
    gateway.start()
    wait_until(lambda: "404 NOT_FOUND" in gateway.session("meter-1", "other").get("last_error", ""), 30, "the missing topic to be told")
    assert gateway.stop() == 0
