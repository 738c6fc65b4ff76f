#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The test cloud for AWS IoT enforces certificates, policies and limits, and provisions a fleet, as an independent client sees it."""
import json
import unittest

import paho.mqtt.client as paho
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from aws import Aws
from harness import Stage, wait_until
from pki import Pki, ec_key, write

CREATE = "$aws/certificates/create-from-csr/json"
PROVISION = "$aws/provisioning-templates/meters/provision/json"


class Client:
    def __init__(self, test, aws, name, certificate=None):
        self.connack, self.closed, self.heard, self.granted = None, False, [], {}
        self.client = paho.Client(name, protocol=paho.MQTTv311, reconnect_on_failure=False)
        self.client.tls_set_context(aws.client_context(certificate))
        self.client.on_connect = lambda client, user, flags, code: setattr(self, "connack", code)
        self.client.on_disconnect = lambda client, user, code: setattr(self, "closed", True)
        self.client.on_message = lambda client, user, message: self.heard.append((message.topic, message.payload))
        self.client.on_subscribe = lambda client, user, number, codes: self.granted.update({number: codes})
        self.client.connect("localhost", aws.port, 60)
        self.client.loop_start()
        test.addCleanup(self.close)
        wait_until(lambda: self.connack is not None or self.closed, 30, "the login")

    def subscribe(self, *filters):
        _, number = self.client.subscribe([(topic, 1) for topic in filters])
        wait_until(lambda: number in self.granted, 30, "SUBACK")
        return self.granted[number]

    def ask(self, topic, request):
        before = len(self.heard)
        self.client.publish(topic, request if isinstance(request, str) else json.dumps(request), 1)
        wait_until(lambda: len(self.heard) > before, 30, f"an answer to {topic}")
        answered, body = self.heard[before]
        return answered[len(topic) + 1:], json.loads(body)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def csr_for(key, name):
    return x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])).sign(key, hashes.SHA256())


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.pki = Pki(cls.stage.path("pki"))
        cls.aws = Aws(cls.stage, cls.pki)
        cls.aws.add("meter-1")

    def test_certificates(self):
        self.assertEqual(Client(self, self.aws, "meter-1", "meter-1").connack, 0)
        self.assertEqual(Client(self, self.aws, "meter-1").connack, 5)
        self.assertEqual(Client(self, self.aws, "other", "meter-1").connack, 5)
        self.pki.add("stranger", "x509-ca")  # signed by a CA that is known, and registered nowhere
        self.assertEqual(Client(self, self.aws, "stranger", "stranger").connack, 5)
        self.aws.command("certificate", "meter-1", "INACTIVE")
        self.assertEqual(Client(self, self.aws, "meter-1", "meter-1").connack, 5)
        self.aws.command("certificate", "meter-1", "ACTIVE")
        self.assertEqual(Client(self, self.aws, "meter-1", "meter-1").connack, 0)

    def test_policy(self):
        client = Client(self, self.aws, "meter-1", "meter-1")
        self.assertEqual(client.subscribe("$aws/things/meter-1/shadow/update/delta", "$aws/things/meter-2/shadow/update/delta",
                                          "#", "$aws/rules/store/#", "$aws/things/meter-1/jobs/+/update/accepted"),
                         (1, 128, 128, 128, 1))
        self.assertFalse(client.closed)
        self.aws.record.wait("denied", "meter-1", "meter-2")
        client.client.publish("$aws/rules/store/dt/tidegate/site/meter-1", "{}", 1)
        wait_until(lambda: self.aws.published("meter-1", "$aws/rules/store/"), 30, "Basic Ingest")
        client.client.publish("$aws/things/meter-2/shadow/get", "", 1)
        wait_until(lambda: client.closed, 30, "the end of the connection")
        client = Client(self, self.aws, "meter-1", "meter-1")
        client.client.publish("dt/tidegate/site/meter-1", "{}", 2)
        wait_until(lambda: client.closed, 30, "the end of the connection")

    def test_hostile_requests(self):
        client = Client(self, self.aws, "meter-1", "meter-1")
        get = "$aws/things/meter-1/shadow/get"
        client.subscribe(get + "/accepted", get + "/rejected", "$aws/things/meter-1/shadow/update/rejected")
        for request in ("{", "[]", '{"clientToken": 7}', json.dumps({"clientToken": "x" * 65})):
            verdict, answer = client.ask(get, request)
            self.assertEqual((verdict, answer["code"]), ("rejected", 400))
        verdict, answer = client.ask("$aws/things/meter-1/shadow/update",
                                     {"state": {"reported": {"a": 1}}, "version": 99, "clientToken": "t"})
        self.assertEqual((verdict, answer["code"], answer["clientToken"]), ("rejected", 409, "t"))

    def test_fleet(self):
        self.aws.claim("claim")
        self.aws.command("template", "meters", json.dumps(
            {"thing": "meter_{SerialNumber}", "parameters": ["SerialNumber"], "configuration": {"a": 1}}))
        client = Client(self, self.aws, "any-name", "claim")
        self.assertEqual(client.subscribe(*(f"{topic}/{verdict}" for topic in (CREATE, PROVISION)
                                            for verdict in ("accepted", "rejected"))), (1, 1, 1, 1))
        key = ec_key()
        csr = csr_for(key, "any-name").public_bytes(serialization.Encoding.PEM).decode()
        verdict, answer = client.ask(CREATE, {"certificateSigningRequest": csr[:100]})
        self.assertEqual((verdict, answer["statusCode"]), ("rejected", 400))
        verdict, created = client.ask(CREATE, {"certificateSigningRequest": csr})
        self.assertEqual(verdict, "accepted")
        write(self.pki.path("new.pem"), created["certificatePem"].encode())
        write(self.pki.path("new.key"), key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                          serialization.NoEncryption()))
        self.assertEqual(Client(self, self.aws, "meter_7", "new").connack, 5)  # not active yet
        token = created["certificateOwnershipToken"]
        verdict, answer = client.ask(PROVISION, {"certificateOwnershipToken": token, "parameters": {}})
        self.assertEqual((verdict, answer["statusCode"]), ("rejected", 400))
        verdict, answer = client.ask(PROVISION, {"certificateOwnershipToken": token, "parameters": {"SerialNumber": "7"}})
        self.assertEqual((verdict, answer), ("accepted", {"thingName": "meter_7", "deviceConfiguration": {"a": 1}}))
        verdict, answer = client.ask(PROVISION, {"certificateOwnershipToken": token, "parameters": {"SerialNumber": "8"}})
        self.assertEqual(verdict, "rejected")
        self.assertEqual(Client(self, self.aws, "meter_7", "new").connack, 0)

    def test_only_a_claim_provisions(self):
        client = Client(self, self.aws, "meter-1", "meter-1")
        client.subscribe(CREATE + "/accepted", CREATE + "/rejected")
        verdict, answer = client.ask(CREATE, {"certificateSigningRequest": "x"})
        self.assertEqual((verdict, answer["statusCode"]), ("rejected", 403))


if __name__ == "__main__":
    unittest.main(verbosity=2)
