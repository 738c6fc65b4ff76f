#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""While the link is up a sample with priority does not wait for its message to fill, whatever max_delay is: what had been waiting comes with it, in
order, and what is not urgent goes on waiting."""
import json

from broker import Broker
from field import all_online, broker_cloud
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import Pki

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    broker = Broker(stage, pki, users={"site": "right"})
    cloud = broker_cloud(broker.port, pki.path("ca.pem"), topic="{device}", batch={"max_samples": 1000, "max_bytes": 200000, "max_delay": "1h"},
                         identity={"username": "site", "password_file": stage.write("site", "right\n")})
    source = {"name": "field", "plugin": "simulator", "devices": [
        {"id": "boiler", "clouds": ["broker"], "settings": {"every": "200ms"},
         "points": [{"name": "value", "signal": "counter"},
                    {"name": "alarm", "signal": "constant", "low": 0, "writable": True, "deadband": 0, "priority": "high"}]}]}
    gateway = Gateway(stage, configuration(stage, [cloud], [source]))
    messages = []

    def collect():
        messages[:] = [json.loads(payload) for topic, payload in broker.messages if topic == "boiler"]
        messages[:] = [body if isinstance(body, list) else [body] for body in messages]
        return messages

    def alarms():
        return [sample["values"]["alarm"] for body in collect() for sample in body if "alarm" in sample["values"]]

    wait_until(lambda: all_online(gateway) and alarms() == [0], 30, "the first sample, which has every point")
    for number in (1, 2, 3):
        before = gateway.accounts()["boiler"]
        wait_until(lambda: gateway.accounts()["boiler"] >= before + 3, 30, "samples that wait")
        told = sum(len(body) for body in collect())
        assert gateway.session("boiler", "broker")["pending"] >= 3 and told < gateway.accounts()["boiler"], "what is not urgent waits"
        gateway.send("boiler", "set", {"alarm": number})
        wait_until(lambda: alarms()[-1:] == [number], 30, f"alarm {number}, an hour before the message is due")
    assert len(alarms()) == 4, alarms()
    numbers = [sample["seq"] for body in messages for sample in body]
    assert numbers == list(range(1, numbers[-1] + 1)), numbers
    # The alarm ended its message: nothing was in it that came later but what the same commit brought.
    for body in messages[-3:]:
        at = [index for index, sample in enumerate(body) if "alarm" in sample["values"]][-1]
        assert at >= len(body) - 2 and at > 0, body
    assert gateway.stop() == 0
    print(f"{len(numbers)} samples in {len(messages)} messages")
    broker.close()
