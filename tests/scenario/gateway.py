# SPDX-License-Identifier: GPL-2.0-or-later
"""gateway - `tidegate` under test: run, ask, stop, kill. And the configuration it is given.

    gateway = Gateway(stage, configuration(stage, clouds=[…], sources=[…]))     # waits until it says READY=1
    gateway.status()["devices"][0]["accepted"]
    gateway.stop()                                                              # SIGTERM; the exit code

What is read from `tidegate status --json`: gateway.resident_bytes; outbox.rows; devices[].id, state, accepted, rejected,
last_seq, clouds[].name, state, pending, in_flight, acked_seq.
"""
import json
import os
import signal
import socket
import subprocess
import sys

import yaml

from harness import BUILD, Expired, LEAST_S, Process, wait_until

PROGRAM = os.path.join(BUILD, "tidegate")


def configuration(stage, clouds, sources, gateway=None, outbox=None, name="tidegate.yaml"):
    """Writes the file and returns its path. Everything it makes lives in the stage's folder. A scenario that is started with the
    argument `isolated` has every plugin in a process of its own."""
    if "isolated" in sys.argv[1:]:
        sources = [{"isolation": "process", **source} for source in sources]
    model = {"gateway": {"name": "test", "state_dir": stage.path("state"), "control_socket": stage.path("control.sock"),
                         "http": "off", **(gateway or {})},
             "outbox": {"durability": "full", "commit_interval": "20ms", **(outbox or {})},
             "clouds": clouds, "sources": sources}
    os.makedirs(model["gateway"]["state_dir"], mode=0o700, exist_ok=True)
    return stage.write(name, yaml.safe_dump(model, sort_keys=False, allow_unicode=True))


def run(*arguments, seconds=120, check=None):
    """`tidegate ARGUMENTS…`: the finished process, with its output as text."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=max(seconds, LEAST_S), check=False)
    if check is not None and done.returncode != check:
        raise AssertionError(f"tidegate {' '.join(map(str, arguments))}: exit code {done.returncode}, expected {check}\n"
                             f"{done.stdout}{done.stderr}")
    return done


class Gateway:
    def __init__(self, stage, config, env=None, name="tidegate", wait=True, under=()):
        """`under`: a program with its arguments that becomes the gateway, such as `strace -D …`."""
        self.stage, self.config, self.env, self.name, self.under = stage, config, env or {}, name, list(under)
        self.process = None
        self.start(wait)

    def start(self, wait=True):
        """Runs it and waits for READY=1, as systemd would; also used to run it again after stop() or kill()."""
        path = self.stage.path(f"{self.name}.notify")
        if os.path.exists(path):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.setblocking(False)
            self.process = Process(self.stage, self.name, [*self.under, PROGRAM, "run", "-c", self.config],
                                   env={"NOTIFY_SOCKET": path, **self.env})
            if wait:
                wait_until(lambda: self.ready(notify), 60, f"{self.name} to say that it is ready")

    def ready(self, notify):
        if not self.process.running:
            raise Expired(f"{self.name} ended before it was ready\n{self.process.report()}")
        try:
            return b"READY=1" in notify.recv(4096)
        except BlockingIOError:
            return False

    def status(self):
        return json.loads(run("status", "--json", "-c", self.config, check=0).stdout)

    def device(self, name):
        return next(device for device in self.status()["devices"] if device["id"] == name)

    def session(self, device, cloud):
        return next(entry for entry in self.device(device)["clouds"] if entry["name"] == cloud)

    def accounts(self):
        """{device: last accepted seq}"""
        return {device["id"]: device["last_seq"] for device in self.status()["devices"]}

    def send(self, device, command, arguments, check=0):
        return run("send", "-c", self.config, device, command, json.dumps(arguments), seconds=60, check=check)

    def reload(self):
        self.process.signal(signal.SIGHUP)

    def stop(self, seconds=60):
        return self.process.stop(seconds)

    def kill(self):
        return self.process.kill()

    def errors(self):
        with open(self.process.errors, encoding="utf-8", errors="replace") as file:
            return file.read()
