#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The test hub hands what is for the service to the service alone, and what the service says to one device alone."""
import unittest

from harness import Stage, wait_until
from hub import Hub
from judge import Judge
from paho_device import Device, sas_token
from pki import Pki

TWIN = "$iothub/twin/GET/?$rid=1"


class HubForward(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.pki = Pki(cls.stage.path("pki"))
        for name in ("one", "two", "line/module", "odd%2Fname"):
            cls.pki.add(name, "sas")
        cls.hub = Hub(cls.stage, cls.pki)

    def setUp(self):
        self.service = self.hub.service()
        self.addCleanup(self.service.link.close)

    def connect(self, name, hub=None, **how):
        device = Device(hub or self.hub, name, **how)
        self.addCleanup(device.close)
        wait_until(lambda: device.connack == 0 or device.closed, 20, f"{name} to connect")
        return device

    def login(self, name, **how):
        resource = f"localhost/devices/{name.replace('/', '/modules/', 1)}"
        return self.connect(name, password=sas_token(resource, self.pki.secret(name)), **how)

    def test_the_service_alone_hears(self):
        heard = self.service.forwarded("$iothub/twin/")
        plain = self.service.listen("$iothub/#")
        for name in ("one", "line/module", "odd%2Fname"):
            device = self.login(name)
            device.client.publish(TWIN, name, 0)
            device.telemetry("not forwarded")
        wait_until(lambda: len(heard) == 3, 20, "the service to hear three devices")
        self.assertEqual(heard, [(name, TWIN, name.encode()) for name in ("one", "line/module", "odd%2Fname")])
        self.assertEqual(plain, [])
        wait_until(lambda: any(entry["topic"] == TWIN for entry in self.hub.record.select("publish", "one")), 20, "the record")

    def test_one_device_hears_what_it_subscribed_to(self):
        one, two = self.login("one"), self.login("two")
        for device in (one, two):
            device.client.subscribe("$iothub/twin/res/#", 1)
            self.hub.record.wait("subscribe", device.name, "twin/res")
        self.service.say("one", "$iothub/twin/res/200/?$rid=1", "{}")
        self.service.say("one", "$iothub/methods/POST/x/?$rid=2", "{}")
        self.service.say("one", "$iothub/twin/res/204/?$rid=3", "")
        self.service.say("away", "$iothub/twin/res/204/?$rid=3", "")
        wait_until(lambda: len(one.messages()) == 2, 20, "two answers")
        self.assertEqual([topic for topic, _ in one.messages()],
                         ["$iothub/twin/res/200/?$rid=1", "$iothub/twin/res/204/?$rid=3"])
        self.assertEqual(two.messages(), [])
        told = self.hub.record.wait("told", "one", count=2)
        self.assertEqual([(entry["qos"], entry["payload"]) for entry in told], [(1, "{}"), (1, "")])
        self.assertEqual(self.hub.record.wait("unheard", "one")[0]["reason"], "$iothub/methods/POST/x/?$rid=2")
        self.hub.record.wait("unheard", "away")

    def test_many_at_once(self):
        heard = self.service.forwarded("$iothub/")
        device = self.login("one")
        device.client.max_inflight_messages_set(0)
        device.client.max_queued_messages_set(0)
        for n in range(1000):
            device.client.publish(f"$iothub/twin/GET/?$rid={n}", "", n % 2)
        wait_until(lambda: len(heard) == 1000, 30, "a thousand requests")
        self.assertEqual([topic for _, topic, _ in heard], [f"$iothub/twin/GET/?$rid={n}" for n in range(1000)])

    def test_events(self):
        came, left = self.service.events("connect"), self.service.events("disconnect")
        subscribed, unsubscribed = self.service.events("subscribe"), self.service.events("unsubscribe")
        device = self.login("two")
        wait_until(lambda: came, 20, "the connect event")
        device.client.subscribe("$iothub/methods/POST/#")
        device.client.unsubscribe("$iothub/methods/POST/#")
        wait_until(lambda: unsubscribed, 20, "the unsubscribe event")
        device.close()
        wait_until(lambda: left, 20, "the disconnect event")
        self.assertEqual((came, left), ([("two", "sas")], [("two", "connection ended")]))
        self.assertEqual((subscribed, unsubscribed), ([("two", "$iothub/methods/POST/#")],) * 2)

    # --- levers -------------------------------------------------------------------------------------

    def test_refused_and_let_in_again(self):
        self.service.lever("two", "refuse", "for now")
        self.assertEqual(self.login("two").connack, 5)
        self.hub.record.wait("refused", "two", "for now")
        self.assertEqual(self.login("one").connack, 0)
        self.service.lever("two", "refuse")
        self.assertEqual(self.login("two").connack, 0)

    def test_kicked(self):
        device = self.login("one")
        self.service.lever("*", "kick", "maintenance")
        wait_until(lambda: device.closed, 20, "the device to be thrown out")
        self.hub.record.wait("closed", "one", "maintenance")

    def test_quota(self):
        device = self.login("one")
        self.service.lever("one", "quota", 2)
        self.addCleanup(self.service.lever, "one", "quota")
        first, second = device.telemetry("1"), device.telemetry("2")
        wait_until(lambda: device.closed, 20, "the second message to end it")
        self.assertEqual((first.is_published(), second.is_published()), (True, False))
        self.service.lever("one", "quota", 0)
        again = self.login("one")
        self.assertEqual(again.connack, 0)
        wait_until(lambda: again.closed, 20, "the next connection to end at once")
        self.hub.record.wait("closed", "one", "quota", count=2)

    def test_slow(self):
        self.service.lever("*", "slow", 300)
        self.addCleanup(self.service.lever, "*", "slow")
        device = self.login("one")
        before = len(self.hub.record.select("publish", "one"))
        sent = [device.telemetry(str(n)) for n in range(3)]
        sent[-1].wait_for_publish(20)
        entries = self.hub.record.wait("publish", "one", count=before + 3)[-3:]
        self.assertGreaterEqual(entries[2]["t"] - entries[0]["t"], 550)

    # --- other clouds -------------------------------------------------------------------------------

    def test_open_rules(self):
        pki = Pki(self.stage.path("open"))
        pki.register("projects/p/devices/d", "password", "letmein")
        options = {"rules": "open", "forward": "$aws/,/devices/", "publish": "$aws/things/#,/devices/%d/events/#,plain",
                   "subscribe": "/devices/%d/commands/#,plain"}
        hub = Hub(self.stage, pki, options=options, name="open")
        wrong = self.connect("projects/p/devices/d", hub, username="any", password="x")
        self.assertEqual(wrong.connack, 5)
        device = self.connect("projects/p/devices/d", hub, username="any", password="letmein")
        with hub.service() as service:
            heard, plain = service.forwarded(), service.listen("plain")
            device.client.subscribe([("/devices/d/commands/#", 1), ("plain", 1)])
            for topic in ("/devices/d/events/x", "$aws/things/d/shadow/get", "plain"):
                device.client.publish(topic, topic, 1)
            wait_until(lambda: len(heard) == 2 and plain, 20, "what the device says")
            self.assertEqual([topic for _, topic, _ in heard], ["/devices/d/events/x", "$aws/things/d/shadow/get"])
            hub.record.wait("subscribe", device.name, "plain")
            service.say(device.name, "/devices/d/commands/go", "now")
            service.publish("plain", "for all")
            wait_until(lambda: len(device.messages()) == 3, 20, "what the cloud says")
            self.assertCountEqual(device.messages(), [("plain", b"plain"), ("plain", b"for all"),
                                                      ("/devices/d/commands/go", b"now")])
        device.client.publish("/devices/other/events", "x", 1)
        wait_until(lambda: device.closed, 20, "the hub to end it")
        hub.record.wait("closed", device.name, "publish")

    def test_judge(self):
        pki = Pki(self.stage.path("judged"))
        pki.add("thing", "x509-ca")
        with Judge(self.stage.path("judge.sock"), lambda login: (None if login["chain"] == "" else "no chain", 0)) as judge:
            hub = Hub(self.stage, pki, options={"rules": "open", "judge": judge.path}, name="judged")
            self.assertEqual(self.connect("thing", hub, certificate="thing", username="?SDK=x").connack, 0)
            self.assertEqual(self.connect("nothing", hub, password="x", username="u").connack, 5)
            hub.record.wait("refused", "nothing", "no chain")
            self.assertEqual([(login["client"], login["username"], login["password"]) for login in judge.logins],
                             [("thing", "?SDK=x", None), ("nothing", "u", "x")])
            self.assertTrue(judge.logins[0]["certificate"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
