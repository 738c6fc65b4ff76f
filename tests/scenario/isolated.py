# SPDX-License-Identifier: GPL-2.0-or-later
"""isolated - sources of the plugin that misbehaves when told to (tests/support/plugins/trouble.c), and what is to be known of them."""
import contextlib
import json
import os

from harness import BUILD, wait_until

GATEWAY = {"plugin_dirs": [f"{BUILD}/tests/fixtures", f"{BUILD}/plugins"]}


def troubled(name, device, clouds, who=None, plugin="trouble", every="20ms", settings=None, **more):
    return {"name": name, "plugin": plugin, "isolation": "process", "settings": settings or {}, **more, "devices": [
        {"id": device, "clouds": clouds, **({"identity": who} if who else {}), "points": [{"name": "count", "every": every}]}]}


def source(gateway, name):
    return next(entry for entry in gateway.status()["sources"] if entry["name"] == name)


def pid_of(gateway, name):
    """Of its process, waited for: signals to 0 would go to everybody here."""
    return wait_until(lambda: source(gateway, name).get("process", {}).get("pid", 0), 30, f"a process of {name}")


def alive(pid):
    """Whether there is such a process, and not only its remains."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


def ask(gateway, device, command):
    """What the plugin answers to a command."""
    return json.loads(gateway.send(device, command, {}).stdout.split(maxsplit=1)[1])


def open_files(pid):
    folder, paths = f"/proc/{pid}/fd", []
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed since
            paths.append(os.readlink(f"{folder}/{name}"))
    return paths
