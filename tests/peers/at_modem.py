#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""at_modem - a cellular modem on a pty that speaks AT as modems do, with bad habits (see control.py).

    at_modem.py [--link PATH]      →  {"ready": true, "path": "/dev/pts/7"}

It echoes until ATE0, ends commands at CR, frames answers with CR LF, puts unsolicited lines (+CREG:, RING, +CMTI:)
before, inside and after answers and between commands, and now and then does not answer at all (--silence, a share
of the commands; which ones depends on --seed only). Signal, temperature and clock move. AT+UGPIOW=pin,value sets an
output that AT+UGPIOR=pin reads back. The SIM may have a PIN (--pin), which is counted and locked as on a real one; registration, attach,
context, operator and clock are those of TS 27.007. After ATD it is online: with `data PROGRAM…` that program is the other end of
the line, else nothing is said; +++ within silence, and the death of the program (NO CARRIER), bring it back.

A Unix socket instead of a pty (--abstract NAME, an abstract one) is for ModemManager.

    silent N            the next N commands are not answered; -1 = all
    garbage on|off      answers are preceded by bytes that are no text, and by a line without an end
    urc LINE            says an unsolicited line now
    refuse on|off       every command fails
    unplug | plug       the port disappears, or is there again: {"path": "…"}
    output PIN          {"value": 0 or 1}
    register STAT [ACT] the registration from now on (1 home, 2 searching, 3 denied, 5 roaming), told unasked where that is asked for
    signal RSSI RSRQ RSRP   the numbers of +CSQ and +CESQ stand still there
    attach 0|1          what +CGATT? says
    sim STATE           absent, busy, failure, ok: how the SIM is read
    pin PIN TRIES PUK   the SIM wants this PIN and has so many tries of it; PUK 1: it wants the PUK
    counter on|off      whether AT+CPINR answers
    clock TEXT          what +CCLK? says from now on: yy/MM/dd,hh:mm:ss±zz; "real" = the time in UTC, "summer" two hours ahead
    reboot              it starts anew: echo on, settings gone, the SIM locked again; says RDY
    data PROGRAM…       what is at the other end after ATD; the word {pty} is the program's side of the line
    hangup              NO CARRIER
    log                 {"commands": […]} all that were received
    stats               {"commands": n, "unanswered": n, "urcs": n, "pins": n, "online": bool}
