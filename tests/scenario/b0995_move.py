#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A box dies while its two clouds are away, and its backlog goes on to another box: each cloud hears every number of both boxes, in order,
what comes twice has the same body, and nothing is missing. Files that are not whole and boxes that cannot take them change nothing."""
import json
import os
import stat

from broker import Broker
from field import broker_cloud, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from pki import Pki

DEVICES = ("one", "two", "three")
CLOUDS = ("hub", "lake")


def import_at(box, path, *more, check):
    return run("outbox", "import", path, "-c", box, *more, check=check)


class Heard:
    """What came for a device at a broker: {seq: body}, and the numbers in the order they came first."""

    def __init__(self, broker):
        self.broker, self.read, self.bodies, self.order, self.twice = broker, 0, {}, {}, 0

    def look(self):
        messages = list(self.broker.messages)
        for topic, body in messages[self.read:]:
            parsed = json.loads(body)
            device = topic.split("/")[1]
            for sample in parsed if isinstance(parsed, list) else [parsed]:
                seq = sample.pop("seq")
                before = self.bodies.setdefault(device, {}).setdefault(seq, sample)
                assert before == sample, f"{device} {seq} means two things: {before} and {sample}"
                if before is sample:
                    self.order.setdefault(device, []).append(seq)
                else:
                    self.twice += 1
        self.read = len(messages)
        return {device: max(self.bodies.get(device, {0: 0})) for device in DEVICES}


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    brokers = {name: Broker(stage, pki, users={device: "right" for device in DEVICES}, name=name) for name in CLOUDS}
    links = stage.peer("link.py", *(f"{name}=127.0.0.1:{broker.port}" for name, broker in brokers.items()))
    secret = stage.write("right", "right\n")

    def box(name, source_every="20ms"):
        clouds = [broker_cloud(links.ready["ports"][cloud], pki.path("ca.pem"), name=cloud, batch={"max_samples": 20, "max_delay": "50ms"})
                  for cloud in CLOUDS]
        devices = {device: (list(CLOUDS), {"username": device, "password_file": secret}) for device in DEVICES}
        return configuration(stage, clouds, [simulated("field", devices, every=source_every)], name=f"{name}.yaml",
                             gateway={"name": name, "state_dir": stage.path(f"state-{name}"), "control_socket": stage.path(f"{name}.sock")})
    heard = {name: Heard(broker) for name, broker in brokers.items()}
    box_a, box_b, box_c = box("box-a"), box("box-b"), box("box-c")

    # Delivered to both, then only to one, then to none: the two clouds are not equally far.
    first = Gateway(stage, box_a, name="box-a")
    wait_until(lambda: min(heard["hub"].look().values()) > 20 and min(heard["lake"].look().values()) > 20, 40, "samples at both")
    links.command("cut lake")
    at = max(heard["hub"].look().values())
    wait_until(lambda: min(heard["hub"].look().values()) > at + 30, 40, "samples at one")
    links.command("cut hub")
    wait_until(lambda: all(first.session(device, "hub")["pending"] > 60 for device in DEVICES), 40, "a backlog")

    # Beside the running gateway: a snapshot, and a warning.
    beside = run("outbox", "export", "--backlog", stage.path("beside.backlog"), "-c", box_a, check=0)
    assert "the gateway runs" in beside.stderr and "delivered twice" in beside.stderr, beside
    refused = import_at(box_a, stage.path("beside.backlog"), "--yes", check=1)
    assert "running gateway holds the outbox" in refused.stderr, refused
    first.kill()
    path = stage.path("box-a.backlog")
    done = run("outbox", "export", "--backlog", path, "-c", box_a, check=0)
    print(done.stdout, end="")
    assert not done.stderr and stat.S_IMODE(os.stat(path).st_mode) == 0o600, done
    assert not [name for name in os.listdir(os.path.dirname(path)) if name.startswith("box-a.backlog.")]
    given = {device["id"]: device["last_seq"] for device in json.loads(run("outbox", "stats", "--json", "-c", box_a, check=0).stdout)["devices"]}

    # What is not whole is refused, and the box stays empty.
    with open(path, "rb") as file:
        whole = file.read()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    for name, content, word in (("cut", whole[:len(whole) * 2 // 3], "cut off"), ("flipped", bytes(flipped), "nothing was imported"),
                                ("foreign", b"SQLite format 3\0" + bytes(4096), "no backlog"), ("empty", b"", "no backlog"),
                                ("endless", b"[" * 300000, "no backlog")):
        bad = stage.path(name)
        with open(bad, "wb") as file:
            file.write(content)
        said = import_at(box_b, bad, "--yes", check=1)
        assert word in said.stderr and "nothing was imported" in said.stderr, said
    for name in ("nowhere", "pki"):  # none, and a folder
        assert "nothing was imported" in import_at(box_b, stage.path(name), "--yes", check=1).stderr

    # Looking, doing it, and doing it again.
    asked = import_at(box_b, path, check=1)
    assert "would be imported" in asked.stdout and "say --yes" in asked.stderr, asked
    assert "imported" in import_at(box_b, path, "--yes", check=0).stdout
    assert "imported already: nothing was done" in import_at(box_b, path, "--yes", check=0).stdout
    run("outbox", "verify", "-c", box_b, check=0)

    # A box that has given these numbers itself.
    own = Gateway(stage, box_c, name="box-c")
    wait_until(lambda: min(own.accounts().values()) >= min(given.values()), 60, "numbers of its own")
    own.kill()
    said = import_at(box_c, path, "--yes", check=1)
    assert "device one has given its numbers" in said.stderr and "Nothing was imported" in said.stderr, said

    # The other box delivers what the first one had, and goes on with the numbers.
    second = Gateway(stage, box_b, name="box-b")
    links.command("restore hub")
    links.command("restore lake")
    wait_until(lambda: all(min(listener.look()[device] - given[device] for device in DEVICES) > 20 for listener in heard.values()), 60,
               "what both boxes had at both clouds")
    assert second.stop() == 0
    run("outbox", "verify", "-c", box_b, check=0)
    for cloud, listener in heard.items():
        highest = listener.look()
        for device in DEVICES:
            numbers = listener.order[device]
            assert numbers == list(range(1, highest[device] + 1)), f"{cloud} {device}: {numbers}"
        print(cloud, highest, "of which the first box gave", given, "-", listener.twice, "twice")
    for broker in brokers.values():
        broker.close()
