#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Plugins of other ages: one built against the first header of the API runs in this host, one of a later day loads, one of another API is
refused with both numbers and what to do; and the folders that plugins are loaded from, in their order, with each refusal at its line."""
import json
import os
import shutil

from gateway import run
from harness import BUILD, Stage
from kit import events

FIXTURES = os.path.join(BUILD, "tests", "fixtures")


def sources(plugin, settings=""):
    return (f"gateway: {{plugin_dirs: [first, second]}}\nsources:\n  - name: one\n    plugin: {plugin}\n{settings}    devices:\n      - id: d1\n"
            "        points: [{name: count, step: 3, writable: true}]\n")


with Stage() as stage:
    config = stage.write("elder.yaml", sources("elder"))
    seen = events(run("plugin", "test", f"{FIXTURES}/elder.so", "-c", config, "--samples", 3, "--json", check=0))
    assert [sample["values"]["count"] for sample in seen["sample"]] == [3, 6, 9], seen["sample"]
    assert seen["state"][0]["text"] == "a newer host", seen["state"]
    seen = events(run("plugin", "test", f"{FIXTURES}/elder.so", "-c", config, "--samples", 3, "--json", "--send", "d1", "set", '{"count": 100}',
                      check=0))
    assert 103 in [sample["values"]["count"] for sample in seen["sample"]], seen["sample"]
    described = json.loads(run("plugin", "describe", "elder", "--plugin-dir", FIXTURES, "--json", check=0).stdout)
    assert described["needs"] == ["network", "serial"] and described["needs_stated"] is False, described
    assert "it does not say" in run("plugin", "describe", "elder", "--plugin-dir", FIXTURES, check=0).stdout
    described = json.loads(run("plugin", "describe", "later", "--plugin-dir", FIXTURES, "--json", check=0).stdout)
    assert described["needs"] == [] and described["needs_stated"] is True, described
    done = run("plugin", "test", f"{FIXTURES}/nextabi.so", "-c", config, check=1)
    assert "plugin API 2, this tidegate has 1; install a newer tidegate, or build the plugin again" in done.stderr, done.stderr

    # --- the folders: in their order, hidden ones once; what is refused is refused at the line that asks for it, and not passed over
    for folder in ("first", "second"):
        os.mkdir(stage.path(folder), 0o755)
        shutil.copy(f"{FIXTURES}/good.so", stage.path(folder, "good.so"))
        os.chmod(stage.path(folder, "good.so"), 0o644)
    shutil.copy(f"{FIXTURES}/good.so", stage.path("first", "hidden.so"))
    config = stage.write("good.yaml", sources("good").replace("step: 3, ", ""))

    def place():
        listed = json.loads(run("plugin", "list", "--json", "-c", config, check=0).stdout)
        return [entry.get("path", entry.get("error")) for entry in listed if entry["name"] == "good"]

    def refused(says):
        done = run("plugin", "test", "good", "-c", config, check=1)
        assert says in done.stderr, done.stderr
        done = run("check", "-c", config, check=1)
        assert "good.yaml:4:13: plugin: " in done.stderr and says in done.stderr, done.stderr
        assert says in place()[0], place()
    assert place() == [stage.path("first", "good.so")]
    os.chmod(stage.path("first"), 0o777)
    refused("first can be written by others (mode 0777); run: chmod go-w")
    os.chmod(stage.path("first"), 0o755)
    os.chmod(stage.path("first", "good.so"), 0o664)
    refused("good.so can be written by others (mode 0664)")
    os.unlink(stage.path("first", "good.so"))
    os.symlink(stage.path("second", "good.so"), stage.path("first", "good.so"))
    refused("not through a link")
    os.unlink(stage.path("first", "good.so"))
    assert place() == [stage.path("second", "good.so")]
    os.chmod(stage.folder, 0o777)
    refused("others could put another folder in the place of")
    os.chmod(stage.folder, 0o1777)
    assert place() == [stage.path("second", "good.so")]
    if os.geteuid() == 0:
        os.chown(stage.path("second"), 12345, 0)
        refused("second belongs to user 12345; a plugin, its folder and the folders above it must belong to root or to the gateway's user")
        os.chown(stage.path("second"), 0, 0)
        os.chown(stage.path("second", "good.so"), 12345, 0)
        refused("good.so belongs to user 12345")
        os.chown(stage.path("second", "good.so"), 0, 0)
    assert place() == [stage.path("second", "good.so")]
