#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The example of discovery is good once its key is there; what goes wrong most is said with its place."""
import os
import shutil

from gateway import run
from harness import SOURCE, Stage

WRONG = (  # what stands there, what is written instead, what is said
    ("        allow:", "        #", '25:9: missing "allow" in discover'),
    ("        clouds: [hub]", "        clouds: [hbu]", '25:18: unknown cloud "hbu": did you mean "hub"?'),
    ("id_prefix: site7-", "id_prefix: Site7-", '25:18: registration id "Site7-a00000000001": 1 to 128 lower-case letters'),
    ("{derive_from_group: keys/group.key}", "{username: u, password_file: keys/group.key}", "26:19: identity: cloud \"hub\" (azure-iot-hub) takes"),
    ("max: 50 ", "max: 0 ", "28:14: max: 0 is out of range: 1 to 10000"),
    ("        allow: [\"a4c138*\"]", "        allow: [\"a4c138/*\"]", '27:16: allow: no id is like "a4c138/*"'),
)

with Stage() as stage:
    path = stage.path("discovered.yaml")
    shutil.copy(os.path.join(SOURCE, "config", "examples", "discovered.yaml"), path)
    done = run("check", "-c", path, check=1)
    assert stage.path("keys/group.key") in done.stderr and "does not exist" in done.stderr, done.stderr
    os.makedirs(stage.path("keys"), exist_ok=True)
    stage.write("keys/group.key", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA==\n")
    done = run("check", "-c", path, check=0)
    assert f"{path} is good: 1 cloud, 1 source, 0 devices" in done.stdout and not done.stderr, done.stdout + done.stderr
    assert "up to 50 more devices by discovery" in done.stdout and "cloud hub: 50 sessions" in done.stdout, done.stdout
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for was, now, says in WRONG:
        assert text.count(was) == 1, was
        wrong = stage.write("wrong.yaml", text.replace(was, now))
        done = run("check", "-c", wrong, check=1)
        assert f"{wrong}:{says}" in done.stderr, f"{says}\n{done.stderr}"
