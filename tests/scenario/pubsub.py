# SPDX-License-Identifier: GPL-2.0-or-later
"""pubsub - Pub/Sub as scenarios use it: the test server with its record, the cloud entry, and Google's emulator where it is installed."""
import base64
import glob
import json
import os
import shutil
import urllib.error
import urllib.request

from harness import accepts, free_port, wait_until
from verdict import Account

PROJECT, TOPIC = "plant-one", "telemetry"
SKIP = 77  # ctest's SKIP_RETURN_CODE


class PubSub:
    """tests/peers/pubsub_server.py, and what it stored."""

    def __init__(self, stage, pki=None, folder="pubsub"):
        certificate = ["--certificate", pki.path("server.pem"), "--key", pki.path("server.key")] if pki else ["--plain"]
        self.folder = stage.path(folder)
        self.peer = stage.peer("pubsub_server.py", *certificate, "--folder", self.folder, f"{PROJECT}/{TOPIC}")
        self.port, self.account, self.stranger = (self.peer.ready[name] for name in ("port", "account", "stranger"))
        self.messages, self.offset = [], 0
        self.accounts = {}

    def read(self):
        with open(os.path.join(self.folder, "messages"), "rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self.offset += whole
        for line in data[:whole].splitlines():
            message = json.loads(line)
            self.messages.append(message)
            take(self.accounts, message["attributes"], message["orderingKey"], json.loads(message["data"]))
        return self.messages

    def received(self, device):
        """The last seq up to which nothing is missing."""
        self.read()
        return self.accounts[device].prefix if device in self.accounts else 0

    def command(self, *words):
        return self.peer.command(" ".join(map(str, words)))

    def stats(self):
        return self.command("stats")


def take(accounts, attributes, ordering_key, sample):
    """One message, with what every one of them must be like."""
    assert attributes["device"] == ordering_key and attributes["seq"] == str(sample["seq"]), (attributes, ordering_key, sample)
    assert attributes["contentType"] == "application/json" and attributes["gateway"] == "test", attributes
    accounts.setdefault(attributes["device"], Account()).take(sample)


def pubsub_cloud(port, ca_file=None, account=None, name="lake", **more):
    tls = {"ca_file": ca_file, "service_account_file": account} if ca_file else {"tls": "off", "auth": "none"}
    return {"name": name, "type": "gcp-pubsub", "project": PROJECT, "topic": TOPIC, "host": "localhost", "port": port,
            "min_backoff": "50ms", "max_backoff": "300ms", "connect_timeout": "3s", "handshake_timeout": "3s", "ack_timeout": "2s",
            "max_connects_per_second": 200, **tls, **more}


class Emulator:
    """Google's own emulator (package google-cloud-cli-pubsub-emulator), or None from find()."""

    JAR = "/usr/lib/google-cloud-sdk/platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"

    @staticmethod
    def find():
        jars = sorted(glob.glob(os.environ.get("TIDEGATE_PUBSUB_EMULATOR") or Emulator.JAR))
        return jars[-1] if jars and shutil.which("java") else None

    def __init__(self, stage, jar):
        self.port = free_port()
        self.process = stage.process("emulator", "java", "-Xmx256m", "-jar", jar, "--host=127.0.0.1", f"--port={self.port}")
        wait_until(lambda: accepts(self.port), 60, "the emulator to start")

    def call(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/projects/{PROJECT}/{path}", method=method,
                                         data=json.dumps(body or {}).encode(), headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def create(self, subscription):
        self.call("PUT", f"topics/{TOPIC}")
        self.call("PUT", f"subscriptions/{subscription}",
                  {"topic": f"projects/{PROJECT}/topics/{TOPIC}", "enableMessageOrdering": True, "ackDeadlineSeconds": 60})

    def pull(self, subscription):
        """[(attributes, ordering key, data)], acknowledged."""
        got = self.call("POST", f"subscriptions/{subscription}:pull", {"maxMessages": 1000, "returnImmediately": True}).get(
            "receivedMessages", [])
        if got:
            self.call("POST", f"subscriptions/{subscription}:acknowledge", {"ackIds": [entry["ackId"] for entry in got]})
        return [(entry["message"].get("attributes", {}), entry["message"].get("orderingKey"),
                 base64.b64decode(entry["message"].get("data", ""))) for entry in got]
