#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Too much of it: a megabyte sent to the gateway ends that connection with a text, and the session comes back with everything; a sample
that no message of the cloud can hold is left out, told and counted, and those around it arrive."""
import base64
import json

from field import broker_cloud, simulated
from gateway import Gateway, configuration
from harness import BUILD, Stage, free_port, wait_until
from metrics import metric
from pki import Pki

MEGABYTE = 1 << 20
LIMITS = {"azure": 262144, "aws": 131072, "any": 262144}
TOPICS = {"azure": "devices/azure/messages/devicebound/", "aws": "$aws/things/aws/shadow/update/delta", "any": "tidegate/any/command"}


def length(n):
    return bytes([n % 128 | 0x80]) + length(n // 128) if n > 127 else bytes([n])


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("azure", "sas")
    pki.add("aws", "x509-thumbprint")
    brokers = {name: stage.peer("bad_broker.py") for name in (*LIMITS, "steady")}
    who = {"azure": {"sas_key_file": pki.path("azure.sas")}, "aws": {"certificate": pki.path("aws.pem"), "key": pki.path("aws.key")}}
    kinds = {"azure": "azure-iot-hub", "aws": "aws-iot-core"}
    clouds = [{**broker_cloud(broker.ready["port"], name=name), "type": kinds.get(name, "mqtt"), **({"shadow": "classic"} if name == "aws" else {})}
              for name, broker in brokers.items()]
    points = [{"name": f"text-{n:02}"} for n in range(60)]
    sources = [{"name": "burdens", "plugin": "burden", "devices": [
        {"id": name, "clouds": [name], "points": points, **({"identity": who[name]} if name in who else {})} for name in LIMITS]},
        simulated("field", {"steady": (["steady"], None)})]
    web = free_port()
    gateway = Gateway(stage, configuration(stage, clouds, sources, gateway={
        "plugin_dirs": [f"{BUILD}/tests/fixtures", f"{BUILD}/plugins"], "http": f"127.0.0.1:{web}"}))
    seen = {name: {} for name in LIMITS}
    largest = dict.fromkeys(LIMITS, 0)

    def collect(name):
        for packet in brokers[name].command("seen")["packets"]:
            body = base64.b64decode(packet["payload"]) if packet["packet"] == "publish" else b"[]"
            largest[name] = max(largest[name], len(body))
            if "/twin/" in packet.get("topic", "") or "/shadow/" in packet.get("topic", ""):
                continue
            samples = json.loads(body)
            for sample in samples if isinstance(samples, list) else [samples]:
                assert seen[name].setdefault(sample["seq"], sample) == sample, "another body under the same seq"
        return seen[name]

    def session(name):
        return gateway.session(name, name)

    # Samples that no message can hold.
    for name in LIMITS:
        wait_until(lambda: session(name)["left_out"] >= 2, 30, f"a sample of {name} to be left out")
        assert "cannot be sent" in session(name)["notice"] and session(name)["state"] == "online", session(name)
    # A megabyte, twice each.
    packets = {}
    for name, topic in TOPICS.items():
        body = len(topic).to_bytes(2, "big") + topic.encode() + b"\x75\x30" + b'{"a":"' + b"x" * MEGABYTE + b'"}'
        with open(stage.path(f"{name}.packet"), "wb") as file:
            file.write(b"\x32" + length(len(body)) + body)
    for _ in range(2):
        for name in LIMITS:
            before = session(name)
            brokers[name].command("raw_file", stage.path(f"{name}.packet"))
            wait_until(lambda: session(name)["failures"] > before["failures"], 30, f"{name} to end the connection")
            wait_until(lambda: session(name)["state"] == "online" and session(name)["acked_seq"] > before["acked_seq"] + 10, 30, f"{name} to be back")
    assert gateway.errors().count("packet larger than the limit") >= 6, gateway.errors()
    assert session("steady")["connects"] == 1 and session("steady")["failures"] == 0
    accounts = gateway.accounts()
    for name in (*LIMITS, "steady"):
        wait_until(lambda: session(name)["acked_seq"] >= accounts[name], 30, f"all of {name} to be dealt with")
    left_out = {name: session(name)["left_out"] for name in LIMITS}
    accounts = {name: session(name)["acked_seq"] for name in LIMITS}
    wait_until(lambda: metric(web, "tidegate_outbox_dropped_samples_total", reason="quarantine") >= sum(left_out.values()), 30, "the metric to count them")
    assert gateway.stop() == 0
    for name, last in accounts.items():
        arrived = collect(name)
        missing = [seq for seq in range(1, last + 1) if seq not in arrived]
        print(f"{name}: {last} numbered, {len(missing)} left out, largest message {largest[name]} bytes")
        # Every tenth of the samples; gap records, which tell of them, are numbered among these.
        assert missing and len(missing) <= left_out[name] + 1, (missing, left_out)
        records = [seq for seq, sample in arrived.items() if "gap" in sample]
        nth = [seq - sum(record < seq for record in records) for seq in missing]
        assert records and all(n % 10 == nth[0] % 10 for n in nth), (missing, records)
        assert all(arrived[seq]["gap"]["reasons"] == ["quarantine"] for seq in records), arrived
        assert largest[name] <= LIMITS[name]
