#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the manual says one sees when something is wrong is what the gateway says: wrong keys, unknown and disabled devices, wrong roots,
names, ports, topics and projects, one of each against the test clouds, and each text stands in its page's table."""
import os
import re

from aws import Aws, aws_cloud
from field import broker_cloud, hub_cloud
from gateway import Gateway, configuration
from gcp import Bridge, Registry
from harness import SOURCE, Stage, free_port, wait_until
from hub import Dps, Hub
from pki import Pki
from pubsub import PubSub, pubsub_cloud

AZURE, AWS, GCP, PUBSUB, MQTT, SPARKPLUG, COMMON = (
    "clouds/azure-iot-hub.md", "clouds/aws-iot-core.md", "clouds/gcp-iot-core.md", "clouds/gcp-pubsub.md", "clouds/mqtt.md",
    "clouds/sparkplug-b.md", "troubleshooting.md")
PLACES = re.compile(r"…|\b(?:HOST|PORT|[A-Z])\b")
OPEN = {"rules": "open", "publish": "tidegate/%c/#", "subscribe": "tidegate/%c/#"}


def patterns(page):
    """The texts of its tables' first columns; what stands for something else there (…, HOST, one capital) fits anything."""
    with open(os.path.join(SOURCE, "docs", page), encoding="utf-8") as file:
        texts = re.findall(r"(?m)^\| `([^`]+)` \|", file.read())
    return [re.compile(".*".join(re.escape(part) for part in PLACES.split(text))) for text in texts]


class Field:
    """Clouds and devices, one wrong thing each."""

    def __init__(self):
        self.clouds, self.devices, self.expected = [], [], {}

    def wrong(self, page, cloud, device, identity=None):
        name = f"c{len(self.clouds)}"
        self.clouds.append({**cloud, "name": name, "min_backoff": "100ms", "max_backoff": "1s"})
        self.devices.append({"id": name, "clouds": [{"name": name, "id": device}], **({"identity": identity} if identity else {}),
                             "points": [{"name": "v", "signal": "sine"}]})
        self.expected[name] = page


def azure(field, stage, strange):
    pki = Pki(stage.path("azure"))
    pki.add("meter-1", "sas")
    pki.add("meter-2", "sas", enabled=False)
    pki.add("meter-3", "x509-ca")
    hub = Hub(stage, pki)
    dps = Dps(stage, pki, hub)
    for name in ("meter-5", "meter-6", "meter-7"):
        dps.enrol(name)
    dps.command("outcome", "meter-6", "disabled")
    dps.command("outcome", "meter-7", "failed")
    cloud = hub_cloud(hub)
    sas = {"sas_key_file": pki.path("meter-1.sas")}
    field.wrong(AZURE, cloud, "meter-1", strange)
    field.wrong(AZURE, cloud, "meter-9", strange)
    field.wrong(AZURE, cloud, "meter-2", {"sas_key_file": pki.path("meter-2.sas")})
    field.wrong(AZURE, cloud, "meter-4", {"certificate": pki.path("meter-3.pem"), "key": pki.path("meter-3.key")})
    field.wrong(COMMON, {**cloud, "ca_file": Pki(stage.path("others")).path("ca.pem")}, "meter-1", sas)
    field.wrong(COMMON, {key: value for key, value in cloud.items() if key != "ca_file"}, "meter-1", sas)
    field.wrong(COMMON, {**cloud, "port": free_port()}, "meter-1", sas)
    field.wrong(COMMON, {**cloud, "port": hub.service_port}, "meter-1", sas)
    field.wrong(COMMON, {**cloud, "host": "contoso.invalid"}, "meter-1", sas)
    service = {**{key: value for key, value in cloud.items() if key not in ("host", "port")},
               "provisioning": {"id_scope": dps.id_scope, "host": "localhost", "port": dps.port}}
    field.wrong(AZURE, service, "meter-5", strange)
    field.wrong(AZURE, service, "meter-6", {"sas_key_file": pki.path("meter-6.sas")})
    field.wrong(AZURE, service, "meter-7", {"sas_key_file": pki.path("meter-7.sas")})


