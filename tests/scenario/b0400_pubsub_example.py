#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The example for Pub/Sub and the files of its manual are good once the key is there; what goes wrong most is said with its place."""
import json
import os
import re
import shutil
import subprocess

from examples import check_wrong
from gateway import run
from harness import SOURCE, Stage

WRONG = (  # what stands in the example, what is written instead, what is said
    ("    project: plant-one  ", "    project: Plant One  ", 'project: "Plant One" is not a project id'),
    ("    topic: telemetry\n", "    topic: goog-telemetry\n", 'topic: "goog-telemetry" is not a topic id'),
    ("    topic: telemetry\n", "", 'missing "topic"'),
    ("    service_account_file: keys/publisher.json\n", "", "service_account_file is missing"),
    ("auth: self-signed ", "auth: none ", "auth: none is for an emulator"),
    ("auth: self-signed ", "auth: none\n    tls: off ", "tls: off needs the `host` of an emulator"),
    ("auth: self-signed ", "auth: none\n    tls: off\n    host: pubsub.example.com ", "only for a loopback host"),
    ("attributes: [site=north, line=2]", "attributes: [site]", 'attributes: "site" is not of the form key=value'),
    ("attributes: [site=north, line=2]", "attributes: [seq=1]", 'attributes: "seq" is one that the gateway sets itself'),
    ("attributes: [site=north, line=2]", "attributes: [a=1, a=2]", "is given twice"),
    ("max_messages: 500", "max_messages: 1001", "max_messages"),
    ("max_messages: 500 ", "batch: {max_samples: 20} ", "`max_messages` bounds them"),
    ("max_messages: 500 ", "format: sparkplug-b ", "sparkplug-b is for clouds of type mqtt"),
    ("max_messages: 500 ", "transport: websocket ", "Pub/Sub is spoken over HTTPS"),
)


def service_account():
    key = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA"], check=True, capture_output=True, text=True).stdout
    return json.dumps({"type": "service_account", "private_key_id": "1", "private_key": key, "token_uri": "https://localhost/token",
                       "client_email": "tidegate@plant-one.iam.gserviceaccount.com"})


with Stage() as stage:
    path = stage.path("gcp-pubsub.yaml")
    shutil.copy(os.path.join(SOURCE, "config", "examples", "gcp-pubsub.yaml"), path)
    done = run("check", "-c", path, check=1)
    assert stage.path("keys/publisher.json") in done.stderr and "does not exist" in done.stderr, done.stderr
    os.mkdir(stage.path("keys"))
    stage.write("keys/publisher.json", "{}", mode=0o644)
    os.chmod(stage.path("keys/publisher.json"), 0o644)
    done = run("check", "-c", path, check=1)
    assert "chmod" in done.stderr, done.stderr
    os.chmod(stage.path("keys/publisher.json"), 0o600)
    done = run("check", "-c", path, check=1)
    assert f'{path}:15:27: service_account_file: {stage.path("keys/publisher.json")} is not a service account' in done.stderr, done.stderr
    stage.write("keys/publisher.json", service_account())
    done = run("check", "-c", path, check=0)
    assert f"{path} is good: 1 cloud, 1 source, 2 devices" in done.stdout and not done.stderr, done.stdout + done.stderr
    check_wrong(stage, (("gcp-pubsub.yaml", *wrong) for wrong in WRONG))

    with open(os.path.join(SOURCE, "docs", "clouds", "gcp-pubsub.md"), encoding="utf-8") as file:
        whole, emulator = re.findall(r"```yaml\n(.*?)```", file.read(), re.DOTALL)
    run("check", "-c", stage.write("manual.yaml", whole), check=0)
    rest = whole[whole.index("sources:"):]
    run("check", "-c", stage.write("emulator.yaml", whole[:whole.index("clouds:")] + emulator + rest), check=0)
