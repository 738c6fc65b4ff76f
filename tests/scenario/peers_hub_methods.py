#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The official Azure SDK is called by the test hub's service: methods with their limits, and messages, both ways."""
import unittest

from azure_sdk import SdkDevice
from harness import Stage, wait_until
from hub import Hub
from paho_device import Device, sas_token
from pki import Pki


class Methods(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.pki = Pki(cls.stage.path("pki"))
        for name in ("sas", "x509-ca"):
            cls.pki.add(name, name)
        cls.hub = Hub(cls.stage, cls.pki, twin=True)

    def sdk(self, name="sas"):
        device = SdkDevice(self.stage, name)
        self.addCleanup(device.kill)
        device.open(self.hub, name)
        return device

    def test_is_called(self):
        for name in ("sas", "x509-ca"):
            device = self.sdk(name)
            subscribed = len(self.hub.record.select("subscribe", name, "methods"))
            device.do("method", name="reboot", status=202, payload={"accepted": ["yes", None]})
            self.hub.record.wait("subscribe", name, "methods", count=subscribed + 1)
            call = self.hub.call_method(name, "reboot", {"delay": 5})
            self.assertEqual((call.state, call.status, call.payload), ("answered", 202, {"accepted": ["yes", None]}))
            self.assertEqual(device.wait_event("method"), {"event": "method", "name": "reboot", "payload": {"delay": 5}})

    def test_is_called_many_times_at_once(self):
        device = self.sdk()
        before = len(self.hub.record.select("subscribe", "sas", "methods"))
        device.do("method", name="count", status=200, payload=None)
        self.hub.record.wait("subscribe", "sas", "methods", count=before + 1)
        calls = [self.hub.start_method("sas", "count", {"n": n}) for n in range(30)]
        self.assertEqual({call.wait().status for call in calls}, {200})
        self.assertEqual(sorted(event["payload"]["n"] for event in device.seen("method")), list(range(30)))

    def test_nobody_there(self):
        self.assertEqual(self.hub.call_method("nobody", "reboot").state, "offline")

    def test_answers_too_late(self):
        token = sas_token("localhost/devices/sas", self.pki.secret("sas"))
        device = Device(self.hub, "sas", token)
        self.addCleanup(device.close)
        before = len(self.hub.record.select("subscribe", "sas", "methods"))
        wait_until(lambda: device.connack == 0, 30, "the login")
        device.client.subscribe("$iothub/methods/POST/#", 0)
        self.hub.record.wait("subscribe", "sas", "methods", count=before + 1)
        call = self.hub.call_method("sas", "slow", timeout=0.3)
        self.assertEqual(call.state, "timeout")
        topic, body = device.messages()[0]
        self.assertEqual((topic, body), (f"$iothub/methods/POST/slow/?$rid={call.number}", b""))
        device.client.publish(f"$iothub/methods/res/200/?$rid={call.number}", "{}", 0)
        device.client.publish("$iothub/methods/res/200/?$rid=77777", "{}", 0)
        wait_until(lambda: self.hub.twins.command("late")["late"] == 2, 30, "two answers that nobody waits for")
        self.assertEqual(call.state, "timeout")

    def test_message_from_the_cloud(self):
        device = self.sdk()
        before = len(self.hub.record.select("subscribe", "sas", "devicebound"))
        device.do("c2d")
        self.hub.record.wait("subscribe", "sas", "devicebound", count=before + 1)
        with self.hub.service() as service:
            service.c2d("sas", '{"set":1}', "%24.mid=id-7&%24.to=%2Fdevices%2Fsas%2Fmessages%2FdeviceBound&iothub-ack=full&site=a%20b")
        event = device.wait_event("c2d")
        self.assertEqual((event["body"], event["id"], event["properties"]["site"]), ('{"set":1}', "id-7", "a b"))
        device.do("telemetry", body="ok", properties={"answer": "yes"})
        wait_until(lambda: any("answer=yes" in entry["topic"] for entry in self.hub.record.telemetry("sas")), 30, "its answer")


if __name__ == "__main__":
    unittest.main(verbosity=2)
