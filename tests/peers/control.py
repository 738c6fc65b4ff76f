# SPDX-License-Identifier: GPL-2.0-or-later
"""control - how a test peer in Python is driven, the same for all of them.

A peer prints one JSON line on stdout when it is ready (ports, paths), then reads commands on stdin, a line each,
and answers each with one JSON line: {"ok": true, …} or {"ok": false, "error": "…"}. The end of stdin, SIGTERM and
SIGINT end it, and so does the death of whoever started it.
"""
import asyncio
import ctypes
import json
import os
import pty
import shlex
import signal
import sys
import tty

PR_SET_PDEATHSIG = 1
WAITING_MAX = 1 << 16


def die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def serve(ready, commands):
    """Says `ready`, then runs commands[word](*arguments) for each line until the end; they return a dict or None."""
    loop = asyncio.get_running_loop()
    end = loop.create_future()

    def finish():
        if not end.done():
            end.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, finish)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    say({"ready": True, **ready})

    async def listen():
        while line := await reader.readline():
            try:
                word, *arguments = shlex.split(line.decode())
                answer = commands[word](*arguments)
                if asyncio.iscoroutine(answer):
                    answer = await answer
                say({"ok": True, **(answer or {})})
            except (KeyError, TypeError, ValueError, OSError) as error:
                say({"ok": False, "error": f"{type(error).__name__}: {error}"})
        finish()

    listener = loop.create_task(listen())
    await end
    listener.cancel()


class Port:
    """A serial port as its user sees it: a symbolic link to a pty that can be unplugged and plugged in again."""

    def __init__(self, on_data, link=None):
        self.on_data, self.link = on_data, link
        self.master = self.slave = self.path = None
        self.waiting = bytearray()
        self.plug()

    def plug(self):
        if self.master is not None:
            return {"path": self.path}
        taken = pty.openpty() if self.path else ()  # an adapter that returns has another number
        self.master, self.slave = pty.openpty()
        for descriptor in taken:
            os.close(descriptor)
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self.slave)  # the slave stays open here, so that users may come and go
        if self.link:
            os.symlink(self.path, self.link + ".new")
            os.replace(self.link + ".new", self.link)
            self.path = self.link
        asyncio.get_running_loop().add_reader(self.master, self.read)
        return {"path": self.path}

    def unplug(self):
        """Its user gets EIO, and the path is gone."""
        if self.master is None:
            return
        asyncio.get_running_loop().remove_reader(self.master)
        asyncio.get_running_loop().remove_writer(self.master)
        self.waiting.clear()
        if self.link:
            os.unlink(self.link)
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = None

    def read(self):
        self.on_data(os.read(self.master, 4096))

    def write(self, data):
        """What the other side does not read in time is lost beyond WAITING_MAX, as on a serial line."""
        self.waiting += data[:max(0, WAITING_MAX - len(self.waiting))]
        self.flush()

    def flush(self):
        loop = asyncio.get_running_loop()
        if self.master is None:
            self.waiting.clear()
            return
        try:
            while self.waiting:
                del self.waiting[:os.write(self.master, self.waiting)]
            loop.remove_writer(self.master)
        except BlockingIOError:
            loop.add_writer(self.master, self.flush)
