# SPDX-License-Identifier: GPL-2.0-or-later
"""drain - an outage with a backlog: a gateway that has never reached its broker yet, and what arrives once it does, in the order of
arrival. A cloud for each way to drain, all on one mosquitto, which gives everything to one subscriber in the order it came."""
import json

from broker import Broker
from field import broker_cloud
from gateway import Gateway, configuration
from harness import wait_until
from pki import Pki


class Arrivals:
    """What came for one device from one cloud, in the order of arrival. Duplicates are counted; a number with two bodies is an error."""

    def __init__(self):
        self.order, self.seen, self.duplicates = [], {}, 0

    def take(self, batch):
        for sample in batch:
            body = json.dumps(sample, sort_keys=True)
            if sample["seq"] in self.seen:
                assert self.seen[sample["seq"]] == body, f"two bodies for seq {sample['seq']}"
                self.duplicates += 1
            else:
                self.seen[sample["seq"]] = body
                self.order.append(sample["seq"])

    def complete(self, upto):
        return len(self.seen) >= upto and all(seq in self.seen for seq in range(1, upto + 1))

    def position(self, seq):
        return self.order.index(seq)


class Rehearsal:
    """`drains` is {name of a cloud: its drain}; the line to the broker is cut until restore(). Each device stops after `count` samples, or a slow
    machine would never come to the end of them."""

    def __init__(self, stage, drains, devices, rate, count, **cloud):
        self.devices, self.read, self.arrivals = devices, 0, {}
        pki = Pki(stage.path("pki"))
        self.broker = Broker(stage, pki, users={"site": "right"})
        self.link = stage.peer("link.py", f"broker=127.0.0.1:{self.broker.port}")
        self.link.command("cut broker")
        settings = {"batch": {"max_samples": 20, "max_bytes": 3900, "max_delay": "50ms"}, "max_in_flight": 5,
                    "identity": {"username": "site", "password_file": stage.write("site", "right\n")}, **cloud}
        clouds = [broker_cloud(self.link.ready["ports"]["broker"], pki.path("ca.pem"), name=name, topic=f"{name}/{{device}}",
                               client_id=f"{name}-{{device}}", **({"drain": drain} if drain else {}), **settings)
                  for name, drain in drains.items()]
        source = {"name": "field", "plugin": "simulator", "devices": [
            {"id": device, "clouds": list(drains), "settings": {"rate": rate, "count": count},
             "points": [{"name": "value", "signal": "counter"},
                        {"name": "alarm", "signal": "constant", "low": 0, "writable": True, "deadband": 0, "priority": "high"}]}
            for device in devices]}
        self.config = configuration(stage, clouds, [source])
        self.gateway = Gateway(stage, self.config)

    def collect(self):
        messages = self.broker.messages[self.read:]
        self.read += len(messages)
        for topic, payload in messages:
            cloud, device = topic.split("/")
            body = json.loads(payload)
            batch = body if isinstance(body, list) else [body]
            seqs = [sample["seq"] for sample in batch]
            assert seqs == sorted(seqs), f"{topic}: {seqs} within one message"
            self.arrivals.setdefault((cloud, device), Arrivals()).take(batch)

    def of(self, cloud, device):
        return self.arrivals.setdefault((cloud, device), Arrivals())

    def await_backlog(self, samples, seconds=60):
        wait_until(lambda: sum(self.gateway.accounts().values()) >= samples, seconds, f"a backlog of {samples} samples")

    def await_all(self, cloud, accounts, seconds=120):
        def there():
            self.collect()
            return all(self.of(cloud, device).complete(upto) for device, upto in accounts.items())
        wait_until(there, seconds, f"{cloud}: everything to arrive")

    def session(self, cloud):
        return [entry for device in self.gateway.status()["devices"] for entry in device["clouds"] if entry["name"] == cloud]

    def close(self):
        self.broker.close()
