#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""thermometer - a thermometer of type TH1 on a pty: T?, H?, L? and L=+30.0*HH, each with a CR; answers carry a checksum.

    thermometer.py --link PATH      →  {"ready": true, "path": PATH}

Commands: set T 21.5 (T, H or L) · broken T|H on|off (E=2) · mute N (no answer to the next N) · garble N (a wrong checksum) · half N (the
answer without its end) · late N (the answer to the request before) · long N (noise without an end first) · unplug · plug · stats
"""
import argparse
import asyncio
import functools
import operator
import re
import sys

import control

LIES = ("mute", "garble", "half", "late", "long")


def checksum(text):
    return f"{functools.reduce(operator.xor, text.encode('latin-1'), 0):02X}"


class Thermometer:
    def __init__(self, link):
        self.values = {"T": 21.5, "H": 45.0, "L": 30.0}
        self.broken = {"T": False, "H": False, "L": False}
        self.lies = dict.fromkeys(LIES, 0)
        self.requests = []
        self.previous = "H=10.0%"
        self.line = bytearray()
        self.port = control.Port(self.receive, link)

    def receive(self, data):
        for byte in data:
            if byte == 13:
                self.answer(self.line.decode("latin-1"))
                self.line.clear()
            else:
                self.line.append(byte)

    def value(self, letter):
        return f"H={self.values['H']:.1f}%" if letter == "H" else f"{letter}={self.values[letter]:+.1f}C"

    def meaning(self, request):
        if match := re.fullmatch(r"([THL])\?", request):
            return "E=2" if self.broken[match[1]] else self.value(match[1])
        if match := re.fullmatch(r"(L=([+-]\d{1,3}\.\d))\*([0-9A-F]{2})", request):
            if checksum(match[1]) != match[3] or not -40 <= float(match[2]) <= 125:
                return "E=3"
            self.values["L"] = float(match[2])
            return self.value("L")
        return "E=1"

    def lie(self, name):
        if not self.lies[name]:
            return False
        self.lies[name] -= 1
        return True

    def answer(self, request):
        self.requests.append(request)
        text = self.meaning(request)
        line = f"{text}*{checksum(text)}\r"
        if self.lie("mute"):
            return
        if self.lie("garble"):
            line = f"{text}*{int(checksum(text), 16) ^ 1:02X}\r"
        if self.lie("half"):
            line = line[:4] + "\r"
        if self.lie("late"):
            line = f"{self.previous}*{checksum(self.previous)}\r" + line
        if self.lie("long"):
            line = "\xff\x00~" * 50 + "\r" + line
        self.previous = text
        self.port.write(line.encode("latin-1"))

    def set(self, letter, value):
        self.values[letter] = float(value)

    def set_broken(self, letter, state):
        self.broken[letter] = {"on": True, "off": False}[state]

    def count(self, name, number):
        self.lies[name] = int(number)

    def stats(self):
        return {"requests": self.requests, "values": self.values}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--link", required=True, help="a symbolic link to the port: its name stays when it is plugged again")
    thermometer = Thermometer(parser.parse_args().link)
    await control.serve({"path": thermometer.port.path},
                        {"set": thermometer.set, "broken": thermometer.set_broken, "unplug": thermometer.port.unplug, "plug": thermometer.port.plug,
                         "stats": thermometer.stats, **{name: functools.partial(thermometer.count, name) for name in LIES}})


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
