#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The example configurations for AWS IoT are good once their keys are there; what goes wrong most is said with its place."""
import json
import os
import re
import shutil
import subprocess

from examples import check_examples, check_wrong
from harness import SOURCE, Stage
from pki import Pki

EXAMPLES = {
    "aws-iot-core.yaml": ["keys/meter-1.crt", "keys/meter-1.key", "keys/meter-2.p12", "keys/meter-2.pass"],
    "aws-fleet-provisioning.yaml": ["keys/claim.crt", "keys/claim.key"],
}
CORE, FLEET = EXAMPLES
WRONG = (  # example, what stands there, what is written instead, what is said
    (CORE, "identity: {certificate: keys/meter-1.crt, key: keys/meter-1.key}", "", 'device "meter-1" has no identity'),
    (CORE, "identity: {certificate: keys/meter-1.crt, key: keys/meter-1.key}", "identity: {jwt_key: keys/meter-1.key}",
     "takes certificate and key, or pkcs12 and password_file; not jwt_key"),
    (CORE, "id: plant7_meter_2", "id: plant7.meter", "is no name of a thing"),
    (CORE, '"dt/tidegate/{gateway}/{device}"', '"a/b/c/d/e/f/g/h/{device}"', "8 slashes"),
    (CORE, '"dt/tidegate/{gateway}/{device}"', '"dt/{thing}"', "unknown placeholder"),
    (CORE, "# rule: store_meters", "rule: store-meters", "no name of a rule"),
    (CORE, "shadow: classic", "shadow: a/b", "neither off, classic nor a name"),
    (CORE, "max_bytes: 4900", "max_bytes: 200000", "at most 131072"),
    (CORE, "jobs: on", "jobs: on\n    max_in_flight: 101", "at most 100"),
    (CORE, "jobs: on", "jobs: true", "jobs"),
    (FLEET, "identity: {certificate: keys/claim.crt, key: keys/claim.key}", "#", "the claim is needed"),
    (FLEET, "      template: meters", "      #", 'missing "template" in provisioning'),
    (FLEET, '"Site={gateway}"', '"Site"', "not NAME=VALUE"),
    (FLEET, '"Site={gateway}"', '"Site={place}"', "18:19: provisioning.parameters: unknown placeholder at \"{place}\""),
    (CORE, "max_bytes: 4900", "max_bytes: 132000", "21:41: batch.max_bytes"),
    (CORE, "shadow: classic", "shadow: on", "classic is the unnamed shadow"),
    (CORE, "jobs: on", "client_id: site-7", "would be the same for all 2 devices"),
    (FLEET, "    host: a1b2c3d4e5f6g7-ats.iot.eu-central-1.amazonaws.com", "    #", "host is missing"),
)


def make(stage, name):
    base, kind = os.path.splitext(stage.path(name))
    if kind == ".p12":
        subprocess.run(["openssl", "pkcs12", "-export", "-in", pki.path("device.pem"), "-inkey", pki.path("device.key"),
                        "-passout", "pass:secret", "-out", base + kind], check=True, capture_output=True)
        os.chmod(base + kind, 0o600)
    elif kind == ".pass":
        stage.write(name, "secret\n")
    else:
        shutil.copy(pki.path("device" + (".pem" if kind == ".crt" else ".key")), base + kind)


def check_manual():
    """What the manual shows as JSON is JSON, and it names the files."""
    with open(os.path.join(SOURCE, "docs", "clouds", "aws-iot-core.md"), encoding="utf-8") as file:
        text = file.read()
    blocks = re.findall(r"^```json\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) >= 4
    for block in blocks:
        json.loads(block)
    assert all(example in text for example in EXAMPLES)


with Stage() as stage:
    check_manual()
    pki = Pki(stage.path("pki"))
    pki.add("device", "x509-ca")
    check_examples(stage, EXAMPLES, make)
    check_wrong(stage, WRONG)
