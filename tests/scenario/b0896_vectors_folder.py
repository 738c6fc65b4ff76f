#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The vector tests take any folder through TIDEGATE_VECTORS: a copy elsewhere passes, one with a changed value or without files does not."""
import os
import re
import shutil
import subprocess

from harness import BUILD, SOURCE, Stage

CASES = {"vector_ble_ruuvi": "ble_ruuvi.json", "vector_ble_bthome": "ble_bthome.json", "vector_modbus_frames": "modbus_frames.json",
         "vector_edm_frames": "edm_frames.json", "vector_gatt": "gatt.json"}


def passes(test, folder):
    return subprocess.run([os.path.join(BUILD, "tests", test)], env={**os.environ, "TIDEGATE_VECTORS": folder},
                          capture_output=True, timeout=60, check=False).returncode == 0


with Stage() as stage:
    copy, empty = stage.path("other vectors"), stage.path("empty")
    shutil.copytree(os.path.join(SOURCE, "tests", "vectors"), copy)
    os.mkdir(empty)
    for test, name in CASES.items():
        assert passes(test, copy), f"{test} does not pass with a copy of its vectors"
        assert not passes(test, empty), f"{test} passes without vectors"
        path = os.path.join(copy, "southbound", name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        changed = re.sub("[0-9a-f]{2}", "5b", text, count=400)  # every vector's first bytes or numbers
        stage.write(os.path.relpath(path, stage.folder), changed)
        assert not passes(test, copy), f"{test} passes with other values"
