#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""paced_line - a serial line with its real timing between two ptys (see control.py).

    paced_line.py --baud 9600 --to /dev/pts/7 [--link PATH]    →  {"ready": true, "path": "/dev/pts/9"}
    paced_line.py --baud 9600                                  →  {"ready": true, "path": "/dev/pts/9", "other": "/dev/pts/10"}

A pty carries any number of bytes at once, whatever its baud rate says. Here each byte takes the time of its bits
(--bits 10: start, 8 data, stop), one after the other, and after a silence of 3.5 characters a new frame begins. The
line is half duplex, as RS-485 is: what both sides send at the same time is garbled.

    stats                  {"bytes": …, "frames": …, "busy_s": time on the wire, "collisions": …}
"""
import argparse
import asyncio
import os
import sys
import termios
import tty

import control

TICK_S = 0.001


class Line:
    def __init__(self, baud, bits):
        self.character = bits / baud
        self.silence = 3.5 * 11 / baud if baud <= 19200 else 0.00175
        self.free_at, self.sides = 0.0, []
        self.bytes = self.frames = self.collisions = 0

    def stats(self):
        return {"bytes": self.bytes, "frames": self.frames, "busy_s": self.bytes * self.character, "collisions": self.collisions}


class Side:
    """What one end sends: bytes that wait for their turn on the wire, with the moment at which each has arrived."""

    def __init__(self, line, deliver):
        self.line, self.deliver, self.queue, self.ends_at = line, deliver, bytearray(), 0.0
        self.next_at, self.timer = 0.0, None
        line.sides.append(self)

    def send(self, data):
        now = asyncio.get_running_loop().time()
        if not self.queue:
            if now > self.line.free_at + self.line.silence:
                self.line.frames += 1
            self.next_at = max(now, self.next_at) + self.line.character
        if any(other is not self and other.queue for other in self.line.sides):
            self.line.collisions += 1
            data = bytes(byte ^ 0xFF for byte in data)
        self.queue += data
        if self.timer is None:
            self.step()

    def step(self):
        loop = asyncio.get_running_loop()
        now, count = loop.time(), 0
        while count < len(self.queue) and self.next_at <= now:
            self.next_at += self.line.character
            count += 1
        if count:
            self.line.bytes += count
            self.deliver(bytes(self.queue[:count]))
            del self.queue[:count]
        self.timer = None
        if self.queue:
            self.timer = loop.call_later(max(TICK_S, self.next_at - now), self.step)
        else:
            self.next_at -= self.line.character
            self.line.free_at = now


class Existing:
    """An open tty on which the other end of the line is somebody else's pty."""

    def __init__(self, path, on_data):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd, termios.TCSANOW)
        asyncio.get_running_loop().add_reader(self.fd, lambda: on_data(os.read(self.fd, 4096)))

    def write(self, data):
        os.write(self.fd, data)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--bits", type=int, default=10, help="of a character, start and stop included")
    parser.add_argument("--to", help="the port at the far end; without it a second pty is made")
    parser.add_argument("--link", help="a symbolic link to the port, so that its name stays")
    arguments = parser.parse_args()
    line = Line(arguments.baud, arguments.bits)
    there = Side(line, lambda data: far.write(data))
    back = Side(line, lambda data: near.write(data))
    near = control.Port(there.send, arguments.link)
    far = Existing(arguments.to, back.send) if arguments.to else control.Port(back.send)
    ready = {"path": near.path} if arguments.to else {"path": near.path, "other": far.path}
    await control.serve(ready, {"stats": line.stats, "unplug": near.unplug, "plug": near.plug})


if __name__ == "__main__":
    control.die_with_parent()
    sys.exit(asyncio.run(main()))
