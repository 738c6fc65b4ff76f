#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""at_modem - a cellular modem on a pty that speaks AT as modems do, with bad habits (see control.py).

    at_modem.py [--link PATH]      →  {"ready": true, "path": "/dev/pts/7"}

It echoes until ATE0, ends commands at CR, frames answers with CR LF, puts unsolicited lines (+CREG:, RING, +CMTI:)
before, inside and after answers and between commands, and now and then does not answer at all (--silence, a share
of the commands; which ones depends on --seed only). Signal, temperature and clock move. AT+UGPIOW=pin,value sets an
output that AT+UGPIOR=pin reads back.

    silent N            the next N commands are not answered; -1 = all
    garbage on|off      answers are preceded by bytes that are no text, and by a line without an end
    urc LINE            says an unsolicited line now
    refuse on|off       every command fails
    unplug | plug       the port disappears, or is there again: {"path": "…"}
    output PIN          {"value": 0 or 1}
    stats               {"commands": n, "unanswered": n, "urcs": n}
"""
import argparse
import asyncio
import math
import random
import re
import sys
import time

import control

LINE_MAX = 1024
IDENTITY = {"AT+CGMI": "tidegate test works", "AT+CGMM": "TM-1", "AT+CGMR": "01.02", "AT+CGSN": "356938035643809",
            "AT+CIMI": "001010123456789"}


class Modem:
    def __init__(self, arguments):
        self.random = random.Random(arguments.seed)
        self.silence, self.urcs = arguments.silence, arguments.urcs
        self.echo, self.cmee = True, 0
        self.line = bytearray()
        self.begin = time.monotonic()
        self.outputs = {}
        self.skip = 0
        self.garbage = self.refusing = False
        self.counts = {"commands": 0, "unanswered": 0, "urcs": 0}
        self.port = control.Port(self.receive, arguments.link)
        self.schedule_urc()

    # --- the line -------------------------------------------------------------------------------

    def receive(self, data):
        for byte in data:
            if self.echo:
                self.port.write(bytes([byte]))
            if byte == 13:
                command = self.line.decode("latin-1").strip()
                self.line.clear()
                if command:
                    self.run(command)
            elif byte != 10 and len(self.line) < LINE_MAX:
                self.line.append(byte)

    def say(self, text):
        self.port.write(f"\r\n{text}\r\n".encode("latin-1"))

    def schedule_urc(self):
        if self.urcs > 0:
            asyncio.get_running_loop().call_later(self.random.expovariate(1 / self.urcs), self.timed_urc)

    def timed_urc(self):
        self.urc()
        self.schedule_urc()

    def urc(self, text=None):
        self.counts["urcs"] += 1
        self.say(text or self.random.choice(["RING", f"+CREG: {self.random.choice([1, 5])}",
                                             f'+CMTI: "ME",{self.random.randint(1, 20)}']))

    def chance(self, share):
        return self.random.random() < share

    def run(self, command):
        self.counts["commands"] += 1
        if self.skip or self.chance(self.silence):
            self.skip -= self.skip > 0
            self.counts["unanswered"] += 1
            return
        if self.garbage:
            self.port.write(self.random.randbytes(200).replace(b"OK", b"..") + b"x" * 3000)
        lines = None if self.refusing else self.answer(command)
        between = self.urcs > 0
        if between and self.chance(0.1):
            self.urc()
        for line in lines or ():
            self.say(line)
            if between and self.chance(0.1):
                self.urc()
        if lines is not None:
            self.say("OK")
        else:
            self.say({0: "ERROR", 1: "+CME ERROR: 4", 2: "+CME ERROR: operation not supported"}[self.cmee])
        if between and self.chance(0.1):
            self.urc()

    # --- the commands; None = an error ------------------------------------------------------------

    def answer(self, command):
        upper = command.upper()
        elapsed = time.monotonic() - self.begin
        if upper in IDENTITY:
            return [IDENTITY[upper]]
        simple = {
            "AT": lambda: [],
            "ATE0": lambda: self.set_echo(False),
            "ATE1": lambda: self.set_echo(True),
            "ATI": lambda: ["tidegate test works", "TM-1", "01.02"],
            "AT+CSQ": lambda: [f"+CSQ: {16 + round(6 * math.sin(elapsed))},99"],
            "AT+CESQ": lambda: [f"+CESQ: 99,99,255,255,20,{50 + round(10 * math.sin(elapsed))}"],
            "AT+CREG?": lambda: ["+CREG: 0,1"],
            "AT+CEREG?": lambda: ["+CEREG: 0,5"],
            "AT+CPIN?": lambda: ["+CPIN: READY"],
            "AT+COPS?": lambda: ['+COPS: 0,0,"Tide Mobile",7'],
            "AT+CCLK?": lambda: [time.strftime('+CCLK: "%y/%m/%d,%H:%M:%S+00"', time.gmtime())],
            "AT+TEMP?": lambda: [f"+TEMP: {21.5 + 2 * math.sin(elapsed / 3):.1f}"],
        }
        if upper in simple:
            return simple[upper]()
        if match := re.fullmatch(r"AT\+CMEE=([0-2])", upper):
            self.cmee = int(match[1])
            return []
        if re.fullmatch(r"AT\+(CREG|CGREG|CEREG)=[0-2]", upper) or upper == "AT+CFUN=1":
            return []
        if match := re.fullmatch(r"AT\+UGPIOW=(\d{1,3}),([01])", upper):
            self.outputs[int(match[1])] = int(match[2])
            return []
        if match := re.fullmatch(r"AT\+UGPIOR=(\d{1,3})", upper):
            return [f"+UGPIOR: {int(match[1])},{self.outputs.get(int(match[1]), 0)}"]
        return None

    def set_echo(self, on):
        self.echo = on
        return []

    # --- the levers -------------------------------------------------------------------------------

    def silent(self, count):
        self.skip = int(count)

    def set_garbage(self, state):
        self.garbage = {"on": True, "off": False}[state]

    def refuse(self, state):
        self.refusing = {"on": True, "off": False}[state]

    def output(self, pin):
        return {"value": self.outputs.get(int(pin), 0)}

    def unplug(self):
        self.port.unplug()
        self.echo, self.cmee = True, 0  # it comes back as after power on
        self.line.clear()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--link", help="a symbolic link to the port, so that its name stays when it is plugged again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--silence", type=float, default=0.03, help="share of commands that are not answered")
    parser.add_argument("--urcs", type=float, default=2.0, help="mean seconds between unsolicited lines; 0 = none")
    parser.add_argument("--serve-garbage", action="store_true", help="begin with `garbage on`")
    arguments = parser.parse_args()
    modem = Modem(arguments)
    modem.garbage = arguments.serve_garbage
    await control.serve({"path": modem.port.path},
                        {"silent": modem.silent, "garbage": modem.set_garbage, "urc": modem.urc,
                         "refuse": modem.refuse, "unplug": modem.unplug, "plug": modem.port.plug,
                         "output": modem.output, "stats": lambda: modem.counts})


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
