#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The link between a gateway and its peers can be cut, stalled, slowed, reset and restored."""
import errno
import select
import socket
import threading
import time
import unittest

from harness import Stage, wait_until


class Echo:
    """Sends back what it gets, on a thread a connection."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    @staticmethod
    def serve(connection):
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                pass


class Link(unittest.TestCase):
    def setUp(self):
        stage = Stage()
        self.addCleanup(stage.close)
        self.echo = Echo()
        self.addCleanup(self.echo.listener.close)
        self.link = stage.peer("link.py", f"a=127.0.0.1:{self.echo.port}", f"b=127.0.0.1:{self.echo.port}")

    def connect(self, name="a"):
        connection = socket.create_connection(("127.0.0.1", self.link.ready["ports"][name]), timeout=10)
        self.addCleanup(connection.close)
        return connection

    def comes_back(self, connection, text=b"hello"):
        connection.sendall(text)
        got = b""
        while len(got) < len(text):
            got += connection.recv(65536)
        return got == text

    def is_reset(self, connection):
        try:
            return connection.recv(1) == b"" and self.fail("closed, not reset")
        except ConnectionResetError:
            return True

    def test_carries_everything(self):
        connection = self.connect()
        block = bytes(range(256)) * 4000
        sender = threading.Thread(target=connection.sendall, args=(block,))
        sender.start()
        got = b""
        while len(got) < len(block):
            got += connection.recv(65536)
        sender.join()
        self.assertEqual(got, block)
        stats = self.link.command("stats a")
        segments = stats.pop("segments")
        self.assertEqual(stats, {"connections": 1, "accepted": 1, "up": len(block), "down": len(block)})
        self.assertGreater(segments, 2 * len(block) // 65536)  # loopback's are the largest there are
        connection.close()
        wait_until(lambda: self.link.command("stats a")["connections"] == 0, 10, "the connection to end")
        self.assertGreaterEqual(self.link.command("stats a")["segments"], segments)  # it has not forgotten them

    def test_cut_refuses_and_restore_brings_it_back_on_the_same_port(self):
        first, other = self.connect("a"), self.connect("b")
        self.assertTrue(self.comes_back(first) and self.comes_back(other))
        self.link.command("cut a")
        self.assertTrue(self.is_reset(first))
        with socket.socket() as refused:
            self.assertEqual(refused.connect_ex(("127.0.0.1", self.link.ready["ports"]["a"])), errno.ECONNREFUSED)
        self.assertTrue(self.comes_back(other))
        self.link.command("restore a")
        self.assertTrue(self.comes_back(self.connect("a")))

    def test_stall_holds_bytes_and_restore_delivers_them(self):
        connection = self.connect()
        self.assertTrue(self.comes_back(connection))
        self.link.command("stall a")
        connection.sendall(b"late")
        late = self.connect()  # accepted
        late.sendall(b"too")
        self.assertEqual(select.select([connection, late], [], [], 0.3)[0], [])
        self.link.command("restore a")
        self.assertEqual(connection.recv(10), b"late")
        self.assertEqual(late.recv(10), b"too")

    def test_stall_of_one_direction(self):
        connection = self.connect()
        self.assertTrue(self.comes_back(connection))
        self.link.command("stall a down")
        connection.sendall(b"heard")
        wait_until(lambda: self.link.command("stats a")["up"] == len(b"hello" + b"heard"), 10, "the way up")
        self.assertEqual(select.select([connection], [], [], 0.3)[0], [])
        self.link.command("restore a")
        self.assertEqual(connection.recv(10), b"heard")

    def test_slow_takes_its_time(self):
        connection = self.connect()
        self.assertTrue(self.comes_back(connection))
        self.link.command("slow a 20000")
        began = time.monotonic()
        for _ in range(4):
            self.assertTrue(self.comes_back(connection, b"x" * 2000))
        self.assertGreater(time.monotonic() - began, 0.3)
        self.link.command("restore a")
        self.assertTrue(self.comes_back(connection, b"y" * 100000))

    def test_rst(self):
        connection = self.connect()
        self.assertTrue(self.comes_back(connection))
        self.link.command("rst a")
        self.assertTrue(self.is_reset(connection))
        self.assertTrue(self.comes_back(self.connect()))

    def test_unknown_lever(self):
        with self.assertRaisesRegex(AssertionError, "KeyError"):
            self.link.command("cut nothing")


if __name__ == "__main__":
    unittest.main(verbosity=2)
