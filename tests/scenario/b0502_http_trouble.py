#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A port in use costs the endpoint and nothing else, until it is free; /healthz says 503 and why while the disk is full."""
import os
import socket
import subprocess

from field import broker_cloud
from gateway import Gateway, configuration, run
from harness import Stage, free_port, private_mounts, wait_until
from metrics import metric
from prometheus import get, scrape

private_mounts()
with Stage() as stage:
    os.mkdir(stage.path("disk"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=0700", "tmpfs", stage.path("disk")], check=True)
    source = {"name": "fast", "plugin": "simulator", "devices": [
        {"id": "pump", "clouds": ["broker"], "settings": {"rate": 4000},
         "points": [{"name": f"channel-{i:02}-{'x' * 40}", "signal": "random"} for i in range(20)]}]}
    port = free_port()  # nobody else's either once it is let go
    taken = socket.create_server(("127.0.0.1", port))
    config = configuration(stage, [broker_cloud(free_port())], [source],
                           gateway={"http": f"127.0.0.1:{port}", "state_dir": stage.path("disk", "state")}, outbox={"limit": "1GiB"})
    gateway = Gateway(stage, config)
    http = gateway.status()["gateway"]["http"]
    assert not http["listening"] and "in use" in http["text"], http
    assert "not listening" in run("status", "-c", config, check=0).stdout
    said = [line for line in gateway.errors().splitlines() if " http:" in line]
    assert len(said) == 1 and f"127.0.0.1:{port} cannot be listened on: Address already in use; everything else runs" in said[0], said
    wait_until(lambda: gateway.accounts()["pump"] > 0, 20, "samples all the same")
    taken.close()
    wait_until(lambda: gateway.status()["gateway"]["http"]["listening"], 40, "the port to be tried again")
    answered = metric(port, "tidegate_http_requests_total")  # this one; who took the port had all before
    assert answered == 1 and metric(port, "tidegate_http_requests_total") == 2, answered
    assert len([line for line in gateway.errors().splitlines() if "cannot be listened on" in line]) == 1, gateway.errors()

    # Nobody takes the samples: the disk fills.
    def full():
        status, _, body = get(port, "/healthz")
        return status == 503 and body.startswith(b"outbox full: ") and body.decode()  # on a slow machine it may be stuck before
    text = wait_until(full, 60, "the full disk to be told")
    assert ("no space left" in text or "disk is full" in text) and text.endswith("\n"), text
    metrics = wait_until(lambda: (found := scrape(port)).get("tidegate_outbox_state", state="full") == 1 and found, 30, "the full disk in the metrics")
    assert metrics.get("tidegate_outbox_state", state="ok") is None
    wait_until(lambda: scrape(port).get("tidegate_outbox_dropped_samples_total", reason="disk_full") > 0, 30, "what was dropped to be counted")
    assert gateway.stop() == 0

    # An address that is not this machine's alone needs to be meant.
    for address in ("0.0.0.0:9180", "[::]:9180", "192.0.2.1:9180"):
        wrong = configuration(stage, [broker_cloud(free_port())], [source], gateway={"http": address}, name="wrong.yaml")
        assert "other machines can reach" in run("check", "-c", wrong, check=1).stderr
    meant = configuration(stage, [broker_cloud(free_port())], [source], gateway={"http": "0.0.0.0:9180", "http_remote": True}, name="meant.yaml")
    run("check", "-c", meant, check=0)
