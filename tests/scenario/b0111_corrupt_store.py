#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A damaged store is set aside and delivery goes on with numbers never used before; a store of a newer version is
left as it is, with a text."""
import contextlib
import json
import os
import shutil
import sqlite3

from field import hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, free_port, wait_until
from hub import Hub
from metrics import metric
from pki import Pki
from verdict import ranges, samples


def read(path):
    with open(path, "rb") as file:
        return file.read()


def damage_garbage(path):
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.write(b"this is no database\n" * (size // 20 + 1))


def damage_truncate(path):
    os.truncate(path, os.path.getsize(path) // 3 + 100)


def damage_empty(path):
    os.truncate(path, 0)


def damage_pages(path):
    """Every page but the first: it opens, and is found out later."""
    with open(path, "r+b") as file:
        for page in range(1, os.path.getsize(path) // 4096):
            file.seek(page * 4096)
            file.write(os.urandom(4096))


def damage_directory(path):
    os.unlink(path)
    os.mkdir(path)


# What is done to the file, and what the log line says of it. seq goes on above everything that was ever given out; the jump is
# written down in outbox.high, which survives the database.
CASES = (("garbage", damage_garbage, "database"), ("truncated", damage_truncate, "malformed"), ("pages", damage_pages, "malformed"),
         ("directory", damage_directory, "outbox.db"), ("empty", damage_empty, "was not there or empty"), ("gone", os.unlink, "was not there or empty"))


def outbox_last(config):
    return json.loads(run("outbox", "stats", "--json", "-c", config, check=0).stdout)["devices"][0]["last_seq"]


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("sas-1", "sas")
    hub = Hub(stage, pki)
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")

    web = free_port()

    def configure(name):
        return configuration(stage, [hub_cloud(hub, link.ready["ports"]["hub"])],
                             [simulated("rehearsal", {"sas-1": (["hub"], identity(pki, "sas-1", "sas"))}, every="2ms")],
                             gateway={"state_dir": stage.path(name), "control_socket": stage.path(name + ".sock"), "http": f"127.0.0.1:{web}"},
                             name=name + ".yaml")

    # A store with a backlog, as a crash leaves it.
    link.command("cut hub")
    gateway = Gateway(stage, configure("origin"))
    wait_until(lambda: gateway.accounts()["sas-1"] > 600, 20, "a backlog")
    gateway.kill()
    link.command("restore hub")
    assert os.path.getsize(stage.path("origin", "outbox.db-wal")) > 0

    last = outbox_last(configure("origin"))
    for what, damage, says in CASES:
        shutil.copytree(stage.path("origin"), stage.path(what))
        config = configure(what)
        run("outbox", "verify", "-c", config, check=0)  # the copy is sound
        damage(stage.path(what, "outbox.db"))
        before = len(hub.record.telemetry("sas-1"))

        def numbers():
            return [sample["seq"] for entry in hub.record.telemetry("sas-1")[before:] for sample in samples(entry)]
        gateway = Gateway(stage, config, name=f"tidegate-{what}")
        wait_until(lambda: len(numbers()) > 100, 20, f"delivery to go on ({what})")
        line = next(line for line in gateway.errors().splitlines() if "outbox:" in line)
        for text in (stage.path(what, "outbox.db"), says, "delivery goes on with new samples"):
            assert text in line, (what, line)
        aside = [name for name in os.listdir(stage.path(what)) if name == "outbox.db.corrupt-1"]
        assert bool(aside) == ("set aside as" in line) == (what not in ("empty", "gone")), (what, aside, line)
        assert metric(web, "tidegate_outbox_set_aside_total") == bool(aside), what
        # A gateway that starts again goes on with the new store: nothing more is lost and no number is jumped.
        assert gateway.stop() == 0
        delivered = len(numbers())
        gateway.start()
        wait_until(lambda: len(numbers()) > delivered + 100, 20, f"delivery after a restart ({what})")
        assert "outbox:" not in gateway.errors(), gateway.errors()
        assert gateway.stop() == 0
        accepted = outbox_last(config)
        wait_until(lambda: numbers()[-1:] == [accepted], 10, "the last sample")
        assert numbers()[0] > last, f"{what}: {numbers()[0]} was given out before"
        assert numbers() == list(range(numbers()[0], accepted + 1)), f"{what}: {ranges(numbers())}"
        run("outbox", "verify", "-c", config, check=0)

    def refused(what, *says):
        """It does not start, says why, and leaves every byte as it is."""
        files = {name: read(stage.path(what, name)) for name in os.listdir(stage.path(what)) if name not in ("outbox.lock", "outbox.db-shm")}
        done = run("run", "-c", configure(what), check=1)
        for text in ("cannot start", stage.path(what), *says):
            assert text in done.stderr, done.stderr
        now = {name: read(stage.path(what, name)) for name in files}
        assert now == files, (what, sorted(files), sorted(now))

    shutil.copytree(stage.path("origin"), stage.path("newer"))
    with contextlib.closing(sqlite3.connect(stage.path("newer", "outbox.db"))) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        database.execute(f"PRAGMA user_version={version + 1}")
    refused("newer", f"version {version + 1}", "newer")
