#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole gateway reads and writes a second independent implementation, jsmodbus, over TCP and over RTU frames through TCP."""
import json
import os
import select
import subprocess
import sys

from harness import PEERS, Stage, die_with_parent, wait_until
from modbus_support import device, start, stored, wait_samples

SERVER = os.path.join(PEERS, "node-modbus", "server.js")
if not os.path.isdir(os.path.join(PEERS, "node-modbus", "node_modules")):
    sys.exit("jsmodbus is not installed: ./dev setup does it")


class Server:
    def __init__(self, kind):
        self.child = subprocess.Popen(["node", SERVER, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.port = self.line()["port"]

    def line(self):
        if not select.select([self.child.stdout], [], [], 30)[0]:
            raise AssertionError("jsmodbus says nothing")
        return json.loads(self.child.stdout.readline())

    def ask(self, *words):
        self.child.stdin.write(" ".join(map(str, words)) + "\n")
        self.child.stdin.flush()
        return self.line().get("value")

    def stop(self):
        self.child.stdin.close()
        self.child.stdout.close()
        assert self.child.wait(30) == 0


POINTS = [{"name": "a", "address": "input:3", "every": "100ms"}, {"name": "b", "address": "30008", "type": "int16", "every": "100ms"},
          {"name": "wide", "address": "holding:100", "type": "uint64", "order": "EFGHABCD", "every": "100ms", "writable": True},
          {"name": "odd", "address": "coil:7", "every": "100ms", "writable": True}, {"name": "even", "address": "coil:6", "every": "100ms"},
          {"name": "sensor", "address": "discrete:0", "every": "100ms"}]

with Stage() as stage:
    servers = {"tcp": Server("tcp"), "rtu-over-tcp": Server("rtu")}
    try:
        for server in servers.values():
            server.ask("set", 7, 0x10000 - 1234)
        gateway = start(stage, [{
            "name": transport, "plugin": "modbus",
            "settings": {"transport": transport, "host": "127.0.0.1", "port": str(server.port), "timeout": "2s"},
            "devices": [device(transport, 1, POINTS)]} for transport, server in servers.items()])
        wait_samples(gateway, *servers)
        for transport, server in servers.items():
            rows = [row["values"] for row in stored(gateway, transport) if not row.get("quality")]
            assert rows, stored(gateway, transport)
            assert rows[0] == {"a": 1003, "b": -1234, "wide": (1102 << 48) + (1103 << 32) + (1100 << 16) + 1101, "odd": True, "even": False,
                               "sensor": True}, rows[0]
            gateway.send(transport, "set", {"wide": 0x0102030405060708, "odd": False})
            assert [server.ask("holding", 100 + i) for i in range(4)] == [0x0506, 0x0708, 0x0102, 0x0304]
            assert server.ask("coil", 7) == 0
            wait_until(lambda name=transport: any(row["values"].get("wide") == 0x0102030405060708 and row["values"].get("odd") is False
                                                  for row in stored(gateway, name)), 30, "what was written to be read")
        assert gateway.stop() == 0
    finally:
        for server in servers.values():
            server.stop()
