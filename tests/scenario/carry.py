# SPDX-License-Identifier: GPL-2.0-or-later
"""carry - a gateway whose samples travel through a module's own connection to a broker, and who hears them there.

    yard = Yard(stage, confirm="echo")               # mosquitto, a link in front of it, the module's double, two meters
    yard.start()
    yard.settled()                                   # everything collected so far has arrived; the rows
"""
import json

from broker import Broker
from field import accepted, simulated
from gateway import Gateway, configuration
from harness import wait_until
from pki import Pki
from ucx import PASSWORD, SSID
from verdict import Account, Row, table

JOIN = [f'AT+UWSC=0,2,"{SSID}"', "AT+UWSC=0,5,2", f"AT+UWSC=0,8,{PASSWORD}", "AT+UWSCA=0,3"]
METERS = ("meter-1", "meter-2")


def module_cloud(port, **more):
    return {"name": "radio", "type": "module", "source": "module", "host": "127.0.0.1", "port": port, "tls": "off", "keepalive": "30s",
            "min_backoff": "100ms", "max_backoff": "500ms", "connect_timeout": "5s", "handshake_timeout": "5s", "ack_timeout": "2s",
            "max_connects_per_second": 200, "batch": {"max_samples": 20, "max_bytes": 2000, "max_delay": "50ms"}, **more}


def module_source(port, **settings):
    return {"name": "module", "plugin": "ucx", "settings": {"port": port, "timeout": "2s", "init": JOIN, **settings},
            "devices": [{"id": "radio", "clouds": ["radio"], "points": [{"name": "network", "match": r"^\+UUNU:(\d)", "type": "int"}]}]}


class Yard:
    def __init__(self, stage, every="20ms", **cloud):
        self.stage = stage
        self.broker = Broker(stage, Pki(stage.path("pki")), users={"nobody": "x"})
        self.way = stage.peer("link.py", f"broker=127.0.0.1:{self.broker.back_port}")
        self.path = stage.path("port")
        self.module = stage.peer("ucx_module.py", "--link", self.path, "--wifi", f"{SSID}={PASSWORD}")
        self.config = configuration(stage, [module_cloud(self.way.ready["ports"]["broker"], **cloud)],
                                    [module_source(self.path), simulated("hall", {meter: (["radio"], None) for meter in METERS}, every)])
        self.gateway, self.read, self.accounts = None, 0, {meter: Account() for meter in METERS}

    def start(self):
        if self.gateway:
            self.gateway.start()
        else:
            self.gateway = Gateway(self.stage, self.config)

    def state(self, meter=METERS[0]):
        return self.gateway.session(meter, "radio")

    def online(self):
        return all(self.state(meter)["state"] == "online" for meter in METERS)

    def wait_online(self):
        wait_until(self.online, 60, "both meters to be online through the module")

    def wait_peers(self):
        """Until the module has a connection for each device, and no more."""
        wait_until(lambda: self.module.command("state")["peers"] == len(METERS) + 1, 60, "a connection for each device")

    def look(self):
        """Takes in what the broker's back has heard since."""
        for topic, body in self.broker.messages[self.read:]:
            self.read += 1
            meter = topic.split("/")[1] if topic.startswith("tidegate/") else None
            if meter in self.accounts:
                body = json.loads(body)
                for sample in body if isinstance(body, list) else [body]:
                    self.accounts[meter].take(sample)

    def collected(self):
        return {meter: accepted(self.gateway, meter) for meter in METERS}

    def rows(self, collected):
        self.look()
        return [Row(meter, last, self.accounts[meter]) for meter, last in collected.items()]

    def grows(self, by=50):
        """Until so many more samples of each meter have been collected."""
        begin = self.collected()
        wait_until(lambda: all(now >= begin[meter] + by for meter, now in self.collected().items()), 30, "more samples")

    def delivers(self, by=50):
        """Until the cloud is `by` samples further."""
        begin = {meter: self.state(meter)["acked_seq"] for meter in METERS}
        wait_until(lambda: all(self.state(meter)["acked_seq"] >= begin[meter] + by for meter in METERS), 60, "samples to be confirmed")

    def settled(self, lost=0):
        """All that was collected so far is confirmed; at most `lost` of them are not at the broker. The rows."""
        collected = self.collected()
        wait_until(lambda: all(self.state(meter)["acked_seq"] >= last for meter, last in collected.items()), 60, "the outbox to empty")
        if lost == 0:
            wait_until(lambda: all(row.lost == 0 for row in self.rows(collected)), 30, "what was confirmed to be at the broker")
        rows = self.rows(collected)
        print(table(rows))
        assert all(row.collected > 0 and not row.conflicts for row in rows)
        assert sum(row.lost for row in rows) <= lost, f"lost more than {lost}"
        return rows

    def after(self, doing, text):
        """Does something, and waits until the gateway's log has the text once more."""
        before = self.gateway.errors().count(text)
        doing()
        wait_until(lambda: self.gateway.errors().count(text) > before, 30, f"the log to say: {text}")

    def close(self):
        assert self.gateway.stop() == 0
        assert "the source that carries it has ended" not in self.gateway.errors()
        self.broker.close()
