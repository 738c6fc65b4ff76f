#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""at_liar - an AT device on a pty that does everything wrong that devices do, while what it says remains checkable.

    at_liar.py --link PATH [--seed N]      →  {"ready": true, "path": PATH}

AT+ECHO=n answers "+ECHO: n" and AT+COUNT? answers "+COUNT: k", k growing by one with every answer, so a value that does
not belong to its command shows. Each lie has a share of the commands it spoils (`lie NAME SHARE`):

    silence     no answer                       nofinal     the lines, no final result
    late        the whole answer, `delay` s later than the others, even behind the next command
    garbage     bytes that are no text first    endless     3,000 bytes without a line end first
    nul         NUL and 0xFF around the lines   urc         URCs before, inside and after the answer
    prompt      "> " before the answer          error       ERROR, +CME ERROR or +CMS ERROR
    split       byte by byte, in reads of one   twice       a second OK behind the first
    lf, cr      line ends of LF or CR alone     quote       a line with a quote that does not close
    like        a URC that begins like the answer: "+COUNT: 999999,urc"

Further commands: echo on|off · unplug · plug · boot (RDY, echo on again) · say TEXT (with \\r, \\n, \\xHH) ·
mute N · stats
"""
import argparse
import asyncio
import random
import re
import sys

import control

LIES = ("silence", "nofinal", "late", "garbage", "endless", "nul", "urc", "prompt", "error", "split", "twice", "lf", "cr",
        "quote", "like")


class Liar:
    def __init__(self, arguments):
        self.random = random.Random(arguments.seed)
        self.shares = dict.fromkeys(LIES, 0.0)
        self.echo = True
        self.delay = 0.5
        self.count = self.urcs = self.muted = 0
        self.line = bytearray()
        self.commands = {}
        self.outputs = {}
        self.backlog = []  # commands that wait behind a late one: a device works its input off in order
        self.busy = False
        self.port = control.Port(self.receive, arguments.link)

    # --- the line -------------------------------------------------------------------------------

    def receive(self, data):
        for byte in data:
            if self.echo:
                self.port.write(bytes([byte]))
            if byte == 13:
                command = self.line.decode("latin-1").lstrip("\x1b").strip()
                self.line.clear()
                if command:
                    self.backlog.append(command)
            elif byte != 10 and len(self.line) < 1024:
                self.line.append(byte)
        self.work()

    def work(self):
        while self.backlog and not self.busy:
            self.run(self.backlog.pop(0))

    def lies(self, name):
        return self.random.random() < self.shares[name]

    def run(self, command):
        kind = re.match(r"[A-Za-z+]*", command)[0]
        self.commands[kind] = self.commands.get(kind, 0) + 1
        if self.muted:
            self.muted -= 1
            return
        if command != "AT" and self.lies("silence"):
            return
        data = self.answer(command)
        if command != "AT" and self.lies("late"):
            self.busy = True
            asyncio.get_running_loop().call_later(self.delay, self.deliver, data)
        elif self.lies("split"):
            for byte in data:
                self.port.write(bytes([byte]))
        else:
            self.port.write(data)

    def deliver(self, data):
        self.busy = False
        self.port.write(data)
        self.work()

    # --- what it says ---------------------------------------------------------------------------

    def urc(self):
        self.urcs += 1
        return self.random.choice(["+LIAR: %d" % self.urcs, "RING", "+LEVEL: %d" % (self.urcs % 100)])

    def lines(self, command):
        """The lines of an answer, or None for an error."""
        if match := re.fullmatch(r"AT\+ECHO=(\d+)", command):
            return [f"+ECHO: {match[1]}"]
        if command == "AT+COUNT?":
            self.count += 1
            return [f"+COUNT: {self.count}"]
        if match := re.fullmatch(r"AT\+OUT=(\d+),(\d+)", command):
            self.outputs[int(match[1])] = int(match[2])
            return []
        if match := re.fullmatch(r"AT\+OUT=(\d+)\?", command):
            return [f"+OUT: {self.outputs.get(int(match[1]), 0)}"]
        if command == "ATE0":
            self.echo = False
            return []
        if command == "AT+NONE?":
            return ["+NONE: 99"]
        if command == "AT+ODD?":
            return ["+ODD: no number"]
        return [] if command in ("AT", "AT+CMEE=1") else None

    def answer(self, command):
        end = b"\n" if self.lies("lf") else b"\r" if self.lies("cr") else b"\r\n"
        parts = []

        def say(text):
            parts.append(end + text.encode("latin-1") + end)

        if self.lies("garbage"):
            parts.append(bytes(self.random.choice(b"\xff\xfe\x80\x01\x02xyz") for _ in range(40)) + b"\r\n")
        if self.lies("endless"):
            parts.append(b"x" * 3000 + b"\r\n")
        if self.lies("prompt"):
            parts.append(b"\r\n> ")
        if self.lies("urc"):
            say(self.urc())
        if self.lies("like"):
            say("+COUNT: 999999,urc")
        if self.lies("quote"):
            say('+QUOTE: "open')
        lines = None if command != "AT" and self.lies("error") else self.lines(command)
        for line in lines or ():
            if self.lies("nul"):
                parts.append(b"\x00\x00")
            say(line)
            if self.lies("nul"):
                parts.append(b"\xff\x00\r\n")
            if self.lies("urc"):
                say(self.urc())
        if lines is None:
            say(self.random.choice(["ERROR", "+CME ERROR: 100", "+CMS ERROR: 500"]))
        elif command == "AT" or not self.lies("nofinal"):
            say("OK")
        if self.lies("twice"):
            say("OK")
        if self.lies("urc"):
            say(self.urc())
        return b"".join(parts)

    # --- the levers -----------------------------------------------------------------------------

    def lie(self, name, share):
        if name not in self.shares:
            raise ValueError(name)
        self.shares[name] = float(share)

    def set_echo(self, state):
        self.echo = {"on": True, "off": False}[state]

    def set_delay(self, seconds):
        self.delay = float(seconds)

    def mute(self, count):
        self.muted = int(count)

    def say(self, text):
        self.port.write(text.encode("latin-1").decode("unicode_escape").encode("latin-1"))

    def boot(self):
        self.echo = True
        self.line.clear()
        self.port.write(b"\xff\xf8\x00\x80\r\nRDY\r\n")

    def unplug(self):
        self.backlog.clear()
        self.line.clear()
        self.busy = False
        self.echo = True
        self.port.unplug()

    def stats(self):
        return {"commands": self.commands, "count": self.count, "urcs": self.urcs, "outputs": self.outputs}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--link", required=True, help="a symbolic link to the port: its name stays when it is plugged again")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    liar = Liar(arguments)
    await control.serve({"path": liar.port.path},
                        {"lie": liar.lie, "echo": liar.set_echo, "delay": liar.set_delay, "mute": liar.mute, "say": liar.say,
                         "boot": liar.boot, "unplug": liar.unplug, "plug": liar.port.plug, "stats": liar.stats})


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
