#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ucx_module - a u-connectXpress module on a pty, as the application note UBX-19010078 shows it (see control.py).

    ucx_module.py [--link PATH] --wifi SSID=PASSWORD --map HOST:PORT=127.0.0.1:PORT[,SHOWN_IP]
        →  {"ready": true, "path": "/dev/pts/7"}

Command mode with echo, data mode (ATO1, +++ between silences), extended data mode (ATO2). AT+UFACTORY, AT+CPWROFF with +STARTUP,
AT+USECMNG (upload at the prompt >, the MD5 of exactly what came, remove, list), AT+UWSC/UWSCA with +UUWLE/+UUNU/+UUWLD,
AT+UDUV, AT+UDCP to MQTT brokers (it really connects, with the uploaded CA, certificate and key; TLS 1.2 with encr=3, else
1.1, which no broker takes) and to Bluetooth peers, AT+UDCPC, +UDCP, +UUDPC, +UUDPD. tests/vectors/southbound/ucx_dps_transcript.json is
what it is checked against, line by line. Commands:

    wifi SSID PASSWORD      a network appears; `wifi SSID -` is open; `wifi SSID gone` takes it away
    map HOST:PORT ADDRESS   where a name leads
    fail PREFIX [COUNT]     commands that begin so are answered ERROR; COUNT -1: from now on
    silent [COUNT]          the next commands are not answered; -1: it is dead, echo and all
    corrupt on|off          a byte of each upload is lost
    garbage on|off          answers are noise, as with a wrong rate
    enter command|data|edm  the mode that somebody left it in
    restart                 by itself
    peer ADDRESS [sps|spp] [MAX]   a Bluetooth device is in reach; frames of at most MAX bytes
    away ADDRESS            … is not any more: its connection ends
    call ADDRESS            it connects by itself
    text ADDRESS TEXT       it says something (\\r \\n \\xHH), if connected
    heard ADDRESS           {"text": …}: what it was told
    rssi N                  of the Wi-Fi network
    drop COUNT [SKIP]       after SKIP more, the next data frames to brokers are lost without a word; -1: all of them
    mute on|off             what brokers send is not passed on to the host
    cut                     every connection to a broker ends
    said                    {"commands": […]}: every command so far, in order
    delivered               {"data": […]}: what peers said to the host, in order
    state                   {"mode", "certificates": {name: md5}, "peers": n, "wifi": bool}
    unplug | plug           the port disappears, or is there again
