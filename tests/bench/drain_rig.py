# SPDX-License-Identifier: GPL-2.0-or-later
"""drain_rig - what fresh samples of devices with a backlog wait while it drains, measured behind the broker by a subscriber of other origin.

    fresh, backlog, end = drain_latency("fair")     # also "in-order", to see what is compared with
"""
import datetime
import json
import subprocess

from rig import Broker, Gateway, pause
from harness import Stage, wait_until


def fresh_latencies(path, first_fresh):
    """Of the samples from first_fresh[device] on: from their moment to their arrival at the subscriber, in ms, and the moment of arrival in s;
    and when the last sample of the backlog arrived."""
    fresh, backlog_end, backlog = [], 0.0, 0
    with open(path, encoding="utf-8") as file:
        for text in file:
            stamp, topic, payload = text.rstrip("\n").split(" ", 2)
            device, came = next(part for part in topic.split("/") if part in first_fresh), float(stamp)
            body = json.loads(payload)
            for sample in body if isinstance(body, list) else [body]:
                if sample["seq"] >= first_fresh[device]:
                    taken = datetime.datetime.fromisoformat(sample["ts"].replace("Z", "+00:00")).timestamp()
                    fresh.append((came, (came - taken) * 1000))
                else:
                    backlog, backlog_end = backlog + 1, max(backlog_end, came)
    return fresh, backlog, backlog_end


def drain_latency(drain, count=1000000, devices=10):
    """What devices with a backlog of `count` samples send while it drains. Measured behind the broker, by a subscriber of other origin."""
    names = [f"d{i}" for i in range(devices)]

    def source(settings):
        return "  - name: field\n    plugin: simulator\n    devices:\n" + "".join(
            f"      - {{id: {name}, clouds: [hub], settings: {{{settings}}}, points: [{{name: a, signal: sine}}, {{name: b, signal: random}}]}}\n"
            for name in names)
    with Stage() as stage:
        broker = Broker(stage)
        broker.stop()
        batch = "{max_samples: 20, max_bytes: 16000, max_delay: 50ms}"
        filler = Gateway(stage, "drain", broker.port, broker.ca, source(f"flood: true, count: {count // devices}"), batch)
        wait_until(lambda: filler.status()["outbox"]["rows"] >= count, 120, "a backlog")
        filler.process.stop(30)
        broker.start()
        path = stage.path("arrivals")
        with open(path, "wb") as output:
            subscriber = subprocess.Popen(["/usr/bin/mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "--cafile", broker.ca, "--insecure", "-t", "#",
                                           "-q", "1", "-F", "%U %t %p"], stdout=output)
        try:
            pause(1)
            gateway = Gateway(stage, "drain", broker.port, broker.ca, source(f"rate: {1000 // devices}"), batch, commit="20ms",
                              cloud=f"type: mqtt, command_topic: \"\", drain: {drain}")
            wait_until(lambda: gateway.pending() < 1000, 300, "the backlog to drain")
            pause(1)
            gateway.process.stop(30)
            pause(1)
        finally:
            subscriber.terminate()
            subscriber.wait(30)
        return fresh_latencies(path, {name: count // devices + 1 for name in names})
