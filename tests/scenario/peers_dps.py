#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The official Azure SDK registers with the test provisioning service and logs in at the test hub, or is told why not."""
import base64
import json
import unittest

from azure_sdk import SdkDevice, SdkError
from harness import Stage, wait_until
from hub import Dps, Hub, derived_key
from paho_device import Device, sas_token
from pki import Pki

REGISTER = "$dps/registrations/PUT/iotdps-register/?$rid="
POLL = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid="
FILTER = "$dps/registrations/res/#"


class Provisioning(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.pki = Pki(cls.stage.path("pki"))
        cls.hub = Hub(cls.stage, cls.pki)
        cls.dps = Dps(cls.stage, cls.pki, cls.hub)
        cls.dps.group("meters")
        cls.dps.enrol("alone")
        cls.dps.enrol("in-group", group="meters")
        cls.dps.enrol("by-certificate", "x509-ca")

    def setUp(self):
        self.dps.command("clear")
        self.dps.command("polls", "*", 0)
        self.before = len(self.dps.requests())

    def asked(self):
        return [(entry["kind"], entry["status"]) for entry in self.dps.requests()[self.before:]]

    def sdk(self, registration):
        device = SdkDevice(self.stage, registration, trust=self.pki.path("ca.pem"))
        self.addCleanup(device.kill)
        return device

    def job(self, registration, **more):
        auth, secret, _ = self.pki.lines[registration]
        credential = {"secret": secret} if auth == "sas" else {"cert": self.pki.path(registration + ".pem"),
                                                               "key": self.pki.path(registration + ".key")}
        return {"host": f"localhost:{self.dps.port}", "idScope": self.dps.id_scope, "registration": registration,
                **credential, **more}

    def provision(self, registration, **more):
        return self.sdk(registration).do("provision", **self.job(registration, **more))

    def fails(self, registration):
        with self.assertRaises(SdkError) as caught:
            self.provision(registration)
        return caught.exception

    # --- by the SDK -------------------------------------------------------------------------------

    def test_registers_and_logs_in_at_the_hub(self):
        self.dps.command("polls", "*", 1)
        for registration in ("alone", "in-group", "by-certificate"):
            device = self.sdk(registration)
            result = device.do("provision", **self.job(registration))
            self.assertEqual((result["hub"], result["device"]), ("localhost", registration))
            device.open(self.hub, registration)
            device.do("telemetry", body="hello")
            self.assertEqual(self.hub.record.wait("publish", registration)[0]["payload"], "hello")
            how = "x509" if registration == "by-certificate" else "sas"
            self.dps.record.wait("connect", registration, how)
            self.hub.record.wait("connect", registration, how)
        self.assertEqual(self.asked(), [("register", 202), ("poll", 202), ("poll", 200)] * 3)

    def test_retry_after_is_kept(self):
        self.dps.command("retry_after", "alone", "2")
        self.provision("alone")
        times = [entry["at_ms"] for entry in self.dps.requests("alone")[-2:]]
        self.assertGreaterEqual(times[1] - times[0], 1900)

    def test_payload(self):
        model = {"modelId": "dtmi:com:example:Meter;1", "a": "b c"}
        self.assertEqual(self.provision("alone", payload=model)["payload"], model)
        self.dps.command("payload", "alone", '{"any":["json"]}')
        self.assertEqual(self.provision("alone", payload=model)["payload"], {"any": ["json"]})
        self.dps.command("payload", "alone", "none")
        self.assertNotIn("payload", self.provision("alone", payload=model))

    def test_assigned_elsewhere(self):
        self.dps.command("assign", "alone", "other.example", "meter-7")
        result = self.provision("alone")
        self.assertEqual((result["hub"], result["device"]), ("other.example", "meter-7"))

    def test_throttled(self):
        self.dps.command("throttle", "alone", "register", 1, 429, 1)
        self.dps.command("throttle", "alone", "poll", 1, 503, 1)
        self.assertEqual(self.provision("alone")["device"], "alone")
        self.assertEqual(self.asked(), [("register", 429), ("register", 202), ("poll", 503), ("poll", 200)])

    def test_is_told_no(self):
        for outcome in ("failed", "disabled", "unauthorized"):
            self.dps.command("outcome", "alone", outcome)
            self.assertTrue(self.fails("alone").name, outcome)
        self.assertEqual(self.asked()[-1], ("poll", 401))

    def test_wrong_credentials(self):
        self.dps.enrol("stranger")
        self.dps.remove("stranger")
        self.fails("stranger")
        self.dps.record.wait("refused", "stranger", "another key")
        self.assertEqual(self.asked(), [])

    # --- by hand ----------------------------------------------------------------------------------

    def login(self, name, key=None, resource=None, policy="registration", username=None):
        token = sas_token(resource or f"{self.dps.id_scope}/registrations/{name}", key or self.pki.secret(name), policy=policy)
        device = Device(self.dps, name, token,
                        username=username or f"{self.dps.id_scope}/registrations/{name}/api-version=2019-03-31")
        self.addCleanup(device.close)
        wait_until(lambda: device.connack is not None or device.closed, 30, "an answer to the login")
        return device

    def ask(self, device, topic, body):
        before = len(device.messages())
        device.client.publish(topic, body, 1)
        wait_until(lambda: len(device.messages()) > before, 30, f"an answer to {topic}")
        topic, answer = device.messages()[before]
        return topic, answer if answer[-1:] != b"}" else json.loads(answer)

    def registered(self, name="alone"):
        device = self.login(name)
        before = len(self.dps.record.select("subscribe", name))
        device.client.subscribe(FILTER, 1)
        self.dps.record.wait("subscribe", name, count=before + 1)
        return device

    def test_who_comes_in(self):
        self.assertEqual(self.login("alone").connack, 0)
        for how, reason in (({"policy": None}, "skn"), ({"policy": "owner"}, "skn"), ({"key": self.pki.secret("in-group")}, "another key"),
                            ({"resource": "localhost/devices/alone"}, "sr"), ({"username": "alone"}, "id scope"),
                            ({"username": f"{self.dps.id_scope}/registrations/other/api-version=2019-03-31"}, "username"),
                            ({"username": f"{self.dps.id_scope}/registrations/alone/?api-version=2019-03-31"}, "username")):
            self.assertEqual(self.login("alone", **how).connack, 5, how)
            self.dps.record.wait("refused", "alone", reason)

    def test_a_group_lets_in_whom_it_derives(self):
        group_key = self.dps.enrolments["group:meters"][1]
        self.assertEqual(self.login("never-seen", key=derived_key(group_key, "never-seen")).connack, 0)
        self.assertEqual(self.login("never-seen", key=derived_key(group_key, "other")).connack, 5)

    def test_the_topics(self):
        self.dps.command("polls", "*", 1)
        device = self.registered()
        topic, answer = self.ask(device, REGISTER + "r-1", '{"registrationId":"alone"}')
        self.assertEqual(topic, "$dps/registrations/res/202/?$rid=r-1&retry-after=1")
        operation = answer["operationId"]
        self.assertEqual(answer, {"operationId": operation, "status": "assigning"})
        topic, answer = self.ask(device, f"{POLL}r-2&operationId={operation}", " ")
        self.assertEqual((topic, answer["status"]), ("$dps/registrations/res/202/?$rid=r-2&retry-after=1", "assigning"))
        topic, answer = self.ask(device, f"{POLL}r-3&operationId={operation}", " ")
        self.assertEqual(topic, "$dps/registrations/res/200/?$rid=r-3")
        self.assertEqual((answer["status"], answer["registrationState"]["assignedHub"]), ("assigned", "localhost"))
        self.assertEqual(self.ask(device, f"{POLL}r-4&operationId=other", " ")[1]["errorCode"], 404205)
        for body in ("", "{", '{"registrationId":"other"}', "[]"):
            self.assertIn("/400/", self.ask(device, REGISTER + "r-5", body)[0])
        self.assertEqual(self.dps.record.wait("told", "alone")[0]["qos"], 1)

    def test_what_ends_the_connection(self):
        for topic in ("$dps/registrations/PUT/iotdps-register/", "devices/alone/messages/events/", POLL + "1"):
            device = self.registered()
            device.client.publish(topic, "{}", 1)
            wait_until(lambda: device.closed, 30, "the service to end it")
        device = self.login("alone")
        device.client.subscribe("$dps/#", 1)
        wait_until(lambda: device.closed, 30, "the service to end it")

    def test_broken_and_missing_answers(self):
        device = self.registered()
        self.dps.command("at_once", "*", "on")
        self.dps.command("outcome", "*", "malformed", 1)
        topic, answer = self.ask(device, REGISTER + "1", '{"registrationId":"alone"}')
        self.assertIn("/200/", topic)
        self.assertRaises(ValueError, json.loads, answer)
        for words in (("outcome", "*", "never", 1), ("lose", "alone", "register", 1)):
            self.dps.command(*words)
            before = len(self.dps.requests())
            device.client.publish(REGISTER + "2", '{"registrationId":"alone"}', 1)
            wait_until(lambda: len(self.dps.requests()) > before, 30, "the request to arrive")
            self.assertEqual(self.dps.requests()[-1]["status"], 0)
        self.assertEqual(self.ask(device, REGISTER + "3", '{"registrationId":"alone"}')[1]["status"], "assigned")
        self.assertEqual(len([t for t, _ in device.messages()]), 2)

    def test_derived_key(self):
        # The example of the vendor's documentation.
        group = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw=="
        derived = derived_key(group, "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6")
        self.assertEqual(derived, "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=")
        self.assertEqual(len(base64.b64decode(derived)), 32)


if __name__ == "__main__":
    unittest.main(verbosity=2)
