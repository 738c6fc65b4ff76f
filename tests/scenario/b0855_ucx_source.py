#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Bluetooth devices behind a module in extended data mode are devices of the gateway: their lines become readings of two channels at
once, texts and writes reach them, and they come back by themselves after they went away, after the module restarted, after the
gateway did, and after the port was unplugged. The module's own Wi-Fi is a device too."""
from broker import Broker
from field import broker_cloud
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import Pki
from ucx import PASSWORD, SSID

SCALE, METER = "D4CA6E8A1B2C", "0102030405AA"

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    broker = Broker(stage, pki, users={"nobody": "x"})
    link = stage.path("port")
    module = stage.peer("ucx_module.py", "--link", link, "--wifi", f"{SSID}={PASSWORD}", "--data-max", "7")
    module.command("peer", SCALE, "sps", "20")
    module.command("peer", METER, "spp")
    source = {"name": "yard", "plugin": "ucx", "settings": {"port": link, "timeout": "2s", "init": [f'AT+UWSC=0,2,"{SSID}"', "AT+UWSC=0,5,2",
                                                                                   f"AT+UWSC=0,8,{PASSWORD}", "AT+UWSCA=0,3"]},
              "devices": [
        {"id": "scale", "clouds": ["broker"], "settings": {"peer": f"sps://{SCALE}"}, "points": [
            {"name": "weight", "match": r"^W\s+(-?\d+\.\d+) kg", "unit": "kg"},
            {"name": "tare", "match": "^T (on|off)$", "type": "bool", "write": "TARE {value}", "allow": ["0", "1"], "writable": True}]},
        {"id": "meter", "clouds": ["broker"], "settings": {"peer": f"spp://{METER}p", "connect": "no", "silence": "2s"}, "points": [
            {"name": "pulses", "match": "^P=([0-9A-F]+)$", "type": "hex"}]},
        {"id": "module", "clouds": ["broker"], "points": [
            {"name": "rssi", "command": "AT+UWSSTAT", "match": r"^\+UWSSTAT:6,(-\d+)", "type": "int", "every": "200ms"},
            {"name": "network", "match": r"^\+UUNU:(\d)", "type": "int"}]}]}
    config = configuration(stage, [broker_cloud(broker.back_port, name="broker")], [source])
    gateway = Gateway(stage, config)

    def told(device, point):
        """What came, oldest first; a quality as a text in brackets."""
        bodies = [body for message in broker.heard(f"tidegate/{device}/data") for body in (message if isinstance(message, list) else [message])]
        return [body["values"][point] if point in body.get("values", {}) else f"({body['quality'][point]})" for body in bodies
                if point in body.get("values", {}) or point in body.get("quality", {})]

    def says(address, text):
        wait_until(lambda: module.command("text", address, text)["told"], 30, f"{address} to be connected")

    # --- lines in pieces, of two peers at once; what no point wants is passed over
    says(SCALE, r"hello\r\nW   12.50 kg\r\nW -0.25")
    module.command("call", METER)
    says(METER, r"P=00FF\r\nP=0100\r\n")
    says(SCALE, r" kg\r\nT on\r\n")
    wait_until(lambda: told("scale", "weight")[-2:] == [12.5, -0.25] and told("scale", "tare")[-1:] == [True], 30, "the scale's lines")
    wait_until(lambda: told("meter", "pulses")[-2:] == [255, 256], 30, "the meter's lines")
    wait_until(lambda: -52 in told("module", "rssi"), 30, "the module's own state")
    module.command("rssi", -71)
    wait_until(lambda: -71 in told("module", "rssi"), 30, "its change")

    # --- writes and texts, longer than the link's frames; commands to the module
    gateway.send("scale", "set", {"tare": True})
    gateway.send("scale", "send", {"text": "a text that is longer than twenty bytes"})
    wait_until(lambda: module.command("heard", SCALE)["text"] == "TARE 1\r\na text that is longer than twenty bytes\r\n", 30, "the scale to have heard both")
    assert "+UWSSTAT:3,2" in gateway.send("module", "at", {"command": "AT+UWSSTAT=3"}).stdout
    gateway.send("module", "send", {"text": "x"}, check=1)
    gateway.send("scale", "at", {"command": "AT+UNKNOWN"}, check=1)

    # --- silence, and a line too long
    wait_until(lambda: told("meter", "pulses")[-1:] == ["(stale)"], 30, "the meter to be stale")
    says(METER, "x" * 1500 + r"\r\nP=0101\r\n")
    wait_until(lambda: told("meter", "pulses")[-1:] == [257], 30, "the line behind it")

    # --- away and back
    module.command("away", SCALE)
    wait_until(lambda: told("scale", "weight")[-1:] == ["(comm)"] and gateway.device("scale")["state"] == "down", 30, "the scale to be gone")
    gateway.send("scale", "send", {"text": "x"}, check=1)
    module.command("peer", SCALE, "sps", "20")
    says(SCALE, r"W 1.00 kg\r\n")
    wait_until(lambda: told("scale", "weight")[-1:] == [1.0], 30, "the scale to be back")

    # --- the module restarts by itself: initialised again, connections made anew
    module.command("restart")
    says(SCALE, r"W 2.00 kg\r\n")
    wait_until(lambda: told("scale", "weight")[-1:] == [2.0], 30, "the scale after a restart of the module")
    assert module.command("said")["commands"].count("ATO2") == 2
    assert "the module has restarted" in gateway.errors()

    # --- the gateway restarts: the module is in extended data mode, the connections of before are used on
    connects = sum(command.startswith("AT+UDCP=") for command in module.command("said")["commands"])
    assert gateway.stop() == 0
    gateway.start()
    wait_until(lambda: gateway.device("scale")["state"] == "ok", 30, "the scale to be told again")
    says(SCALE, r"W 3.00 kg\r\n")
    wait_until(lambda: told("scale", "weight")[-1:] == [3.0], 30, "the scale after a restart of the gateway")

    # --- unplugged
    module.command("unplug")
    wait_until(lambda: gateway.device("module")["state"] == "down", 30, "the module to be gone")
    module.command("plug")
    wait_until(lambda: gateway.device("module")["state"] == "ok", 30, "the module to be back")
    wait_until(lambda: gateway.device("scale")["state"] == "ok", 30, "the scale to be back")
    assert PASSWORD not in gateway.errors()
    assert gateway.stop() == 0
    broker.close()
