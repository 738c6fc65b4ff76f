#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""sparkplug_host - a Sparkplug host application that follows the rules to the letter and says where an edge node does not (control.py).

    sparkplug_host.py PORT [--host ID] [--group G]      on a broker at 127.0.0.1:PORT, without TLS

    state online|offline [MS]      publishes STATE of the host, retained; MS: another timestamp than now
    rebirth NODE                   NCMD Node Control/Rebirth
    set NODE DEVICE METRIC JSON [alias]   DCMD, by name or by the alias of its birth
    raw TOPIC HEX [retain]         publishes these bytes
    report                         {"violations": […], "nodes": {node: {"online", "bdSeq", "births", "deaths", "devices": {…}}}}
    data NODE DEVICE METRIC        {"values": [[timestamp, value or null, historical, quality or null], …]} of all DDATA, in order
    birth NODE DEVICE              {"metrics": {name: metric of its last DBIRTH}}
    samples                        {"TYPE": hex of the last payload of that type}

What is judged, by the names of the specification's requirements where they are short: seq of each message, bdSeq of births and
deaths, births before data, aliases, datatypes, timestamps, QoS and retain, what is historical.
"""
import argparse
import asyncio
import json
import time

import control
import paho.mqtt.client as paho
from sparkplug_wire import decode, encode

INT64, BOOLEAN = 4, 11


def wrap(number):
    return number & 0xFF


class Device:
    def __init__(self):
        self.online, self.born_ms, self.metrics, self.data = False, 0, {}, []
        self.births = self.deaths = 0
        self.aliases = {}


class Node:
    """One edge node, as its host knows it."""

    def __init__(self, name, blame):
        self.name, self.blame = name, blame
        self.online, self.seq, self.bd_seq, self.seen_bd_seq = False, None, None, None
        self.births = self.deaths = self.stale_deaths = 0
        self.devices = {}

    def device(self, name):
        return self.devices.setdefault(name, Device())

    def number(self, kind, payload):
        seq = payload.get("seq")
        if seq is None or not 0 <= seq <= 255:
            self.blame(f"{kind}: seq is {seq}")
        elif kind == "NBIRTH":
            if seq != 0:
                self.blame(f"NBIRTH: seq is {seq}, not 0")
        elif self.seq is None or seq != wrap(self.seq + 1):
            self.blame(f"{kind}: seq is {seq} after {self.seq}")
        self.seq = seq

    def bd_seq_of(self, kind, payload):
        found = [metric for metric in payload["metrics"] if metric.get("name") == "bdSeq"]
        if len(found) != 1 or found[0].get("datatype") not in (INT64, 8) or not 0 <= found[0].get("value", -1) <= 255:
            self.blame(f"{kind}: bdSeq is {found}")
            return None
        return found[0]["value"]

    def nbirth(self, payload):
        bd_seq = self.bd_seq_of("NBIRTH", payload)
        self.number("NBIRTH", payload)
        control_metric = [metric for metric in payload["metrics"] if metric.get("name") == "Node Control/Rebirth"]
        if len(control_metric) != 1 or control_metric[0].get("value") is not False or control_metric[0].get("datatype") != BOOLEAN:
            self.blame(f"NBIRTH: Node Control/Rebirth is {control_metric}")
        self.check_born("NBIRTH", payload["metrics"])
        if self.online and bd_seq != self.bd_seq:
            self.blame(f"NBIRTH: a rebirth with bdSeq {bd_seq}, it was {self.bd_seq}")
        if not self.online and self.bd_seq is not None and not 1 <= wrap(bd_seq - self.bd_seq) <= 16:
            self.blame(f"NBIRTH: bdSeq {bd_seq} on a new connection, the last was {self.bd_seq}")
        self.online, self.bd_seq, self.births = True, bd_seq, self.births + 1
        for device in self.devices.values():
            device.online = False

    def ndeath(self, payload):
        if "seq" in payload:
            self.blame("NDEATH: has a seq")
        bd_seq = self.bd_seq_of("NDEATH", payload)
        if self.online and bd_seq != self.bd_seq:
            self.stale_deaths += 1
            return
        self.deaths += self.online
        self.online = False
        self.bd_seq = self.bd_seq if self.bd_seq is not None else bd_seq
        for device in self.devices.values():
            device.online = False

    def check_born(self, kind, metrics):
        names = [metric.get("name") for metric in metrics]
        if None in names or len(set(names)) != len(names):
            self.blame(f"{kind}: a metric without a name, or twice: {names}")
        for metric in metrics:
            if not metric.get("datatype") or "timestamp" not in metric:
                self.blame(f"{kind}: datatype or timestamp is missing: {metric}")
            if "value" not in metric and not metric.get("null"):
                self.blame(f"{kind}: neither value nor is_null: {metric}")
            if metric.get("historical"):
                self.blame(f"{kind}: a historical metric: {metric}")

    def dbirth(self, name, payload):
        device = self.device(name)
        self.number("DBIRTH", payload)
        if not self.online:
            self.blame(f"DBIRTH of {name} before NBIRTH")
        self.check_born(f"DBIRTH of {name}", payload["metrics"])
        device.aliases = {}
        for metric in payload["metrics"]:
            alias = metric.get("alias")
            others = [other for at, known in self.devices.items() if at != name and known.online for other in known.aliases]
            if alias is not None and (alias in device.aliases or alias in others):
                self.blame(f"DBIRTH of {name}: alias {alias} is not unique in the node")
            device.aliases[alias] = metric
        device.metrics = {metric.get("name"): metric for metric in payload["metrics"]}
        device.online, device.born_ms, device.births = True, payload.get("timestamp", 0), device.births + 1

    def ddeath(self, name, payload):
        device = self.device(name)
        self.number("DDEATH", payload)
        if not device.online:
            self.blame(f"DDEATH of {name}, which is not online")
        device.online, device.deaths = False, device.deaths + 1

    def ddata(self, name, payload):
        device = self.device(name)
        self.number("DDATA", payload)
        if not self.online or not device.online:
            self.blame(f"DDATA of {name} before its birth")
            return
        if not payload["metrics"]:
            self.blame(f"DDATA of {name} is empty")
        for metric in payload["metrics"]:
            self.datum(name, device, metric)

    def datum(self, name, device, metric):
        born = device.aliases.get(metric.get("alias"))
        if born is None or "name" in metric:
            self.blame(f"DDATA of {name}: no alias of its birth, or a name beside it: {metric}")
            return
        if metric.get("datatype", born["datatype"]) != born["datatype"]:
            self.blame(f"DDATA of {name}: {born['name']} has datatype {metric['datatype']}, born with {born['datatype']}")
        if "timestamp" not in metric:
            self.blame(f"DDATA of {name}: no timestamp: {metric}")
        if "value" not in metric and not metric.get("null"):
            self.blame(f"DDATA of {name}: neither value nor is_null: {metric}")
        if metric.get("timestamp", 0) < device.born_ms and not metric.get("historical"):
            self.blame(f"DDATA of {name}: {born['name']} of {metric['timestamp']} is older than the birth of {device.born_ms} and not historical")
        device.data.append((born["name"], metric.get("timestamp"), metric.get("value"), bool(metric.get("historical")),
                            metric.get("properties", {}).get("Quality")))


class Host:
    def __init__(self, port, host, group):
        self.host, self.group = host, group
        self.violations, self.nodes, self.samples = [], {}, {}
        self.client = paho.Client(f"host-{host}", protocol=paho.MQTTv311)
        self.client.on_connect = lambda client, user, flags, code: client.subscribe(f"spBv1.0/{group}/#", 1)
        self.client.on_message = self.on_message
        self.ready = False
        self.client.on_subscribe = self.on_subscribe
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def on_subscribe(self, *_):
        self.ready = True

    def blame(self, text):
        self.violations.append(text)

    def on_message(self, client, user, message):
        part = message.topic.split("/")
        try:
            self.take(part[2], part[3], part[4] if len(part) > 4 else None, message)
        except Exception as error:  # whatever the node has sent: the host goes on and says so
            self.blame(f"{message.topic}: {type(error).__name__}: {error}: {message.payload.hex()}")

    def take(self, kind, name, device, message):
        if kind in ("NCMD", "DCMD"):
            return
        payload = decode(message.payload)
        node = self.nodes.setdefault(name, Node(name, self.blame))
        self.samples[kind] = message.payload.hex()
        if message.retain:
            self.blame(f"{kind}: retained")
        if message.qos != (1 if kind == "NDEATH" else 0):
            self.blame(f"{kind}: QoS {message.qos}")
        if "timestamp" not in payload:
            self.blame(f"{kind}: no timestamp")
        if (device is None) != (kind[0] == "N"):
            self.blame(f"{kind} at {message.topic}")
        elif kind in ("NBIRTH", "NDEATH"):
            getattr(node, kind.lower())(payload)
        elif kind in ("DBIRTH", "DDEATH", "DDATA"):
            getattr(node, kind.lower())(device, payload)
        else:
            self.blame(f"{kind} is no kind of message")

    # --- commands ---

    def publish(self, topic, payload, qos=0, retain=False):
        self.client.publish(topic, payload, qos, retain).wait_for_publish()

    def state(self, what, at=None):
        online = {"online": True, "offline": False}[what]
        self.publish(f"spBv1.0/STATE/{self.host}", json.dumps({"online": online, "timestamp": int(at or time.time() * 1000)}), 1, True)

    def rebirth(self, node):
        self.publish(f"spBv1.0/{self.group}/NCMD/{node}",
                     encode({"timestamp": int(time.time() * 1000),
                             "metrics": [{"name": "Node Control/Rebirth", "datatype": BOOLEAN, "value": True}]}))

    def set(self, node, device, metric, text, how="name"):
        born = self.nodes[node].devices[device].metrics[metric]
        one = {"alias": born["alias"], "as": born["datatype"]} if how == "alias" else {"name": metric, "datatype": born["datatype"]}
        self.publish(f"spBv1.0/{self.group}/DCMD/{node}/{device}",
                     encode({"timestamp": int(time.time() * 1000), "metrics": [{**one, "value": json.loads(text)}]}))

    def raw(self, topic, text, retain=""):
        self.publish(topic, bytes.fromhex(text), 0, retain == "retain")

    def report(self):
        return {"violations": list(self.violations),
                "nodes": {name: {"online": node.online, "bdSeq": node.bd_seq, "births": node.births, "deaths": node.deaths,
                                 "devices": {at: {"online": device.online, "births": device.births, "deaths": device.deaths,
                                                  "data": len(device.data)} for at, device in list(node.devices.items())}}
                          for name, node in list(self.nodes.items())}}

    def data(self, node, device, metric):
        return {"values": [entry[1:] for entry in list(self.nodes[node].devices[device].data) if entry[0] == metric]}

    def birth(self, node, device):
        return {"metrics": self.nodes[node].devices[device].metrics}

    def last(self):
        return dict(self.samples)


async def main():
    parser = argparse.ArgumentParser(description="A strict Sparkplug host application.")
    parser.add_argument("port", type=int)
    parser.add_argument("--host", default="tests")
    parser.add_argument("--group", default="G")
    arguments = parser.parse_args()
    host = Host(arguments.port, arguments.host, arguments.group)
    while not host.ready:
        await asyncio.sleep(0.01)
    await control.serve({}, {"state": host.state, "rebirth": host.rebirth, "set": host.set, "raw": host.raw, "report": host.report,
                             "data": host.data, "birth": host.birth, "samples": host.last})
    host.client.disconnect()
    host.client.loop_stop()

if __name__ == "__main__":
    asyncio.run(main())
