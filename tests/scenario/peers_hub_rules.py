#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The test hub ends a connection that does what the hub does not allow, and records what it took."""
import time
import unittest

from harness import Stage, wait_until
from hub import Hub
from paho_device import Device, sas_token
from pki import Pki

LIMIT = 256 * 1024


class HubRules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.pki = Pki(cls.stage.path("pki"))
        cls.hub = Hub(cls.stage, cls.pki)

    def setUp(self):
        self.name = self.id().rsplit("_", 1)[-1] + "-device"
        self.pki.add(self.name, "sas")

    def connect(self, expiry=None, **how):
        token = sas_token(f"localhost/devices/{self.name}", self.pki.secret(self.name), expiry)
        device = Device(self.hub, self.name, token, **how)
        self.addCleanup(device.close)
        wait_until(lambda: device.connack == 0, 10, f"{self.name} to connect")
        return device

    def ended(self, device, reason):
        wait_until(lambda: device.closed, 10, f"the hub to end {self.name}")
        self.hub.record.wait("closed", self.name, reason)

    def subscribe(self, device, *filters, qos=1):
        for topic in filters:
            device.client.subscribe(topic, qos)
            self.hub.record.wait("subscribe", self.name, topic)

    def test_telemetry_is_recorded_as_sent(self):
        device = self.connect()
        payloads = ['{"ts":"2026-01-01T00:00:00Z","seq":1,"values":{"name":"Zähler \\"3\\"\\n"}}', b"\x00\xff\x10"]
        for payload in payloads:
            device.telemetry(payload, "%24.ct=application%2Fjson&%24.ce=utf-8&site=7&empty=&null", retain=True)
        first, second = (self.hub.record.wait("publish", self.name, count=2))
        self.assertEqual(first["payload"], payloads[0])
        self.assertEqual(second["payload_b64"], "AP8Q")
        self.assertEqual((first["qos"], first["retain"], first["len"]), (1, True, len(payloads[0].encode())))
        with self.hub.service() as service:  # nothing was retained
            heard = service.listen("devices/+/messages/events/#")
            device.telemetry("live", qos=0)
            wait_until(lambda: heard, 10, "the live message")
            self.assertEqual(heard, [(f"devices/{self.name}/messages/events/", b"live")])

    def test_wrong_topics(self):
        for topic in ("devices/other/messages/events/", f"devices/{self.name}/messages/events",
                      f"devices/{self.name}/messages/devicebound/", "telemetry", "$iothub/twin/GET/",
                      "$iothub/methods/res/ok/?$rid=1", f"devices/{self.name}/messages/events/a=%2",
                      "to/other/topic"):
            device = self.connect()
            device.client.publish(topic, "x", 1)
            self.ended(device, "publish")

    def test_documented_topics(self):
        device = self.connect()
        topics = ["$iothub/twin/GET/?$rid=1", "$iothub/twin/PATCH/properties/reported/?$rid=2",
                  "$iothub/methods/res/200/?$rid=3", f"devices/{self.name}/messages/events/"]
        for topic in topics:
            device.client.publish(topic, " ", 0)
        self.assertEqual([entry["topic"] for entry in self.hub.record.wait("publish", self.name, count=4)], topics)

    def test_filters(self):
        device = self.connect()
        self.subscribe(device, f"devices/{self.name}/messages/devicebound/#", "$iothub/twin/res/#",
                       "$iothub/twin/PATCH/properties/desired/#", "$iothub/methods/POST/#")
        for topic in ("#", "devices/#", "devices/other/messages/devicebound/#", "$iothub/#", "$SYS/#"):
            device = self.connect()
            device.client.subscribe(topic, 1)
            self.ended(device, "subscribe")

    def test_sixth_subscription(self):
        self.name = "line/module"
        self.pki.add(self.name, "sas")
        token = sas_token("localhost/devices/line/modules/module", self.pki.secret(self.name))
        device = Device(self.hub, self.name, token)
        self.addCleanup(device.close)
        self.subscribe(device, "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#", "$iothub/methods/POST/#",
                       "$iothub/credentials/res/#", "devices/line/modules/module/inputs/#")
        device.client.subscribe("devices/line/modules/module/messages/devicebound/#", 1)
        self.ended(device, "more than 5")

    def test_qos_2(self):
        device = self.connect()
        granted = []
        device.client.on_subscribe = lambda client, user, mid, codes: granted.append(codes[0])
        self.subscribe(device, "$iothub/twin/res/#", qos=2)
        wait_until(lambda: granted, 10, "SUBACK")
        self.assertEqual(granted, [1])
        device.telemetry("x", qos=2)
        wait_until(lambda: device.closed, 10, "the hub to end a device that uses QoS 2")
        self.assertEqual(self.hub.record.select("publish", self.name), [])

    def test_size(self):
        device = self.connect()
        bag = "%24.ct=abc&key=va%20ue"  # system: the value counts; application: name and value do
        counted = len("abc") + len("key") + len("va ue")
        device.telemetry("x" * (LIMIT - counted), bag)
        self.hub.record.wait("publish", self.name)
        device.telemetry("x" * (LIMIT - counted + 1), bag)
        self.ended(device, "256 KB")

    def test_second_connection(self):
        first = self.connect()
        second = self.connect()
        wait_until(lambda: first.closed, 10, "the older connection to end")
        second.telemetry("still here").wait_for_publish(10)
        self.assertTrue(second.client.is_connected())
        self.hub.record.wait("disconnect", self.name, "took over")

    def test_token_expiry(self):
        device = self.connect(expiry=time.time() + 2)
        self.ended(device, "token: expired")

    def test_keepalive_cap(self):
        usual = self.hub
        self.hub = Hub(self.stage, self.pki, options={"keepalive_cap": 1}, name="impatient")
        self.addCleanup(setattr, self, "hub", usual)
        self.ended(self.connect(keepalive=60), "keepalive")

    def test_cloud_to_device_while_away(self):
        topic = f"devices/{self.name}/messages/devicebound/#"
        device = self.connect(clean=False)
        self.subscribe(device, topic)
        with self.hub.service() as service:
            service.c2d(self.name, "one", "%24.mid=1")
            wait_until(lambda: len(device.messages()) == 1, 10, "the first message")
            device.close()
            self.hub.record.wait("disconnect", self.name)
            service.c2d(self.name, "two", "%24.mid=2")
            again = self.connect(clean=False)  # no SUBSCRIBE: the session remembers
            wait_until(lambda: len(again.messages()) == 1, 10, "the second message")
            self.assertEqual(again.messages(), [(topic[:-1] + "%24.mid=2", b"two")])

    def test_one_device_is_spoken_to(self):
        device = self.connect()
        self.subscribe(device, "$iothub/methods/POST/#")
        with self.hub.service() as service:
            service.say(self.name, "$iothub/methods/POST/reboot/?$rid=1", "{}")
            wait_until(device.messages, 10, "the method call")
            self.assertEqual(device.messages(), [("$iothub/methods/POST/reboot/?$rid=1", b"{}")])
            service.say(self.name, "$iothub/twin/res/200/?$rid=1", "{}")
            self.hub.record.wait("unheard", self.name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
