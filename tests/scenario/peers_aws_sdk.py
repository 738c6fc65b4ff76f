#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The vendor's SDK finds its shadow and its jobs at the test cloud for AWS IoT."""
import unittest

from aws import Aws
from aws_sdk import AwsDevice
from harness import Stage, wait_until
from pki import Pki


class Sdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.aws = Aws(cls.stage, Pki(cls.stage.path("pki")))
        cls.names = iter(f"thing-{n}" for n in range(100))

    def setUp(self):
        self.name = next(self.names)
        self.aws.add(self.name)
        self.thing = self.aws.thing(self.name)
        self.device = AwsDevice(self.stage, self.name)
        self.addCleanup(self.device.kill)

    def test_shadow(self):
        device, thing = self.device, self.thing
        device.open(self.aws, self.name)
        device.do("register", thing=self.name)
        stat, state = device.ask("get", self.name)
        self.assertEqual((stat, state["code"]), ("rejected", 404))
        stat, state = device.ask("update", self.name, state={"reported": {"relay": False, "old": 1}})
        self.assertEqual(stat, "accepted")
        self.assertEqual(state["state"], {"reported": {"relay": False, "old": 1}})
        self.assertEqual(thing.document()["version"], 1)
        # A wish comes as a delta; when it is reported, there is none any more.
        self.assertEqual(thing.update({"desired": {"relay": True}}), 2)
        self.assertEqual(device.wait_event("delta")["state"]["state"], {"relay": True})
        stat, _ = device.ask("update", self.name, state={"reported": {"relay": True, "old": None}})
        self.assertEqual(stat, "accepted")
        self.assertEqual(thing.document()["state"], {"desired": {"relay": True}, "reported": {"relay": True}})
        stat, state = device.ask("get", self.name)
        self.assertEqual(state["state"], {"desired": {"relay": True}, "reported": {"relay": True}})
        self.assertEqual(len(device.seen("delta")), 1)
        stat, state = device.ask("delete", self.name)
        self.assertEqual(stat, "accepted")
        self.assertIsNone(thing.document())

    def test_shadow_refusals(self):
        device = self.device
        device.open(self.aws, self.name)
        device.do("register", thing=self.name)
        stat, state = device.ask("update", self.name, state={"reported": {"a": "x" * 9000}})
        self.assertEqual((stat, state["code"]), ("rejected", 413))
        deep = value = {}
        for _ in range(9):
            value["d"] = value = {}
        stat, state = device.ask("update", self.name, state={"reported": deep})
        self.assertEqual((stat, state["code"]), ("rejected", 400))
        stat, state = device.ask("update", self.name, state={"other": {}})
        self.assertEqual((stat, state["code"]), ("rejected", 400))
        self.aws.command("fail", self.name, "update", 1, 429)
        stat, state = device.ask("update", self.name, state={"reported": {"a": 1}})
        self.assertEqual((stat, state["code"]), ("rejected", 429))

    def test_jobs(self):
        device, thing = self.device, self.thing
        thing.job("job-1", {"command": "set", "arguments": {"relay": True}})
        device.open(self.aws, self.name, "jobs")
        device.do("jobs", thing=self.name)
        first = device.wait_event("job")
        self.assertEqual((first["id"], first["document"]["command"]), ("job-1", "set"))
        device.do("finish", id="job-1", how="inProgress", details={"step": "1"})
        thing.wait_job("job-1", "IN_PROGRESS")
        thing.job("job-2", {"command": "reboot"})
        device.do("finish", id="job-1", how="succeeded", details={"step": "2"})
        self.assertEqual(thing.wait_job("job-1", "SUCCEEDED")["statusDetails"], {"step": "2"})
        self.assertEqual(device.wait_event("job", 2)["id"], "job-2")
        device.do("finish", id="job-2", how="failed", details={"reason": "no"})
        thing.wait_job("job-2", "FAILED")

    def test_foreign_topic_closes(self):
        self.device.open(self.aws, self.name)
        self.device.do("publish", topic=f"dt/tidegate/site/{self.name}", body="{}", qos=1)
        wait_until(lambda: self.aws.published(self.name), 30, "what it published")
        self.device.start("publish", topic="dt/tidegate/site/other", body="{}", qos=1)
        self.device.wait_event("close")
        self.aws.record.wait("closed", self.name, "not a topic")


if __name__ == "__main__":
    unittest.main(verbosity=2)