"""
import argparse
import asyncio
import hashlib
import os
import re
import shutil
import struct
import sys
import tempfile
import time

import control
from ucx_peers import BluetoothPeer, MqttPeer

LINE_MAX = 4096
GUARD_S = 0.9
TYPES = {0: "CA", 1: "CC", 2: "PK"}
CONNECT, DISCONNECT, DATA_EVENT, DATA_COMMAND = 0x11, 0x21, 0x31, 0x36
AT_EVENT, AT_REQUEST, AT_RESPONSE, RESEND, START = 0x41, 0x44, 0x45, 0x56, 0x71


def frame(kind, payload=b""):
    return b"\xaa" + struct.pack(">HH", len(payload) + 2, kind) + payload + b"\x55"


def parameters(text):
    """What stands between the commas, quotes resolved."""
    items, item, quoted, position = [], "", False, 0
    while position < len(text):
        char = text[position]
        if quoted and char == "\\" and position + 1 < len(text):
            position += 1
            item += text[position]
        elif char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            items.append(item)
            item = ""
        else:
            item += char
        position += 1
    return items + [item]


def unescape(text):
    return re.sub(r"\\(x[0-9A-Fa-f]{2}|[rn\\])", lambda m: {"r": "\r", "n": "\n", "\\": "\\"}.get(m[1]) or chr(int(m[1][1:], 16)), text)


class Module:
    def __init__(self, arguments):
        self.loop = asyncio.get_running_loop()
        self.arguments = arguments
        self.folder = tempfile.mkdtemp(prefix="ucx")
        self.networks, self.map = {}, {}
        for item in arguments.wifi:
            self.set_wifi(*item.split("=", 1))
        for item in arguments.map:
            self.set_map(*item.rsplit("=", 1))
        self.certificates, self.commands, self.failures = {}, [], {}
        self.skip, self.corrupt, self.garbage = 0, False, False
        self.mute, self.drop, self.drop_after, self.dropped = False, 0, 0, 0
        self.in_reach, self.heard, self.rssi = {}, {}, -52
        self.factory = False
        self.peers, self.sessions, self.told_host = {}, {}, []
        self.reset()
        self.port = control.Port(self.receive, arguments.link)

    def reset(self):
        for peer in list(self.peers.values()):
            peer.close()
        self.mode, self.echo, self.line, self.frames = "command", True, bytearray(), bytearray()
        self.upload, self.last_rx, self.escape = None, 0.0, None
        self.variables, self.wifi, self.online, self.peers, self.next_handle = {}, {}, False, {}, 2

    def restart(self):
        self.reset()
        if self.factory:
            self.certificates.clear()
        self.factory = False
        self.mode = "booting"
        self.loop.call_later(0.1, self.booted)

    def booted(self):
        self.mode = "command"
        self.port.write(b"\x00ets Jul 29 2019\r\n" + b"\r\n+STARTUP\r\n")  # a boot loader speaks first

    # --- bytes ----------------------------------------------------------------------------------

    def receive(self, data):
        now, silence = time.monotonic(), time.monotonic() - self.last_rx
        self.last_rx = now
        if self.mode == "edm":
            self.frames += data
            self.take_frames()
        elif self.mode == "data":
            self.data_mode(data, silence)
        elif self.mode == "command":
            for position, byte in enumerate(data):
                self.take_byte(byte)
                if self.mode != "command":  # ATO2: what follows is frames
                    if data[position + 1:]:
                        self.receive(data[position + 1:])
                    return

    def take_byte(self, byte):
        if self.upload:
            self.upload["bytes"].append(byte)
            if len(self.upload["bytes"]) == self.upload["size"]:
                self.uploaded()
            return
        if self.echo and self.skip >= 0:
            self.port.write(bytes([byte]))
        if byte == 13:
            command = self.line.decode("latin-1")
            self.line.clear()
            if command.strip("\n "):
                self.run(command.strip("\n "))
        elif len(self.line) < LINE_MAX:
            self.line.append(byte)

    def data_mode(self, data, silence):
        if self.escape:
            self.escape.cancel()
            self.escape = None
        if data == b"+++" and silence >= GUARD_S:
            self.escape = self.loop.call_later(1.0, self.escaped)
            return
        for peer in self.peers.values():
            peer.send(data)

    def escaped(self):
        self.mode = "command"
        self.answer(["OK"])

    def take_frames(self):
        while self.frames:
            if self.frames[0] != 0xAA:
                del self.frames[0]
                continue
            if len(self.frames) < 3:
                return
            length = struct.unpack(">H", self.frames[1:3])[0]
            if len(self.frames) < length + 4:
                return
            body, tail = bytes(self.frames[3:3 + length]), self.frames[3 + length]
            if tail != 0x55 or length < 2:
                del self.frames[0]
                continue
            del self.frames[:length + 4]
            self.take_frame(struct.unpack(">H", body[:2])[0], body[2:])

    def take_frame(self, kind, payload):
        if kind == AT_REQUEST:
            self.run(payload.decode("latin-1").rstrip("\r\n"))
        elif kind == DATA_COMMAND and payload:
            for peer in self.peers.values():
                if peer.channel == payload[0]:
                    peer.send(payload[1:])
        elif kind == RESEND:
            for peer in self.peers.values():
                if peer.channel is not None:
                    self.port.write(frame(CONNECT, peer.event))

    def answer(self, lines):
        text = "".join(f"\r\n{line}" for line in lines).encode("latin-1") + b"\r\n"
        if self.garbage:
            text = bytes((byte * 7 + 3) & 0xFF | 0x80 for byte in text)
        self.port.write(frame(AT_RESPONSE, text) if self.mode == "edm" else text)

    def event(self, line):
        text = f"\r\n{line}\r\n".encode("latin-1")
        if self.mode == "edm":
            self.port.write(frame(AT_EVENT, text))
        elif self.mode == "command":
            self.port.write(text)

    # --- peers ----------------------------------------------------------------------------------

    def free_channel(self):
        taken = {peer.channel for peer in self.peers.values()}
        return next(number for number in range(256) if number not in taken)

    def connected(self, peer, event, line):
        peer.event = event
        if self.mode == "edm":
            self.port.write(frame(CONNECT, event))
        self.loop.call_later(self.arguments.event_delay, self.event, line)

    def disconnected(self, peer):
        if self.peers.pop(peer.handle, None) is None:
            return
        if self.mode == "edm" and peer.channel is not None:
            self.port.write(frame(DISCONNECT, bytes([peer.channel])))
        self.event(f"+UUDPD:{peer.handle}")

    def data(self, channel, payload):
        self.told_host.append(payload.decode("latin-1"))
        if self.mode == "edm":
            for begin in range(0, len(payload), self.arguments.data_max):
                self.port.write(frame(DATA_EVENT, bytes([channel]) + payload[begin:begin + self.arguments.data_max]))
        elif self.mode == "data":
            self.port.write(payload)

    def where(self, host, port):
        address, shown = self.map.get((host, port), ((host, port), "127.0.0.1"))
        return address, shown

    def file(self, kind, name):
        path = os.path.join(self.folder, f"{kind}-{name}")
        if (kind, name) not in self.certificates:
            raise ValueError(f"no {TYPES[kind]} of the name {name}")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self.certificates[kind, name])
        return path

    # --- commands -------------------------------------------------------------------------------

    def run(self, command):
        self.commands.append(command)
        if self.skip:
            self.skip -= self.skip > 0
            return
        for prefix, count in self.failures.items():
            if command.upper().startswith(prefix.upper()) and count:
                self.failures[prefix] = count - (count > 0)
                self.answer(["ERROR"])
                return
        lines = None
        if len(command) <= self.arguments.command_max:
            try:
                lines = self.obey(command)
            except (ValueError, KeyError, IndexError, OSError):
                lines = None
        if lines is not Ellipsis:
            self.answer(["ERROR"] if lines is None else [*lines, "OK"])
        self.after(command, lines)

    def obey(self, command):
        """The lines before OK; None: ERROR; Ellipsis: no answer yet."""
        name, _, rest = command.partition("=")
        name = name.upper()
        simple = {"AT": [], "AT+UFACTORY": [], "AT+CPWROFF": [], "AT+CGMI": ["u-blox"], "AT+CGMM": ['"NINA-W15"'], "AT+CGMR": ['"5.0.1-004"'],
                  "AT+GMM": ['"NINA-W15"'], "ATO1": [], "ATO2": [], "AT&W": []}
        if command.upper() in simple:
            return simple[command.upper()]
        if command.upper() in ("ATE0", "ATE1"):
            self.echo = command[-1] == "1"
            return []
        if command.upper() == "AT+UDLP?":
            return self.udlp()
        if command.upper() == "AT+UWSSTAT":
            return self.wifi_state()
        handlers = {"AT+USECMNG": self.usecmng, "AT+UWSC": self.uwsc, "AT+UWSCA": self.uwsca, "AT+UDUV": self.uduv, "AT+UDCP": self.udcp,
                    "AT+UDCPC": self.udcpc, "AT+UWSSTAT": self.uwsstat, "AT+UMLA": lambda which: ["+UMLA:802AA8000001"]}
        return handlers[name](*parameters(rest)) if name in handlers and rest else None

    def after(self, command, lines):
        upper = command.upper()
        if lines is None:
            return
        if upper == "AT+UFACTORY":
            self.factory = True
        elif upper == "AT+CPWROFF":
            self.restart()
        elif upper == "ATO1":
            self.mode = "data"
        elif upper == "ATO2":
            self.mode = "edm"
            self.port.write(frame(START))
        elif upper.startswith("AT+UWSCA=0,3"):
            self.loop.call_later(0.05, self.join)
        elif upper.startswith("AT+UDCP=") and lines:
            self.peers[int(lines[0].partition(":")[2])].open()

    def usecmng(self, action, kind="", name="", size="0"):
        if action == "3":
            return [f'"{TYPES[kind]}","{name}"' for kind, name in self.certificates]
        key = (int(kind), name)
        if action == "2":
            del self.certificates[key]
            return []
        if action != "0" or key[0] not in TYPES or not 0 < len(name) <= 32 or not 0 < int(size) <= 8192 or self.mode != "command" \
                or key in self.certificates:
            return None
        self.upload = {"key": key, "size": int(size), "bytes": bytearray()}
        self.port.write(b"\r\n>")
        return ...

    def uploaded(self):
        key, data = self.upload["key"], bytes(self.upload["bytes"])
        self.upload = None
        if self.corrupt:
            data = data[:len(data) // 2] + data[len(data) // 2 + 1:]
        self.certificates[key] = data
        self.answer([f'+USECMNG:0,{key[0]},"{key[1]}","{hashlib.md5(data).hexdigest().upper()}"', "OK"])

    def uwsc(self, number, tag, value):
        self.wifi[int(tag)] = value
        return [] if number == "0" and 0 < len(value) <= 64 else None

    def uwsca(self, number, action):
        if action == "4":
            self.leave()
        return [] if number == "0" and action in ("0", "1", "2", "3", "4") else None

    def join(self):
        ssid, password = self.wifi.get(2), self.wifi.get(8) if self.wifi.get(5) == "2" else None
        if ssid not in self.networks:
            return
        if self.networks[ssid] != password:
            self.event("+UUWLD:0,4")
            return
        self.event("+UUWLE:0,802AA8035ADE,11")
        self.online = True
        for delay in (0.02, 0.1):
            self.loop.call_later(delay, self.event, "+UUNU:0")

    def leave(self):
        if self.online:
            self.online = False
            self.event("+UUWLD:0,0")

    def wifi_state(self):
        if not self.online:
            return ["+UWSSTAT:3,0"]
        return [f'+UWSSTAT:0,"{self.wifi[2]}"', "+UWSSTAT:1,802AA8035ADE", "+UWSSTAT:2,11", "+UWSSTAT:3,2", f"+UWSSTAT:6,{self.rssi}"]

    def uwsstat(self, number):
        return [line for line in self.wifi_state() if line.startswith(f"+UWSSTAT:{number},")] or None

    def uduv(self, index, *value):
        self.variables[int(index)] = ",".join(value)
        return []

    def udcp(self, *url):
        scheme, _, rest = ",".join(url).partition("://")
        handle = self.next_handle
        if scheme == "mqtt":
            match = re.fullmatch(r"([^:/]+):(\d+)/\?(.*)", rest)
            if not match or not self.online:
                return None
            query = dict(item.split("=", 1) for item in match[3].split("&"))
            query = {key: re.sub(r"%%(\d)", lambda m: self.variables[int(m[1])], value) for key, value in query.items()}
            peer = MqttPeer(self, handle, match[1], int(match[2]), query)
        elif scheme in ("spp", "sps"):
            peer = BluetoothPeer(self, handle, rest.strip("/").rstrip("pr").upper(), scheme, self.frame_size(rest))
        else:
            return None
        self.peers[handle] = peer
        self.next_handle += 2
        return [f"+UDCP:{handle}"]

    def frame_size(self, address):
        return self.in_reach.get(address.strip("/").rstrip("pr").upper(), ("sps", 244))[1]

    def udlp(self):
        """Every connection that is there, as +UDLP:handle,"type",local,remote."""
        return [f'+UDLP:{peer.handle},"{"mqtt" if isinstance(peer, MqttPeer) else peer.profile}","",""' for peer in self.peers.values()]

    def loses(self):
        if self.drop_after:
            self.drop_after -= 1
            return False
        lost = self.drop != 0
        self.drop -= self.drop > 0
        self.dropped += lost
        return lost

    def udcpc(self, handle):
        peer = self.peers.pop(int(handle))
        peer.close()
        if self.mode == "edm" and peer.channel is not None:
            self.loop.call_soon(self.port.write, frame(DISCONNECT, bytes([peer.channel])))
        self.loop.call_soon(self.event, f"+UUDPD:{handle}")
        return []

    # --- the levers -----------------------------------------------------------------------------

    def set_wifi(self, ssid, password):
        if password == "gone":
            self.networks.pop(ssid, None)
            self.leave()
        else:
            self.networks[ssid] = None if password == "-" else password

    def set_map(self, name, address):
        host, port = name.rsplit(":", 1)
        address, _, shown = address.partition(",")
        there, at = address.rsplit(":", 1)
        self.map[host, int(port)] = ((there, int(at)), shown or there)

    def fail(self, prefix, count=1):
        self.failures[prefix] = int(count)

    def silent(self, count=1):
        self.skip = int(count)

    def set_drop(self, count, after=0):
        self.drop, self.drop_after = int(count), int(after)

    def cut(self):
        for session in list(self.sessions.values()):
            session.lost()

    def switch(self, name):
        return lambda state: setattr(self, name, {"on": True, "off": False}[state])

    def enter(self, mode):
        self.mode = {"command": "command", "data": "data", "edm": "edm"}[mode]

    def peer(self, address, profile="sps", size=244):
        self.in_reach[address.upper()] = (profile, int(size))

    def of(self, address):
        return [peer for peer in self.peers.values() if getattr(peer, "address", None) == address.upper()]

    def away(self, address):
        self.in_reach.pop(address.upper(), None)
        for peer in self.of(address):
            self.disconnected(peer)

    def call(self, address):
        profile, size = self.in_reach[address.upper()]
        peer = BluetoothPeer(self, self.next_handle, address.upper(), profile, size)
        self.peers[peer.handle] = peer
        self.next_handle += 2
        peer.ready()

    def text(self, address, text):
        told = 0
        for peer in self.of(address):
            if peer.channel is not None:
                self.data(peer.channel, unescape(text).encode("latin-1"))
                told += 1
        return {"told": told}

    def told(self, address):
        return {"text": self.heard.get(address.upper(), b"").decode("latin-1")}

    def set_rssi(self, value):
        self.rssi = int(value)

    def state(self):
        return {"mode": self.mode, "wifi": self.online, "dropped": self.dropped, "peers": sum(peer.channel is not None for peer in self.peers.values()),
                "certificates": {name: hashlib.md5(data).hexdigest() for (_, name), data in self.certificates.items()}}

    def close(self):
        for peer in list(self.peers.values()):
            peer.close()
        shutil.rmtree(self.folder, ignore_errors=True)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--link", help="a symbolic link to the port, so that its name stays when it is plugged again")
    parser.add_argument("--wifi", action="append", default=[], help="SSID=PASSWORD; SSID=- is open")
    parser.add_argument("--map", action="append", default=[], help="HOST:PORT=ADDRESS:PORT[,IP shown in events]")
    parser.add_argument("--command-max", type=int, default=512)
    parser.add_argument("--data-max", type=int, default=500, help="bytes of one data event")
    parser.add_argument("--event-delay", type=float, default=0.02, help="seconds from a connect event to +UUDPC")
    module = Module(parser.parse_args())
    try:
        await control.serve({"path": module.port.path},
                            {"wifi": module.set_wifi, "map": module.set_map, "fail": module.fail, "silent": module.silent,
                             "corrupt": module.switch("corrupt"), "garbage": module.switch("garbage"), "enter": module.enter,
                             "restart": module.restart, "peer": module.peer, "away": module.away, "call": module.call,
                             "text": module.text, "heard": module.told, "rssi": module.set_rssi, "drop": module.set_drop,
                             "mute": module.switch("mute"), "cut": module.cut,
                             "delivered": lambda: {"data": module.told_host}, "said": lambda: {"commands": module.commands}, "state": module.state,
                             "unplug": module.port.unplug, "plug": module.port.plug})
    finally:
        module.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
