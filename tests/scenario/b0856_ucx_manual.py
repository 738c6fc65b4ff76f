#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the manual of modules shows is true: the example is good, wrong entries are shown at their place, frames decode to what they
say, the plan of a module is printed without one, and every option that the pages name exists."""
import json
import os
import re

from examples import check_examples
from gateway import run
from harness import SOURCE, Stage
from pki import Pki

HEAD = """gateway: {name: t, state_dir: ., control_socket: ./socket, http: off}
clouds:
  - {name: hub, type: azure-iot-hub, host: contoso.azure-devices.net, ca_file: pki/ca.pem}
"""


def page(name):
    with open(os.path.join(SOURCE, "docs", name), encoding="utf-8") as file:
        return file.read()


def make(stage, name):
    stage.write(name, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    os.makedirs(stage.path("state"), exist_ok=True)
    os.makedirs(stage.path("keys"), exist_ok=True)
    check_examples(stage, {"u-connectxpress.yaml": ["keys/scale.key", "keys/meter.key", "keys/radio.key"]}, make)
    example = HEAD + re.search(r"```yaml\n(.*?)```", page("plugins/u-connectxpress.md"), re.S)[1]
    config = stage.write("page.yaml", example)
    run("check", "-c", config, check=0)

    # --- wrong entries
    for was, now, says in (("sps://D4CA6E8A1B2Cp", "sps://D4CA6E8A1B2", "twelve hexadecimal digits"),
                           ("sps://D4CA6E8A1B2Cp", "tcp://10.0.0.5:5000/", "peer begins with sps:// or spp://"),
                           ("match: '^T (on|off)$', ", "command: AT, ", "a peer is only listened to"),
                           ("TARE {value}", "TARE", "no {value}"),
                           (r"(-?\d+\.\d+) kg", r"(-?\d+ kg", "pattern"), ("flow: rtscts", "flow: xonxoff", "flow")):
        assert was in example, was
        done = run("check", "-c", stage.write("wrong.yaml", example.replace(was, now)), check=1)
        assert re.search(r"wrong\.yaml:\d+:\d+: ", done.stdout + done.stderr) and says in done.stdout + done.stderr, (says, done.stdout + done.stderr)

    # --- frames
    command = re.search(r"tidegate (decode edm \S+)", page("plugins/u-connectxpress.md"))[1].split()
    assert run(*command, check=0).stdout == 'connect  channel 0  link "bluetooth"  profile "sps"  address "d4ca6e8a1b2c"  frame_size 244\n'
    done = json.loads(run("decode", "ucx", "--json", "aa0002007100", "aa 00 02 00 71 55", "0xaa", check=1).stdout)
    assert [frame["event"] for frame in done["frames"]] == ["skipped", "startup", "incomplete"] and done["skipped_bytes"] == 6, done
    for wrong in ([], ["aa0"], ["hello"], ["zz"]):
        assert "usage: tidegate decode edm" in run("decode", "edm", *wrong, check=2).stdout
    assert "usage: tidegate decode edm" in run("decode", "edm", "--help", check=0).stdout

    # --- the plan of a module, and the options that the pages name
    done = run("module", "provision", "scale", "-c", config, "--ssid", "plant-net", "--dry-run", check=0)
    assert done.stdout.splitlines()[:3] == ["AT+UFACTORY", "AT+CPWROFF", f"AT+USECMNG=0,0,ca.pem,{os.path.getsize(pki.path('ca.pem'))}"]
    assert "AT+UWSC=0,5,1" in done.stdout and "AT+UDUV=0,***" in done.stdout and "sig=" not in done.stdout
    text = run("module", "--help", check=0).stdout
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page("module-provisioning.md"))):
        assert option in text, option
    for wrong in (["frobnicate"], ["provision"], ["provision", "scale", "--port", "x"], ["info"], ["info", "--port", "x", "--flow", "maybe"],
                  ["provision", "scale", "--dry-run", "--ssid", "s", "--names", "a,b"], ["provision", "scale", "--dry-run", "--ssid", "s", "--command-limit", "9"]):
        run("module", *wrong, *(["-c", config] if len(wrong) > 1 else []), check=2)
