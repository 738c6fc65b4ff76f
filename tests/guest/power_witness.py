# SPDX-License-Identifier: GPL-2.0-or-later
"""power_witness - runs the gateway in the guest and tells the host, over a port that outlives the guest, what it says is accepted.

GUEST_PHASE=work: until the power goes. GUEST_PHASE=look: what is left is verified, then delivered; then the gateway is stopped and the guest ends.
A line is {"accepted": {device: seq}}: every sample up to there is in a commit that has returned.
"""
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

PROGRAM = os.path.join(os.environ["TIDEGATE_BUILD"], "tidegate")
CONFIG = "/run/tidegate.yaml"
SOCKET = "/run/control.sock"
PATIENCE_S = 60


def port():
    for name in glob.glob("/sys/class/virtio-ports/*/name"):
        with open(name, encoding="ascii") as file:
            if file.read().strip() == "witness":
                return os.open("/dev/" + os.path.basename(os.path.dirname(name)), os.O_WRONLY)
    raise SystemExit("there is no port to the host")


HOST = port()


def tell(**what):
    line = json.dumps(what).encode() + b"\n"
    while line:
        line = line[os.write(HOST, line):]


def carry(source, sink):
    """One direction of a connection to a broker."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in source, sink:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def bridge(number):
    """The host's broker under the same port of this machine: without TLS the gateway talks to its own machine only."""
    listener = socket.create_server(("127.0.0.1", number))
    while True:
        near, _ = listener.accept()
        try:
            far = socket.create_connection(("10.0.2.2", number))
        except OSError:
            near.close()
            continue
        for pair in (near, far), (far, near):
            threading.Thread(target=carry, args=pair, daemon=True).start()


class Control:
    """The control socket (core/gateway/control.h): a program for each question would take a quarter of a second here."""

    def __init__(self, gateway):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(SOCKET)
                break
            except OSError:
                self.socket.close()
                if time.monotonic() > deadline or gateway.poll() is not None:
                    raise
                time.sleep(0.05)
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def status(self):
        self.socket.sendall(b'{"verb":"status"}\n')
        return json.loads(self.lines.readline())


def accepted(status):
    """`uncommitted` are samples of all devices that wait for the commit: a number further down is in a commit for certain."""
    waiting = status["outbox"]["uncommitted"]
    return {device["id"]: max(0, device["last_seq"] - waiting) for device in status["devices"]}


def start():
    return subprocess.Popen([PROGRAM, "run", "-c", CONFIG])  # pylint: disable=consider-using-with


def work():
    control = Control(start())
    while True:
        tell(accepted=accepted(control.status()))


def look():
    verified = subprocess.run([PROGRAM, "outbox", "verify", "-c", CONFIG], capture_output=True, text=True, check=False)
    tell(verify=verified.returncode, text=(verified.stdout + verified.stderr)[-2000:])
    gateway = start()
    control = Control(gateway)
    goal = None
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and gateway.poll() is None:
        status = control.status()
        if goal is None:
            goal = {device["id"]: device["last_seq"] + 20 for device in status["devices"]}
        if all(cloud["acked_seq"] >= goal[device["id"]] for device in status["devices"] for cloud in device["clouds"]):
            break
        time.sleep(0.05)
    else:
        tell(trouble=f"not delivered within {PATIENCE_S} s", status=status)
    gateway.send_signal(signal.SIGTERM)
    try:
        code = gateway.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        gateway.kill()
        code = "it did not stop"
    tell(done=True, accepted=goal, stopped=code)


shutil.copyfile("/run/results/tidegate.yaml", CONFIG)
os.chmod(CONFIG, 0o600)
os.umask(0o077)
if not os.path.ismount("/run/disk"):
    tell(trouble="the disk could not be mounted")
else:
    for name in os.environ["GUEST_BROKERS"].split():
        threading.Thread(target=bridge, args=(int(name),), daemon=True).start()
    os.makedirs("/run/disk/state", mode=0o700, exist_ok=True)
    {"work": work, "look": look}[os.environ["GUEST_PHASE"]]()
