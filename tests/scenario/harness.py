# SPDX-License-Identifier: GPL-2.0-or-later
"""harness - what every scenario stands on: a stage that ends everything it started, processes, waiting.

    with Stage() as stage:
        meter = stage.peer("meter_server.py", "--profiles", vectors("southbound/modbus_profiles.json"))
        meter.command("dead 1")
        wait_until(lambda: …, 10, "the gateway to see the meter gone")

Nothing here sleeps: waiting is asking again until a condition holds or its deadline passes, and a deadline that passes
is a failure that shows what every process said. Folders have a space in their name, ports are free ones.
"""
import contextlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("TIDEGATE_SOURCE") or os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("TIDEGATE_BUILD") or os.path.join(SOURCE, "build", "dev")
PEERS = os.path.join(SOURCE, "tests", "peers")
PYTHON = "/usr/bin/python3"
sys.path.insert(0, PEERS)

from control import die_with_parent  # noqa: E402  (found in PEERS)

# No wait is shorter: its end is for what never comes, and a busy machine is late with everything. An emulated one says how late.
LEAST_S = int(os.environ.get("TIDEGATE_LEAST_S") or 30)
READY_S = max(60, LEAST_S)
STOP_S = max(60, LEAST_S)


def vectors(name):
    """A file of golden values: from $TIDEGATE_VECTORS, else ../shared/vectors, else the copy in tests/vectors."""
    folders = [os.environ.get("TIDEGATE_VECTORS"), os.path.join(SOURCE, "..", "shared", "vectors"),
               os.path.join(SOURCE, "tests", "vectors")]
    return os.path.join(next(folder for folder in folders if folder and os.path.isdir(folder)), name)


def private_mounts():
    """From here on what this program mounts is seen by it and its children only, and is gone when they are."""
    if os.environ.get("TIDEGATE_PRIVATE_MOUNTS") == "yes":
        return
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["unshare", *user, "--mount", "--propagation", "private"]
    tried = subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise AssertionError("this test needs a small file system of its own and may not mount one: run it as root, or where user "
                             f"namespaces are allowed ({tried.stderr.strip()})")
    os.environ["TIDEGATE_PRIVATE_MOUNTS"] = "yes"
    os.execvp(unshare[0], [*unshare, PYTHON, "-B", *sys.argv])


class Expired(AssertionError):
    """A condition did not come true in time."""


def wait_until(condition, seconds, what):
    """Asks until condition() is true and returns what it returned. How fast something is, is not said by `seconds`."""
    seconds = max(seconds, LEAST_S)
    deadline = time.monotonic() + seconds
    pause = 0.005
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Expired(f"waited {seconds} s for {what}")
        select.select([], [], [], pause)
        pause = min(pause * 1.5, 0.1)


_ports = []  # this program's, by the names that say so


def free_port():
    """A port of loopback that is this program's until it ends: none of those that connections get by themselves, and none that another test,
    which looks for one here too, has been given."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first = int(file.read().split()[0])
    while True:
        port = random.randrange(10000, first) if first > 12000 else random.randrange(61000, 65536)
        name = socket.socket(socket.AF_UNIX)
        with socket.socket() as sock:
            try:
                name.bind(f"\0tidegate-test-port-{port}")
                sock.bind(("127.0.0.1", port))
            except OSError:
                name.close()
                continue
        _ports.append(name)
        return port


def accepts(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def tail(path, lines=40):
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-lines:])
    return ""


class Process:
    """A child that is ended with its stage, and dies when this program does. stderr goes to a file."""

    def __init__(self, stage, name, arguments, env=None, pipes=False):
        self.name = name
        self.errors = stage.path(f"{name}.{len(stage.processes)}.stderr")
        pipe = subprocess.PIPE if pipes else subprocess.DEVNULL
        with open(self.errors, "wb") as errors:
            self.child = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=errors, cwd=stage.folder,
                                          env={**os.environ, **(env or {})}, preexec_fn=die_with_parent,
                                          start_new_session=True)  # Ctrl-C is for this program: it ends its children
        stage.processes.append(self)

    @property
    def running(self):
        return self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, seconds=STOP_S):
        """The exit code; a process that does not end in time is a failure (and is killed)."""
        seconds = max(seconds, LEAST_S)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Expired(f"{self.name} did not end within {seconds} s") from None

    def stop(self, seconds=STOP_S):
        if self.running:
            self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        self.child.kill()
        return self.child.wait()

    def report(self):
        code = self.child.poll()
        state = "running" if code is None else f"exit code {code}"
        return f"--- {self.name} ({state}) said:\n{tail(self.errors)}"


class Peer(Process):
    """A Python peer of tests/peers: a ready line, then commands and answers (peers/control.py)."""

    def __init__(self, stage, script, *arguments):
        super().__init__(stage, script, [PYTHON, os.path.join(PEERS, script), *map(str, arguments)], pipes=True)
        self.buffer = b""
        self.ready = self.read_line()

    def read_line(self):
        deadline = time.monotonic() + READY_S
        descriptor = self.child.stdout.fileno()
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise Expired(f"{self.name} said nothing for {READY_S} s")
            data = os.read(descriptor, 1 << 20)
            if not data:
                raise Expired(f"{self.name} ended with {self.wait()}")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def command(self, *words):
        line = " ".join(words[:1]) if len(words) == 1 else " ".join(_quoted(word) for word in words)
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()
        answer = self.read_line()
        if not answer.pop("ok"):
            raise AssertionError(f"{self.name}: {line}: {answer['error']}")
        return answer

    def stop(self, seconds=STOP_S):
        if self.running:
            self.child.stdin.close()
        code = self.wait(seconds)
        self.child.stdout.close()
        return code


def _quoted(word):
    return "'" + str(word).replace("'", "'\"'\"'") + "'"


class Stage:
    """A temporary folder and everything that plays in it. Leaving it ends all processes, last started first."""

    def __init__(self, folder=None):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="tide gate ")
        self.processes = []
        os.makedirs(self.folder, exist_ok=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text, mode=0o600):
        path = self.path(name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def peer(self, script, *arguments):
        return Peer(self, script, *arguments)

    def process(self, name, *arguments, env=None):
        return Process(self, name, list(map(str, arguments)), env=env)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and not issubclass(kind, KeyboardInterrupt):
            for process in self.processes:
                sys.stderr.write(process.report())
        self.close()

    def close(self):
        for process in reversed(self.processes):
            if process.running:
                with contextlib.suppress(Expired, OSError):
                    process.stop()
            for pipe in (process.child.stdin, process.child.stdout):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()
        self.processes.clear()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)
