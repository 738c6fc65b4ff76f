# SPDX-License-Identifier: GPL-2.0-or-later
"""examples - the files of config/examples as scenarios check them.

    check_examples(stage, {"azure-sas.yaml": ["keys/pump-1.key"]}, make)   # make(stage, name) makes a key that is missing
    check_wrong(stage, [("azure-sas.yaml", "tier: standard", "tier: other", "what is said")])
"""
import os
import re
import shutil

from gateway import run
from harness import SOURCE


def check_examples(stage, examples, make):
    """Without its keys an example names each of them, with them it is good. They stay in the stage's folder."""
    for example, keys in examples.items():
        path = stage.path(example)
        shutil.copy(os.path.join(SOURCE, "config", "examples", example), path)
        shutil.rmtree(stage.path("keys"), ignore_errors=True)
        done = run("check", "-c", path, check=1)
        for name in keys:
            assert stage.path(name) in done.stderr and "does not exist" in done.stderr, f"{name}\n{done.stderr}"
        os.mkdir(stage.path("keys"), 0o700)
        for name in keys:
            make(stage, name)
        done = run("check", "-c", path, check=0)
        assert re.match(re.escape(path) + " is good: 1 cloud, 1 source, [23] devices", done.stdout) and not done.stderr, done.stdout + done.stderr
    for name in sorted({key for keys in examples.values() for key in keys}):
        make(stage, name)


def check_wrong(stage, wrong):
    """Each of (example, what stands there, what is written instead, what is said[, how the line that is pointed at begins])."""
    for example, was, now, says, *at in wrong:
        with open(stage.path(example), encoding="utf-8") as file:
            text = file.read()
        assert text.count(was) == 1, f"{example}: {was}"
        text = text.replace(was, now)
        path = stage.write("wrong.yaml", text)
        done = run("check", "-c", path, check=1)
        assert done.stderr.startswith(f"{path}:") and says in done.stderr, f"{says}\n{done.stderr}"
        line = next(line for line in done.stderr.splitlines() if says in line)[len(path) + 1:].split(":")[0]
        assert not at or at[0] is None or text.splitlines()[int(line) - 1].strip().startswith(at[0]), f"{says}: line {line}\n{done.stderr}"
