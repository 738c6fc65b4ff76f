#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The misbehaving broker behaves until told otherwise, and then misbehaves as told (seen by Paho and raw sockets)."""
import base64
import socket
import ssl
import unittest

import paho.mqtt.client as paho

from harness import Stage, wait_until
from pki import Pki


class BadBroker(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)
        self.broker = self.stage.peer("bad_broker.py")

    def client(self, name="one"):
        client = paho.Client(name, clean_session=False, protocol=paho.MQTTv311, reconnect_on_failure=False)
        client.codes, client.inbox, client.gone = [], [], False
        client.on_connect = lambda c, user, flags, code: c.codes.append((code, flags["session present"]))
        client.on_message = lambda c, user, message: c.inbox.append((message.topic, message.payload))

        def gone(c, user, code):
            c.gone = True

        client.on_disconnect = gone
        client.connect("127.0.0.1", self.broker.ready["port"], 60)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        self.addCleanup(client.disconnect)
        return client

    def connected(self, name="one"):
        client = self.client(name)
        wait_until(lambda: client.codes, 10, "CONNACK")
        self.assertEqual(client.codes, [(0, 0)])
        return client

    def test_behaves(self):
        client = self.connected()
        client.publish("a/b", b"\x00body", 1).wait_for_publish(10)
        client.subscribe("c/#", 1)
        wait_until(lambda: self.broker.command("stats")["publishes"] == 1, 10, "the publish")
        self.broker.command("publish", "c/d e", "it's here", 1)
        wait_until(lambda: client.inbox == [("c/d e", b"it's here")], 10, "the message")
        wait_until(lambda: self.broker.command("stats")["acked"] == [1], 10, "its acknowledgement")
        packets = self.broker.command("seen")["packets"]
        self.assertEqual([packet["packet"] for packet in packets], ["connect", "publish", "subscribe"])
        self.assertEqual(base64.b64decode(packets[1]["payload"]), b"\x00body")
        self.assertEqual(packets[2]["filters"], [["c/#", 1]])
        self.assertEqual(self.broker.command("seen"), {"packets": []})

    def test_connack(self):
        self.broker.command("connack 5")
        client = self.client()
        wait_until(lambda: client.codes, 10, "CONNACK")
        self.assertEqual(client.codes[0][0], 5)
        self.broker.command("connack never")
        silent = self.client("two")
        wait_until(lambda: self.broker.command("stats")["connects"] == 2, 10, "CONNECT")
        self.assertEqual(silent.codes, [])
        self.broker.command("connack 0")
        self.broker.command("session on")
        again = self.client("three")
        wait_until(lambda: again.codes == [(0, 1)], 10, "a session that is present")

    def raw(self):
        connection = socket.create_connection(("127.0.0.1", self.broker.ready["port"]), timeout=10)
        self.addCleanup(connection.close)
        connection.sendall(bytes.fromhex("10 0f 0004 4d515454 04 02 003c 0003 726177"))
        self.assertEqual(connection.recv(4), b"\x20\x02\x00\x00")
        return connection

    def exactly(self, connection, size):
        data = b""
        while len(data) < size:
            more = connection.recv(size - len(data))
            if not more:
                break
            data += more
        return data

    def test_puback(self):
        connection = self.raw()
        publish = bytes.fromhex("32 06 0001 61 0007 78")
        for how, answer in (("once", "40020007"), ("twice", "4002000740020007"), ("unknown", "40020008")):
            self.broker.command("puback", how)
            connection.sendall(publish)
            self.assertEqual(self.exactly(connection, len(answer) // 2).hex(), answer)
        self.broker.command("puback never")
        connection.sendall(publish)
        wait_until(lambda: self.broker.command("stats")["publishes"] == 4, 10, "the fourth publish")
        self.broker.command("puback later")
        connection.sendall(publish)
        wait_until(lambda: self.broker.command("stats")["publishes"] == 5, 10, "the fifth publish")
        connection.sendall(b"\xc0\x00")  # its answer overtakes what is held back
        self.assertEqual(self.exactly(connection, 2), b"\xd0\x00")
        self.broker.command("release")
        self.assertEqual(self.exactly(connection, 4).hex(), "40020007")

    def test_bytes_that_are_no_mqtt(self):
        connection = self.raw()
        self.broker.command("raw 30ffffff7f")
        self.assertEqual(self.exactly(connection, 5).hex(), "30ffffff7f")
        self.broker.command("oversize")
        self.assertEqual(self.exactly(connection, 11)[:5].hex(), "32ffffff7f")
        self.broker.command("garbage")
        self.assertEqual(len(self.exactly(connection, 4096)), 4096)

    def test_close_and_reset(self):
        self.broker.command("close_after 2")
        client = self.connected()
        client.publish("a", "1", 1)
        client.publish("a", "2", 1)
        wait_until(lambda: client.gone, 10, "the broker to close")
        self.broker.command("close_after -1")
        connection = self.raw()
        self.broker.command("reset")
        self.assertRaises(ConnectionResetError, connection.recv, 1)
        connection = self.raw()
        self.broker.command("close")
        self.assertEqual(connection.recv(1), b"")

    def test_suback_and_ping(self):
        self.broker.command("suback 128")
        self.broker.command("ping off")
        connection = self.raw()
        connection.sendall(bytes.fromhex("82 06 0001 0001 61 01 c000 e000"))
        self.assertEqual(self.exactly(connection, 100).hex(), "9003000180")  # no PINGRESP, closed at DISCONNECT

    def test_handshake_stalls(self):
        pki = Pki(self.stage.path("pki"))
        broker = self.stage.peer("bad_broker.py", "--cert", pki.path("server.pem"), "--key", pki.path("server.key"))
        context = ssl.create_default_context(cafile=pki.path("ca.pem"))
        with socket.create_connection(("127.0.0.1", broker.ready["port"]), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(bytes.fromhex("10 0f 0004 4d515454 04 02 003c 0003 746c73"))
                self.assertEqual(connection.recv(4), b"\x20\x02\x00\x00")
        broker.command("handshake stall")
        with socket.create_connection(("127.0.0.1", broker.ready["port"]), timeout=0.5) as plain:
            with self.assertRaises(TimeoutError):
                context.wrap_socket(plain, server_hostname="localhost")


if __name__ == "__main__":
    unittest.main(verbosity=2)
