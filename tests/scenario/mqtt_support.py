# SPDX-License-Identifier: GPL-2.0-or-later
"""Brokers and the probe for the MQTT client's scenarios: started here, ended here, on loopback only."""
import collections
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from harness import Expired, free_port, wait_until

LIMIT_S = 20  # no single step takes this long; a test that waits longer has failed


class Failed(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failed(text)


def until(condition, what):
    """Polls a condition that no event announces."""
    try:
        wait_until(condition, LIMIT_S, what)
    except Expired as late:
        check(False, str(late))


class Lines:
    """A child's output, line by line, read by a thread so that nobody blocks on a full pipe."""

    def __init__(self, stream):
        self._queue = queue.Queue()
        self.seen = []
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream):
        for line in stream:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def next(self, what="a line"):
        try:
            line = self._queue.get(timeout=LIMIT_S)
        except queue.Empty:
            raise Failed(f"waited in vain for {what}; last lines: {self.seen[-5:]}") from None
        check(line is not None, f"the child ended before {what}; last lines: {self.seen[-5:]}")
        self.seen.append(line)
        return line

    def drain(self):
        """What is there, up to the end of the child."""
        self._thread.join(LIMIT_S)
        while True:
            line = self._queue.get(timeout=LIMIT_S)
            if line is None:
                return
            self.seen.append(line)


class Probe:
    """The client under test, led by lines (tests/support/mqtt_probe.c)."""

    def __init__(self, program, window):
        self.process = subprocess.Popen([program, str(window)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)
        self.lines = Lines(self.process.stdout)
        self.counts = collections.Counter()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def expect(self, pattern, skip=r"sent|resent|acked|idle|window-full|message|suback"):
        """The next line that matches; lines of the kinds in `skip` may come before it."""
        while True:
            line = self.lines.next(f"'{pattern}'")
            self.counts[line.split(" ")[0]] += 1
            match = re.fullmatch(pattern, line)
            if match:
                return match
            check(re.match(skip, line), f"expected '{pattern}' but the probe said '{line}'")

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(LIMIT_S)
        check(code == 0, f"the probe ended with {code}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Mosquitto:
    """Debian's broker with persistence, all of its log kept."""

    def __init__(self, directory):
        self.directory = directory
        self.process = None
        self.port = 0
        self.log = os.path.join(directory, "mosquitto.log")
        self.database = os.path.join(directory, "mosquitto.db")

    def start(self):
        """The first time on a port that was free a moment ago; another one is tried if somebody took it."""
        for _ in range(5):
            if self.port == 0:
                port = free_port()
            else:
                port = self.port
            if self._start(port):
                self.port = port
                return
            check(self.port == 0, "the broker does not start again")
        raise Failed("the broker does not start: " + open(self.log, encoding="utf-8").read()[-500:])

    def _start(self, port):
        config = os.path.join(self.directory, "mosquitto.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n"
                    f"persistence true\npersistence_location {self.directory}/\nautosave_interval 0\n"
                    f"max_queued_messages 0\nlog_type all\nlog_dest file {self.log}\nlog_timestamp false\n")
        self.process = subprocess.Popen(["mosquitto", "-c", config], stderr=subprocess.DEVNULL)

        def up():
            if self.process.poll() is not None:
                return True
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0

        until(up, "the broker's port")
        return self.process.poll() is None

    def save(self):
        """Writes sessions to disk now, as it does at its autosave interval."""
        before = os.stat(self.database).st_mtime_ns if os.path.exists(self.database) else 0
        self.process.send_signal(signal.SIGUSR1)
        until(lambda: os.path.exists(self.database) and os.stat(self.database).st_mtime_ns != before,
              "the broker's database")

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        stat = f"/proc/{self.process.pid}/stat"
        until(lambda: open(stat, encoding="utf-8").read().rpartition(") ")[2].startswith("T"), "the broker to stand still")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def received(self, client):
        """PUBLISH packets as the broker read them: (dup, packet id), in order."""
        text = open(self.log, encoding="utf-8", errors="replace").read()
        return [(int(d), int(m)) for d, m in
                re.findall(rf"^Received PUBLISH from {client} \(d(\d), q1, r0, m(\d+),", text, re.M)]


class Aedes:
    """A broker of another origin (JavaScript), led by lines (tests/peers/node/aedes_broker.js)."""

    def __init__(self, directory):
        check(os.path.isdir(os.path.join(directory, "node_modules", "aedes")),
              f"aedes is not installed: run `npm ci` in {directory} (./dev test does)")
        self.process = subprocess.Popen(["node", os.path.join(directory, "aedes_broker.js")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.lines = Lines(self.process.stdout)
        self.port = json.loads(self.lines.next("aedes' port"))["port"]

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self):
        """Ends it and returns all that it told, as dictionaries."""
        self.process.stdin.close()
        code = self.process.wait(LIMIT_S)
        self.lines.drain()
        check(code == 0, f"aedes ended with {code}")
        return [json.loads(line) for line in self.lines.seen]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def run(scenario):
    """Runs scenario(probe_program, directory, stack): everything on the stack is killed at the end, whatever comes."""
    directory = tempfile.mkdtemp(prefix="tidegate-mqtt-")
    stack = []
    try:
        scenario(os.path.abspath(sys.argv[1]), directory, stack)
        print("ok")
    except Failed as e:
        print(f"FAILED: {e}")
        return 1
    finally:
        for thing in reversed(stack):
            thing.kill()
        shutil.rmtree(directory, ignore_errors=True)
    return 0
