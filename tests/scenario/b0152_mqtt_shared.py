#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Three devices on one MQTT connection, a topic for each point, retained: birth, goodbye and will are said once, a killed gateway is declared
dead by the broker, commands find their device and are answered, and nothing is lost over a cut."""
import json

import paho.mqtt.client as paho

from broker import Broker
from field import all_online, broker_cloud, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import Pki

DEVICES = ("d1", "d2", "d3")
POINTS = ("value", "level", "setpoint")

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    broker = Broker(stage, pki, users={"site": "right"})
    link = stage.peer("link.py", f"broker=127.0.0.1:{broker.port}")
    cloud = broker_cloud(link.ready["ports"]["broker"], pki.path("ca.pem"), session="shared", client_id="{gateway}-link", topic="plant/{gateway}/{device}/{point}",
                         command_topic="plant/{gateway}/do/{device}", reply_topic="plant/{gateway}/did/{device}", retain="on",
                         will_topic="plant/{gateway}/state", will_message='{"online":false,"by":"broker"}', goodbye_message='{"online":false,"by":"{gateway}"}',
                         birth_topic="plant/{gateway}/state", birth_message='{"online":true}', will_retain="on",
                         identity={"username": "site", "password_file": stage.write("site", "right\n")})
    gateway = Gateway(stage, configuration(stage, [cloud], [simulated("rehearsal", {device: (["broker"], None) for device in DEVICES})]))

    def states():
        return broker.heard("plant/test/state")

    def samples(device, point):
        return broker.heard(f"plant/test/{device}/{point}")

    def complete(device, upto):
        return all({sample["seq"] for sample in samples(device, point)} >= set(range(1, upto + 1)) for point in ("value",))
    wait_until(lambda: all_online(gateway), 30, "the sessions to be online")
    wait_until(lambda: states() == [{"online": True}], 30, "one birth")
    wait_until(lambda: all(len(samples(device, point)) > 0 for device in DEVICES for point in POINTS), 30, "each point at its topic")
    for device in DEVICES:
        assert all(set(sample["values"]) <= {point} for point in POINTS for sample in samples(device, point))
    assert len(broker.logged(r"New client connected .* as test-link ")) == 1 and not broker.logged(r"as d[123] "), "one connection for all"

    # A late observer finds the last message of each topic.
    kept = {}
    late = paho.Client("late", protocol=paho.MQTTv311)
    late.on_connect = lambda client, user, flags, code: client.subscribe("plant/#", 1)
    late.on_message = lambda client, user, message: kept.setdefault(message.topic, message.retain)
    late.connect("127.0.0.1", broker.back_port)
    late.loop_start()
    wait_until(lambda: kept.get("plant/test/state") and kept.get("plant/test/d1/setpoint"), 30, "retained messages")
    late.disconnect()
    late.loop_stop()

    # Commands: each device has its own, with an answer.
    for number, device in enumerate(DEVICES):
        broker.say(f"plant/test/do/{device}", json.dumps({"command": "set", "arguments": {"setpoint": 30 + number}, "id": f"n{number}"}))
    for number, device in enumerate(DEVICES):
        wait_until(lambda: [answer["status"] for answer in broker.heard(f"plant/test/did/{device}") if answer["id"] == f"n{number}"] == ["ok"], 30,
                   f"the answer of {device}")
        wait_until(lambda: any(sample["values"]["setpoint"] == 30 + number for sample in samples(device, "setpoint")), 30, f"the set point of {device}")
    broker.say("plant/test/do/d1", '{"command":"set","arguments":{"setpoint":99},"id":"n0"}')  # the same id: it came again
    broker.say("plant/test/do/d2", '{"command":"nonsense"}')
    wait_until(lambda: [answer["status"] for answer in broker.heard("plant/test/did/d2")][1:] == ["unsupported"], 30, "an answer without an id")
    assert not any(sample["values"]["setpoint"] == 99 for sample in samples("d1", "setpoint"))
    assert "came again and is not run twice" in gateway.errors()

    # A cut: the broker says the will; a new birth comes, and everything.
    before = gateway.accounts()
    link.command("cut broker")
    wait_until(lambda: states()[-1] == {"online": False, "by": "broker"}, 30, "the will")
    wait_until(lambda: all(gateway.accounts()[device] > before[device] + 50 for device in DEVICES), 30, "a backlog")
    link.command("restore broker")
    wait_until(lambda: states()[-1] == {"online": True}, 30, "a birth after the cut")
    accounts = gateway.accounts()
    for device in DEVICES:
        wait_until(lambda: complete(device, accounts[device]), 30, f"everything of {device}")

    # kill -9: the broker says it; after the restart everything is there.
    gateway.kill()
    wait_until(lambda: states()[-1] == {"online": False, "by": "broker"}, 30, "the will after the kill")
    gateway.start()
    wait_until(lambda: states()[-1] == {"online": True}, 30, "a birth after the restart")
    accounts = gateway.accounts()
    for device in DEVICES:
        wait_until(lambda: complete(device, accounts[device]), 30, f"everything of {device} after the restart")
    assert gateway.stop() == 0
    wait_until(lambda: states()[-1] == {"online": False, "by": "test"}, 30, "the goodbye")
    print({device: len(samples(device, "value")) for device in DEVICES})
    broker.close()
