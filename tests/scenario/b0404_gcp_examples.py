#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The example configurations for IoT Core are good once their keys are there, what goes wrong most is told with its place, and keys made as
the manual says log in at the test bridge with the examples as they are but for host and port."""
import os
import re
import subprocess

import yaml

from examples import check_examples, check_wrong
from gateway import Gateway
from gcp import PROJECT, REGION, REGISTRY, Bridge, Registry
from harness import SOURCE, Stage, wait_until

EXAMPLES = {"gcp-iot-core.yaml": ["keys/meter-1.key", "keys/meter-2.key"],
            "gcp-iot-core-gateway.yaml": ["keys/site-7.key", "keys/meter-2.key"]}
WRONG = (  # example, what stands there, what is written instead, what is said
    ("gcp-iot-core.yaml", "project: plant-one ", "#", 'missing "project"'),
    ("gcp-iot-core.yaml", "project: plant-one", "project: Plant One", "is not a project's id"),
    ("gcp-iot-core.yaml", "project: plant-one", "project: 1234567890", "is the project's number"),
    ("gcp-iot-core.yaml", "registry: meters", "registry: my meters", "registry \"my meters\": IoT Core takes letters, digits"),
    ("gcp-iot-core.yaml", "region: us-central1", "region: us central1", "region: \"us central1\" is not a region"),
    ("gcp-iot-core.yaml", "id: hall-2.meter-2", "id: 2.meter", "the first a letter"),
    ("gcp-iot-core.yaml", "event_subfolder: raw ", "event_subfolder: raw/# ", "is no path of a topic"),
    ("gcp-iot-core.yaml", "identity: {jwt_key: keys/meter-1.key}", "identity: {sas_key_file: keys/meter-1.key}", "takes jwt_key; not sas_key_file"),
    ("gcp-iot-core.yaml", "token_lifetime: 1h ", "token_lifetime: 25h ", "token_lifetime"),
    ("gcp-iot-core-gateway.yaml", "gateway_id: site-7 ", "#", "mode: gateway needs gateway_id"),
    ("gcp-iot-core-gateway.yaml", "mode: gateway", "mode: per-device", "gateway_id: belongs to `mode: gateway`"),
    ("gcp-iot-core-gateway.yaml", "    identity: {jwt_key: keys/site-7.key}\n", "", "needs the gateway's key"),
    ("gcp-iot-core-gateway.yaml", "- id: meter-1 ", "- id: site-7 ", "is the gateway's id"),
)


def manual_recipes():
    """The two ways to make a key, as lists of commands."""
    with open(os.path.join(SOURCE, "docs", "clouds", "gcp-iot-core.md"), encoding="utf-8") as file:
        lines = re.findall(r"^    (openssl .*)$", file.read(), re.MULTILINE)
    assert len(lines) == 4, lines
    return lines[:2], lines[2:]


def make_key(stage, recipe, name):
    for line in recipe:
        subprocess.run("umask 077; " + line.replace("meter-1", name), shell=True, cwd=stage.folder, check=True, capture_output=True)
    with open(stage.path(f"{name}.pub"), encoding="ascii") as file:
        return file.read()


def log_in(stage, example, registry, *online):
    bridge = Bridge(stage, registry, name=example)
    with open(stage.path(example), encoding="utf-8") as file:
        model = yaml.safe_load(file)
    cloud = model["clouds"][0]
    assert (cloud["project"], cloud["registry"]) == (PROJECT, REGISTRY)
    cloud.update(host="localhost", port=bridge.port, ca_file=registry.path("ca.pem"), region=REGION)
    os.makedirs(stage.path("state"), exist_ok=True)
    gateway = Gateway(stage, stage.write("run.yaml", yaml.safe_dump(model)), name=f"{example}.run")
    wait_until(lambda: all(gateway.session(device, "lake")["state"] == "online" for device in online), 30, f"{example} to be online")
    assert gateway.stop() == 0


with Stage() as stage:
    check_examples(stage, EXAMPLES, lambda stage, name: make_key(stage, manual_recipes()[0], name[5:-4]))
    check_wrong(stage, WRONG)
    elliptic, rsa = manual_recipes()
    registry = Registry(stage.path("gcp"))
    registry.add("meter-1", key=None)
    registry.change("meter-1", key=make_key(stage, elliptic, "meter-1"), bound="site-7")
    public = make_key(stage, rsa, "meter-2")
    registry.add("hall-2.meter-2", key=None)
    registry.change("hall-2.meter-2", key=public)
    registry.add("meter-2", key=None)
    registry.change("meter-2", key=public, bound="site-7")
    log_in(stage, "gcp-iot-core.yaml", registry, "meter-1", "meter-2")
    registry.gateway("site-7")
    registry.change("site-7", key=make_key(stage, elliptic, "site-7"))
    log_in(stage, "gcp-iot-core-gateway.yaml", registry, "meter-1", "meter-2")
