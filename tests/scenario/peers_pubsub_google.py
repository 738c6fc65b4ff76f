#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Google's own Pub/Sub client takes the test server for Pub/Sub: its tokens are good, its requests are stored, its mistakes are refused."""
import base64
import json
import os
import shutil
import subprocess
import unittest

from harness import PEERS, Stage
from pki import Pki
from pubsub import PROJECT, TOPIC, PubSub

FOLDER = os.path.join(PEERS, "node-google")


class Google(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.isdir(os.path.join(FOLDER, "node_modules")):
            raise AssertionError("the client is not installed: ./dev setup does it")
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.pki = Pki(cls.stage.path("pki"))
        cls.server = PubSub(cls.stage, cls.pki)

    def publish(self, messages, topic=TOPIC, **more):
        job = {"port": self.server.port, "account": self.server.account, "topic": f"projects/{PROJECT}/topics/{topic}",
               "messages": messages, **more}
        done = subprocess.run([shutil.which("node") or "nodejs", os.path.join(FOLDER, "publish.js"), json.dumps(job)], text=True,
                              capture_output=True, timeout=60, check=False,
                              env={**os.environ, "NODE_EXTRA_CA_CERTS": self.pki.path("ca.pem")})
        self.assertTrue(done.stdout, done.stderr)
        return json.loads(done.stdout)

    def stored(self):
        with open(os.path.join(self.server.folder, "messages"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_is_stored_as_sent(self):
        before = len(self.stored())
        messages = [{"data": base64.b64encode(b'{"seq":1}').decode(), "attributes": {"device": "d", "site": "north & south"}, "orderingKey": "d"},
                    {"data": base64.b64encode(b"two").decode(), "attributes": {}, "orderingKey": "d"},
                    {"attributes": {"only": "attributes"}, "orderingKey": "d"}]
        ids = self.publish(messages)["messageIds"]
        stored = self.stored()[before:]
        self.assertEqual(ids, [entry["id"] for entry in stored])
        self.assertEqual([entry["data"] for entry in stored], ['{"seq":1}', "two", ""])
        self.assertEqual([entry["attributes"] for entry in stored], [message["attributes"] for message in messages])
        self.assertEqual({entry["orderingKey"] for entry in stored}, {"d"})

    def test_is_refused(self):
        before = len(self.stored())
        good = [{"data": "eA=="}]
        for code, messages, more in ((401, good, {"account": self.server.stranger}),
                                     (401, good, {"token": "ya29.invented"}),
                                     (404, good, {"topic": "missing"}),
                                     (400, [{"attributes": {}}], {}),
                                     (400, [{"data": "eA==", "orderingKey": "a"}, {"data": "eA==", "orderingKey": "b"}], {}),
                                     (400, [{"data": "eA==", "attributes": {"googclient": "x"}}], {})):
            answer = self.publish(messages, **more)
            self.assertEqual(answer.get("code"), code, f"{more} {answer}")
        self.assertEqual(len(self.stored()), before)


if __name__ == "__main__":
    unittest.main()
