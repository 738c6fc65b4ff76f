# SPDX-License-Identifier: GPL-2.0-or-later
"""cellular - a gateway whose modem is tests/peers/at_modem.py, and whose samples go to the hub or a file-less place."""
import os

from field import broker_cloud
from gateway import Gateway, configuration
from harness import free_port

NOWHERE = broker_cloud(free_port(), name="nowhere")  # for devices that nobody hears
VALUES = ("rssi", "rsrp", "rsrq", "registration", "roaming", "attached", "operator", "rat", "area", "cell", "sim")


def modem_source(stage, points=None, device=None, settings=None, clouds=("nowhere",)):
    points = points or [{"name": name, "cellular": name, "every": "1s"} for name in VALUES]
    return {"name": "modem", "plugin": "at",
            "settings": {"port": stage.path("port"), "script": "cellular", "pause": "2ms", **(settings or {})},
            "devices": [{"id": "modem-1", "clouds": list(clouds), "points": points, **(device or {})}]}


def modem(stage, *options):
    return stage.peer("at_modem.py", "--link", stage.path("port"), "--silence", 0, "--urcs", 0, *options)


def secret(stage, name, text):
    path = stage.write(name, text)
    os.chmod(path, 0o600)
    return path


def text_of(gateway):
    return gateway.device("modem-1").get("text", "")


def uplink(gateway):
    return gateway.status()["gateway"].get("uplink", {})


def run(stage, clouds, source, env=None, **gateway):
    return Gateway(stage, configuration(stage, clouds, [source], **gateway), env=env)
