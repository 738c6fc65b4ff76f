# SPDX-License-Identifier: GPL-2.0-or-later
"""sparkplug - a Sparkplug stage: a broker with passwords, a strict host application behind it, and the cloud entry of an edge node.

    plant = Plant(stage, primary_host="tests")
    plant.host.command("rebirth line-1")
    plant.node()["devices"]["d1"]["births"]
    plant.values("d1", "value")          # [[timestamp, value, historical, quality], …] as they came
"""
from broker import Broker
from field import broker_cloud
from harness import wait_until
from pki import Pki

NODE = "line-1"


class Plant:
    def __init__(self, stage, devices, **more):
        self.stage, self.devices = stage, devices
        self.broker = Broker(stage, Pki(stage.path("pki")), users={"edge": "right"})
        self.host = stage.peer("sparkplug_host.py", self.broker.back_port)
        self.link = stage.peer("link.py", f"broker=127.0.0.1:{self.broker.port}")
        self.cloud = broker_cloud(self.link.ready["ports"]["broker"], self.broker.pki.path("ca.pem"), format="sparkplug-b", group_id="G",
                                  edge_node=NODE, identity={"username": "edge", "password_file": stage.write("edge", "right\n")},
                                  batch={"max_samples": 20, "max_delay": "50ms"}, **more)

    def node(self):
        return self.host.command("report")["nodes"].get(NODE, {"online": False, "births": 0, "deaths": 0, "devices": {}})

    def all_born(self):
        node = self.node()
        return node["online"] and all(node["devices"].get(device, {}).get("online") for device in self.devices)

    def values(self, device, metric):
        return self.host.command("data", NODE, device, metric)["values"]

    def await_everything(self, accounts, seconds=30):
        """Each sample has a counter that grows by one: what is accepted has come, whatever came twice."""
        for device in self.devices:
            wait_until(lambda: self.counted(device) >= accounts[device], seconds, f"{accounts[device]} samples of {device}")

    def counted(self, device):
        numbers = {entry[1] for entry in self.values(device, "value")}
        if not numbers:
            return 0
        first, last = min(numbers), max(numbers)
        missing = set(range(int(first), int(last) + 1)) - {int(number) for number in numbers}
        return 0 if missing else len(numbers)

    def assert_clean(self):
        violations = self.host.command("report")["violations"]
        assert not violations, "\n".join(violations[:20])

    def close(self):
        self.broker.close()
