#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A store that a program of schema version 1 left, with a backlog of 20,000 samples: `outbox stats|verify|export` look into it without a
change, its backlog moves to another box, and the gateway brings it up to date and delivers everything."""
import json
import sqlite3
import struct

from broker import Broker
from consumer import Behind
from field import broker_cloud, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from pki import Pki

ROWS, NOW_MS, REAL = 20000, 1790000000000, 4
VERSION_1 = """
CREATE TABLE log(id INTEGER PRIMARY KEY, device INT NOT NULL, seq INT NOT NULL, time_ms INT NOT NULL, body BLOB NOT NULL);
CREATE TABLE device(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE mark(device INTEGER PRIMARY KEY, last_seq INT NOT NULL, last_id INT NOT NULL, drop_limit INT NOT NULL DEFAULT 0,
 drop_age INT NOT NULL DEFAULT 0, drop_disk INT NOT NULL DEFAULT 0, drop_quarantine INT NOT NULL DEFAULT 0,
 gap_first INT NOT NULL DEFAULT 0, gap_last INT NOT NULL DEFAULT 0);
CREATE TABLE cloud(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE cursor(id INTEGER PRIMARY KEY, device INT NOT NULL, cloud INT NOT NULL, active INT NOT NULL, base_seq INT NOT NULL,
 acked_seq INT NOT NULL, acked_id INT NOT NULL, dropped INT NOT NULL DEFAULT 0, skipped INT NOT NULL DEFAULT 0, UNIQUE(device, cloud));
CREATE TABLE hole(device INT NOT NULL, first_seq INT NOT NULL, last_seq INT NOT NULL, PRIMARY KEY(device, first_seq)) WITHOUT ROWID;
CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK(id = 1), mark_id INT NOT NULL, rows INT NOT NULL, appended INT NOT NULL,
 floor_seq INT NOT NULL, clean INT NOT NULL, durability INT NOT NULL, boot_id TEXT NOT NULL);
"""


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def body(seq):
    """core/base/sample.h, version 1: one REAL."""
    time_ms = NOW_MS + seq
    return bytes([1]) + varint(2 * time_ms) + bytes([1, 5]) + b"value" + bytes([0, REAL]) + struct.pack("<d", seq)



def old_store(path):
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("PRAGMA page_size=4096")
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript("BEGIN;" + VERSION_1)
        db.executemany("INSERT INTO log VALUES(?, 0, ?, ?, ?)", ((n, n, NOW_MS + n, body(n)) for n in range(1, ROWS + 1)))
        db.executescript(f"""INSERT INTO device VALUES(0, 'one'); INSERT INTO mark VALUES(0, {ROWS}, {ROWS}, 0, 0, 0, 0, 0, 0);
            INSERT INTO cloud VALUES(0, 'hub'); INSERT INTO cursor VALUES(0, 0, 0, 1, 0, 0, 0, 0, 0);
            INSERT INTO meta VALUES(1, {ROWS}, {ROWS}, {ROWS}, 0, 1, 0, '');
            PRAGMA application_id=1952924271; PRAGMA user_version=1""")
    db.close()


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    hub = Broker(stage, pki, users={"one": "right"}, name="hub")
    secret = stage.write("right", "right\n")

    def box(name):
        return configuration(stage, [broker_cloud(hub.port, pki.path("ca.pem"), name="hub", batch={"max_samples": 100, "max_delay": "50ms"})],
                             [simulated("field", {"one": (["hub"], {"username": "one", "password_file": secret})}, every="100ms")],
                             name=f"{name}.yaml", gateway={"name": name, "state_dir": stage.path(f"state-{name}"),
                                                           "control_socket": stage.path(f"{name}.sock")})
    old, fresh = box("old"), box("fresh")
    store = stage.path("state-old") + "/outbox.db"
    old_store(store)
    with open(store, "rb") as file:
        before = file.read()
    stats = json.loads(run("outbox", "stats", "--json", "-c", old, check=0).stdout)
    assert stats["rows"] == ROWS and stats["devices"][0]["pending"] == ROWS, stats
    run("outbox", "verify", "-c", old, check=0)
    exported = run("outbox", "export", "-c", old, check=0).stdout.splitlines()
    assert len(exported) == ROWS and json.loads(exported[41])["sample"]["seq"] == 42, exported[:1]
    run("outbox", "export", "--backlog", stage.path("old.backlog"), "-c", old, check=0)
    with open(store, "rb") as file:
        assert file.read() == before, "looking changes nothing"
    assert f"{ROWS} samples" in run("outbox", "import", stage.path("old.backlog"), "--yes", "-c", fresh, check=0).stdout
    run("outbox", "verify", "-c", fresh, check=0)

    gateway = Gateway(stage, old, name="old")
    consumer = Behind(hub, "hub", first=1)
    wait_until(lambda: consumer.highest("one") > ROWS, 60, "the whole backlog, and what comes next")
    verdict = consumer.verdict("one")
    assert verdict["missing"] == 0 and not verdict["unexplained"], verdict
    assert gateway.stop() == 0
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
    db.close()
    run("outbox", "verify", "-c", old, check=0)
    hub.close()
