#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A store that cannot be used at the start: the gateway delivers all the same, from memory, with the backlog where it can be read; it
says so in one line and in its status, and takes the store over without an operator. No number is given twice and nothing is lost."""
import contextlib
import json
import os
import shutil
import subprocess

from field import hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, private_mounts, wait_until
from hub import Hub
from pki import Pki
from verdict import samples

FAR = 1 << 33  # what is given while nothing can be written begins further than this above what is known


def last_seq(config):
    return json.loads(run("outbox", "stats", "--json", "-c", config, check=0).stdout)["devices"][0]["last_seq"]


def mount(*words):
    subprocess.run(["mount", *words], check=True)


@contextlib.contextmanager
def read_only(path):
    mount("--bind", path, path)
    mount("-o", "remount,bind,ro", path)
    yield
    mount("-o", "remount,bind,rw", path)


@contextlib.contextmanager
def foreign(path):
    """The files are somebody else's and the gateway is not almighty."""
    names = [os.path.join(path, name) for name in os.listdir(path)]
    for name in names:
        os.chown(name, 65534, 65534)
    yield
    for name in names:
        os.chown(name, os.geteuid(), os.getegid())


@contextlib.contextmanager
def locked_folder(path):
    os.chmod(path, 0)
    yield
    os.chmod(path, 0o700)


@contextlib.contextmanager
def folder_for_lock(path):
    os.unlink(os.path.join(path, "outbox.lock"))
    os.mkdir(os.path.join(path, "outbox.lock"))
    yield
    os.rmdir(os.path.join(path, "outbox.lock"))


@contextlib.contextmanager
def full(path):
    """A disk without room for the first page."""
    shutil.rmtree(path)
    os.mkdir(path)
    mount("-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs", path)
    filler = os.open(os.path.join(path, "filler"), os.O_WRONLY | os.O_CREAT, 0o600)
    with contextlib.suppress(OSError):
        while True:
            os.write(filler, bytes(4096))
    os.close(filler)
    yield
    os.unlink(os.path.join(path, "filler"))


POOR = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-chown,-fowner", "--inh-caps", "-all"]
# name; clean: the backlog was left by a stop, not by a kill; what is wrong; whether the backlog can be read; what is said
CASES = (("read-only", False, read_only, True, ["Read-only file system", "what is stored in it is read and delivered"]),
         ("read-only-clean", True, read_only, True, ["Read-only file system", "what is stored in it is read and delivered"]),
         ("foreign", False, foreign, False, ["outbox.lock cannot be opened: Permission denied", "waits until it can be read"]),
         ("locked", False, locked_folder, False, ["Permission denied", "waits until it can be read"]),
         ("lock-folder", False, folder_for_lock, True, ["outbox.lock cannot be opened: Is a directory", "is read and delivered"]),
         ("full", None, full, False, ["database or disk is full", "waits until it can be read"]))

private_mounts()
with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("sas-1", "sas")
    hub = Hub(stage, pki)
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")

    def configure(name):
        return configuration(stage, [hub_cloud(hub, link.ready["ports"]["hub"])],
                             [simulated("rehearsal", {"sas-1": (["hub"], identity(pki, "sas-1", "sas"))}, every="5ms")],
                             gateway={"state_dir": stage.path(name), "control_socket": stage.path(name + ".sock")}, name=name + ".yaml")

    # Backlogs as a kill and as a stop leave them.
    link.command("cut hub")
    gateway = Gateway(stage, configure("origin"))
    wait_until(lambda: gateway.accounts()["sas-1"] > 200, 20, "a backlog")
    gateway.kill()
    shutil.copytree(stage.path("origin"), stage.path("origin-clean"))
    gateway = Gateway(stage, configure("origin-clean"), name="tidegate-clean")
    assert gateway.stop() == 0
    link.command("restore hub")

    for what, clean, wrong, readable, says in CASES:
        shutil.copytree(stage.path("origin-clean" if clean else "origin"), stage.path(what))
        config = configure(what)
        last = 0 if what == "full" else last_seq(config)
        before = len(hub.record.telemetry("sas-1"))

        def numbers():
            return [sample["seq"] for entry in hub.record.telemetry("sas-1")[before:] for sample in samples(entry)]
        with wrong(stage.path(what)):
            gateway = Gateway(stage, config, name=f"tidegate-{what}", under=POOR)
            wait_until(lambda: len([seq for seq in numbers() if seq > FAR]) > 50, 30, f"delivery from memory ({what})")
            outbox = gateway.status()["outbox"]
            assert outbox["state"] == "degraded", outbox
            lines = [line for line in gateway.errors().splitlines() if "outbox:" in line]
            assert len(lines) == 1, lines
            for text in (*says, "kept in memory", "a crash would lose ", "trying again in"):
                assert text in lines[0], (what, text, lines[0])
            assert says[0] in outbox["text"], outbox
            print(f"{what}: {lines[0][25:]}")
            if readable:
                wait_until(lambda: set(range(1, last + 1)) <= set(numbers()), 30, f"the backlog ({what})")
                assert numbers()[0] == 1
            else:
                assert min(numbers()) > FAR
        wait_until(lambda: gateway.status()["outbox"]["state"] == "ok", 60, f"the store to be taken over ({what})")
        given = gateway.accounts()["sas-1"]
        assert "can be written again" in gateway.errors(), gateway.errors()
        if last:
            wait_until(lambda: set(range(1, last + 1)) <= set(numbers()), 30, f"the backlog ({what})")
        wait_until(lambda: max(numbers()) > given + 50, 30, f"delivery to go on ({what})")
        assert gateway.stop() == 0
        run("outbox", "verify", "-c", config, check=0)
        # The next start goes on exactly; every number stands for one sample; all of them arrived.
        reached = last_seq(config)
        gateway.under = []
        gateway.start()
        wait_until(lambda: max(numbers()) > reached + 50, 30, f"delivery after a restart ({what})")
        assert gateway.stop() == 0
        wait_until(lambda: hub.record.telemetry("sas-1") and max(numbers()) >= reached + 50, 10, "the last samples")
        got = sorted(set(numbers()))
        high = [seq for seq in got if seq > FAR]
        assert high == list(range(high[0], high[-1] + 1)), what
        if last:
            assert got[:last] == list(range(1, last + 1)) and got[last] > FAR, (what, got[last - 2:last + 2])
        bodies = {}
        for entry in hub.record.telemetry("sas-1")[before:]:
            for sample in samples(entry):
                body = sample.get("values", sample.get("gap"))
                assert bodies.setdefault(sample["seq"], body) == body, sample

    # A wrong path is an error of the configuration.
    shutil.rmtree(stage.path("full"), ignore_errors=True)
    config = configure("nowhere")
    os.rmdir(stage.path("nowhere"))
    done = run("run", "-c", config, check=1)
    assert "create it for the user that runs the gateway" in done.stderr, done.stderr
    with open(stage.path("nowhere"), "w", encoding="ascii"):
        pass
    done = run("run", "-c", config, check=1)
    assert "is not a folder" in done.stderr, done.stderr
