#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`tidegate decode ble --characteristic` reads every characteristic of the vectors as they expect it, and says what is wrong with the rest."""
import json

from gateway import run
from harness import vectors

COMPOSED = {"bpm": "heart_rate", "contact": "heart_rate.contact", "rr_s": "heart_rate.rr"}


def decode(*words, check=0):
    return json.loads(run("decode", "ble", *words, "--json", check=check).stdout)


def celsius(expect):
    """The product gives temperatures in degrees Celsius, whatever the device sends."""
    value = expect["value"]
    return round((value - 32) / 1.8, 6) if expect.get("unit") == "Fahrenheit" else value


with open(vectors("southbound/gatt.json"), encoding="utf-8") as file:
    entries = [entry for entry in json.load(file)["vectors"] if "value_hex" in entry]
checked = 0
for entry in entries:
    uuid, hexadecimal, expect = entry["uuid"].replace("0x", ""), entry["value_hex"], entry["expect"]
    for key, format in COMPOSED.items():
        if key in expect:
            wanted = expect[key][-1] if isinstance(expect[key], list) else expect[key]
            got = decode("--characteristic", uuid, "--as", format, hexadecimal, check=0 if wanted is not None else 1)
            assert got["value"] == wanted or abs(got["value"] - wanted) < 1e-6, (entry, got)
            checked += 1
    if "value" in expect:
        got = decode("--characteristic", uuid, hexadecimal, check=0 if expect["value"] is not None else 1)
        wanted = expect["value"] if expect["value"] is None else celsius(expect)
        assert got["value"] == wanted or abs(got["value"] - wanted) < 1e-6, (entry, got)
        checked += 1
assert len(entries) == 9 and checked >= len(entries), (len(entries), checked)

assert decode("--characteristic", "battery_level", "57")["value"] == 87
assert decode("--characteristic", "12345678-1234-5678-1234-56789abcdef0", "--as", "u16be@1", "FF0102")["value"] == 258
short = decode("--characteristic", "2A6E", "0A", check=1)
assert short["value"] is None and short["reading"] == "short", short
for words, says in (("--characteristic 12345678-1234-5678-1234-56789abcdef0 00", "--as FORMAT"), ("--characteristic nonsense 00", "neither a UUID nor a name"),
                    ("--characteristic 2A6E", "no bytes"), ("--characteristic 2A6E 0", "hexadecimal"), ("--characteristic 2A6E --as q7 00", "q7"),
                    ("--characteristic", "needs a value")):
    done = run("decode", "ble", *words.split(), check=2)
    assert says in done.stdout + done.stderr and "usage" in done.stdout + done.stderr, (words, done)
