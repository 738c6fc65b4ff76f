#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""fleet_paho - many devices in one program as most people begin: a paho.mqtt.client with a thread for each, to an IoT Hub by SAS.

    fleet_paho.py '{"port": …, "ca": …, "devices": {id: key, …}, "rate": null}'

It says {"ready":true} when all are connected; then each line on stdin gets {"ok":true, "online", "accepted", "acked", "failed"};
"rate N" sets how many samples a second each device gives (null: none). Nothing is kept but in memory.
"""
import base64
import hashlib
import hmac
import json
import sys
import threading
import time
import urllib.parse

import paho.mqtt.client as paho

HUB = "localhost"


def token(device, key):
    resource = urllib.parse.quote(f"{HUB}/devices/{device}", safe="")
    expiry = int(time.time()) + 3600
    mac = hmac.new(base64.b64decode(key), f"{resource}\n{expiry}".encode(), hashlib.sha256)
    return f"SharedAccessSignature sr={resource}&sig={urllib.parse.quote(base64.b64encode(mac.digest()), safe='')}&se={expiry}"


def text(number):
    a = number * 2654435761 % 4294967296
    values = {f"point{i}": 100 + a % (899 - 12 * i) + a % prime / 1000 for i, prime in enumerate((997, 991, 983, 977, 971, 967, 953, 947))}
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    return json.dumps({"ts": stamp, "seq": number, "values": values}, separators=(",", ":"))


class Device:
    def __init__(self, job, name, key):
        self.topic, self.made, self.acked, self.online = f"devices/{name}/messages/events/", 0, 0, threading.Event()
        self.client = paho.Client(name)
        self.client.tls_set(job["ca"])
        self.client.username_pw_set(f"{HUB}/{name}/?api-version=2021-04-12", token(name, key))
        self.client.on_connect = lambda *unused: self.online.set()
        self.client.on_publish = self.on_publish
        self.client.connect(HUB, job["port"])
        self.client.loop_start()

    def on_publish(self, *unused):
        self.acked += 1

    def send(self):
        self.made += 1
        self.client.publish(self.topic, text(self.made), qos=1)


class Pace(threading.Thread):
    """Gives every device its samples, spread over the period."""

    def __init__(self, devices, rate):
        super().__init__(daemon=True)
        self.devices, self.rate = devices, rate
        self.start()

    def run(self):
        begin, total = time.monotonic(), 0
        while self.rate:
            owed = int((time.monotonic() - begin) * self.rate * len(self.devices))
            for number in range(total, owed):
                self.devices[number % len(self.devices)].send()
            total = owed
            time.sleep(0.01)


def main():
    job = json.loads(sys.argv[1])
    devices = [Device(job, name, key) for name, key in job["devices"].items()]
    for device in devices:
        if not device.online.wait(60):
            sys.exit("not connected within a minute")
    pace = Pace(devices, job["rate"])
    print('{"ready":true}', flush=True)
    for line in sys.stdin:
        if line.startswith("rate "):
            pace.rate = None
            pace = Pace(devices, float(line.split()[1]))
        made = sum(device.made for device in devices)
        print(json.dumps({"ok": True, "online": len(devices), "accepted": made, "acked": sum(device.acked for device in devices),
                          "failed": 0}), flush=True)


if __name__ == "__main__":
    main()
