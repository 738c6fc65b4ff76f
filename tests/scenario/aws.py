# SPDX-License-Identifier: GPL-2.0-or-later
"""aws - AWS IoT Core on loopback: the test hub with open rules and a thing's policy, and peers/aws_service.py beside it.

    pki = Pki(stage.path("pki"))
    aws = Aws(stage, pki)                       # aws.port: TLS
    aws.add("meter-1")                          # a thing with a certificate: meter-1.pem, meter-1.key
    thing = aws.thing("meter-1")                # thing.update({"desired": …}), thing.wait_reported(…), thing.job(…)
    aws.claim("claim"); aws.command("template", "meters", '{"thing": "{SerialNumber}"}')
    aws.published("meter-1")                    # what arrived on topics of its own, decoded

The policy: a thing publishes to dt/…/{thing}, to rules with such a topic, and below $aws/things/{thing}/; it hears the latter.
"""
import json

from harness import wait_until
from hub import Hub

PUBLISH = ("dt/tidegate/+/%c,$aws/rules/+/dt/tidegate/+/%c,$aws/things/%c/shadow/#,$aws/things/%c/jobs/#,"
           "$aws/certificates/create-from-csr/json,$aws/provisioning-templates/+/provision/json")
SUBSCRIBE = ("$aws/things/%c/shadow/#,$aws/things/%c/jobs/#,$aws/things/%c/jobs/+/update/accepted,"
             "$aws/things/%c/jobs/+/update/rejected,$aws/certificates/create-from-csr/json/+,"
             "$aws/provisioning-templates/+/provision/json/+")


class Thing:
    """A thing as the cloud sees it; `shadow`: the name of a named one."""

    def __init__(self, aws, name, shadow="-"):
        self.aws, self.name, self.shadow = aws, name, shadow

    def document(self):
        return self.aws.command("shadow", self.name, self.shadow)["document"]

    def section(self, name):
        return ((self.document() or {}).get("state") or {}).get(name, {})

    @property
    def reported(self):
        return self.section("reported")

    def update(self, state):
        return self.aws.command("update", self.name, self.shadow, json.dumps(state))["version"]

    def wait_reported(self, condition, seconds=30):
        return wait_until(lambda: condition(self.reported) and self.reported, seconds,
                          f"{self.name} to report; so far {self.reported}")

    def job(self, job, document, number=1):
        self.aws.command("job", self.name, job, json.dumps(document), number)

    def execution(self, job):
        return [e for e in self.aws.command("jobs", self.name)["executions"] if e["jobId"] == job][-1]

    def wait_job(self, job, *statuses, seconds=30):
        """Its execution, once it has one of the statuses."""
        return wait_until(lambda: self.execution(job)["status"] in statuses and self.execution(job), seconds,
                          f"{job} to be {statuses}")

    def requests(self, kind=None):
        return [e for e in self.aws.command("requests", self.name)["requests"] if kind in (None, e["kind"])]

    def wait_requests(self, kind, count=1, seconds=30):
        return wait_until(lambda: len(self.requests(kind)) >= count and self.requests(kind), seconds,
                          f"{self.name} to send {count} requests ({kind})")


class Aws(Hub):
    def __init__(self, stage, pki, name="aws", options=None, **more):
        judge = stage.path(f"{name}.judge")
        super().__init__(stage, pki, name=name, options={
            "rules": "open", "judge": judge, "forward": "$aws/", "publish": PUBLISH, "subscribe": SUBSCRIBE,
            "subscriptions": 50, "deny_subscribe": "on", "keepalive_cap": 1800, **(options or {})}, **more)
        self.record.is_telemetry = lambda topic: "dt/tidegate/" in topic
        self.peer = self.serve("aws_service.py", "--judge", judge)

    def command(self, *words):
        """See peers/aws_service.py --help."""
        return self.peer.command(*words)

    def add(self, thing):
        self.pki.add(thing, "x509-thumbprint")
        self.command("thing", thing, self.pki.path(thing + ".pem"))

    def claim(self, name):
        self.pki.add(name, "x509-thumbprint")
        self.command("claim", self.pki.path(name + ".pem"))

    def thing(self, name, shadow="-"):
        return Thing(self, name, shadow)

    def published(self, device, prefix="dt/"):
        """What it said as telemetry: a list of (topic, decoded payload)."""
        return [(entry["topic"], json.loads(entry["payload"])) for entry in self.record.select("publish", device)
                if entry["topic"].startswith(prefix)]

    def identity(self, name):
        return {"certificate": self.pki.path(name + ".pem"), "key": self.pki.path(name + ".key")}


def aws_cloud(aws, port=None, name="aws", **more):
    """The cloud entry; `port` when a link stands between."""
    return {"name": name, "type": "aws-iot-core", "host": "localhost", "port": port or aws.port,
            "ca_file": aws.pki.path("ca.pem"), "keepalive": "30s", "min_backoff": "100ms", "max_backoff": "500ms",
            "connect_timeout": "5s", "handshake_timeout": "5s", "ack_timeout": "10s", "max_connects_per_second": 200,
            "batch": {"max_samples": 20, "max_bytes": 3900, "max_delay": "50ms"}, **more}
