#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person at a serial bus reads: settings that cannot work are errors of the file; a port that is not there, is no port, or may not be
opened is named with what to do, by `tidegate discover` and by a running gateway's status."""
import os
import subprocess

from field import broker_cloud
from gateway import PROGRAM, Gateway, configuration, run
from harness import Stage, free_port, wait_until
from modbus_support import device

with Stage() as stage:
    def file(name="tidegate.yaml", **settings):
        source = {"name": "bus", "plugin": "modbus", "settings": settings, "devices": [device("meter", 1, [{"name": "v", "address": "input:0"}])]}
        return configuration(stage, [broker_cloud(free_port())], [source], name=name)

    # What only several settings together tell.
    for settings, says in (({"transport": "rtu", "host": "10.0.0.5"}, ": transport rtu needs port: the path of a serial port"),
                           ({"transport": "rtu", "port": "COM3"}, 'port: "COM3" is no path of a serial port, like /dev/ttyUSB0, which transport rtu needs'),
                           ({"transport": "tcp"}, ": transport tcp needs host: a name or an address"),
                           ({"transport": "tcp", "host": "10.0.0.5", "port": "70000"}, 'port: "70000" is no TCP port: allowed are 1 to 65535')):
        said = run("check", "-c", file(**settings), check=1).stderr
        assert says in said and ".yaml:" in said, said

    # Ports that cannot be opened.
    missing, plain = stage.path("ttyUSB7"), stage.path("plain")
    open(plain, "w", encoding="utf-8").close()
    for path, says in ((missing, "No such file or directory; is the device plugged in?"), (plain, "is not a serial port")):
        assert f"{path}" in run("discover", "modbus", path, check=1).stderr and says in run("discover", "modbus", path, check=1).stderr
    gateway = Gateway(stage, file(transport="rtu", port=missing))
    wait_until(lambda: "is the device plugged in?; next attempt in" in gateway.device("meter").get("text", ""), 30, "the text in the status")
    assert gateway.device("meter")["state"] == "down"
    assert gateway.stop() == 0
    # Root opens everything: as somebody else.
    if os.geteuid() == 0:
        os.chmod(plain, 0o600)
        os.chmod(stage.path("."), 0o755)
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        if subprocess.run(["/usr/bin/test", "-x", PROGRAM], check=False, **nobody).returncode == 0:
            said = subprocess.run([PROGRAM, "discover", "modbus", plain], check=False, capture_output=True, text=True, timeout=30, **nobody).stderr
            assert "Permission denied; the service's user needs the group dialout" in said, said
