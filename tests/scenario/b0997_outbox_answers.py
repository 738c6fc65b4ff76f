#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`tidegate outbox` and wrong words, files and folders: each command says what is wrong and what was not done, writes over nothing, waits for
nothing, and an answer that did not get out is not called one."""
import json
import os
import subprocess

from field import simulated
from gateway import PROGRAM, Gateway, configuration, run
from harness import Stage, free_port, wait_until


def full(*arguments):
    """With an output that takes nothing."""
    with open("/dev/full", "w", encoding="ascii") as nowhere:
        done = subprocess.run([PROGRAM, *arguments], stdout=nowhere, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert done.returncode == 1 and "standard output could not be written" in done.stderr, done


with Stage() as stage:
    cloud = {"name": "hub", "type": "mqtt", "host": "127.0.0.1", "port": free_port(), "tls": "off"}
    config = configuration(stage, [cloud], [simulated("field", {"meter": (["hub"], None)}, every="20ms")])
    gateway = Gateway(stage, config)
    wait_until(lambda: gateway.device("meter")["last_seq"] >= 20, 40, "samples")
    assert gateway.stop() == 0
    waiting = json.loads(run("outbox", "stats", "--json", "-c", config, check=0).stdout)["devices"][0]["pending"]
    assert waiting >= 20, waiting

    # Words.
    for words, says in ((["stat"], 'unknown verb "stat" (did you mean "stats"?)'),
                        (["frobnicate"], 'unknown verb "frobnicate"'),
                        (["stats", "meter"], '"meter" is too much'),
                        (["stats", "--device", "meter"], "stats takes no --device"),
                        (["verify", "--cloud", "hub"], "verify takes no --cloud"),
                        (["export", "--yes"], "export takes no --yes"),
                        (["import", "a", "b"], '"b" is too much'),
                        (["import"], "which file?"),
                        (["import", "--all", "a"], "import takes no --all"),
                        (["drop"], "the id of a device, or --all"),
                        (["drop", "meter", "--all"], "the id of a device, or --all"),
                        (["drop", "meter", "valve"], '"valve" is too much'),
                        (["drop", "meter", "--before", "yesterday"], "not yesterday"),
                        (["export", "--backlog"], "--backlog needs a value"),
                        ([], "usage: tidegate outbox stats")):
        done = run("outbox", "-c", config, *words, check=2)
        assert says in done.stderr and not done.stdout, (words, done)
    # In another order they mean the same.
    assert "would be dropped" in run("outbox", "-c", config, "--cloud", "hub", "drop", "meter", check=1).stdout

    # What is not there, or cannot be.
    backlog, pipe = stage.path("box.backlog"), stage.path("pipe")
    assert "knows no device" in run("outbox", "export", "--device", "nobody", "-c", config, check=1).stderr
    assert "no gateway has stored anything there" in run("outbox", "stats", "--dir", stage.path("nowhere"), check=1).stderr
    run("outbox", "export", "--backlog", backlog, "-c", config, check=0)
    os.mkfifo(pipe)
    assert "not a regular file; nothing was imported" in run("outbox", "import", pipe, "-c", config, check=1).stderr
    assert "is not there; nothing was imported" in run("outbox", "import", backlog, "--dir", stage.path("nowhere"), check=1).stderr
    with open(backlog, "rb") as file:
        before = file.read()
    done = run("outbox", "export", "--backlog", backlog, "-c", config, check=1)
    assert "is there already and stays as it is; nothing was exported" in done.stderr, done
    with open(backlog, "rb") as file:
        assert file.read() == before
    done = run("outbox", "export", "--backlog", stage.path("none", "out"), "-c", config, check=1)
    assert "cannot be created" in done.stderr and "nothing was exported" in done.stderr, done

    # An answer that did not get out.
    for verb in ("stats", "verify", "export"):
        full("outbox", verb, "-c", config)

    # For programs.
    assert json.loads(run("outbox", "verify", "--json", "-c", config, check=0).stdout) == {"sound": True, "findings": []}
    with open(stage.path("state", "outbox.db"), "r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (os.path.getsize(file.name) - 4096))
    done = run("outbox", "verify", "--json", "-c", config, check=1)
    assert "malformed" in done.stderr, done
