#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The example of a cellular modem is good once its keys are there; what goes wrong most is said."""
from examples import check_examples
from gateway import run
from harness import Stage

WRONG = (  # what stands there, what is written instead, what `check` says
    ("      apn: iot.example", "      apn: iot.example\n      time: gps", "time"),
    ("      pin_file: keys/sim.pin", "      pin_file: keys/none.pin", "does not exist"),
    ("          - {name: temperature, command: 'AT+TEMP?',", "          - {name: temperature, cellular: rssi, command: 'AT+TEMP?',",
     "takes neither `command` nor"),
    ("          - {name: temperature, command: 'AT+TEMP?', match: '^\\+TEMP: (\\S+)$', type: real, unit: Cel, every: 1m}",
     "          - {name: temperature, cellular: rssy}", "cellular"),
)


def make(stage, name):
    stage.write(name, "4711\n" if name.endswith(".pin") else "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA==\n")


with Stage() as stage:
    check_examples(stage, {"cellular.yaml": ["keys/sim.pin", "keys/modem-1.key"]}, make)
    with open(stage.path("cellular.yaml"), encoding="utf-8") as file:
        text = file.read()
    for was, now, says in WRONG:
        assert text.count(was) == 1, was
        done = run("check", "-c", stage.write("wrong.yaml", text.replace(was, now)), check=1)
        assert says in done.stderr, f"{says}\n{done.stderr}"
