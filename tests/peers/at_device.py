#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""at_device - an AT device on a pty that is no modem: what scripts describe, and what devices get wrong about raw bytes.

    at_device.py --link PATH [--baud N] [--model NAME] [--creg]      →  {"ready": true, "path": PATH}

It answers at --baud only (judged by what the port is set to; it is deaf, and what it says is noise, at another rate) and echoes until
ATE0. AT+STATE? answers a word, AT+LEVELS? three lines, MEASURE ends with DONE or FAIL n. Raw bytes: AT+READ=n behind a line,
AT+USORD=n,len in quotes, AT+USORB=n as a block (01, u16). Data: AT+CMGS="n" with a prompt until Ctrl-Z, AT+USOWR=n,len counted behind
"@", AT+USOWB=n as a block. AT+SLOW takes `slow` seconds. With --creg it knows AT+CREG? and AT+CPIN?.

    data HEX            what AT+READ, AT+USORD and AT+USORB bring
    lie NAME|off        longer, shorter or huge lengths; word: none at all
    early on|off        a prompt ahead of the answer to AT+STATE?
    hang N              the next answers stop after N bytes, and the port is unplugged
    flood N             N KiB of unasked lines as fast as the port takes them
    say TEXT            with \\r, \\n
    state WORD | fail on|off | slow SECONDS | boot | baud N | unplug | plug
    online on|off       it is in data mode: nothing is answered, until "+++" between half seconds of silence; escape off: not even then
    stats               {"commands": {…}, "data": [hex, …], "echo": bool, "online": hex}
