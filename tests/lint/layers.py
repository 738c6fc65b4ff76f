#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""layers - dependencies point one way (docs/adr/0001-architecture.md): what the sources of each room may include of the others. The rooms stand
in an order in which nobody knows a later one; the linker sees calls, this sees types too. Plugins may know each other where one is made of
the other's parts; nothing of the product knows the tests."""
import glob
import os
import re
import sys

source = os.path.abspath(sys.argv[1])

MAY = {
    "core/base": set(),
    "core/http": {"core/base"},
    "core/net": {"core/base", "core/http"},
    "core/points": {"core/base"},
    "config": {"core/base", "core/points"},
    "store": {"core/base", "core/net"},
    "southbound": {"core/base", "core/net", "config"},
    "northbound": {"core/base", "core/http", "core/net", "config", "store"},
    "plugins": {"core/base", "southbound"},
    "core/gateway": {"core/base", "core/net", "core/points", "config", "store", "southbound", "northbound"},
}
PLUGINS = {"ucx": {"at"}}  # a module's AT side is the plugin at's


def room(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "core" else parts[0]


wrong, seen = [], 0
for where in MAY:
    for path in sorted(glob.glob(os.path.join(source, where, "**", "*.[ch]"), recursive=True)):
        name = os.path.relpath(path, source)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for match in re.finditer(r'^[ \t]*#[ \t]*include "([^"]+)"', text, re.M):
            included = match.group(1)
            at = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
            seen += 1
            to = room(included)
            if "/" not in included or to == where:
                a, b = name.split("/"), included.split("/")
                if where == "plugins" and "/" in included and a[1] != b[1] and b[1] not in PLUGINS.get(a[1], ()):
                    wrong.append(f"{at}: the plugin {a[1]} includes the plugin {b[1]}'s {included}")
            elif to not in MAY[where]:
                wrong.append(f"{at}: {where} must not know {included}")

order = list(MAY)
wrong += [f"this table: {a} may know {b}, which comes later" for a in order for b in MAY[a] if order.index(b) >= order.index(a)]
if seen < 1000:
    wrong.append(f"{seen} includes were looked at in {source}: is it the source tree?")
print("\n".join(wrong) or f"{seen} includes of {len(MAY)} rooms: all point one way")
sys.exit(bool(wrong))
