#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A modem by `script: cellular`: its values reach the cloud with their sentinels as no value, its identity as facts without telling who
the subscriber is, its registration as the gateway's uplink; what goes wrong is said with what to do; commands go through; a modem that starts
anew is set up again."""
import json

from cellular import modem, modem_source, run, secret, text_of, uplink
from field import hub_cloud, identity
from gateway import run as tidegate
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import samples

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("modem-1", "sas")
    hub = Hub(stage, pki, twin=True)
    peer = modem(stage)
    secret(stage, "apn.password", "open sesame\n")
    points = [{"name": name, "cellular": name, "every": "1s"} for name in (
        "rssi", "rsrp", "rsrq", "rscp", "registration", "roaming", "attached", "operator", "rat", "area", "cell", "sim")]
    points.append({"name": "relay", "command": "AT+UGPIOR=16", "match": r"^\+UGPIOR: 16,(\d)$", "type": "bool", "every": "1s",
                   "writable": True, "write": "AT+UGPIOW=16,{value}", "allow": ["0", "1"]})
    source = modem_source(stage, points, {"identity": identity(pki, "modem-1", "sas")},
                          {"apn": "iot.example", "apn_auth": "chap", "apn_user": "box", "apn_password_file": stage.path("apn.password")}, ["hub"])
    peer.command("signal 17 20 50")
    gateway = run(stage, [hub_cloud(hub)], source)

    def last(name):
        found = [sample for entry in hub.record.telemetry("modem-1") for sample in samples(entry) if name in sample.get("values", {})]
        return found[-1]["values"][name] if found else None

    def quality(name):
        found = [sample for entry in hub.record.telemetry("modem-1") for sample in samples(entry) if name in sample.get("quality", {})]
        return found[-1]["quality"][name] if found else None

    # --- values, facts, settings
    expected = {"rssi": -79, "rsrp": -91, "rsrq": -10, "registration": 5, "roaming": True, "attached": True, "operator": "Tide Mobile",
                "rat": "lte", "area": 0xC3, "cell": 0x01A2B3C4, "sim": "READY"}
    for name, value in expected.items():
        wait_until(lambda: last(name) == value, 30, f"{name} to be {value}, is {last(name)}")
    wait_until(lambda: quality("rscp") == "sensor", 30, "a level that is not known to be no value")
    twin = hub.twin("modem-1")

    def facts():
        found = json.dumps(twin.reported)
        return all(text in found for text in ("TM-1", "tidegate test works", "01.02", "Tide Mobile"))
    wait_until(facts, 30, "facts")
    told = json.dumps(twin.reported)
    for number in ("356938035643809", "001010123456789", "8944500102198304826"):
        assert number not in told, told
    assert told.count("hashed:") == 3, told
    commands = peer.command("log")["commands"]
    assert 'AT+CGDCONT=1,"IP","iot.example"' in commands and 'AT+CGAUTH=1,2,"box","open sesame"' in commands, commands
    assert "open sesame" not in gateway.errors()

    # --- the uplink
    wait_until(lambda: uplink(gateway).get("state") == "up", 30, "the uplink")
    assert "registered, roaming, lte" in uplink(gateway)["text"], uplink(gateway)
    assert "uplink up since" in tidegate("status", "-c", gateway.config, check=0).stdout
    peer.command("register 2")
    wait_until(lambda: uplink(gateway)["state"] == "down", 30, "the uplink to go")
    wait_until(lambda: "looking for a network" in text_of(gateway), 30, "its text")
    peer.command("register 3")
    wait_until(lambda: "registration denied" in text_of(gateway) and "activated" in text_of(gateway), 30, "what to do about a denied registration")
    assert gateway.device("modem-1")["state"] == "suspect"
    peer.command("register 1 9")
    wait_until(lambda: uplink(gateway)["state"] == "up" and not text_of(gateway), 30, "the uplink to be back")
    wait_until(lambda: last("rat") == "nb-iot" and last("roaming") is False and last("registration") == 1, 30, "the other network")
    assert uplink(gateway)["changes"] == 3, uplink(gateway)

    # --- sentinels, odd answers
    peer.command("signal 99 255 255")
    for name in ("rssi", "rsrp", "rsrq"):
        wait_until(lambda: quality(name) == "sensor", 30, f"{name} to be unknown")
    peer.command("signal 31 34 97")
    wait_until(lambda: (last("rssi"), last("rsrq"), last("rsrp")) == (-51, -3, -44), 30, "the best signal there is")

    # --- commands and writes
    answer = gateway.send("modem-1", "at", {"command": "AT+CGMM"})
    assert "TM-1" in answer.stdout, answer.stdout
    gateway.send("modem-1", "set", {"relay": True})
    assert peer.command("output 16")["value"] == 1
    assert hub.call_method("modem-1", "at", {"command": "AT+CGMM"}).payload["lines"] == ["TM-1"]
    refused = gateway.send("modem-1", "enter_pin", {}, check=None)
    assert refused.returncode != 0 and "wants no PIN" in refused.stdout + refused.stderr, refused

    # --- it starts anew in the middle: set up again; a SIM that is taken out
    before = len(peer.command("log")["commands"])
    peer.command("reboot")
    wait_until(lambda: "AT+CEREG=2" in peer.command("log")["commands"][before:], 30, "the settings to be made again")
    peer.command("sim absent")
    peer.command("reboot")
    wait_until(lambda: "no SIM is in the modem" in text_of(gateway), 30, "the SIM to be missed")
    wait_until(lambda: uplink(gateway)["state"] == "down", 30, "the uplink to go with it")
    peer.command("sim ok")
    peer.command('urc "+CPIN: READY"')
    wait_until(lambda: uplink(gateway)["state"] == "up" and gateway.device("modem-1")["state"] == "ok", 30, "all to be well")
    peer.command("sim failure")
    peer.command("reboot")
    wait_until(lambda: "cannot read the SIM" in text_of(gateway), 30, "the SIM's failure")
    assert gateway.stop() == 0
