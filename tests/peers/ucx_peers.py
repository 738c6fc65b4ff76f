# SPDX-License-Identifier: GPL-2.0-or-later
"""ucx_peers - what the module of ucx_module.py is connected to: brokers, one MQTT session for all peers that name the same one, and Bluetooth devices."""
import socket
import ssl
import struct

import paho.mqtt.client as paho

PROFILES = {"spp": 0, "dun": 1, "sps": 14}


class Client(paho.Client):
    """paho, whose connection goes to another address than the name says: TLS still checks the name."""

    address = None

    def _create_socket_connection(self):
        return socket.create_connection(self.address, timeout=5)


class Session:
    """A connection to a broker. Peers of the same broker and client id share it: in the note's log the second one is there 1 ms
    after it was asked for, and the answer to what it publishes comes to the first."""

    def __init__(self, module, host, port, query):
        self.module, self.host, self.port, self.query = module, host, port, query
        self.peers, self.up, self.ended = [], False, False
        address, self.shown = module.where(host, port)
        self.client = Client(client_id=query.get("client", ""), protocol=paho.MQTTv311, clean_session=True)
        self.client.address = address
        if "user" in query:
            self.client.username_pw_set(query["user"], query.get("passwd"))
        if "encr" in query or "ca" in query:
            self.client.tls_set_context(self.context())
        self.client.on_connect = lambda client, user, flags, code: self.later(self.on_connack, code)
        self.client.on_disconnect = lambda client, user, code: self.later(self.lost)
        self.client.on_subscribe = lambda client, user, mid, granted: self.later(self.on_suback, mid)
        self.client.on_message = lambda client, user, message: self.later(self.on_message, message.topic, message.payload)
        module.loop.run_in_executor(None, self.connect)

    def later(self, *call):
        self.module.loop.call_soon_threadsafe(*call)

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = ssl.TLSVersion.TLSv1_2 if self.query.get("encr") == "3" else ssl.TLSVersion.TLSv1_1
        if "ca" in self.query:
            context.load_verify_locations(cafile=self.module.file(0, self.query["ca"]))
        else:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if "cert" in self.query:
            context.load_cert_chain(self.module.file(1, self.query["cert"]), self.module.file(2, self.query["privKey"]))
        return context

    def connect(self):
        try:
            self.client.connect(self.host, self.port, int(self.query.get("keepAlive", 60)))
            self.client.loop_start()
        except (OSError, ValueError):
            self.later(self.lost)

    def on_connack(self, code):
        if code != 0:
            self.lost()
            return
        self.up = True
        for peer in self.peers:
            self.join(peer)

    def join(self, peer):
        if "st" in peer.query:
            peer.mid = self.client.subscribe(peer.query["st"], 1)[1]
        else:
            peer.ready()

    def add(self, peer):
        self.peers.append(peer)
        if self.up:
            self.join(peer)

    def on_suback(self, mid):
        for peer in self.peers:
            if peer.mid == mid:
                peer.ready()

    def on_message(self, topic, payload):
        if self.module.mute:
            return
        for peer in self.peers:
            if peer.channel is not None and "st" in peer.query and paho.topic_matches_sub(peer.query["st"], topic):
                self.module.data(peer.channel, payload)

    def lost(self):
        for peer in list(self.peers):
            self.module.disconnected(peer)
        self.end()

    def end(self):
        if not self.ended:
            self.ended = True
            self.module.sessions.pop((self.host, self.port, self.query.get("client")), None)
            self.module.loop.run_in_executor(None, self.stop)

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()  # waits for its thread


class MqttPeer:
    def __init__(self, module, handle, host, port, query):
        self.module, self.handle, self.where, self.query = module, handle, (host, port, query.get("client")), query
        self.channel = self.mid = None
        self.session = module.sessions.get(self.where) or Session(module, host, port, query)
        module.sessions[self.where] = self.session

    def open(self):
        self.session.add(self)

    def ready(self):
        if self.channel is None and self.handle in self.module.peers:
            shown, port = self.session.shown, self.where[1]
            self.channel = self.module.free_channel()
            self.module.connected(self, struct.pack(">BBB4sH4sH", self.channel, 2, 2, socket.inet_aton(shown), port, bytes(4), 0),
                                  f"+UUDPC:{self.handle},2,6,0.0.0.0,0,{shown},{port}")

    def send(self, payload):
        if self.module.loses():
            return
        if "pt" in self.query:
            self.session.client.publish(self.query["pt"], payload, int(self.query.get("qos", 0)))

    def close(self):
        if self in self.session.peers:
            self.session.peers.remove(self)
        if not self.session.peers:
            self.session.end()


class BluetoothPeer:
    def __init__(self, module, handle, address, profile, frame_size):
        self.module, self.handle, self.address, self.profile, self.frame_size = module, handle, address, profile, frame_size
        self.channel = None
        self.heard = module.heard.setdefault(address, bytearray())

    def open(self):
        self.module.loop.call_later(0.05, self.ready)

    def ready(self):
        if self.handle not in self.module.peers:
            return
        if self.address not in self.module.in_reach:
            self.module.disconnected(self)
            return
        self.channel = self.module.free_channel()
        payload = struct.pack(">BBB6sH", self.channel, 1, PROFILES[self.profile], bytes.fromhex(self.address), self.frame_size)
        self.module.connected(self, payload, f"+UUDPC:{self.handle},1,{4 if self.profile == 'sps' else 0},{self.address}p,{self.frame_size}")

    def send(self, payload):
        self.heard += payload[:self.frame_size]  # what is longer than the link's frame is lost

    def close(self):
        pass
