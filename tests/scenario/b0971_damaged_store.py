#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Any stretch of the database is overwritten, zeroed or cut off while the gateway is stopped, or has crashed: it starts, delivers again within seconds, and no number
means two things.

TIDEGATE_DAMAGES: how often."""
import json
import os
import random
import shutil
import time

from broker import Broker
from field import broker_cloud, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from pki import Pki
from proof import count, report

DAMAGES = count("TIDEGATE_DAMAGES", 6)
SEED = int(os.environ.get("TIDEGATE_SEED") or 1)
WITHIN_S = 20  # to the first new sample at the broker, on a busy machine


def stretch(fill):
    def damage(path, dice):
        size = os.path.getsize(path)
        length = dice.randint(min(size, 4096), size)
        with open(path, "r+b") as file:
            file.seek(dice.randint(0, size - length))
            file.write(fill(length))
    return damage


KINDS = {"zeroed": stretch(bytes), "overwritten": stretch(os.urandom), "cut off": lambda path, dice: os.truncate(path, dice.randint(0, os.path.getsize(path) - 1)),
         "single bytes": lambda path, dice: [stretch(lambda length: os.urandom(1))(path, dice) for _ in range(50)]}
dice = random.Random(SEED)
with Stage() as stage:
    broker = Broker(stage, Pki(stage.path("pki")), users={"site": "right"})
    link = stage.peer("link.py", f"broker=127.0.0.1:{broker.port}")
    identity = {"username": "site", "password_file": stage.write("site", "right\n")}

    def configure(name):
        cloud = broker_cloud(link.ready["ports"]["broker"], broker.pki.path("ca.pem"), topic=f"{name}/{{device}}")
        return configuration(stage, [cloud], [simulated("rehearsal", {"meter": (["broker"], identity)}, every="2ms")],
                             gateway={"state_dir": stage.path(name), "control_socket": stage.path("control.sock")}, name=f"{name}.yaml")

    def bodies(name):
        return [sample for body in broker.heard(f"{name}/meter") for sample in (body if isinstance(body, list) else [body])]

    origins = {}
    for how in ("stopped", "killed"):  # in a database that was closed, and in one whose newest samples are in its log
        link.command("cut broker")
        gateway = Gateway(stage, configure(how), name=f"tidegate-{how}")
        wait_until(lambda: gateway.accounts()["meter"] > 1200, 30, "a backlog")
        gateway.stop() if how == "stopped" else gateway.kill()
        origins[how] = json.loads(run("outbox", "stats", "--json", "-c", configure(how), check=0).stdout)["devices"][0]["last_seq"]
    link.command("restore broker")

    outcomes, slowest, old, latent = {"set aside": 0, "begun anew": 0, "went on": 0}, 0, 0, 0
    for number in range(DAMAGES):
        how, (kind, damage) = dice.choice(list(origins)), dice.choice(list(KINDS.items()))
        name = f"d{number}"
        shutil.copytree(stage.path(how), stage.path(name))
        damage(stage.path(name, "outbox.db"), dice)
        what = f"damage {number}: {how}, {kind}"
        begin = time.monotonic()
        gateway = Gateway(stage, configure(name), name=f"tidegate-{name}")
        # New numbers, whatever of the backlog is still there.
        wait_until(lambda: sum(sample["seq"] > origins[how] for sample in bodies(name)) > 50, WITHIN_S, f"{what}: delivery of new samples\n{gateway.errors()}")
        slowest = max(slowest, time.monotonic() - begin)
        said = [line for line in gateway.errors().splitlines() if "outbox:" in line or "quarantine" in line or "left out" in line]
        assert gateway.stop() == 0, what
        if run("outbox", "verify", "-c", configure(name)).returncode:
            # A page that nobody has read yet: it is found when somebody does, and until then and afterwards delivery goes on.
            latent += 1
            had = len(bodies(name))
            gateway.start()
            wait_until(lambda: len(bodies(name)) > had + 50, WITHIN_S, f"{what}: delivery after another start")
            assert gateway.stop() == 0, what
        outcome = "set aside" if any("set aside as" in line for line in said) else "begun anew" if any("was not there or empty" in line for line in said) else "went on"
        outcomes[outcome] += 1
        came = bodies(name)
        backlog = {sample["seq"] for sample in came if sample["seq"] <= origins[how]}
        old += len(backlog)
        # Whatever of the backlog is missing was not silently dropped.
        assert said or len(backlog) == origins[how], f"{what}: {origins[how] - len(backlog)} samples are missing and nothing was said"
        known = {}
        for sample in came:
            body = json.dumps(sample, sort_keys=True)
            assert known.setdefault(sample["seq"], body) == body, f"{what}: two bodies for {sample['seq']}"
        print(f"{what}: {outcome}, {len(backlog)} of the backlog of {origins[how]} arrived; {said[:1]}")
    broker.close()
    report("C8", "damaged_store", DAMAGES, 0, {**outcomes, "slowest_to_deliver_again_s": round(slowest, 1), "of_backlogs_still_delivered": old, "damage_that_only_verify_sees": latent, "numbers_with_two_bodies": 0},
           "A random stretch of the database of a stopped or crashed gateway is zeroed, overwritten, cut off, or single bytes of it are changed: the gateway starts, delivers new samples within seconds, "
           "says what it set aside, and no number means two things")
