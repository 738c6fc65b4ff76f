#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`tidegate plugin new`: what it writes builds without a warning by CMake and by make, passes its own tests and does what its README says;
bad names and folders that are there are refused, and nothing is touched."""
import os
import re
import shutil

from harness import Stage
from kit import Kit, events

WRONG = {"Meter": "begins with a lower-case letter", "1wire": "begins with a lower-case letter", "my meter": "lower-case letters, digits",
         "../x": "begins with a lower-case letter", "a/b": "lower-case letters, digits", "": "1 to 32 characters", "m" * 33: "1 to 32 characters",
         "zähler": "lower-case letters, digits", "test": "CMake has a target", "x\x1b[2J": "lower-case letters, digits"}

with Stage() as stage:
    kit = Kit(stage)
    for name in ("pressure", "tank-level"):
        said = kit.tidegate("plugin", "new", name, check=0).stdout
        folder = stage.path(name)
        files = {os.path.relpath(os.path.join(at, file), folder) for at, _, names in os.walk(folder) for file in names}
        assert {f"{name}.c", f"{name}.yaml", "CMakeLists.txt", "Makefile", "README.md", ".gitignore"} <= files, files
        assert all(file in said for file in files), said
        for file in files:
            with open(os.path.join(folder, file), encoding="utf-8") as text:
                assert "skeleton" not in text.read(), file
        build = kit.build(folder)
        assert os.listdir(build).count(f"{name}.so") == 1
        done = kit.run("ctest", "--test-dir", build, "--output-on-failure", check=0)
        assert "2 tests" in done.stdout or "out of 2" in done.stdout, done.stdout
        kit.run("make", "test", "CFLAGS=-O2 -Werror", cwd=folder, check=0)
        kit.run("make", "install", f"DESTDIR={stage.path('root of ' + name)}".replace(" ", "-"), cwd=folder, check=0)

        # --- what it shows: a value that is none, a file that is gone, a write, options with their places
        def trial(*more, check):
            return kit.tidegate("plugin", "test", f"{name}.so", "-c", f"{name}.yaml", "--json", *more, cwd=folder, check=check)
        seen = events(trial("--samples", 3, "--send", "sample-1", "set", '{"setpoint": 23.5}', check=0))
        assert seen["sample"][0]["values"] == {"temperature": 21.5, "label": "boiler room", "setpoint": 20}, seen["sample"]
        assert any(sample["values"].get("setpoint") == 23.5 for sample in seen["sample"]), seen["sample"]
        with open(os.path.join(folder, "sample", "setpoint"), encoding="utf-8") as file:
            assert float(file.read()) == 23.5
        with open(os.path.join(folder, "sample", "temperature"), "w", encoding="utf-8") as file:
            file.write("21.5 or so\n")
        assert events(trial("--samples", 1, check=0))["sample"][0]["quality"] == {"temperature": "sensor"}
        shutil.rmtree(os.path.join(folder, "sample"))
        gone = events(trial("--samples", 1, check=1))
        assert gone["sample"][0]["values"] == {} and "No such file or directory" in gone["state"][0]["text"], gone
        wrong = stage.write("wrong.yaml", re.sub("file: label", "file: ../label", open(os.path.join(folder, f"{name}.yaml"), encoding="utf-8").read()))
        done = kit.tidegate("plugin", "test", f"{folder}/{name}.so", "-c", wrong, check=2)
        assert re.search(r'wrong.yaml:10:\d+: file: "\.\./label" leaves the device\'s folder', done.stderr), done.stderr

    # --- refused
    before = sorted(os.listdir(stage.folder))
    for name, says in WRONG.items():
        done = kit.tidegate("plugin", "new", name, check=2)
        assert says in done.stderr and "\x1b" not in done.stderr, done.stderr
    assert "exists already and is left as it is" in kit.tidegate("plugin", "new", "pressure", check=1).stderr
    assert "exists already" in kit.tidegate("plugin", "new", "other", "--dir", stage.path("pressure"), check=1).stderr
    assert "is a plugin already" in kit.tidegate("plugin", "new", "simulator", check=1).stderr
    assert "No such file or directory" in kit.tidegate("plugin", "new", "other", "--dir", stage.path("no", "where"), check=1).stderr
    kit.tidegate("plugin", "new", check=2)
    assert sorted(os.listdir(stage.folder)) == before
    kit.tidegate("plugin", "new", "other", "--dir", stage.path("else where"), check=0)
    assert os.path.exists(stage.path("else where", "other.c"))
