#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A full disk: the gateway keeps running, the oldest samples make room and are counted, and what arrives afterwards together with
what was counted is all that was accepted."""
import json
import os
import subprocess
import sys

from field import all_online, hub_cloud, identity
from gateway import Gateway, configuration, run
from harness import Stage, free_port, private_mounts, wait_until
from hub import Hub
from metrics import metric
from pki import Pki
from proof import count, report
from verdict import judge, ranges, table

DISK_MIB = 24
DEVICES = {"sas-1": "sas", "ca-1": "x509-ca"}
COUNT = count("TIDEGATE_FULL_SAMPLES", 20000)  # samples a device: several times what the disk can hold


def source(pki):
    points = [{"name": f"channel-{i:02}-{'x' * 40}", "signal": "random"} for i in range(20)]
    return {"name": "fast", "plugin": "simulator", "devices": [
        {"id": device, "clouds": ["hub"], "identity": identity(pki, device, kind), "settings": {"rate": 4000, "count": COUNT}, "points": points}
        for device, kind in DEVICES.items()]}


def mount_disk(stage):
    """tmpfs; with the argument `ext4` a file system on a loop device, whose journal and delayed allocation fill otherwise."""
    disk = stage.path("disk")
    if "ext4" not in sys.argv[1:]:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0700", "tmpfs", disk], check=True)
        return
    image = stage.write("disk.image", "")
    os.truncate(image, (DISK_MIB + 8) << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-b", "1024", image], check=True)
    done = subprocess.run(["mount", "-o", "loop", image, disk], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"SKIPPED: no loop device may be mounted here: {done.stderr.strip()}")
        sys.exit(77)


def outbox(config):
    stats = json.loads(run("outbox", "stats", "--json", "-c", config, check=0).stdout)
    return {device["id"]: device for device in stats["devices"]}


private_mounts()
with Stage() as stage:
    os.mkdir(stage.path("disk"))
    mount_disk(stage)
    pki = Pki(stage.path("pki"))
    for device, kind in DEVICES.items():
        pki.add(device, kind)
    hub = Hub(stage, pki)
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    cloud = hub_cloud(hub, link.ready["ports"]["hub"], batch={"max_samples": 20, "max_bytes": 60000, "max_delay": "50ms"})
    web = free_port()
    config = configuration(stage, [cloud], [source(pki)], gateway={"state_dir": stage.path("disk", "state"), "http": f"127.0.0.1:{web}"},
                           outbox={"limit": "1GiB"})
    gateway = Gateway(stage, config)
    wait_until(lambda: all_online(gateway) and min(gateway.accounts().values()) > 100, 30, "both sessions and their first samples")
    assert gateway.stop() == 0

    # Nothing is in flight when the outage begins, so that every number can be told apart afterwards.
    link.command("cut hub")
    begin = {device: entry["last_seq"] for device, entry in outbox(config).items()}
    gateway.start()
    for name in ("outbox.db-shm", "notes.db-shm"):  # or the first use of a block that the full disk does not have ends the gateway
        has = os.stat(stage.path("disk", "state", name))
        assert has.st_blocks * 512 >= has.st_size > 0, (name, has)
    seen = set()

    def all_emitted():
        status = gateway.status()
        if status["outbox"]["dropped"]["disk_full"]:
            assert status["outbox"]["state"] == "full", status["outbox"]
            seen.add(status["outbox"]["dropped"]["disk_full"])
        return all(device["last_seq"] >= begin[device["id"]] + COUNT for device in status["devices"]) and not status["outbox"]["uncommitted"]
    wait_until(all_emitted, 60 + COUNT / 500, "the disk to fill, again and again, while every sample is accepted")
    assert len(seen) >= 5, f"the disk was full {len(seen)} times only"
    run("outbox", "verify", "-c", config, check=0)
    log = [line for line in gateway.errors().splitlines() if "outbox:" in line]
    assert len(log) == 1, log  # said once, not with every sample
    for says in ("no space left", "the oldest samples make room for new ones", "counted as dropped", "until there is space again"):
        assert says in log[0], log
    assert metric(web, "tidegate_outbox_dropped_samples_total", reason="disk_full") >= max(seen)

    link.command("restore hub")
    wait_until(lambda: all(cloud["pending"] == 0 for device in gateway.status()["devices"] for cloud in device["clouds"]), 40,
               "what is left to be delivered")
    wait_until(lambda: gateway.status()["outbox"]["state"] == "ok", 40, "the full disk to be over")
    assert "there is space again" in gateway.errors()
    assert metric(web, "tidegate_outbox_state", state="ok") == 1 and metric(web, "tidegate_outbox_state", state="full") == 0
    assert gateway.stop() == 0
    run("outbox", "verify", "-c", config, check=0)

    accounts = outbox(config)
    rows = judge(hub.record, {device: entry["last_seq"] for device, entry in accounts.items()})
    print(table(rows))
    for row in rows:
        entry = accounts[row.device]
        dropped = sum(entry["dropped"].values())
        assert dropped == entry["dropped"]["disk_full"] > 1000, entry
        assert row.delivered + dropped == row.collected == begin[row.device] + COUNT + len(row.gaps), entry
        # What is missing is what the cloud was told, in one record or two.
        assert 1 <= len(row.gaps) <= 2 and all(gap["reasons"] == ["disk-full"] for gap in row.gaps), row.gaps
        assert sum(gap["count"] for gap in row.gaps) == row.lost == row.gaps[-1]["last_seq"] - row.gaps[0]["first_seq"] + 1, row.gaps
        assert ranges(row.missing) == f"{entry['gap_first_seq']}-{entry['gap_last_seq']}", (ranges(row.missing), entry)
        assert entry["gap_first_seq"] == begin[row.device] + 1  # the oldest
        assert not row.conflicts and row.out_of_order == 0
    report("C7", "gateway_full_disk_ext4" if "ext4" in sys.argv[1:] else "gateway_full_disk", len(seen), 0, {
        "accepted": sum(row.collected for row in rows), "delivered": sum(row.delivered for row in rows),
        "evicted_and_counted": sum(accounts[row.device]["dropped"]["disk_full"] for row in rows), "unaccounted": 0},
        "The gateway's disk fills again and again while the cloud is away: it keeps running, says so once, the oldest samples make room; when the cloud is back what arrives "
        "and what was counted is all that was accepted, to the number. Trials: times that it was seen evicting more")
