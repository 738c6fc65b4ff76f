# SPDX-License-Identifier: GPL-2.0-or-later
"""paho_device - a device at the hub by an independent client (Eclipse Paho), and the tokens it signs.

Written from the hub's documentation, not from the product: it shows that the test hub judges rightly.
"""
import base64
import hashlib
import hmac
import time
import urllib.parse

import paho.mqtt.client as paho

API_VERSION = "2021-04-12"


def sas_token(resource, key, expiry=None, policy=None, order="sr sig se skn"):
    encoded = urllib.parse.quote(resource, safe="")
    expiry = int(time.time()) + 3600 if expiry is None else int(expiry)
    mac = hmac.new(base64.b64decode(key), f"{encoded}\n{expiry}".encode(), hashlib.sha256).digest()
    fields = {"sr": encoded, "sig": urllib.parse.quote(base64.b64encode(mac), safe=""), "se": expiry, "skn": policy}
    return "SharedAccessSignature " + "&".join(f"{name}={fields[name]}" for name in order.split() if fields[name])


class Device:
    """One connection. `events` lists what happened: ("connack", code), ("message", topic, payload), ("closed",)."""

    def __init__(self, hub, name, password=None, certificate=None, username=None, clean=True, keepalive=60):
        self.name = name
        self.events = []
        self.closed = False
        self.connack = None
        self.client = paho.Client(name, clean_session=clean, protocol=paho.MQTTv311, reconnect_on_failure=False)
        self.client.username_pw_set(username or f"localhost/{name}/?api-version={API_VERSION}", password)
        self.client.tls_set_context(hub.client_context(certificate))
        self.client.on_connect = self.on_connect
        self.client.on_disconnect = self.on_disconnect
        self.client.on_message = self.on_message
        self.client.connect("localhost", hub.port, keepalive)
        self.client.loop_start()

    def on_connect(self, client, user, flags, code):
        self.connack = code
        self.events.append(("connack", code))

    def on_disconnect(self, client, user, code):
        self.closed = True
        self.events.append(("closed",))

    def on_message(self, client, user, message):
        self.events.append(("message", message.topic, message.payload))

    def messages(self):
        return [event[1:] for event in self.events if event[0] == "message"]

    def telemetry(self, payload, bag="", qos=1, retain=False):
        return self.client.publish(f"devices/{self.name}/messages/events/{bag}", payload, qos, retain)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
