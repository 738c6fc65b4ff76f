#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever can be written is reached by every way that there is: registers, bits, floats and enumerations of a Modbus meter, the write
template of a modem, a Bluetooth peer behind a module, a simulated set point, and the raw commands of their plugins; by `send`, messages
and methods of Azure, twin, shadow and jobs, an MQTT topic, Sparkplug, and IoT Core's commands and config. Every device tells what it
really received, every caller what it was answered. What is wrong is refused in the same words by every way, before anything is written."""
import itertools
import json

from aws import Aws, aws_cloud
from broker import Broker
from field import broker_cloud, hub_cloud
from gateway import Gateway, configuration
from gcp import Bridge, Registry
from harness import Stage, vectors, wait_until
from hub import Hub
from pki import Pki
from ucx import PASSWORD, SSID

SCALE, NODE = "D4CA6E8A1B2C", "line-1"
DEVICES = ("meter", "modem", "scale", "sim")
MIDDLE = [{"name": "speed", "address": "holding:5", "type": "int16", "writable": True, "every": "200ms"},
          {"name": "limit", "address": "holding:6", "type": "uint16", "scale": 0.1, "min": 0, "max": 80, "writable": True, "every": "200ms"},
          {"name": "relay", "address": "coil:3", "writable": True, "every": "200ms"},
          {"name": "ratio", "address": "holding:20", "type": "float32", "writable": True, "every": "200ms"},
          {"name": "mode", "address": "holding:9", "type": "uint16", "enum": {0: "off", 3: "boost"}, "writable": True, "every": "200ms"}]


class Site:
    """The devices, the clouds, the gateway between them."""

    def __init__(self, stage):
        self.stage, pki = stage, Pki(stage.path("pki"))
        self.meter = stage.peer("meter_server.py", "--profiles", vectors("southbound/modbus_profiles.json"), "--units", "1,2")
        self.modem = stage.peer("at_modem.py", "--link", stage.path("modem"), "--silence", 0, "--urcs", 0)
        self.module = stage.peer("ucx_module.py", "--link", stage.path("module"), "--wifi", f"{SSID}={PASSWORD}")
        self.module.command("peer", SCALE, "sps", "20")
        self.aws = Aws(stage, pki)
        for device in DEVICES:
            self.aws.add(device)  # the hub takes the same certificates
        self.hub = Hub(stage, pki, twin=True)
        self.broker = Broker(stage, pki, users={"nobody": "x"})
        self.host = stage.peer("sparkplug_host.py", self.broker.back_port)
        self.registry = Registry(stage.path("gcp"))
        self.registry.add("meter-2")
        self.bridge = Bridge(stage, self.registry)
        self.gateway = Gateway(stage, self.configuration())
        wait_until(lambda: all(cloud["state"] == "online" for device in self.gateway.status()["devices"] for cloud in device["clouds"]), 60,
                   "all sessions")
        wait_until(lambda: self.module.command("text", SCALE, r"T off\r\n")["told"], 30, "the scale to be connected")
        for device, point in (("meter", "mode"), ("modem", "output"), ("scale", "tare"), ("sim", "setpoint")):
            wait_until(lambda: self.last(device, point) is not None, 30, f"{device} to be read")
        wait_until(lambda: set(self.host.command("report")["nodes"].get(NODE, {}).get("devices", {})) == set(DEVICES), 30, "births")
        for device in DEVICES:
            self.hub.record.wait("subscribe", device, count=4, seconds=30)

    def configuration(self):
        def device(name, points, clouds=("hub", "aws", "broker", "plant"), **settings):
            return {"id": name, "clouds": list(clouds), "settings": settings, "points": points,
                    "identity": self.aws.identity(name) if name in DEVICES else {"jwt_key": self.registry.key(name)}}
        batch = {"max_samples": 20, "max_delay": "50ms"}
        clouds = [hub_cloud(self.hub), aws_cloud(self.aws, shadow="classic", jobs="on"), self.bridge.entry(),
                  broker_cloud(self.broker.back_port, reply_topic="tidegate/{device}/answer", batch=batch),
                  broker_cloud(self.broker.back_port, name="plant", format="sparkplug-b", group_id="G", edge_node=NODE, batch=batch)]
        meter = {"transport": "tcp", "host": "127.0.0.1", "port": str(self.meter.ready["port"])}
        return configuration(self.stage, clouds, [
            {"name": "bus", "plugin": "modbus", "isolation": "process", "settings": meter, "devices": [  # values are checked in the gateway all the same
                device("meter", MIDDLE, unit=1), device("meter-2", MIDDLE, ["lake"], unit=2)]},
            {"name": "modem", "plugin": "at", "settings": {"port": self.stage.path("modem"), "script": "none"}, "devices": [device("modem", [
                {"name": "output", "command": "AT+UGPIOR=16", "match": r"^\+UGPIOR: 16,(\d)$", "type": "int", "every": "1s",
                 "write": "AT+UGPIOW=16,{value}", "writable": True, "min": 0, "max": 1}])]},
            {"name": "yard", "plugin": "ucx", "settings": {"port": self.stage.path("module")}, "devices": [device("scale", [
                {"name": "tare", "match": "^T (on|off)$", "type": "bool", "write": "TARE {value}", "writable": True}], peer=f"sps://{SCALE}")]},
            {"name": "rehearsal", "plugin": "simulator", "devices": [device("sim", [
                {"name": "setpoint", "signal": "constant", "low": 21, "writable": True, "min": 0, "max": 100}], every="100ms")]}])

    def last(self, device, point):
        """As the broker was told it."""
        bodies = [body for said in self.broker.heard(f"tidegate/{device}/data") for body in (said if isinstance(said, list) else [said])]
        values = [body["values"][point] for body in bodies if point in body.get("values", {})]
        return values[-1] if values else None

    def holding(self, address, unit=1):
        return self.meter.command("holding", unit, address)["value"]

    def heard(self):
        return self.module.command("heard", SCALE)["text"]


# --- the ways: each gives a command and returns (status, result) as its caller is told; None for what it is not told ---------------

NUMBERS = itertools.count(1)
STATUS = {200: "ok", 400: "invalid", 501: "unsupported", 502: "device", 504: "timeout", 500: "error", 503: "busy"}


def by_send(site, device, command, arguments):
    status, result = site.gateway.send(device, command, arguments, check=None).stdout.split(" ", 1)
    return status, json.loads(result)


def by_method(site, device, command, arguments):
    done = site.hub.call_method(device, command, arguments, 30)
    return STATUS[done.status], done.payload


def by_message(site, device, command, arguments):
    """A message is not answered: that it was taken is seen, and what the device does."""
    with site.hub.service() as service:
        return unanswered(site, device, "hub", lambda: service.c2d(device, json.dumps({"command": command, "arguments": arguments}),
                                                                   f"%24.mid=m-{next(NUMBERS)}"))


def unanswered(site, device, cloud, say):
    before = site.gateway.session(device, cloud)["commands"]
    say()
    wait_until(lambda: site.gateway.session(device, cloud)["commands"] > before, 30, f"{cloud} to give {device} a command")
    return "ok", None


def by_topic(site, device, command, arguments):
    number = f"t-{next(NUMBERS)}"
    site.broker.say(f"tidegate/{device}/command", json.dumps({"command": command, "arguments": arguments, "id": number}))
    return wait_until(lambda: [(said["status"], said["result"]) for said in site.broker.heard(f"tidegate/{device}/answer") if said["id"] == number],
                      30, f"the answer to {command}")[0]


def by_job(site, device, command, arguments):
    job = f"job-{next(NUMBERS)}"
    site.aws.thing(device).job(job, {"command": command, "arguments": arguments})
    told = site.aws.thing(device).wait_job(job, "SUCCEEDED", "FAILED")["statusDetails"]
    return told["status"], json.loads(told["result"])


def by_twin(site, device, command, arguments):
    (name, value), = arguments.items()
    version = site.hub.twin(device).set_desired({name: value})
    told = site.hub.twin(device).wait_reported(lambda reported: reported.get(name, {}).get("av") == version)[name]
    assert told["value"] == value, told
    return STATUS[told["ac"]], None if told["ac"] == 200 else {"error": told["ad"]}


def by_shadow(site, device, command, arguments):
    (name, value), = arguments.items()
    thing = site.aws.thing(device)
    version = thing.update({"desired": {name: value}})
    told = thing.wait_reported(lambda reported: reported.get("_ack", {}).get(name, {}).get("av", 0) >= version)
    told, ack = told.get(name), told["_ack"][name]
    assert (told == value) == (ack["ac"] == 200), (told, ack)  # what was refused stays a difference
    return STATUS[ack["ac"]], None if ack["ac"] == 200 else {"error": ack["ad"]}


def by_dcmd(site, device, command, arguments):
    (name, value), = arguments.items()
    return unanswered(site, device, "plant", lambda: site.host.command("set", NODE, device, name, json.dumps(value), "name"))


WAYS = (by_send, by_method, by_message, by_topic, by_job)  # any command
WISHES = (by_twin, by_shadow, by_dcmd)  # points only


def every_point_by_every_way(site):
    float_words = {2.5: 0x4020, -2.5: 0xC020}
    cells = [("meter", "speed", (-7, 7), lambda value: site.holding(5) == value & 0xFFFF, {"function": 6, "address": 5}),
             ("meter", "limit", (21.5, 0.3), lambda value: site.holding(6) == round(value * 10), {"function": 6, "address": 6}),
             ("meter", "relay", (True, False), lambda value: site.meter.command("coil", 1, 3)["value"] == int(value), {"function": 5, "address": 3}),
             ("meter", "ratio", (2.5, -2.5), lambda value: site.holding(20) == float_words[value], {"function": 16, "address": 20}),
             ("meter", "mode", ("boost", "off"), lambda value: site.holding(9) == {"off": 0, "boost": 3}[value], {"function": 6, "address": 9}),
             ("modem", "output", (1, 0), lambda value: site.modem.command("output", 16)["value"] == value, {"status": "ok", "lines": []}),
             ("scale", "tare", (True, False), lambda value: site.heard().endswith(f"TARE {int(value)}\r\n"), {}),
             ("sim", "setpoint", (42, 17), lambda value: site.last("sim", "setpoint") == value, {})]
    for device, point, values, has, answer in cells:
        for way, value in zip(WAYS + WISHES, itertools.cycle(values)):
            status, result = way(site, device, "set", {point: value})
            assert status == "ok", (way.__name__, device, point, status, result)
            assert result is None or result == {**result, **answer}, (way.__name__, device, point, result)
            wait_until(lambda: has(value), 30, f"{device} to have {point} = {value}, {way.__name__}")


def raw_commands(site):
    for way in WAYS:
        cells = [("meter", "stats", {}, lambda said: said["state"] == "ok" and said["writes"] > 0),
                 ("modem", "at", {"command": "AT+CGMI"}, lambda said: said == {"lines": ["tidegate test works"], "status": "ok"}),
                 ("scale", "send", {"text": f"hello by {way.__name__}"}, lambda said: said == {}),
                 ("sim", "reset", {}, lambda said: said == {"reset": True})]
        for device, command, arguments, fits in cells:
            status, result = way(site, device, command, arguments)
            assert status == "ok" and (result is None or fits(result)), (way.__name__, device, command, status, result)
    wait_until(lambda: site.heard().count("hello by by_") == len(WAYS), 30, "all texts at the scale")
    wait_until(lambda: site.last("sim", "setpoint") == 21, 30, "the simulator to be reset")


def the_same_words(site):
    """What is wrong with a value does not depend on where it came from, and nothing is written."""
    wrong = [("meter", "speed", 32768, "32768 does not fit int16, which holds -32768 to 32767"), ("meter", "speed", 1.5, "whole numbers only"),
             ("meter", "limit", 80.5, "outside the point's range: 0 to 80"), ("meter", "mode", "high", "none of its texts: off, boost"),
             ("meter", "relay", "on", "takes true, false, 1 or 0"), ("modem", "output", 0.5, "a whole number"),
             ("scale", "tare", 2, "takes true, false, 1 or 0"), ("sim", "setpoint", "high", "must be a number")]
    before = site.holding(5), site.holding(6), site.holding(9), site.heard()
    for device, point, value, says in wrong[2:4]:  # who is not answered finds it in the log
        for way in (by_message, by_dcmd):
            told = site.gateway.errors().count(says)
            way(site, device, "set", {point: value})
            wait_until(lambda: site.gateway.errors().count(says) > told, 30, f"the log to say {says}")
    answered = [way for way in WAYS if way is not by_message]
    for (device, point, value, says), way in [*zip(wrong, itertools.cycle((by_send, by_topic))), *((wrong[0], way) for way in answered),
                                             *((wrong[i], by_twin) for i in (0, 2, 5)), *((wrong[i], by_shadow) for i in (0, 3, 6))]:
        status, result = way(site, device, "set", {point: value})
        assert status == "invalid" and says in result["error"] and "nothing was written" in result["error"], (way.__name__, device, point, status, result)
    assert before == (site.holding(5), site.holding(6), site.holding(9), site.heard())


def several_at_once(site):
    status, result = by_send(site, "meter", "set", {"speed": 11, "relay": True, "mode": "boost"})
    assert status == "ok" and [result[name]["function"] for name in ("speed", "relay", "mode")] == [6, 5, 6], result
    assert result["speed"]["words"] == ["000B"] and site.holding(5) == 11
    for way in (by_send, by_method, by_topic):  # the plugin's refusal of the last one too comes before the first is written
        status, result = way(site, "meter", "set", {"speed": 12, "relay": False, "ratio": "x"})
        assert status == "invalid" and "float32" in result["error"], result
    assert site.holding(5) == 11 and site.meter.command("coil", 1, 3)["value"] == 1
    site.meter.command("except", 1, 4)
    status, result = by_method(site, "meter", "set", {"speed": 12, "relay": False})
    assert status == "device" and [result[name]["exception"] for name in ("speed", "relay")] == [4, 4], result
    site.meter.command("except", 1, 0)


def what_the_device_refuses(site):
    """The caller is told what the device said, and so are twin and shadow."""
    site.meter.command("except", 1, 2)
    site.modem.command("refuse", "on")
    site.module.command("away", SCALE)
    wait_until(lambda: site.gateway.device("scale")["state"] == "down", 30, "the scale to be gone")
    for device, point, values, status, says in (("meter", "speed", (100, 101), "device", "exception 2, illegal data address"),
                                                ("modem", "output", (1, 0), "device", "the device answered"),
                                                ("scale", "tare", (True, False), "error", "not connected; nothing was sent")):
        for way in (by_send, by_method, by_topic, by_job, by_twin, by_shadow):
            told = way(site, device, "set", {point: values[way is by_shadow]})  # not what it had wished before: that was fulfilled
            assert told[0] == status and says in told[1]["error"], (way.__name__, device, told)
    site.meter.command("except", 1, 0)
    site.modem.command("refuse", "off")


def iot_core(site):
    with site.bridge.cloud() as cloud:
        site.bridge.record.wait("subscribe", "meter-2", "commands", seconds=30)
        cloud.command("meter-2", '{"speed": 5, "mode": "boost"}', "set")
        wait_until(lambda: (site.holding(5, 2), site.holding(9, 2)) == (5, 3), 30, "a command's points")
        cloud.config("meter-2", '{"speed": 6, "relay": true, "limit": 99}')
        wait_until(lambda: (site.holding(5, 2), site.meter.command("coil", 2, 3)["value"]) == (6, 1), 30, "the config's points")
        unanswered(site, "meter-2", "lake", lambda: cloud.command("meter-2", "{}", "stats"))
    assert site.holding(6, 2) == 0
    wait_until(lambda: "desired property limit" in site.gateway.errors(), 30, "the config's refusal")


with Stage() as stage:
    site = Site(stage)
    for part in (every_point_by_every_way, raw_commands, the_same_words, several_at_once, what_the_device_refuses, iot_core):
        part(site)
    assert site.gateway.stop() == 0
    site.broker.close()
