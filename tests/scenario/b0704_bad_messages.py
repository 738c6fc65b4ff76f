#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every kind of cloud says nonsense to a device: hostile JSON in twins, shadows, configs, jobs, methods and commands, Sparkplug garbage,
topics of other devices, method names with escapes. Each message is taken and left out with a reason; nothing is written, no connection ends,
no sample is lost, and a right command works as before."""
import base64
import itertools
import json
import re

from field import broker_cloud, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import Pki
from gcp import PROJECT, REGION, REGISTRY, Registry

SET = b'{"command":"set","arguments":{"setpoint":66}}'
BODIES = {
    "deep arrays": b'{"setpoint":' + b"[" * 5000 + b"]" * 5000 + b"}", "deep objects": b'{"setpoint":' * 5000 + b"1" + b"}" * 5000,
    "not closed": b'{"a":' * 20000, "too large a real": b'{"setpoint":1e999}', "too large an integer": b'{"setpoint":' + b"9" * 5000 + b"}",
    "a name twice": b'{"command":"set","arguments":{"setpoint":66},"command":"set"}', "no UTF-8": b'{"setpoint":"\xff\xfe\xc0\x80"}',
    "NUL": b'{"setpoint":66\0}', "escaped NUL": b'{"setpoint\\u0000x":66,"command":"set\\u0000"}', "half a pair": b'{"setpoint":"\\ud800"}',
    "overlong": b'{"setpoint":"\xc0\xaf"}', "text": b'"set"', "array": b'[{"setpoint":66}]', "null": b"null", "spaces": b" " * 60000,
    "broken off": SET[:-2], "more behind": SET + b"x", "binary": bytes(range(256)) * 16, "a long name": b'{"' + b"n" * 60000 + b'":1}',
    "wrong types": b'{"command":7,"arguments":"set"}', "many": b'{"command":"x","arguments":{' + b",".join(b'"p%d":1' % n for n in range(3000)) + b"}}",
}
NAMES = {"se%74": 400, "a%2Fb": 501, "%C3%A4": 501, "set%00": 400, "%00": 400, "%zz": 400, "%": 400, "%4": 400, "%FF%FE": 400, "": 400, "n" * 200: 400}


class Wire:
    """A broker that takes everybody and says what it is told; messages go out as they are, whatever they are."""

    def __init__(self, stage, name):
        self.stage, self.name, self.peer = stage, name, stage.peer("bad_broker.py")
        self.port = self.peer.ready["port"]
        self.packets, self.numbers = [], itertools.count(30000)

    def send(self, topic, payload, takes=True):
        """At QoS 1; waits for the PUBACK, which says that the message has been dealt with."""
        topic, number = topic.encode(), next(self.numbers)
        body = len(topic).to_bytes(2, "big") + topic + number.to_bytes(2, "big") + payload
        length, rest = b"", len(body)
        while True:
            length += bytes([rest % 128 | (0x80 if rest > 127 else 0)])
            rest //= 128
            if not rest:
                break
        path = self.stage.path("packet")
        with open(path, "wb") as file:
            file.write(b"\x32" + length + body)
        self.peer.command("raw_file", path)
        if takes:
            wait_until(lambda: number in self.peer.command("stats")["acked"], 30, f"{self.name} to take a message to {topic[:80]}: {payload[:80]}")

    def seen(self, prefix, after=0):
        """What was published to topics with this prefix, from the `after`th on: (topic, payload)."""
        self.packets += self.peer.command("seen")["packets"]
        return [(packet["topic"], base64.b64decode(packet["payload"])) for packet in self.packets
                if packet["packet"] == "publish" and packet["topic"].startswith(prefix)][after:]

    def wait(self, prefix, after=0):
        return wait_until(lambda: self.seen(prefix, after), 30, f"{self.name} to publish to {prefix}")[0]


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("azure", "sas")
    pki.add("aws", "x509-thumbprint")
    registry = Registry(stage.path("gcp"))
    registry.add("gcp")
    wires = {name: Wire(stage, name) for name in ("azure", "aws", "gcp", "mqtt", "sparkplug", "good")}

    def cloud(name, kind, **more):
        return {**broker_cloud(wires[name].port, name=name), "type": kind, **more}
    google = {"project": PROJECT, "region": REGION, "registry": REGISTRY}
    clouds = [cloud("azure", "azure-iot-hub"), cloud("aws", "aws-iot-core", shadow="classic", jobs="on"), cloud("gcp", "gcp-iot-core", **google),
              cloud("mqtt", "mqtt"), cloud("sparkplug", "mqtt", format="sparkplug-b", group_id="G", edge_node="node"), cloud("good", "mqtt")]
    who = {"azure": {"sas_key_file": pki.path("azure.sas")}, "aws": {"certificate": pki.path("aws.pem"), "key": pki.path("aws.key")},
           "gcp": {"jwt_key": registry.key("gcp")}}
    gateway = Gateway(stage, configuration(stage, clouds, [simulated("field", {name: ([name], who.get(name)) for name in wires})]))
    wait_until(lambda: all(gateway.session(name, name)["state"] == "online" for name in wires), 30, "all sessions")
    resident = gateway.status()["gateway"]["resident_bytes"]

    def told(name, says=""):
        """`status` says that something was left out, and why."""
        session = gateway.session(name, name)
        assert session["state"] == "online" and says in session.get("notice", "(none)"), session

    # --- IoT Hub: the twin, twice; patches; methods and their names; messages
    wire = wires["azure"]
    for body in (BODIES["deep objects"], BODIES["a name twice"]):
        rid = re.search(r"rid=(\d+)", wire.wait("$iothub/twin/GET/", len(wire.seen("$iothub/twin/GET/")) - 1)[0])[1]
        asked = len(wire.seen("$iothub/twin/GET/"))
        wire.send(f"$iothub/twin/res/200/?$rid={rid}", body)
        told("azure", "JSON" if b"command" not in body else "no JSON")
        wire.wait("$iothub/twin/GET/", asked)
    rid = re.search(r"rid=(\d+)", wire.seen("$iothub/twin/GET/")[-1][0])[1]
    wire.send(f"$iothub/twin/res/200/?$rid={rid}", b'{"desired":{"$version":1},"reported":{"$version":1}}')
    for version, (what, body) in enumerate(BODIES.items(), 2):
        wire.send(f"$iothub/twin/PATCH/properties/desired/?$version={version}", body)
        wire.send("devices/azure/messages/devicebound/", body)
        if what not in ("spaces", "null"):  # which are no arguments
            wire.send(f"$iothub/methods/POST/set/?$rid=b{version}", body)
            assert wire.wait(f"$iothub/methods/res/400/?$rid=b{version}"), what
    for number, (name, status) in enumerate(NAMES.items()):
        wire.send(f"$iothub/methods/POST/{name}/?$rid=n{number}", b'{"nope":1}')
        assert wire.wait(f"$iothub/methods/res/{status}/?$rid=n{number}"), name
    for topic in ("$iothub/methods/POST/set/", "$iothub/methods/POST/set/?$rid=", "$iothub/methods/POST/set/?$rid=a b", "$iothub/methods/POST/set/?$rid=" + "9" * 300,
                  "$iothub/methods/POST/a/b/c", "$iothub/twin/PATCH/properties/desired/", "$iothub/twin/PATCH/properties/desired/?$version=x",
                  "devices/azure/messages/devicebound/%24.mid=%zz", "devices/neighbour/messages/devicebound/", "devices/azure2/messages/devicebound/"):
        wire.send(topic, SET if "methods" not in topic else b'{"setpoint":66}')
    told("azure", "not this device's")
    for topic in ("$iothub/twin/res/200/?$rid=77", "$iothub/twin/res/abc/?$rid=1", "$iothub/nothing", "$SYS/x"):
        wire.send(topic, b'{"desired":{"setpoint":66,"$version":99}}')

    # --- AWS IoT: the shadow's answer, deltas, jobs
    wire = wires["aws"]
    wire.wait("$aws/things/aws/shadow/get")
    wire.wait("$aws/things/aws/jobs/start-next")
    token = json.loads(wire.seen("$aws/things/aws/shadow/get")[0][1])["clientToken"].encode()
    job = json.loads(wire.seen("$aws/things/aws/jobs/start-next")[0][1])["clientToken"].encode()
    for body in BODIES.values():
        for topic in ("shadow/get/accepted", "shadow/update/delta", "shadow/update/accepted", "jobs/start-next/accepted", "jobs/notify-next"):
            wire.send(f"$aws/things/aws/{topic}", body)
    told("aws", "no version or no state")
    wire.send("$aws/things/aws/shadow/get/accepted", b'{"state":{"desired":[],"reported":7},"version":"x","clientToken":"%s"}' % token)
    wire.wait("$aws/things/aws/shadow/update")
    for state in (b"[]", b'{"setpoint":' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"nope":"' + b"x" * 40000 + b'"}'):
        wire.send("$aws/things/aws/shadow/update/delta", b'{"version":1000000,"state":%s}' % state)
    for topic in ("$aws/things/neighbour/shadow/update/delta", "$aws/things/aws2/shadow/update/delta", "$aws/things/aws/shadow/name/x/update/delta", "dt/x"):
        wire.send(topic, b'{"version":1000001,"state":{"setpoint":66}}')
    told("aws", "dt/x")
    wire.send("$aws/things/aws/jobs/start-next/accepted",
              b'{"clientToken":"%s","execution":{"jobId":"a/b","executionNumber":1,"jobDocument":{"command":"set","arguments":{"setpoint":66}}}}' % job)
    told("aws", "its id")

    # --- IoT Core: config and commands
    wire = wires["gcp"]
    for body in BODIES.values():
        wire.send("/devices/gcp/config", body)
        wire.send("/devices/gcp/commands", body)
        if body not in (BODIES["spaces"], BODIES["null"]):
            wire.send("/devices/gcp/commands/set", body)
    told("gcp", "the config is left out")
    for topic in ("/devices/neighbour/commands", "/devices/gcp2/commands", "/devices/gcp/commandsx", "/devices/gcp", "/devices/neighbour/config", "$SYS/x"):
        wire.send(topic, SET)
    told("gcp", "nothing is expected at the topic")

    # --- any broker, and Sparkplug
    wire = wires["mqtt"]
    for body in BODIES.values():
        wire.send("tidegate/mqtt/command", body)
    for topic in ("tidegate/neighbour/command", "tidegate/mqtt/command/set", "$SYS/broker"):
        wire.send(topic, SET)
    told("mqtt", "not this device's")
    wire = wires["sparkplug"]
    garbage = (b"", b"\x12\xff", b"\xff" * 500, b"\x12\x80\x80\x80\x80\x10", b"\x0a" * 3000, b"\x12\x02\x0a\x00", bytes(range(256)) * 100,
               b"\x12\x14\x0a\x08setpoint\x20\x09\x69" + b"\xff" * 8, b"\x12\x0c\x0a\x08setpoint\x38\x01", b"\x12\x0f\x0a\x08\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\x20\x01\x50\x42")
    for body in (*garbage, *BODIES.values()):
        wire.send("spBv1.0/G/DCMD/node/sparkplug", body)
        wire.send("spBv1.0/G/NCMD/node", body)
    right = b"\x12\x0e\x0a\x08setpoint\x20\x03\x50\x42"  # setpoint = 66
    for topic in ("spBv1.0/G/DCMD/node/neighbour", "spBv1.0/G/DCMD/other/sparkplug", "spBv1.0/X/DCMD/node/sparkplug", "spBv1.0/G/DCMD/node/sparkplug/x"):
        wire.send(topic, right)

    # --- nothing has come of all that, and everybody still works
    assert "command=set status=ok" not in gateway.errors(), [line for line in gateway.errors().splitlines() if "status=ok" in line]
    for name, wire in wires.items():
        session = gateway.session(name, name)
        assert (session["state"], session["connects"], session["failures"]) == ("online", 1, 0), session
    for name, topic in (("azure", "devices/azure/messages/devicebound/"), ("gcp", "/devices/gcp/commands"), ("mqtt", "tidegate/mqtt/command"),
                        ("good", "tidegate/good/command")):
        wires[name].send(topic, SET)
    wires["sparkplug"].send("spBv1.0/G/DCMD/node/sparkplug", right)
    wait_until(lambda: gateway.errors().count("command=set status=ok") == 5, 30, "a right command each")
    accounts = gateway.accounts()
    for name in wires:
        wait_until(lambda: gateway.session(name, name)["acked_seq"] >= accounts[name], 30, f"all samples of {name}")
    grown = gateway.status()["gateway"]["resident_bytes"] - resident
    assert grown < 24 << 20, f"{grown} bytes more are resident"
    assert gateway.stop() == 0