"""
import argparse
import asyncio
import re
import sys
import termios
import time

import control

RATES = {getattr(termios, f"B{n}"): n for n in (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)}


class Device:
    def __init__(self, arguments):
        self.rate, self.model, self.creg = arguments.baud, arguments.model, arguments.creg
        self.echo, self.failing, self.delay, self.lying, self.early = True, False, 0.0, "off", False
        self.word, self.content = "OPEN", b"HELLO"
        self.line, self.commands, self.received = bytearray(), {}, []
        self.taking = None  # (how many bytes or None for Ctrl-Z, what is said when they are there)
        self.taken = bytearray()
        self.cut = None
        self.flooding = 0
        self.online, self.escapes, self.heard_online = False, True, bytearray()
        self.silent_since, self.guard = time.monotonic(), None
        self.port = control.Port(self.receive, arguments.link)

    # --- the line -------------------------------------------------------------------------------

    def hears(self):
        return self.rate is None or RATES.get(termios.tcgetattr(self.port.slave)[5]) == self.rate

    def receive(self, data):
        if not self.hears():
            self.port.write(b"\xff\x80\xfe"[:1 + len(data) % 3])
            return
        if self.online:
            self.hear_online(data)
            return
        for byte in data:
            if self.taking:
                self.take(byte)
            elif byte == 1 and self.line.startswith(b"AT+USOWB="):
                self.line.clear()
                self.taking, self.taken = ("block", b"\r\nOK\r\n"), bytearray()
            elif byte == 13:
                command = self.line.decode("latin-1").lstrip("\x1b+").strip()
                self.line.clear()
                if self.echo:
                    self.write(command.encode("latin-1") + b"\r")
                if command:
                    self.run(command)
            elif byte not in (10, 27) and len(self.line) < 1024:
                self.line.append(byte)

    def hear_online(self, data):
        quiet = time.monotonic() - self.silent_since > 0.5
        self.silent_since = time.monotonic()
        self.heard_online += data
        if self.guard:
            self.guard.cancel()
        if data == b"+++" and quiet and self.escapes:
            self.guard = asyncio.get_running_loop().call_later(0.5, self.leave_online)

    def leave_online(self):
        self.online = False
        self.write(b"\r\nOK\r\n")

    def take(self, byte):
        how, answer = self.taking
        self.taken.append(byte)
        if how == "ctrl-z" and byte == 27:
            self.taking = None
            self.write(b"\r\nOK\r\n")
            return
        done = (how == "ctrl-z" and byte == 26 or how == "block" and len(self.taken) >= 2 and
                len(self.taken) == 2 + int.from_bytes(self.taken[:2], "big") or len(self.taken) == how)
        if done:
            self.received.append(bytes(self.taken[2:] if how == "block" else self.taken).hex())
            self.taking = None
            self.write(answer)

    def write(self, data):
        if self.cut is not None:
            data = data[:self.cut]
            self.cut -= len(data)
            self.port.write(data)
            if self.cut == 0:
                self.cut = None
                asyncio.get_running_loop().call_later(0.1, self.port.unplug)
            return
        self.port.write(data)

    # --- the commands ---------------------------------------------------------------------------

    def length(self):
        size = len(self.content)
        return {"longer": size + 40, "shorter": max(0, size - 2), "huge": 99999999999, "word": "many"}.get(self.lying, size)

    def run(self, command):
        name = re.match(r"[A-Za-z+]*", command)[0]
        self.commands[name] = self.commands.get(name, 0) + 1
        if name == "AT+SLOW":
            asyncio.get_running_loop().call_later(self.delay, self.write, b"\r\nOK\r\n")
        elif name == "MEASURE":
            self.write(b"\r\nFAIL 7\r\n" if self.failing else b"\r\n21.5\r\nDONE\r\n")
        elif name == "AT+CMGS":
            self.taking, self.taken = ("ctrl-z", b"\r\n+CMGS: 1\r\n\r\nOK\r\n"), bytearray()
            self.write(b"\r\n> ")
        elif name == "AT+USOWR":
            self.taking, self.taken = (int(command.split(",")[1]), b"\r\nOK\r\n"), bytearray()
            self.write(b"\r\n@")
        else:
            self.write(self.answer(command, name))

    def answer(self, command, name):
        size, end = str(self.length()).encode(), b"\r\n\r\nOK\r\n"
        if name == "AT+READ":
            return b"\r\n+READ: " + size + b"\r\n" + self.content + end
        if name == "AT+USORD":
            return b"\r\n+USORD: 0," + size + b',"' + self.content + b'"' + end
        if name == "AT+USORB":
            announced = self.length() if isinstance(self.length(), int) else 0
            return b"\r\n+USORB:0,\x01" + min(announced, 65535).to_bytes(2, "big") + self.content + end
        if name == "ATE":
            self.echo = command != "ATE0"
        lines = {"AT": [], "ATE": [], "AT+MODE": [], "ATI": [self.model, "rev 3"], "AT+STATE": [f"+STATE: {self.word}"],
                 "AT+LEVELS": ["+LEVEL: 1,10", "+LEVEL: 2,20", "+LEVEL: 3,30"]}
        if self.creg:
            lines |= {"AT+CREG": ["+CREG: 0,1"], "AT+CPIN": ["+CPIN: READY"], "AT+CGMI": ["tidegate test works"],
                      "AT+CGMM": [self.model], "AT+CGMR": ["01.02"], "AT+CGSN": ["356938035643809"]}
        if name == "AT+GMM" and self.model.startswith("NINA"):
            lines["AT+GMM"] = [f'"{self.model}"']
        early = b"\r\n> " if self.early and name == "AT+STATE" else b""
        if name not in lines:
            return b"\r\nERROR\r\n"
        return early + b"".join(b"\r\n" + text.encode() + b"\r\n" for text in lines[name]) + b"\r\nOK\r\n"

    # --- the levers -----------------------------------------------------------------------------

    def flood(self, kib):
        self.flooding = int(kib) * 1024
        self.pour()

    def pour(self):
        part = b"\r\n+NOISE: 0123456789\r\n" * 200
        if self.flooding > 0 and self.port.master is not None:
            if len(self.port.waiting) < 16384:
                self.flooding -= len(part)
                self.port.write(part)
            asyncio.get_running_loop().call_later(0.001, self.pour)

    def boot(self):
        self.echo = True
        self.write(b"\r\n+BOOT: 1\r\n")

    def set(self, name, value):
        setattr(self, name, value)

    def levers(self):
        on = {"on": True, "off": False}
        return {"data": lambda text: self.set("content", bytes.fromhex(text)), "lie": lambda name: self.set("lying", name),
                "early": lambda word: self.set("early", on[word]), "hang": lambda n: self.set("cut", int(n)), "flood": self.flood,
                "say": lambda text: self.write(text.replace("\\r", "\r").replace("\\n", "\n").encode("latin-1")),
                "state": lambda word: self.set("word", word), "fail": lambda word: self.set("failing", on[word]),
                "slow": lambda text: self.set("delay", float(text)), "boot": self.boot,
                "baud": lambda n: self.set("rate", int(n)), "unplug": self.port.unplug, "plug": self.port.plug,
                "stats": lambda: {"commands": self.commands, "data": self.received, "echo": self.echo,
                                  "online": bytes(self.heard_online).hex()},
                "online": lambda word: self.set("online", on[word]), "escape": lambda word: self.set("escapes", on[word])}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--link")
    parser.add_argument("--baud", type=int, help="the one rate at which it hears; all if absent")
    parser.add_argument("--model", default="Tide sensor")
    parser.add_argument("--creg", action="store_true")
    device = Device(parser.parse_args())
    await control.serve({"path": device.port.path}, device.levers())


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
