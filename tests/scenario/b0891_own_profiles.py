#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A profile of one's own is listed beside the plugin's, what is wrong in it is said in its own lines, and no `address_base` of the file shifts
the points of a profile."""
import json
import os

from field import broker_cloud
from gateway import configuration, run
from harness import Stage, free_port
from modbus_support import device

with Stage() as stage:
    os.makedirs(stage.path("profiles/modbus"))
    bus = {"name": "bus", "plugin": "modbus", "settings": {"transport": "tcp", "host": "127.0.0.1", "port": str(free_port())}}

    def check(profile, points=(), code=0, **settings):
        meter = {**device("meter", 1, list(points), **settings), "profile": profile}
        file = configuration(stage, [broker_cloud(free_port())], [{**bus, "devices": [meter]}], name="own.yaml")
        return run("check", "-c", file, check=code)

    def write(name, text):
        with open(stage.path(f"profiles/modbus/{name}.yaml"), "w", encoding="utf-8") as file:
            file.write(text)

    # Made as the manual says, listed where the configuration is named, and only there.
    write("mine", run("plugin", "describe", "modbus", "--profile", "eastron-sdm630", check=0).stdout)
    write("xy-md02", "points: [{name: t, address: 'input:1'}]\n")
    check("mine")
    file = stage.path("own.yaml")
    listed = run("plugin", "describe", "modbus", "-c", file, check=0).stdout
    assert f"  mine                     {stage.path('profiles/modbus/mine.yaml')}\n" in listed, listed
    assert f"  xy-md02                  {stage.path('profiles/modbus/xy-md02.yaml')}\n" in listed and "XY-MD02 temperature" not in listed, listed
    assert "  eastron-sdm120           Eastron SDM120" in listed and "mine" not in run("plugin", "describe", "modbus", check=0).stdout
    profiles = {p["name"]: p for p in json.loads(run("plugin", "describe", "modbus", "-c", file, "--json", check=0).stdout)["profiles"]}
    assert profiles["mine"]["file"] == stage.path("profiles/modbus/mine.yaml") and "file" not in profiles["sunspec"], profiles
    assert "voltage_l1" in run("plugin", "describe", "modbus", "-c", file, "--profile", "mine", check=0).stdout
    assert "with -c FILE also those" in run("plugin", "describe", "modbus", "--profile", "mine", check=1).stderr
    assert "nowhere.yaml" in run("plugin", "describe", "modbus", "-c", stage.path("nowhere.yaml"), check=2).stderr

    # Mistakes are where they are; a name that is misspelt is compared with the files too.
    write("wrong", "settings: {max_count: 200}\npoints:\n  - {name: v, address: 'input:0', type: flaot32}\n")
    said = check("wrong", code=1).stderr
    assert "profiles/modbus/wrong.yaml:1:23: max_count: 200 is out of range" in said, said
    assert 'profiles/modbus/wrong.yaml:3:41: type: "flaot32" is not one of' in said and 'did you mean "float32"?' in said, said
    assert 'did you mean "mine"?' in check("mien", code=1).stderr

    # What addresses count from belongs to who has written them.
    for profile in ("eastron-sdm630", "mine"):
        said = check(profile, code=1, address_base=1).stderr
        assert f'address_base: the points of profile "{profile}" are written for 0 and would mean something else with 1: remove it' in said, said
    own = [{"name": "extra", "address": "holding:40001"}]
    assert "is ambiguous" in check("mine", own, code=1).stderr
    check("mine", own, address_base=0)
    write("ones", "settings: {address_base: 1}\npoints: [{name: v, address: 'input:1'}]\n")
    check("ones")
    check("ones", address_base=1)
    assert "are written for 1 and would mean something else with 0" in check("ones", code=1, address_base=0).stderr
    write("settings", "settings: {max_count: 20}\n")
    check("settings", [{"name": "v", "address": "input:1"}], address_base=1)      # it has no points that could shift
