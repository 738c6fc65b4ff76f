#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The example of GATT devices is good once its password is there; what goes wrong most is said with its place."""
from examples import check_examples, check_wrong
from harness import Stage

EXAMPLE = "ble-gatt.yaml"
WRONG = (  # the file, what stands there, what is written instead, what is said
    (EXAMPLE, "characteristic: battery_level", "characteristic: batery_level", '"batery_level" is no characteristic'),
    (EXAMPLE, "characteristic: humidity,", "characteristic: fff7,", "needs `format`"),
    (EXAMPLE, 'format: "u8@1/2"', 'format: "u8@1/0"', "the factor is 0"),
    (EXAMPLE, 'format: "s16le*0.1?8000"', 'format: "s16le@2"', "can only be read"),
    (EXAMPLE, "connections: 3", "connections: 30", "out of range: 1 to 10"),
)

with Stage() as stage:
    check_examples(stage, {EXAMPLE: ["keys/greenhouse.pass"]}, lambda where, name: where.write(name, "secret\n"))
    check_wrong(stage, WRONG)
