#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The official Azure IoT device SDK takes the test hub for a hub: with SAS and X.509, both ways, and refused."""
import json
import os
import shutil
import subprocess
import unittest

from harness import PEERS, Stage, wait_until
from hub import Hub
from pki import Pki

FOLDER = os.path.join(PEERS, "node-azure")


class AzureSdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.isdir(os.path.join(FOLDER, "node_modules")):
            raise AssertionError("the SDK is not installed: ./dev setup does it")
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.pki = Pki(cls.stage.path("pki"))
        for name in ("sas", "x509-ca", "x509-chain", "x509-thumbprint"):
            cls.pki.add(name, name)
        cls.pki.add("other", "sas")
        cls.hub = Hub(cls.stage, cls.pki)

    def job(self, name, key=None, certificate=None, **more):
        secret = f"SharedAccessKey={key}" if key else "x509=true"
        job = {"connection": f"HostName=localhost:{self.hub.port};DeviceId={name};{secret}",
               "ca": self.pki.path("ca.pem"), **more}
        if certificate:
            job.update(cert=self.pki.path(certificate + ".pem"), key=self.pki.path(certificate + ".key"))
        return [shutil.which("node") or "nodejs", os.path.join(FOLDER, "device.js"), json.dumps(job)]

    def run_job(self, name, **how):
        done = subprocess.run(self.job(name, **how), capture_output=True, text=True, timeout=60, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertTrue(lines, done.stderr)
        return done.returncode, lines

    def test_sends_with_every_kind_of_credential(self):
        messages = [{"body": json.dumps({"n": n}), "properties": {"site": "north & south"}} for n in range(3)]
        for name in ("sas", "x509-ca", "x509-chain", "x509-thumbprint"):
            credential = {"key": self.pki.secret("sas")} if name == "sas" else {"certificate": name}
            code, lines = self.run_job(name, messages=messages, **credential)
            self.assertEqual((code, lines), (0, [{"connected": True}, {"sent": 3}]))
            entries = self.hub.record.wait("publish", name, count=3)
            self.assertEqual([entry["payload"] for entry in entries], [message["body"] for message in messages])
            self.assertIn("site=north%20%26%20south", entries[0]["topic"])

    def test_is_refused_with_the_wrong_credential(self):
        for name, reason, credential in (("sas", "another key", {"key": self.pki.secret("other")}),
                                         ("nobody", "unknown", {"key": self.pki.secret("other")}),
                                         ("x509-ca", "common name", {"certificate": "x509-chain"})):
            code, lines = self.run_job(name, **credential)
            self.assertEqual((code, lines), (1, [{"error": "UnauthorizedError"}]))
            self.hub.record.wait("refused", name, reason)

    def test_hears_a_message_from_the_cloud(self):
        with self.hub.service() as service:
            child = subprocess.Popen(self.job("sas", key=self.pki.secret("sas"), c2d=True), stdout=subprocess.PIPE,
                                     text=True)
            self.addCleanup(child.stdout.close)
            self.addCleanup(child.wait)
            self.addCleanup(child.kill)
            self.hub.record.wait("subscribe", "sas", "devicebound", seconds=60)
            service.c2d("sas", '{"set":1}', "%24.mid=id-7")
            wait_until(lambda: child.poll() is not None, 60, "the SDK to hear the message")
            lines = [json.loads(line) for line in child.stdout.read().splitlines()]
        self.assertIn({"c2d": '{"set":1}', "id": "id-7"}, lines)


if __name__ == "__main__":
    unittest.main(verbosity=2)