"""
import argparse
import asyncio
import datetime
import math
import os
import pty
import random
import re
import socket
import sys
import time
import tty

import control

LINE_MAX = 1024
IDENTITY = {"CGMI": "tidegate test works", "CGMM": "TM-1", "CGMR": "01.02", "CGSN": "356938035643809"}
ICCID, IMSI = "8944500102198304826", "001010123456789"
GUARD_S = 1.0
CME = {4: "operation not supported", 10: "SIM not inserted", 11: "SIM PIN required", 12: "SIM PUK required", 13: "SIM failure",
       14: "SIM busy", 16: "incorrect password"}


class Refused(Exception):
    """The command ends with this +CME ERROR."""

    def __init__(self, code=4):
        super().__init__(code)
        self.code = code


class Socket:
    """A listening abstract Unix socket with one user, in place of control.Port."""

    def __init__(self, on_data, name):
        self.on_data, self.path, self.user = on_data, name, None
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind("\0" + name)
        self.listener.listen(4)
        asyncio.get_running_loop().add_reader(self.listener, self.accept)

    def accept(self):
        if self.user:
            self.end()
        self.user, _ = self.listener.accept()
        asyncio.get_running_loop().add_reader(self.user, self.read)

    def end(self):
        asyncio.get_running_loop().remove_reader(self.user)
        self.user.close()
        self.user = None

    def read(self):
        data = self.user.recv(4096)
        if data:
            self.on_data(data)
        else:
            self.end()

    def write(self, data):
        if self.user:
            self.user.sendall(data)

    def unplug(self):
        if self.user:
            self.end()

    def plug(self):
        return {"path": self.path}


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
        self.counts = {"commands": 0, "unanswered": 0, "urcs": 0, "pins": 0}
        self.received = []
        self.pin, self.tries, self.puk, self.unlocked, self.counter = arguments.pin, arguments.tries, False, False, True
        self.sim_state, self.stat, self.calls, self.act, self.is_attached = "ok", 5, 1, 7, 1
        self.still, self.clock_text, self.apn = None, "real", {1: ("IP", "")}
        self.reports = {"CREG": 0, "CGREG": 0, "CEREG": 0}
        self.function, self.power_saving = 1, False
        self.program, self.child, self.line_end, self.online_since, self.last_data = None, None, None, 0.0, 0.0
        self.online = False
        self.port = Socket(self.receive, arguments.abstract) if arguments.abstract else control.Port(self.receive, arguments.link)
        self.schedule_urc()

    # --- the line -------------------------------------------------------------------------------

    def receive(self, data):
        if self.online:
            self.receive_data(data)
            return
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
        self.received.append(command)
        if self.skip or self.chance(self.silence):
            self.skip -= self.skip > 0
            self.counts["unanswered"] += 1
            return
        if self.garbage:
            self.port.write(self.random.randbytes(200).replace(b"OK", b"..") + b"x" * 3000)
        try:
            lines, code = (None, 4) if self.refusing else (self.answer(command), 4)
        except Refused as refused:
            lines, code = None, refused.code
        if self.online:
            return
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
            self.say({0: "ERROR", 1: f"+CME ERROR: {code}", 2: f"+CME ERROR: {CME.get(code, 'unknown')}"}[self.cmee])
        if between and self.chance(0.1):
            self.urc()

    # --- the commands; None = an error ------------------------------------------------------------

    def answer(self, command):
        upper = command.upper()
        elapsed = time.monotonic() - self.begin
        if upper[2:].lstrip("+") in IDENTITY:
            return [IDENTITY[upper[3:]]]
        simple = {
            "AT": lambda: [],
            "ATE0": lambda: self.set_echo(False),
            "ATE1": lambda: self.set_echo(True),
            "ATI": lambda: ["tidegate test works", "TM-1", "01.02"],
            "ATH": lambda: [],
            "ATZ": lambda: [],
            "AT+GCAP": lambda: ["+GCAP: +CGSM,+CLTE2"],
            "AT+WS46=?": lambda: ["+WS46: (12,22,25,28,29)"],
            "AT+WS46?": lambda: ["+WS46: 28"],
            "AT+CGDCONT=?": lambda: ['+CGDCONT: (1-16),"IP",,,(0),(0)', '+CGDCONT: (1-16),"IPV6",,,(0),(0)',
                                     '+CGDCONT: (1-16),"IPV4V6",,,(0),(0)'],
            "AT+CSQ": lambda: self.ready([f"+CSQ: {16 + round(6 * math.sin(elapsed)) if self.still is None else self.still[0]},99"]),
            "AT+CESQ": lambda: self.ready([f"+CESQ: 99,99,255,255,{20 if self.still is None else self.still[1]},"
                                           f"{50 + round(10 * math.sin(elapsed)) if self.still is None else self.still[2]}"]),
            "AT+CPIN?": self.lock,
            "AT+CPINR": self.count_tries,
            "AT+CCID": lambda: self.readable([f"+CCID: {ICCID}"]),
            "AT+CIMI": lambda: self.ready([IMSI]),
            "AT+CGATT?": lambda: self.ready([f"+CGATT: {self.is_attached}"]),
            "AT+CGATT=1": lambda: self.ready([], self.attach, "1"),
            "AT+COPS?": lambda: self.ready([f'+COPS: 0,0,"Tide Mobile",{self.act}' if self.stat in (1, 5) else "+COPS: 0"]),
            "AT+COPS=3,0": lambda: [],
            "AT+COPS=3,2": lambda: [],
            "AT+CGDCONT?": lambda: [f'+CGDCONT: {cid},"{kind}","{apn}","",0,0' for cid, (kind, apn) in sorted(self.apn.items())],
            "AT+CFUN?": lambda: [f"+CFUN: {self.function}"],
            "AT+CTZU=1": lambda: [],
            "AT+CTZR=1": lambda: [],
            "AT+CCLK?": lambda: [f'+CCLK: "{self.clock_now()}"'],
            "AT+TEMP?": lambda: [f"+TEMP: {21.5 + 2 * math.sin(elapsed / 3):.1f}"],
        }
        if upper in simple:
            return simple[upper]()
        if match := re.fullmatch(r"AT\+(CREG|CGREG|CEREG)\?", upper):
            return self.ready(["+" + match[1] + f": {self.reports[match[1]]}," + self.registration(match[1])])
        if match := re.fullmatch(r"AT\+(CREG|CGREG|CEREG)=([0-2])", upper):
            self.reports[match[1]] = int(match[2])
            return []
        if match := re.fullmatch(r'AT\+CPIN="?(\d{4,8})"?', upper):
            return self.try_pin(match[1])
        if match := re.fullmatch(r'AT\+CGDCONT=(\d+),"(IP|IPV6|IPV4V6)","([^"]*)"(,.*)?', command, re.IGNORECASE):
            self.apn[int(match[1])] = (match[2].upper(), match[3])
            return []
        if re.fullmatch(r'AT\+CGAUTH=\d+,[0-2](,"[^"]*"){0,2}', upper):
            return []
        if re.fullmatch(r"ATD\*99.*", upper):
            return self.go_online()
        return self.answer_more(upper)

    def answer_more(self, upper):
        if match := re.fullmatch(r"AT\+CMEE=([0-2])", upper):
            self.cmee = int(match[1])
            return []
        if match := re.fullmatch(r"AT\+CFUN=([014])", upper):
            self.function = int(match[1])
            return []
        if match := re.fullmatch(r"AT\+UGPIOW=(\d{1,3}),([01])", upper):
            self.outputs[int(match[1])] = int(match[2])
            return []
        if match := re.fullmatch(r"AT\+UGPIOR=(\d{1,3})", upper):
            return [f"+UGPIOR: {int(match[1])},{self.outputs.get(int(match[1]), 0)}"]
        return None

    # --- the SIM ------------------------------------------------------------------------------------

    def readable(self, lines):
        code = {"absent": 10, "busy": 14, "failure": 13}.get(self.sim_state)
        if code:
            raise Refused(code)
        return lines

    def ready(self, lines, action=None, *arguments):
        self.readable(lines)
        if self.puk:
            raise Refused(12)
        if self.pin and not self.unlocked:
            raise Refused(11)
        if action:
            action(*arguments)
        return lines

    def lock(self):
        self.readable([])
        return ["+CPIN: SIM PUK" if self.puk else "+CPIN: SIM PIN" if self.pin and not self.unlocked else "+CPIN: READY"]

    def count_tries(self):
        if not self.counter:
            return None
        return [f"+CPINR: SIM PIN,{0 if self.puk else self.tries},3", "+CPINR: SIM PUK,10,10"]

    def try_pin(self, pin):
        self.readable([])
        self.counts["pins"] += 1
        if self.puk:
            raise Refused(12)
        if not self.pin or self.unlocked:
            return None
        if pin == self.pin:
            self.tries, self.unlocked = 3, True
            return []
        self.tries -= 1
        self.puk = self.tries <= 0
        raise Refused(12 if self.puk else 16)

    # --- the network --------------------------------------------------------------------------------

    def registration(self, command, cell=None):
        """Without the mode, as told unasked."""
        stat = self.calls if command == "CREG" else self.stat if command != "CGREG" or self.act < 7 else 4
        place = self.reports[command] == 2 and stat in (1, 5)
        return f'{stat},"00C3","01A2B3C4",{self.act}' if place else f"{stat}"

    def register(self, stat, act=None):
        self.stat = self.calls = int(stat)
        self.act = int(act) if act else self.act
        for command in ("CREG", "CEREG"):
            if self.reports[command]:
                self.urc(f"+{command}: {self.registration(command)}")

    def signal(self, *numbers):
        self.still = [int(number) for number in numbers]

    def attach(self, state):
        self.is_attached = int(state)

    def sim(self, state):
        if state not in ("absent", "busy", "failure", "ok"):
            raise ValueError(state)
        self.sim_state = state

    def set_pin(self, pin, tries, puk):
        self.pin, self.tries, self.puk, self.unlocked = pin, int(tries), puk == "1", False

    def set_counter(self, state):
        self.counter = {"on": True, "off": False}[state]

    def clock_now(self):
        quarters = {"real": 0, "summer": 8}.get(self.clock_text)
        if quarters is None:
            return self.clock_text
        return (datetime.datetime.utcnow() + datetime.timedelta(minutes=15 * quarters)).strftime("%y/%m/%d,%H:%M:%S") + f"+{quarters:02}"

    def set_clock(self, text):
        self.clock_text = text

    def reboot(self):
        self.reboot_quietly()
        self.say("RDY")

    def reboot_quietly(self):
        """As after power on."""
        self.echo, self.cmee, self.unlocked, self.function = True, 0, False, 1
        self.reports = dict.fromkeys(self.reports, 0)
        self.line.clear()
        self.hangup(say=False)

    # --- data ---------------------------------------------------------------------------------------

    def data(self, *program):
        self.program = program

    def go_online(self):
        self.ready([])
        if self.stat not in (1, 5):
            self.say("NO CARRIER")
            self.online = True  # nothing more is said about this command
            asyncio.get_running_loop().call_soon(self.hangup, False)
            return []
        self.online, self.last_data, self.plus = True, time.monotonic(), 0
        self.say("CONNECT 115200")
        if self.program:
            self.line_end, far = pty.openpty()
            tty.setraw(far)
            os.set_blocking(self.line_end, False)
            asyncio.get_running_loop().add_reader(self.line_end, self.from_far_end)
            words = [word.replace("{pty}", os.ttyname(far)) for word in self.program]
            self.child = asyncio.get_running_loop().create_task(self.run_far_end(words, far))
        return []

    async def run_far_end(self, words, far):
        process = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr,
                                                       preexec_fn=control.die_with_parent)
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            os.close(far)
        self.child = None
        self.hangup()

    def from_far_end(self):
        try:
            self.port.write(os.read(self.line_end, 4096))
        except (BlockingIOError, OSError):
            pass

    def receive_data(self, data):
        """What goes to the other end; +++ between silences ends it."""
        now = time.monotonic()
        if data == b"+++" and now - self.last_data >= GUARD_S:
            self.plus = now
            asyncio.get_running_loop().call_later(GUARD_S, self.escape, now)
        elif self.line_end is not None:
            try:
                os.write(self.line_end, data)
            except OSError:
                pass
        self.last_data = now

    def escape(self, moment):
        if self.online and self.plus == moment and self.last_data == moment:
            self.hangup(say=False)
            self.say("OK")

    def hangup(self, say=True):
        was, self.online = self.online, False
        if self.line_end is not None:
            asyncio.get_running_loop().remove_reader(self.line_end)
            os.close(self.line_end)
            self.line_end = None
        if self.child:
            self.child.cancel()
            self.child = None
        if was and say:
            self.say("NO CARRIER")

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
        self.reboot_quietly()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--link", help="a symbolic link to the port, so that its name stays when it is plugged again")
    parser.add_argument("--abstract", help="the name of an abstract Unix socket instead of a pty")
    parser.add_argument("--pin", default="", help="the SIM's PIN")
    parser.add_argument("--tries", type=int, default=3, help="how many tries of it are left")
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
                         "output": modem.output, "register": modem.register, "signal": modem.signal, "attach": modem.attach,
                         "sim": modem.sim, "pin": modem.set_pin, "counter": modem.set_counter, "clock": modem.set_clock,
                         "reboot": modem.reboot, "data": modem.data, "hangup": modem.hangup,
                         "log": lambda: {"commands": list(modem.received)},
                         "stats": lambda: {**modem.counts, "online": modem.online}})


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
