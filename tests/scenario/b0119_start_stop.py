#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting and stopping: every failure to start ends with exit code 1, a reason and nothing left behind; a signal in any moment
ends the gateway in order or by that signal, never with a hang or an assertion; reloads in any number leave nothing behind."""
import contextlib
import os
import select
import signal
import socket
import threading
import time

import yaml

from field import all_online, broker_cloud, hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from proof import count, report

DEFECTS = ("assertion failed", "was left open", "AddressSanitizer", "LeakSanitizer", "runtime error")


class SilentBroker(threading.Thread):
    """Accepts every connection and subscription, and acknowledges no publish."""

    def __init__(self):
        super().__init__(daemon=True)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.publishes = 0
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.server.accept()
                threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        with contextlib.suppress(OSError), peer, peer.makefile("rb") as stream:
            while head := stream.read(1):
                length = shift = 0
                while True:
                    byte = stream.read(1)[0]
                    length |= (byte & 0x7F) << shift
                    shift += 7
                    if not byte & 0x80:
                        break
                body = stream.read(length)
                if head[0] >> 4 == 1:
                    peer.sendall(b"\x20\x02\x00\x00")
                elif head[0] >> 4 == 8:
                    peer.sendall(b"\x90\x03" + body[:2] + b"\x01")
                elif head[0] >> 4 == 3:
                    self.publishes += 1

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


def sound(gateway):
    said = gateway.errors()
    assert not any(defect in said for defect in DEFECTS), said


def pause(seconds):
    """For moments that are meant to be anywhere, not for waiting until something has happened."""
    select.select([], [], [], seconds)


def refused(stage, config, *reasons):
    done = run("run", "-c", config, seconds=20, check=1)
    assert all(reason in done.stderr for reason in ("cannot start", *reasons)), done.stderr
    assert not any(defect in done.stderr for defect in DEFECTS), done.stderr


def changed(stage, config, name, change):
    with open(config, encoding="utf-8") as file:
        model = yaml.safe_load(file)
    change(model)
    return stage.write(name, yaml.safe_dump(model))


def start_failures(stage, good):
    def gateway_key(key, value):
        return lambda model: model["gateway"].update({key: value})
    refused(stage, changed(stage, good, "no-state.yaml", gateway_key("state_dir", stage.path("nowhere"))), "state_dir")
    refused(stage, changed(stage, good, "no-folder.yaml", gateway_key("control_socket", stage.path("no", "such.sock"))), "control_socket")
    stage.write("a file", "not a socket")
    refused(stage, changed(stage, good, "file.yaml", gateway_key("control_socket", stage.path("a file"))), "not a socket")
    assert os.path.exists(stage.path("a file"))
    stage.write("garbage.pem", "no certificate is in here\n")

    def garbage(model):
        model["clouds"].append(broker_cloud(1, ca_file=stage.path("garbage.pem"), name="second"))
        model["sources"].append(simulated("second", {"second": (["second"], None)}))
    refused(stage, changed(stage, good, "garbage.yaml", garbage), "second", "garbage.pem")
    first = Gateway(stage, good)
    os.makedirs(stage.path("other state"), mode=0o700)
    refused(stage, changed(stage, good, "same-socket.yaml", gateway_key("state_dir", stage.path("other state"))), "another gateway")
    refused(stage, changed(stage, good, "same-store.yaml", gateway_key("control_socket", stage.path("other.sock"))), "outbox")
    assert first.status()["gateway"]["pid"] == first.process.child.pid  # it has noticed nothing
    first.process.signal(signal.SIGINT)
    assert first.process.wait(15) == 0
    sound(first)
    assert not os.path.exists(stage.path("control.sock"))


def any_moment(stage, good):
    gateway = Gateway(stage, good, name="moment", wait=False)
    stops = count("TIDEGATE_STOPS", 30)
    longest = 0
    for i in range(stops):
        if i:
            gateway.start(wait=False)
        pause(i * 0.12 / stops)
        begin = time.monotonic()
        code = gateway.stop(10)
        longest = max(longest, time.monotonic() - begin)
        assert code in (0, -signal.SIGTERM), f"after {i * 120 // stops} ms: exit code {code}\n{gateway.errors()}"
        sound(gateway)
    gateway.start()
    assert gateway.stop() == 0
    run("outbox", "verify", "-c", good, check=0)
    report("C12", "stop_at_any_moment", stops, 0, {"longest_stop_ms": round(longest * 1000)},
           "SIGTERM at any moment of the first 120 ms, at work or still starting: the process ends by itself, in order, and the outbox is sound")


def stubborn_stop(stage, good, silent):
    def unacknowledged(model):
        model["clouds"] = [broker_cloud(silent.port, ack_timeout="60s")]
        model["sources"] = [simulated("quick", {"quick": (["broker"], None)}, every="10ms")]
    config = changed(stage, good, "silent.yaml", unacknowledged)
    longest = 0
    for signals in ([signal.SIGTERM, signal.SIGTERM, signal.SIGTERM], [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], [signal.SIGHUP, signal.SIGTERM]):
        gateway = Gateway(stage, config, name="stubborn")
        before = silent.publishes
        wait_until(lambda: silent.publishes > before, 20, "a publish that is not acknowledged")
        for number in signals:
            gateway.process.signal(number)
            pause(0.05)
        begin = time.monotonic()
        code = gateway.process.wait(10)
        longest = max(longest, time.monotonic() - begin)
        assert code == 0, f"{signals}: exit code {code}\n{gateway.errors()}"
        sound(gateway)
    report("C12", "stop_with_a_silent_broker", 3, 0, {"longest_stop_ms": round(longest * 1000)},
           "SIGTERM, repeated or with other signals, while a broker acknowledges nothing: the process ends in order all the same")


def descriptors(gateway):
    """Only root may look into a process that is not dumpable."""
    return len(os.listdir(f"/proc/{gateway.process.child.pid}/fd")) if os.geteuid() == 0 else 0


def reloads(stage, pki, hub):
    def source(name, every="50ms"):
        return simulated(f"source-{name}", {name: (["hub"], identity(pki, name, "sas"))}, every=every)

    def use(*names, every="50ms", hubs=None):
        configuration(stage, [hub_cloud(hub), *(hubs or [])], [source("stays"), *(source(name, every) for name in names)], name="reload.yaml")
    use("one")
    gateway = Gateway(stage, stage.path("reload.yaml"), name="reload", env={"ASAN_OPTIONS": "quarantine_size_mb=1"})
    wait_until(lambda: all_online(gateway), 20, "the first sessions")

    def settled(names):
        status = gateway.status()
        return {d["id"] for d in status["devices"]} == {"stays", *names} and all(
            c["state"] == "online" for d in status["devices"] for c in d["clouds"])
    marks = []
    for i in range(24):
        names = [("one", "two"), ("two",), ("one",), ("one", "two")][i % 4]
        use(*names, every=f"{50 + i}ms")
        gateway.reload()
        wait_until(lambda: settled(names), 20, f"reload {i}")
        if i % 4 == 3:
            marks.append((descriptors(gateway), gateway.status()["gateway"]["resident_bytes"]))
    print("descriptors and resident bytes after every fourth reload:", *marks)
    assert marks[-1][0] <= marks[0][0] + 1, marks
    assert marks[-1][1] - marks[1][1] < 6 << 20, marks
    assert len(gateway.status()["clouds"]) == 1, gateway.status()["clouds"]
    assert gateway.session("stays", "hub")["connects"] == 1

    for i in range(60):  # a storm: what the last one finds in the file counts
        use(*("one", "two")[:1 + i % 2], every=f"{20 + i}ms")
        gateway.reload()
    use("two", every="30ms")
    gateway.reload()
    wait_until(lambda: settled(("two",)), 20, "the last of many reloads")
    assert gateway.session("stays", "hub")["connects"] == 1

    # One source that cannot be built keeps none from running, and is built once its cause is mended.
    stage.write("later.pem", "no certificate is in here\n")
    broken = hub_cloud(hub, name="broken", ca_file=stage.path("later.pem"))
    configuration(stage, [hub_cloud(hub), broken],
                  [source("stays"), simulated("bad", {"one": (["broken"], identity(pki, "one", "sas"))}), source("two", "40ms")],
                  name="reload.yaml")
    gateway.reload()
    wait_until(lambda: settled(("two",)) and "source bad is not running" in gateway.errors(), 20, "the good sources")
    with open(pki.path("ca.pem"), encoding="utf-8") as file:
        stage.write("later.pem", file.read())
    gateway.reload()
    wait_until(lambda: settled(("one", "two")), 20, "the mended source")
    gateway.reload()
    assert gateway.stop(15) == 0
    sound(gateway)


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for name in ("stays", "one", "two"):
        pki.add(name, "sas")
    hub = Hub(stage, pki)
    silent = SilentBroker()
    good = configuration(stage, [hub_cloud(hub)], [simulated("source-stays", {"stays": (["hub"], identity(pki, "stays", "sas"))})])
    start_failures(stage, good)
    any_moment(stage, good)
    stubborn_stop(stage, good, silent)
    reloads(stage, pki, hub)
    silent.close()