def brokers(field, stage, strange):
    pki = Pki(stage.path("brokers"))
    pki.register("meter-1", "password", "right")
    pki.register("meter-2", "password", "right")
    broker = Hub(stage, pki, name="broker", options=OPEN)
    right, wrong = (stage.write(name, name + "\n") for name in ("right", "wrong"))
    cloud = broker_cloud(broker.port, pki.path("ca.pem"))
    field.wrong(MQTT, cloud, "meter-1", {"username": "meter-1", "password_file": wrong})
    field.wrong(MQTT, cloud, "meter-1")
    field.wrong(MQTT, {**cloud, "topic": "plant/data", "command_topic": ""}, "meter-2", {"username": "meter-2", "password_file": right})
    field.wrong(SPARKPLUG, {**cloud, "format": "sparkplug-b", "group_id": "north", "identity": {"username": "test", "password_file": wrong}}, "meter-1")
    aws = Aws(stage, Pki(stage.path("aws")))
    aws.add("meter-1")
    aws.add("meter-2")
    aws.pki.add("stranger", "x509-thumbprint")
    field.wrong(AWS, aws_cloud(aws), "meter-1", aws.identity("stranger"))
    field.wrong(AWS, aws_cloud(aws), "meter-3", aws.identity("meter-1"))
    field.wrong(AWS, aws_cloud(aws, topic="my/topic"), "meter-2", aws.identity("meter-2"))


def google(field, stage, strange):
    registry = Registry(stage.path("gcp"))
    registry.add("meter-1")
    registry.add("meter-2", blocked=True)
    registry.add("meter-3", key=None)
    registry.gateway("gate-1")
    bridge = Bridge(stage, registry)
    key = {name: {"jwt_key": registry.key(name)} for name in ("meter-1", "meter-2", "gate-1")}
    field.wrong(GCP, bridge.entry(), "meter-1", key["meter-2"])
    field.wrong(GCP, bridge.entry(), "meter-2", key["meter-2"])
    field.wrong(GCP, bridge.entry(project="plant-two"), "meter-1", key["meter-1"])
    field.wrong(GCP, bridge.entry(mode="gateway", gateway_id="gate-1", identity=key["gate-1"]), "meter-3")
    pki = Pki(stage.path("pubsub"))
    service = PubSub(stage, pki)
    cloud = pubsub_cloud(service.port, pki.path("ca.pem"), service.account)
    field.wrong(PUBSUB, {**cloud, "topic": "telemetri"}, "meter-1")
    field.wrong(PUBSUB, {**cloud, "service_account_file": service.stranger}, "meter-1")


with Stage() as stage:
    field = Field()
    strange = {"sas_key_file": stage.write("strange.key", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA==\n")}
    for part in (azure, brokers, google):
        part(field, stage, strange)
    gateway = Gateway(stage, configuration(stage, field.clouds, [{"name": "rehearsal", "plugin": "simulator", "devices": field.devices}]))
    known = {page: patterns(page) for page in set(field.expected.values())}
    said = {}

    def all_said():
        """A text counts when it stands in the manual: the first loss of a connection has another one than the third."""
        for device in gateway.status()["devices"]:
            text = device["clouds"][0].get("last_error", "")
            if text and any(pattern.match(text) for pattern in known[field.expected[device["id"]]]):
                said[device["id"]] = text
            elif text and device["id"] not in said:
                missing[device["id"]] = text
        return len(said) == len(field.expected)

    missing = {}
    try:
        wait_until(all_said, 60, "every mistake to be said in the manual's words")
    except AssertionError as late:
        raise AssertionError("\n".join([str(late), *(f"{name} is not in docs/{page}: {missing.get(name)}"
                                                      for name, page in field.expected.items() if name not in said)])) from None
    for name, text in said.items():
        print(f"{field.expected[name]}: {text}")
    assert gateway.stop() == 0
