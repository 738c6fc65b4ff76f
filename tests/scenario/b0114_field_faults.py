#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Meters and modems that are not there, fall silent, refuse, garble and come back: each says what is wrong and is tried again, its
neighbours keep their pace, and what could not be read arrives in the cloud as a quality."""
from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, vectors, wait_until
from hub import Hub
from modbus_support import ask
from pki import Pki
from verdict import delivered, judge, samples, table

DEVICES = ("meter-1", "meter-2", "steady", "feeder-1", "feeder-2", "modem-1", "reference")

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device in DEVICES:
        pki.add(device, "sas")
    hub = Hub(stage, pki)
    profiles = vectors("southbound/modbus_profiles.json")
    meters = stage.peer("meter_server.py", "--profiles", profiles, "--units", "1,2")
    feeders = stage.peer("meter_server.py", "--profiles", profiles, "--units", "11,12", "--rtu", "--link", stage.path("ttyRS485"))
    modem = stage.peer("at_modem.py", "--silence", "0", "--link", stage.path("ttyModem"))
    link = stage.peer("link.py", f"meter=127.0.0.1:{meters.ready['port']}")
    link.command("cut meter")
    modem.command("silent -1")

    def device(name, settings, points):
        return {"id": name, "clouds": ["hub"], "identity": identity(pki, name, "sas"), "settings": settings, "points": points}

    def voltages(every="100ms"):
        return [{"name": "voltage", "address": "input:0", "type": "float32", "unit": "V", "every": every},
                {"name": "frequency", "address": "input:70", "type": "float32", "unit": "Hz", "every": every}]
    tcp = {"transport": "tcp", "host": "127.0.0.1", "timeout": "200ms"}
    config = configuration(stage, [hub_cloud(hub)], [
        {"name": "boiler-room", "plugin": "modbus", "settings": {**tcp, "port": str(link.ready["ports"]["meter"])},
         "devices": [device("meter-1", {"unit": 1}, voltages()), device("meter-2", {"unit": 2}, voltages())]},
        {"name": "elsewhere", "plugin": "modbus", "settings": {**tcp, "port": str(meters.ready["port"]), "timeout": "10s"},
         "devices": [device("steady", {"unit": 2}, voltages())]},  # nothing is wrong there, however slow this machine is
        {"name": "distribution", "plugin": "modbus", "settings": {"transport": "rtu", "port": feeders.ready["path"], "baud": "115200", "timeout": "200ms"},
         "devices": [device("feeder-1", {"unit": 11}, voltages("200ms")), device("feeder-2", {"unit": 12}, voltages("200ms"))]},
        {"name": "modem", "plugin": "at", "settings": {"port": modem.ready["path"], "baud": 115200, "script": "cellular", "timeout": "300ms"},
         "devices": [device("modem-1", {}, [
             {"name": "rssi", "command": "AT+CSQ", "match": r"^\+CSQ: (\d+),\d+$", "type": "int", "every": "200ms"}])]},
        simulated("clockwork", {"reference": (["hub"], identity(pki, "reference", "sas"))}, every="100ms")])
    gateway = Gateway(stage, config)

    def wait_state(name, which, says, seconds=40):
        def holds():
            entry = gateway.device(name)
            return entry["state"] == which and says in entry.get("text", "")
        wait_until(holds, seconds, f"{name} to be {which}: {says}; it is {gateway.device(name)}")

    def flow(*names, count=5):
        before = gateway.accounts()
        wait_until(lambda: all(gateway.accounts()[name] >= before[name] + count for name in names), 40, f"{count} samples of {names}")

    def pace(*names, count=25):
        """While something is broken: nobody else gets less than 0.8 of what a simulated device gets in the same time. A busy machine, where even a
        good meter may answer too late, does so for a while only: then it is measured again."""
        def keeps():
            before = gateway.accounts()
            wait_until(lambda: gateway.accounts()["reference"] >= before["reference"] + count, 40, "the reference")
            now = gateway.accounts()
            ratios = {name: (now[name] - before[name]) / (now["reference"] - before["reference"]) for name in names}
            print("pace beside a fault:", ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()))
            return min(ratios.values()) >= 0.8
        wait_until(keeps, 60, f"{' and '.join(names)} to keep their pace")

    def bad_reply(kind, *lever):
        """A reply of the feeders is bad, and counted as that; given once more when it came too late to be looked at. (The log leaves out what is often.)"""
        def counted():
            return ask(gateway, "feeder-1", "stats")["bus"]["errors"].get(kind, 0)

        def seen():
            feeders.command(*lever)
            return counted() > before
        before = counted()
        wait_until(seen, 40, f"a reply to be counted as {kind}")

    def quality(name, point, word):
        wait_until(lambda: any(sample.get("quality", {}).get(point) == word and point not in sample["values"]
                               for entry in hub.record.telemetry(name) for sample in samples(entry)), 40, f"quality {word} of {name} in the cloud")

    # Not there when the gateway starts, and a modem that says nothing; then both come.
    wait_until(lambda: all_online(gateway), 40, "all sessions")
    for meter in ("meter-1", "meter-2"):
        wait_state(meter, "down", "Connection refused; next attempt in ")
        quality(meter, "voltage", "comm")
    wait_until(lambda: "device=modem-1 is suspect: no answer to " in gateway.errors(), 40, "the silent modem to be told")
    pace("steady")
    modem.command("silent 0")
    link.command("restore meter")
    flow("meter-1", "meter-2", "modem-1")
    wait_state("meter-1", "ok", "unit 1 answers")
    wait_state("modem-1", "ok", "")

    # An exception for every request of one unit, a damaged and a late reply, a modem that refuses.
    meters.command("except", 1, 4)
    modem.command("refuse on")
    quality("meter-1", "voltage", "device")
    quality("modem-1", "rssi", "device")
    bad_reply("bad_crc", "damage")
    bad_reply("timeout", "late", 0.5)
    pace("meter-2", "steady")
    meters.command("except", 1, 0)
    modem.command("refuse off")
    flow("meter-1", "feeder-1", "feeder-2", "modem-1", "reference")

    # One unit dies, the server restarts, adapters are pulled out.
    meters.command("dead", 1)
    feeders.command("unplug")
    modem.command("unplug")
    wait_state("meter-1", "down", "no answer in 200 ms; probed in ")
    for feeder in ("feeder-1", "feeder-2"):
        wait_state(feeder, "down", "ttyRS485: No such file or directory; is the device plugged in?; next attempt in ")
    wait_state("modem-1", "down", "")  # or it was already, for an answer too many that came too late
    wait_until(lambda: "was unplugged; trying again" in gateway.errors(), 40, "the pulled adapter to be told")
    pace("meter-2", "steady")
    meters.command("alive", 1)
    link.command("cut meter")
    feeders.command("plug")
    modem.command("garbage on")
    modem.command("plug")
    wait_state("meter-2", "down", "Connection refused; next attempt in ")
    link.command("restore meter")
    flow("meter-1", "meter-2", "feeder-1", "feeder-2", "modem-1", "reference")
    modem.command("garbage off")

    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 60, "everything to be delivered")
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds and row.duplicates == 0 for row in rows)
