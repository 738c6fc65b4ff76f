# SPDX-License-Identifier: GPL-2.0-or-later
"""The example configurations for Azure are good once their keys are there, and each key that is missing is named with its place."""
import os
import subprocess

from examples import check_examples, check_wrong
from harness import Stage

EXAMPLES = {
    "azure-sas.yaml": ["keys/pump-1.key", "keys/pump-2.key"],
    "azure-x509.yaml": ["keys/meter-1.crt", "keys/meter-1.key", "keys/meter-2.p12", "keys/meter-2.pass"],
    "azure-dps-group.yaml": ["keys/group.key"],
}
WRONG = (  # what goes wrong most: example, what stands there, what is written instead, what is said
    ("azure-dps-group.yaml", "type: azure-iot-hub ", "type: azure-iot-hub\n    host: contoso.azure-devices.net ", "host and provisioning exclude each other"),
    ("azure-dps-group.yaml", "- id: meter-1 ", "- id: Meter-1 ", 'registration id "Meter-1": 1 to 128 lower-case letters'),
    ("azure-dps-group.yaml", "'{\"site\": \"site-7\"}'", "'{site: 7}'", "provisioning.payload: no JSON: line 1"),
    ("azure-dps-group.yaml", "      id_scope: 0ne00A1B2C3 ", "      #", 'missing "id_scope" in provisioning'),
    ("azure-dps-group.yaml", 'registration_id: "{device}"', "registration_id: site-7",
     'provisioning.registration_id: "site-7" would be the same for all 2 devices of this cloud: put {device} into it'),
    ("azure-dps-group.yaml", "0ne00A1B2C3 ", "contoso-dps ", "it is the service's ID scope (0ne…), not its name"),
    ("azure-sas.yaml", "host: contoso.azure-devices.net ", "host: contoso.azure-devices.net:8883 ",
     "has a port in it: write host: contoso.azure-devices.net and port: 8883"),
    ("azure-sas.yaml", "type: azure-iot-hub", "type: azure", 'did you mean "azure-iot-hub"?'),
    ("azure-sas.yaml", "    tier: standard ", "    provisioning: {id_scope: 0ne1}\n    tier: standard ", "host and provisioning exclude each other"),
    ("azure-sas.yaml", "{sas_key_file: keys/pump-1.key}", "{username: u, password_file: keys/pump-1.key}",
     "takes sas_key_file, derive_from_group, certificate and key, or pkcs12 and password_file; not username and password_file"),
    ("azure-sas.yaml", "keepalive: 240s", "keepalive: 20m", "keepalive"),
    ("azure-sas.yaml", "id: Plant.7-Pump.2", "id: Plant/7", 'device id "Plant/7" has the character "/"'),
)


KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA=="


def throw_away(stage, name):
    """Keys that only this test has."""
    path = stage.path(name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    base = os.path.splitext(path)[0]
    if name.endswith(".crt"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=" + os.path.basename(base), "-keyout", base + ".key", "-out", path], check=True, capture_output=True)
        os.chmod(base + ".key", 0o600)
    elif name.endswith(".p12"):
        subprocess.run(["openssl", "pkcs12", "-export", "-in", stage.path("keys/meter-1.crt"), "-inkey", stage.path("keys/meter-1.key"),
                        "-passout", "pass:" + KEY, "-out", path], check=True, capture_output=True)
        os.chmod(path, 0o600)
    elif not os.path.exists(path):
        stage.write(name, KEY + "\n")


with Stage() as stage:
    check_examples(stage, EXAMPLES, throw_away)
    check_wrong(stage, WRONG)
