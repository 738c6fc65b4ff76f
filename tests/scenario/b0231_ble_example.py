#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The example of Bluetooth sensors is good once its key is there; what goes wrong most is said with its place. Where there is no Bluetooth the gateway
runs all the same, and says so."""
import os
import re
import shutil

from examples import check_wrong
from gateway import Gateway, configuration, run
from harness import SOURCE, Stage, wait_until

WRONG = (  # the file, what stands there, what is written instead, what is said
    ("ble.yaml", "{name: battery, unit:", "{name: batery, unit:", 'no pvvx advertisement has the reading "batery"'),
    ("ble.yaml", "reading: humidity", "reading: moisture", 'no pvvx advertisement has the reading "moisture"'),
    ("ble.yaml", "profile: ruuvitag", "profile: ruvitag", 'plugin ble has no profile "ruvitag": did you mean "ruuvitag"?'),
    ("ble.yaml", "format: pvvx", "format: pvx", "pvvx"),
    ("ble.yaml", "stale_after: 10m", "stale_after: 10", "10"),
    ("ble.yaml", "every: 10m}", "every: 10m, writable: true}", "a reading of an advertisement cannot be written"),
)

with Stage() as stage:
    path = stage.path("ble.yaml")
    shutil.copy(os.path.join(SOURCE, "config", "examples", "ble.yaml"), path)
    done = run("check", "-c", path, check=1)
    assert stage.path("keys/attic.key") in done.stderr and "does not exist" in done.stderr, done.stderr
    os.makedirs(stage.path("keys"), mode=0o700, exist_ok=True)
    os.chmod(stage.write("keys/attic.key", "231d39c1d7cc1ab1aee224cd096db932\n"), 0o600)
    done = run("check", "-c", path, check=0)
    assert f"{path} is good: 1 cloud, 1 source, 3 devices" in done.stdout and not done.stderr, done.stdout + done.stderr
    check_wrong(stage, WRONG)

    # The guest (tests/guest) shows it with adapters; here there is none, or none that is called so.
    gateway = Gateway(stage, configuration(stage, [{"name": "b", "type": "mqtt", "host": "localhost", "port": 9, "tls": "off"}], [
        {"name": "yard", "plugin": "ble", "settings": {"adapter": "hci250"},
         "devices": [{"id": "a4c138000001", "clouds": ["b"], "settings": {"profile": "bthome"}}]}]))
    wait_until(lambda: gateway.device("a4c138000001")["state"] == "down", 30, "the device to be down without an adapter")
    assert re.search("no Bluetooth: |adapter hci250 is not there", gateway.errors()), gateway.errors()
    assert gateway.stop() == 0
    done = run("discover", "ble", "--adapter", "hci250", check=1)
    assert re.search("no Bluetooth: |adapter hci250 is not there", done.stderr) and not done.stdout, done.stderr
    run("discover", "ble", "--for", "10", check=2)
    run("discover", "ble", "--adapter", "radio", check=2)
