#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every configuration that the manual shows, and the annotated example with all that is commented out in it, is one that `check` takes:
nothing is missing but the files that it names."""
import glob
import os
import re

from gateway import run
from harness import SOURCE, Stage

MISSING = re.compile(r"does not exist|cannot be read: No such file or directory")


def pages():
    yield "README.md"
    for path in sorted(glob.glob(os.path.join(SOURCE, "docs", "**", "*.md"), recursive=True)):
        yield os.path.relpath(path, SOURCE)


def files():
    for page in pages():
        with open(os.path.join(SOURCE, page), encoding="utf-8") as file:
            blocks = re.findall(r"(?ms)^```yaml\n(.*?)^```", file.read())
        for number, block in enumerate(blocks):
            if re.search(r"(?m)^clouds:", block) and "\n…\n" not in block:  # else it is a part of one
                yield f"{page}, block {number + 1}", block
    with open(os.path.join(SOURCE, "config", "tidegate.yaml"), encoding="utf-8") as file:
        text = file.read()
    yield "config/tidegate.yaml", text
    more, lines = re.subn(r"(?m)^  # (- name: |  \S)", r"  \1", text)
    assert lines > 25, lines
    yield "config/tidegate.yaml with what is commented out", more


with Stage() as stage:
    seen = 0
    for name, text in files():
        path = stage.write("tidegate.yaml", text)
        done = run("check", "-c", path)
        wrong = [line for line in done.stderr.splitlines() if not MISSING.search(line)]
        assert not wrong and (done.returncode == 0 or done.stderr), f"{name}: {wrong or done.stdout}"
        seen += 1
    assert seen > 12, seen
