#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The test hub lets in who has a right to come in, and refuses everybody else with CONNACK 5."""
import shutil
import time
import unittest

from harness import Stage, wait_until
from hub import Hub
from paho_device import Device, sas_token
from pki import Pki, DAY

NOT_AUTHORISED = 5


class HubLogin(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.pki = pki = Pki(cls.stage.path("pki"))
        for kind in ("sas", "x509-ca", "x509-chain", "x509-thumbprint", "x509-sha1"):
            pki.add(kind, kind)
        pki.add("other-sas", "sas")
        pki.add("line-1/module-a", "sas")
        pki.add("policy:device", "sas")
        pki.add("disabled", "sas", enabled=False)
        pki.add("expired", "x509-ca", begin=-10 * DAY, end=-DAY)
        stranger = Pki(cls.stage.path("stranger"))
        for name in ("x509-ca", "x509-thumbprint"):
            stranger.add(name, name)
        cls.stranger = stranger
        cls.hub = Hub(cls.stage, pki)

    def login(self, name, **how):
        device = Device(self.hub, name, **how)
        self.addCleanup(device.close)
        wait_until(lambda: device.connack is not None or device.closed, 10, f"an answer to {name}")
        return device

    def token(self, name, signer=None, resource=None, **how):
        path = name.replace("/", "/modules/", 1)
        return sas_token(resource or f"localhost/devices/{path}", self.pki.secret(signer or name), **how)

    def accepted(self, name, **how):
        device = self.login(name, **how)
        self.assertEqual(device.connack, 0, f"{name} was refused: {self.hub.record.select('refused', name)[-1:]}")
        return device

    def refused(self, name, reason, **how):
        before = len(self.hub.record.select("refused", name, reason))
        device = self.login(name, **how)
        self.assertEqual(device.connack, NOT_AUTHORISED)
        self.hub.record.wait("refused", name, reason, count=before + 1)

    # --- SAS --------------------------------------------------------------------------------------

    def test_sas_fields_come_in_any_order(self):
        for order in ("sr sig se skn", "se sig sr", "sig sr se"):
            self.accepted("sas", password=self.token("sas", order=order))

    def test_sas_of_a_module(self):
        self.accepted("line-1/module-a", password=self.token("line-1/module-a"))

    def test_sas_by_policy_and_for_a_wider_scope(self):
        self.accepted("sas", password=self.token("sas", signer="policy:device", resource="localhost", policy="device"))
        self.accepted("sas", password=self.token("sas", resource="localhost/devices"))

    def test_sas_with_the_key_of_another(self):
        self.refused("sas", "another key", password=self.token("sas", signer="other-sas"))

    def test_sas_for_another_device(self):
        self.refused("sas", "does not cover", password=self.token("sas", resource="localhost/devices/other-sas"))
        self.refused("sas", "does not cover", password=self.token("sas", resource="localhost/devices/sa"))

    def test_sas_for_another_hub(self):
        self.refused("sas", "does not cover", password=self.token("sas", resource="elsewhere/devices/sas"))

    def test_sas_out_of_date(self):
        self.refused("sas", "expired", password=self.token("sas", expiry=time.time() - 1))

    def test_sas_changed_after_signing(self):
        good = self.token("sas", expiry=2000000000)
        self.refused("sas", "another key", password=good.replace("2000000000", "2100000000"))
        self.refused("sas", "token:", password=good + "&se=2100000000")
        self.refused("sas", "token:", password="SharedAccessSignature sr=a")
        self.refused("sas", "token:", password="secret")

    def test_sas_of_an_unknown_policy(self):
        self.refused("sas", "no such policy", password=self.token("sas", policy="owner"))

    # --- X.509 ------------------------------------------------------------------------------------

    def test_x509_of_every_kind(self):
        for name in ("x509-ca", "x509-chain", "x509-thumbprint", "x509-sha1"):
            self.accepted(name, certificate=name)

    def test_x509_for_another_name(self):
        self.refused("x509-chain", "common name", certificate="x509-ca")

    def test_x509_with_an_unregistered_thumbprint(self):
        self.refused("x509-sha1", "thumbprint", certificate="x509-thumbprint")

    def test_x509_from_a_stranger(self):
        for name, reason in (("x509-ca", "certificate"), ("x509-thumbprint", "thumbprint")):
            self.refused(name, reason, certificate=self.stranger.path(name))

    def test_x509_out_of_date(self):
        self.refused("expired", "validity", certificate="expired")

    def test_x509_without_its_chain(self):
        with open(self.pki.path("x509-chain.pem"), encoding="ascii") as file:
            leaf = file.read().partition("-----END CERTIFICATE-----\n")
        bare = self.stage.path("bare")
        shutil.copy(self.pki.path("x509-chain.key"), bare + ".key")
        self.stage.write("bare.pem", leaf[0] + leaf[1])
        self.refused("x509-chain", "unable to get", certificate=bare)
        self.accepted("x509-chain", certificate="x509-chain")

    def test_x509_device_without_certificate(self):
        self.refused("x509-ca", "no certificate", password=None)

    def test_wrong_kind_of_credential(self):
        self.refused("x509-ca", "registered for X.509", password=self.token("x509-ca", signer="sas"))
        self.refused("sas", "without a token", certificate="x509-ca")

    # --- who and how ------------------------------------------------------------------------------

    def test_unknown_and_disabled(self):
        self.refused("nobody", "unknown", password=self.token("nobody", signer="sas"))
        self.refused("disabled", "disabled", password=self.token("disabled"))

    def test_user_name(self):
        good = "localhost/sas/?api-version=2021-04-12"
        for username in (good, good + "&DeviceClientType=tidegate%2F0.1%20%28linux%29",
                         "localhost/sas/?model-id=dtmi:com:example:Meter;1&api-version=2020-09-30"):
            self.accepted("sas", password=self.token("sas"), username=username)
        for username in ("sas", "elsewhere/sas/?api-version=2021-04-12", "localhost/sas/api-version=2021-04-12",
                         "localhost/other-sas/?api-version=2021-04-12", "localhost/sas/?DeviceClientType=a",
                         good + "&admin=true"):
            self.refused("sas", "username", password=self.token("sas"), username=username)

    def test_disabled_while_connected(self):
        self.pki.add("leaver", "sas")
        device = self.accepted("leaver", password=self.token("leaver"))
        self.pki.enable("leaver", False)
        wait_until(lambda: device.closed, 10, "the hub to end a disabled device")
        self.hub.record.wait("closed", "leaver", "disabled")
        self.refused("leaver", "disabled", password=self.token("leaver"))
        self.pki.enable("leaver", True)
        self.accepted("leaver", password=self.token("leaver"))

    def test_deleted_while_connected(self):
        self.pki.add("deleted", "sas")
        token = self.token("deleted")
        device = self.accepted("deleted", password=token)
        self.pki.remove("deleted")
        wait_until(lambda: device.closed, 10, "the hub to end a deleted device")
        self.hub.record.wait("closed", "deleted", "removed")
        self.refused("deleted", "unknown", password=token)


if __name__ == "__main__":
    unittest.main(verbosity=2)
