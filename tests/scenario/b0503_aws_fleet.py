#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""AWS IoT: with a claim certificate each device gets a certificate and a thing of its own, once, whatever goes wrong between."""
import glob
import os
import stat

from aws import Aws, aws_cloud
from field import all_online, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from pki import Pki

with Stage() as stage:
    aws = Aws(stage, Pki(stage.path("pki")))
    aws.claim("claim")
    provisioning = {"template": "meters", "identity": aws.identity("claim"), "parameters": ["SerialNumber={device}", "Site={gateway}"]}
    config = configuration(stage, [aws_cloud(aws, provisioning=provisioning, shadow="classic")], [
        simulated("rehearsal", {"m-1": (["aws"], None), "m-2": (["aws"], None)}, every="100ms")])
    run("check", "-c", config, check=0)
    # There is no template yet, and then an answer that does not come: tried again, with another key.
    gateway = Gateway(stage, config)
    wait_until(lambda: "the template is refused: 404" in gateway.errors(), 30, "the refusal in the log")
    aws.command("lose", "m-1", "provision", 1)
    aws.command("template", "meters", '{"thing": "meter_{SerialNumber}_{Site}", "parameters": ["SerialNumber", "Site"], '
                                      '"configuration": {"interval": 5}}')
    # Killed between the steps, when m-1 has a certificate and no thing.
    wait_until(lambda: [e for e in aws.command("requests", "m-1")["requests"] if e["kind"] == "provision" and e["code"] == 0],
               60, "the request that gets lost")
    gateway.kill()
    gateway.start()
    for thing in ("meter_m-1_test", "meter_m-2_test"):
        wait_until(lambda: len(aws.published(thing)) > 5, 60, f"telemetry of {thing}")
    assert aws.published("meter_m-1_test")[0][0] == "dt/tidegate/test/meter_m-1_test"
    aws.thing("meter_m-2_test").wait_reported(lambda reported: reported.get("gateway") == "test")
    active = [entry for entry in aws.command("certificates")["certificates"] if entry["status"] == "ACTIVE" and not entry["claim"]]
    assert sorted(entry["thing"] for entry in active) == ["meter_m-1_test", "meter_m-2_test"], active
    # The key is this device's own, was never sent, and is for the gateway's eyes only.
    keys = glob.glob(stage.path("state/identities/*.key"))
    assert len(keys) == 2 and all(stat.S_IMODE(os.stat(key).st_mode) == 0o600 for key in keys), keys
    asked = [entry["payload"] for entry in aws.command("requests")["requests"]]
    assert not any("PRIVATE" in payload for payload in asked) and "PRIVATE" not in gateway.errors()
    # From now on without the claim: a restart and an outage of the service do not ask again.
    requests = len([e for e in aws.command("requests")["requests"] if e["kind"] in ("create", "provision")])
    assert gateway.stop() == 0
    arrived = len(aws.published("meter_m-1_test"))
    gateway.start()
    wait_until(lambda: all_online(gateway) and len(aws.published("meter_m-1_test")) > arrived + 3, 30, "telemetry after the restart")
    assert len([e for e in aws.command("requests")["requests"] if e["kind"] in ("create", "provision")]) == requests
    assert gateway.stop() == 0
