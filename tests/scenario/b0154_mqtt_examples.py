#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The example configurations for MQTT and Sparkplug B are good once their keys are there, and what goes wrong most is said with its place."""
import os
import subprocess

from examples import check_examples, check_wrong
from harness import Stage

EXAMPLES = {"mqtt.yaml": ["keys/meter-1.pass", "keys/meter-2.pass"], "mqtt-shared.yaml": ["keys/site-7.crt", "keys/site-7.key"],
            "thingstream.yaml": ["keys/meter-1.pass", "keys/meter-2.pass"], "sparkplug-b.yaml": ["keys/site-7.pass"]}
WRONG = (  # example, what stands there, what is written instead, the line's beginning that is pointed at, what is said
    ("mqtt.yaml", 'topic: "plant/{gateway}/{device}" ', 'topic: "plant/{gateway}/{thing}" ', 'topic:', 'topic: unknown placeholder at "{thing}"'),
    ("mqtt.yaml", 'topic: "plant/{gateway}/{device}" ', 'topic: "plant/#" ', "topic:", "has a wildcard"),
    ("mqtt.yaml", 'topic: "plant/{gateway}/{device}" ', f'topic: "{"{device}" * 9}" ', "topic:", "becomes 1152 bytes"),
    ("mqtt.yaml", 'reply_topic: "plant/{gateway}/{device}/did"', 'reply_topic: "plant/{gateway}/{device}/do"', "reply_topic:", "taken for a command"),
    ("mqtt.yaml", "will_topic:", "# will_topic:", "will_message:", "no effect without will_topic"),
    ("mqtt.yaml", "- id: meter-2", "- id: meter-2\n        clouds: [{name: broker, id: a/b}]\n      - id: meter-3", None, 'device id "a/b"'),
    ("mqtt-shared.yaml", "{device}/do", "do", "command_topic:", "it has {device} once"),
    ("mqtt-shared.yaml", 'will_topic: "plant/{gateway}', 'will_topic: "plant/{device}', "will_topic:", "use {gateway} instead of {device}"),
    ("sparkplug-b.yaml", "    group_id: north\n", "", "format:", "needs a group_id"),
    ("sparkplug-b.yaml", "edge_node: line-1", "edge_node: a/b", "edge_node:", "a Sparkplug id cannot have"),
    ("sparkplug-b.yaml", "edge_node: line-1", "qos: 1", "qos:", "Sparkplug B says this itself"),
    ("sparkplug-b.yaml", "edge_node: line-1", "session: shared", "session:", "Sparkplug B says this itself"),
    ("sparkplug-b.yaml", "edge_node: line-1", "compress: deflate", "compress:", "are not compressed"),
    ("sparkplug-b.yaml", "format: sparkplug-b", "format: json", "group_id:", "is for format: sparkplug-b"),
)


def throw_away(stage, name):
    path = stage.path(name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if name.endswith(".crt"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=site-7",
                        "-keyout", path[:-4] + ".key", "-out", path], check=True, capture_output=True)
        os.chmod(path[:-4] + ".key", 0o600)
    elif not name.endswith(".key"):
        stage.write(name, "secret\n")


with Stage() as stage:
    check_examples(stage, EXAMPLES, throw_away)
    check_wrong(stage, ((example, was, now, says, at) for example, was, now, at, says in WRONG))
