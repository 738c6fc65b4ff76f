#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One device's samples in every format at once: each cloud has the same numbers and values, compressed where that is asked for."""
import json
import zlib

from broker import Broker
from field import all_online, broker_cloud, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from pki import Pki

FORMATS = {"plain": {"format": "json"}, "packed": {"format": "json", "compress": "deflate"}, "senml": {"format": "senml"},
           "cbor": {"format": "senml-cbor"}, "lines": {"format": "template", "template": "{device};{seq};{point:value};{point:none}"}}

with Stage() as stage:
    broker = Broker(stage, Pki(stage.path("pki")), users={"unused": "unused"})
    clouds = [broker_cloud(broker.back_port, name=name, topic=f"{name}/{{device}}", client_id=f"{name}-{{device}}", batch={"max_samples": 20, "max_delay": "50ms"}, **options)
              for name, options in FORMATS.items()]
    source = simulated("rehearsal", {"pump-1": (list(FORMATS), None)})
    source["devices"][0]["points"][1]["unit"] = "kWh"
    gateway = Gateway(stage, configuration(stage, clouds, [source]))

    def bodies(name):
        return [body for topic, body in list(broker.messages) if topic == f"{name}/pump-1"]

    def flat(name):
        """{seq: value} of the formats that Python reads by itself."""
        found = {}
        for body in bodies(name):
            if name == "lines":
                for line in body.decode().split("\n"):
                    device, seq, value, none = line.split(";")
                    assert device == "pump-1" and none == "null", line
                    found[int(seq)] = float(value)
                continue
            records = json.loads(zlib.decompress(body) if name == "packed" and body[:1] == b"\x78" else body)
            if name == "senml":
                assert records[0]["bn"] == "test/pump-1/" and records[0]["bver"] == 26, records[0]
                seq = None
                for record in records:
                    seq = record.get("seq", seq)
                    if record["n"] == "value":
                        found[seq] = record["v"]
            else:
                for sample in records if isinstance(records, list) else [records]:
                    found[sample["seq"]] = sample["values"]["value"]
        return found
    wait_until(lambda: all_online(gateway), 30, "the sessions")
    wait_until(lambda: gateway.accounts()["pump-1"] > 60, 30, "some samples")
    last = gateway.accounts()["pump-1"]
    assert gateway.stop() == 0
    want = None
    for name in ("plain", "packed", "senml", "lines"):
        wait_until(lambda: set(flat(name)) >= set(range(1, last + 1)), 30, f"everything in {name}")
        got = {seq: value for seq, value in flat(name).items() if seq <= last}
        want = want or got
        assert got == want, f"{name} differs"
    packed = sum(body[:1] == b"\x78" for body in bodies("packed"))
    assert packed > 0 and sum(map(len, bodies("packed"))) < sum(map(len, bodies("plain"))) / 2, "nothing was compressed"
    assert bodies("cbor") and all(body[0] & 0xE0 == 0x80 and b"test/pump-1/" in body for body in bodies("cbor"))
    print(f"{last} samples; " + ", ".join(f"{name} {sum(map(len, bodies(name)))} bytes" for name in FORMATS))
    broker.close()

    bad = configuration(stage, [broker_cloud(1883, format="template", template="{devise}")], [simulated("s", {"d": (["broker"], None)})], name="bad.yaml")
    refused = run("check", "-c", bad, check=1)
    assert any("bad.yaml:" in line and "template: unknown placeholder \"{devise}\"" in line for line in refused.stderr.splitlines()), refused.stderr
