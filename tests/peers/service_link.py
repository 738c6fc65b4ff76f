# SPDX-License-Identifier: GPL-2.0-or-later
"""service_link - the cloud's side of a test hub: a client of the broker that logs in as "service" (hub_rules.c).

    link = ServiceLink(hub.service_port, "twins")
    link.forwarded("$iothub/twin/", lambda client, topic, payload: …)   # what a device said to the service alone
    link.events("subscribe", lambda client, filter: …)       # connect, disconnect, subscribe, unsubscribe
    link.say("meter-1", "$iothub/twin/res/200/?$rid=1", b"{}")          # to that device, if it listens
    link.lever("meter-1", "quota", 0)                                   # hub_levers.h

Handlers run on the client's thread, one at a time; they may say(), but must not wait. It speaks MQTT 5, which lets it
take any number of messages at once: the 3.1.1 devices of a test hub have a queue of 50.
"""
import os
import socket
import threading

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PASSWORD = "service"
PATIENCE_S = 20


def encode(client):
    """A client id as one level of a topic."""
    return "".join(f"%{ord(c):02X}" if c in "%/+#" else c for c in client)


def decode(level):
    for c in "/+#%":
        level = level.replace(f"%{ord(c):02X}", c)
    return level


class ServiceLink:
    def __init__(self, port, name="service", host="127.0.0.1"):
        self.ready, self.granted, self.lock = threading.Event(), {}, threading.Lock()
        self.filters, self.waiting = [], set()  # asked for again when the hub comes back; not granted yet
        self.client = paho.Client(f"{name}-{os.getpid()}-{id(self):x}", protocol=paho.MQTTv5)
        self.client.max_inflight_messages_set(0)
        self.client.username_pw_set("service", PASSWORD)
        self.client.reconnect_delay_set(0.1, 0.5)
        self.client.on_connect = self.on_connect
        self.client.on_socket_open = lambda client, user, sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client.on_disconnect = self.on_disconnect
        self.client.on_subscribe = self.on_subscribe
        properties = Properties(PacketTypes.CONNECT)
        properties.ReceiveMaximum = 65535
        self.client.connect(host, port, properties=properties)
        self.client.loop_start()
        if not self.ready.wait(PATIENCE_S):
            raise AssertionError("the hub does not answer its service")

    def on_connect(self, client, user, flags, code, properties=None):
        with self.lock:
            self.waiting = {client.subscribe(topics, 1)[1] for topics in self.filters}
        self.ready.set()

    def on_disconnect(self, client, user, code, properties=None):
        with self.lock:
            self.waiting = {None}  # until it is back

    def on_subscribe(self, client, user, number, codes, properties=None):
        with self.lock:
            self.waiting.discard(number)
            self.granted.setdefault(number, threading.Event()).set()

    def connected(self):
        """Whether the hub is there and hands it all that it asked for, also after the hub was away."""
        with self.lock:
            return self.client.is_connected() and not self.waiting

    def heard(self, topics, handler):
        """handler(topic, payload) for every message on the filter; it is granted when this returns."""
        self.client.message_callback_add(topics, lambda client, user, message: handler(message.topic, message.payload))
        self.filters.append(topics)
        _, number = self.client.subscribe(topics, 1)
        with self.lock:
            granted = self.granted.setdefault(number, threading.Event())
        if not granted.wait(PATIENCE_S):
            raise AssertionError(f"the hub does not grant {topics}")

    def forwarded(self, prefix, handler):
        """handler(client, topic, payload) for what clients say on topics that begin with it, whole levels."""
        def take(topic, payload):
            _, client, said = topic.split("/", 2)
            handler(decode(client), said, payload)

        self.heard(f"from/+/{prefix}#" if prefix == "" or prefix.endswith("/") else f"from/+/{prefix}", take)

    def events(self, what, handler):
        """handler(client, reason) at each connect, disconnect, subscribe, unsubscribe (reason: the filter), unheard
        (reason: the topic of what was said to a client that is away or does not listen)."""
        self.heard(f"event/+/{what}", lambda topic, payload: handler(decode(topic.split("/")[1]), payload.decode()))

    def publish(self, topic, payload=b"", qos=1):
        """Returns what wait() takes."""
        return self.client.publish(topic, payload, qos)

    def say(self, client, topic, payload=b"", qos=1):
        return self.publish(f"to/{encode(client)}/{topic}", payload, qos)

    def lever(self, client, what, value=""):
        return self.publish(f"lever/{client if client == '*' else encode(client)}/{what}", str(value))

    def wait(self, sent):
        """Until the hub has taken it. Not from a handler."""
        sent.wait_for_publish(PATIENCE_S)
        if not sent.is_published():
            raise AssertionError("the hub does not take a message of its service")

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
