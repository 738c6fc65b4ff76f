#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""SunSpec devices of three kinds are found by walking their chains; a scale factor that changes, a new firmware and a missing model are taken as they are."""
from harness import Stage, wait_until
from modbus_support import device, start, stored, wait_samples


def latest(gateway, name, point):
    """The last that was said of a point: its value, or its quality."""
    for row in reversed(stored(gateway, name)):
        if point in row["values"]:
            return row["values"][point]
        if point in row.get("quality", {}):
            return row["quality"][point]
    return None


def wait_for(gateway, name, point, expected):
    wait_until(lambda: latest(gateway, name, point) == expected, 40, f"{name} {point} to be {expected}, not {latest(gateway, name, point)}")


def quick(*names):
    """Points of the profile, read often: an entry of the file takes a profile's point's place."""
    return [{"name": name, "address": f"sunspec:{place}", "every": "200ms", "optional": True} for name, place in names]


with Stage() as stage:
    peer = stage.peer("sunspec_devices.py", "1:40000:1,103,203", "2:0:1,111", "3:50000:1,160,101,124", "4:40000:")
    own = [{"name": "w", "address": "sunspec:meter/W", "every": "200ms"}, {"name": "raw", "address": "sunspec:160/+3", "type": "uint16", "every": "200ms"}]
    power = ("active_power", "inverter/W")
    gateway = start(stage, [{
        "name": "roof", "plugin": "modbus", "settings": {"transport": "tcp", "host": "127.0.0.1", "port": str(peer.ready["port"]), "timeout": "2s"},
        "devices": [{**device("sun", 1, quick(power, ("energy", "inverter/WH")) + own), "profile": "sunspec"},
                    {**device("float", 2, quick(power)), "profile": "sunspec"},
                    {**device("store", 3, own + quick(("storage_charge", "storage/ChaState"))), "profile": "sunspec"},
                    device("none", 4, [{"name": "w", "address": "sunspec:inverter/W", "every": "200ms"}])]}])
    wait_samples(gateway, "sun", "float", "store", count=1)
    wait_for(gateway, "sun", "active_power", -1230)
    wait_for(gateway, "sun", "frequency", 49.98)
    wait_for(gateway, "sun", "voltage_l1", 231.4)
    wait_for(gateway, "sun", "energy", 10000000)
    wait_for(gateway, "sun", "state", "mppt")
    wait_for(gateway, "sun", "model", "TW-5000")
    wait_for(gateway, "sun", "meter_power", 250)
    wait_for(gateway, "sun", "meter_imported_energy", 777)
    wait_for(gateway, "float", "active_power", 4321.5)
    wait_for(gateway, "store", "storage_charge", 87.5)
    wait_for(gateway, "store", "raw", 0xFFFF)
    # What is not there: an optional point is left out, one that is asked for has quality config.
    said = {name for row in stored(gateway, "sun") for name in (*row["values"], *row.get("quality", {}))}
    assert not said & {"storage_charge", "dc_power", "voltage_l2", "heat_sink_temperature"}, said
    assert "raw" in said and latest(gateway, "sun", "raw") == "config"
    assert latest(gateway, "store", "w") == "config"
    wait_for(gateway, "none", "w", "config")
    # `tidegate status` says which models there are, or that there are none.
    texts = {d["id"]: d["text"] for d in gateway.status()["devices"]}
    assert "SunSpec models 1, 103, 203" in texts["sun"], texts
    assert "answers, but has no SunSpec models: " in texts["none"], texts
    # The factor is read with each value.
    peer.command("set", 1, 103, 14, 4567, 0xFFFF)
    wait_for(gateway, "sun", "active_power", 456.7)
    peer.command("set", 1, 103, 15, 0x8000)
    wait_for(gateway, "sun", "active_power", "sensor")
    # Another firmware: the models stand elsewhere, and the connection that it ends brings a new walk.
    peer.command("models", 1, 50000, "1,160,213,113")
    peer.command("drop")
    wait_for(gateway, "sun", "active_power", 4321.5)
    wait_for(gateway, "sun", "raw", 0xFFFF)
    assert gateway.stop() == 0
