#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The official Azure SDK finds its twin at the test hub: documents, patches, versions, limits, and what goes wrong."""
import json
import unittest

from azure_sdk import SdkDevice, SdkError
from harness import Stage, wait_until
from hub import Hub
from paho_device import Device, sas_token
from pki import Pki

RESULT, DESIRED = "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"
REPORT = "$iothub/twin/PATCH/properties/reported/"


class Twins(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.pki = Pki(cls.stage.path("pki"))
        cls.hub = Hub(cls.stage, cls.pki, twin=True)
        cls.names = iter(f"device-{n}" for n in range(100))

    def setUp(self):
        self.name = next(self.names)
        self.pki.add(self.name, "sas")
        self.twin = self.hub.twin(self.name)

    def sdk(self):
        device = SdkDevice(self.stage, self.name)
        self.addCleanup(device.kill)
        device.open(self.hub, self.name)
        return device

    def bare(self, *filters):
        """A device that says what the test says: for what the SDK would never send."""
        device = Device(self.hub, self.name, sas_token(f"localhost/devices/{self.name}", self.pki.secret(self.name)))
        self.addCleanup(device.close)
        wait_until(lambda: device.connack == 0, 30, "the login")
        for topic in filters:
            device.client.subscribe(topic, 0)
            self.hub.record.wait("subscribe", self.name, topic)
        return device

    def ask(self, device, topic, body):
        """The next message that the device hears."""
        before = len(device.messages())
        device.client.publish(topic, body, 0)
        wait_until(lambda: len(device.messages()) > before, 30, f"an answer to {topic}")
        return device.messages()[before]

    # --- by the SDK -------------------------------------------------------------------------------

    def test_reads_its_twin(self):
        self.assertEqual(self.twin.set_desired({"interval": 30, "site": {"name": "Zürich", "floor": 2}}), 2)
        documents = self.sdk().do("twin")
        self.assertEqual(documents["desired"], {"interval": 30, "site": {"name": "Zürich", "floor": 2}, "$version": 2})
        self.assertEqual(documents["reported"], {"$version": 1})
        self.assertEqual([entry["kind"] for entry in self.twin.requests()], ["get"])
        told = self.hub.record.wait("told", self.name)[0]
        self.assertRegex(told["topic"], r"^\$iothub/twin/res/200/\?\$rid=[-0-9a-f]+$")
        self.assertEqual(told["qos"], 0)  # as the SDK subscribed

    def test_reports(self):
        device = self.sdk()
        device.do("twin")
        device.do("report", patch={"firmware": {"version": "1.0", "ok": True}, "old": 1})
        device.do("report", patch={"firmware": {"version": "1.1"}, "old": None})
        self.assertEqual(self.twin.reported, {"firmware": {"version": "1.1", "ok": True}, "$version": 3})
        self.assertEqual(device.do("refresh")["reported"], self.twin.reported)
        answers = [entry["topic"] for entry in self.hub.record.wait("told", self.name, count=4)]
        self.assertRegex(answers[1], r"^\$iothub/twin/res/204/\?\$rid=[-0-9a-f]+&\$version=2$")

    def test_hears_desired_patches(self):
        device = self.sdk()
        device.do("twin")
        device.do("watch")
        self.assertEqual(device.wait_event("desired")["patch"], {"$version": 1})
        self.hub.record.wait("subscribe", self.name, DESIRED)
        self.twin.set_desired({"interval": 5, "mode": "fast"})
        self.twin.set_desired({"mode": None})
        self.assertEqual(device.wait_event("desired", 2)["patch"], {"interval": 5, "mode": "fast", "$version": 2})
        self.assertEqual(device.wait_event("desired", 3)["patch"], {"mode": None, "$version": 3})
        self.assertEqual(device.do("refresh")["desired"], {"interval": 5, "$version": 3})

    def test_patches_while_away_are_lost(self):
        self.twin.set_desired({"interval": 1})
        self.hub.record.wait("unheard", self.name)
        device = self.sdk()
        device.do("twin")
        self.twin.set_desired({"interval": 2})  # connected, but not subscribed
        self.hub.record.wait("unheard", self.name, count=2)
        self.assertEqual(device.do("refresh")["desired"], {"interval": 2, "$version": 3})

    def test_throttled_and_failing(self):
        device = self.sdk()
        device.do("twin")
        for status in (429, 500, 400):
            self.twin.fail(status, kind="patch")
            self.assertRaises(SdkError, device.do, "report", patch={"a": 1})
        device.do("report", patch={"a": 1})
        self.assertEqual([entry["status"] for entry in self.twin.requests("patch")], [429, 500, 400, 204])

    def test_refused_by_the_limits(self):
        device = self.sdk()
        device.do("twin")
        for patch in ({"a.b": 1}, {"a b": 1}, {"long": "x" * 4097}, {"big": 2 ** 52}, {str(n): "x" * 4000 for n in range(9)}):
            self.assertRaises(SdkError, device.do, "report", patch=patch)
        self.assertEqual(self.twin.reported, {"$version": 1})

    def test_late_answer(self):
        device = self.sdk()
        device.do("twin")
        self.twin.delay(700, kind="patch")
        device.do("report", patch={"a": 1})
        asked = self.hub.record.wait("publish", self.name, count=2)[1]
        answered = self.hub.record.wait("told", self.name, count=2)[1]
        self.assertGreaterEqual(answered["t"] - asked["t"], 650)

    def test_hub_was_away(self):
        self.hub.stop()
        self.assertTrue(self.hub.start())
        self.assertEqual(self.sdk().do("twin")["reported"], {"$version": 1})

    # --- by hand ----------------------------------------------------------------------------------

    def test_what_is_no_patch(self):
        device = self.bare(RESULT)
        for n, body in enumerate(["{", "[1]", "7", "", '{"a":' * 20 + "1" + "}" * 20, b"\xff{}", '{"$x":1}']):
            topic, answer = self.ask(device, f"{REPORT}?$rid={n}", body)
            self.assertEqual(topic, f"$iothub/twin/res/400/?$rid={n}", body)
            self.assertTrue(json.loads(answer)["message"])
        deepest = '{"a":' * 10 + '{"b":1}' + "}" * 10
        self.assertIn("/204/", self.ask(device, f"{REPORT}?$rid=a", deepest)[0])
        self.assertIn("/400/", self.ask(device, f"{REPORT}?$rid=b", '{"a":' + deepest + "}")[0])

    def test_lost_and_broken_answers(self):
        device = self.bare(RESULT)
        self.twin.lose(count=1)
        device.client.publish("$iothub/twin/GET/?$rid=lost", "", 0)
        self.assertEqual(self.twin.wait_requests("get")[0]["status"], 0)
        self.twin.garble(count=1)
        topic, body = self.ask(device, "$iothub/twin/GET/?$rid=broken", "")
        self.assertEqual(topic, "$iothub/twin/res/200/?$rid=broken")
        self.assertRaises(ValueError, json.loads, body)
        self.assertEqual(json.loads(self.ask(device, "$iothub/twin/GET/?$rid=good", "")[1])["desired"], {"$version": 1})

    def test_doubled_and_missing_versions(self):
        device = self.bare(DESIRED)
        versions = [self.twin.set_desired({"n": 1}), self.twin.set_desired({"n": 2}, told=False), self.twin.set_desired({"n": 3})]
        self.assertEqual(versions, [2, 3, 4])
        self.twin.push_again()
        self.twin.push(2, {"n": 1})
        wait_until(lambda: len(device.messages()) == 4, 30, "four patches")
        self.assertEqual([json.loads(body)["$version"] for _, body in device.messages()], [2, 4, 4, 2])
        self.assertEqual([topic.rpartition("=")[2] for topic, _ in device.messages()], ["2", "4", "4", "2"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
