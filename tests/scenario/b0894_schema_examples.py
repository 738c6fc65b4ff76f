#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every example is valid by `tidegate schema` with the plugins that are built, as an editor would judge it, and the options of every plugin are in it."""
import glob
import json
import os
import re

import jsonschema
import yaml

from gateway import run
from harness import SOURCE


class Core(yaml.SafeLoader):
    """Editors read YAML 1.2, where `on`, `off`, `yes` and `no` are texts."""
    yaml_implicit_resolvers = {first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":bool")]
                               for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))

text = run("schema", check=0).stdout
validator = jsonschema.Draft202012Validator(json.loads(text))
examples = [os.path.join(SOURCE, "config", "tidegate.yaml"), *sorted(glob.glob(os.path.join(SOURCE, "config", "examples", "*.yaml")))]
assert len(examples) > 10, examples
wrong = []
for path in examples:
    with open(path, encoding="utf-8") as file:
        wrong += [f"{path}: {error.json_path}: {error.message}" for error in validator.iter_errors(yaml.load(file, Loader=Core))]
assert not wrong, "\n".join(wrong)
for plugin in json.loads(run("plugin", "list", "--json", check=0).stdout):
    described = json.loads(run("plugin", "describe", plugin["name"], "--json", check=0).stdout)
    for table in ("source_options", "device_options", "point_options"):
        for option in described[table]:
            assert f'"{option["name"]}"' in text, (plugin["name"], option["name"])

# The verbs, each with its help; columns are straight although some characters take more than a byte.
listed = run("--help", check=0).stdout
rows = [line for line in listed.split("\n\n")[2].split("\n")]
verbs = [row.split()[0] for row in rows]
assert {"check", "run", "status", "discover", "module", "plugin", "decode"} <= set(verbs) and verbs[:3] == ["check", "run", "status"], verbs
width = rows[0].index("validates")
for row in rows:
    assert row[width - 2:width] == "  " and row[width] != " ", (row, width)
for verb in verbs:
    assert run(verb, "--help", check=0).stdout.startswith("usage: tidegate " + verb), verb
assert 'unknown verb "provison" (did you mean "provision"?)' in run("module", "provison", check=2).stderr
