# SPDX-License-Identifier: GPL-2.0-or-later
"""schema_test - the generated JSON Schema against the files that the loader is tested with.

The schema is valid itself; every file that the loader takes is taken; every case of bad.txt is refused too, but for those
listed in LOADER_ONLY, which no schema can see. A case that is refused although it is listed fails as well.

    schema_test.py PROGRAM-THAT-PRINTS-THE-SCHEMA SOURCE-FOLDER
"""
import glob
import json
import os
import re
import subprocess
import sys

import jsonschema
import yaml

LOADER_ONLY = {
    # references and agreement between values
    "nothing to do", "two clouds of one name", "two sources of one name", "backoff upside down", "a budget with nothing to fill", "a longest delay that is shorter",
    "TLS off to a far host", "a format of another cloud type", "format template without a template", "the cloud type's own rule", "identity that the cloud does not take",
    "no identity where one is needed", "device id that the cloud does not take", "unknown cloud, near", "unknown cloud, far",
    "one device, the same cloud twice", "device ids twice, across sources", "one id in a cloud for two devices", "points twice",
    # characters and limits of texts, durations and sizes
    "gateway name with a space", "http is neither address nor off", "http without a port", "http by a name", "http on a port that is none",
    "http for other machines", "http for other machines, IPv6", "control socket path too long", "cloud name with a slash",
    "cloud name begins with a dot", "cloud name empty", "host with the port in it", "host with its port", "more clouds than there is room for", "device id with a space",
    "duration out of range", "size too small", "keepalive too short", "keepalive too long",
    "escapes in foreign text stay harmless", "control characters of the second kind",
    "control characters of a name stay harmless where the name is repeated", "SAS key in place of its file",
    # values that need each other or that this version refuses, profiles
    "lazy_window without lazy", "isolation that gives up at once", "a key in a token whose URI has the PIN in it", "a key in a token that is not named", "profile of a plugin without any",
    # discovery: references, patterns, what clouds take
    "discovery that lets nobody in", "discovery with patterns that no id is like", "discovery into a cloud that is not there",
    "discovery with one id for all", "discovery without the identity that the cloud needs",
    "discovery with an identity that the cloud does not take", "discovery with a prefix that the cloud does not take",
    # YAML that converts without a trace
    "key twice", "key twice in a flow mapping", "tag",
}


class Core(yaml.SafeLoader):
    """YAML 1.2's core schema: PyYAML's own would read `off` and `1:30` as in YAML 1.1."""
    yaml_implicit_resolvers = {}


Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))
Core.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(~|null|Null|NULL|)$"), ["~", "n", "N", ""])
Core.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^([-+]?[0-9]+|0x[0-9a-fA-F]+)$"), list("-+0123456789"))
Core.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
                           list("-+.0123456789"))
Core.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(node.value))


def cases(path):
    with open(path, encoding="utf-8") as file:
        parts = re.split(r"(?m)^=== ", file.read())[1:]
    for part in parts:
        name, _, rest = part.partition("\n")
        body = rest.split("--- expected\n")[0]
        yield name, re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), body.encode())


def refused(validator, text):
    try:
        return not validator.is_valid(yaml.load(text, Loader=Core))
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, RecursionError):
        return True  # not YAML, or nothing that JSON could express


def main():
    program, source = sys.argv[1:]
    schema = json.loads(subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    wrong = []
    good = [os.path.join(source, "config", "tidegate.yaml"), *glob.glob(os.path.join(source, "tests", "config", "good", "*.yaml"))]
    assert len(good) >= 3, good
    for path in good:
        with open(path, "rb") as file:
            wrong += [f"{path}: {error.json_path}: {error.message}" for error in validator.iter_errors(yaml.load(file, Loader=Core))]
    seen = set()
    for name, text in cases(os.path.join(source, "tests", "config", "bad.txt")):
        seen.add(name)
        if refused(validator, text) == (name in LOADER_ONLY):
            wrong.append(f"{name}: " + ("is refused, yet listed as seen by the loader only" if name in LOADER_ONLY else "is taken"))
    wrong += [f"{name}: is listed, but no case" for name in LOADER_ONLY - seen]
    print("\n".join(wrong) or f"{len(good)} good files taken, {len(seen) - len(LOADER_ONLY)} bad ones refused, "
          f"{len(LOADER_ONLY)} are the loader's alone")
    return 1 if wrong else 0


sys.exit(main())
