#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tidy - clang-tidy over every C file in git, each once, the product before its tests: tidy.py BUILD [FILE…]. A build names a file as often as a
target has it, and clang-tidy reads it each time; here the first is enough. Ends with 1 when something was found."""
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

build, files = sys.argv[1], sys.argv[2:]
if not files:
    files = subprocess.run(["git", "ls-files", "*.c"], check=True, capture_output=True, text=True).stdout.splitlines()
    files.sort(key=lambda file: (file.startswith("tests/"), file))


def look_at(database, file):
    run = subprocess.run(["clang-tidy", "-p", database, "--quiet", file], capture_output=True, text=True)
    if run.returncode != 0:
        print(run.stdout or run.stderr, flush=True)
    return run.returncode == 0


commands = {}
with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as stream:
    for command in json.load(stream):
        commands.setdefault(command["file"], command)
with tempfile.TemporaryDirectory() as database:
    with open(os.path.join(database, "compile_commands.json"), "w", encoding="utf-8") as stream:
        json.dump(list(commands.values()), stream)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        good = sum(pool.map(lambda file: look_at(database, file), files))
print(f"{good} of {len(files)} files have no finding")
sys.exit(good != len(files))
