#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A device by MQTT.js and jsonwebtoken takes the test bridge for IoT Core: logins, topics, gateways, and what is refused."""
import json
import os
import shutil
import subprocess
import time
import unittest

from gcp import NAME, PROJECT, Bridge, Registry
from harness import PEERS, Stage, wait_until

FOLDER = os.path.join(PEERS, "node-gcp")
OK = {"connected": True}
END = {"closed": True}


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.isdir(os.path.join(FOLDER, "node_modules")):
            raise AssertionError("the reference client is not installed: ./dev setup does it")
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.registry = r = Registry(cls.stage.path("gcp"))
        for device in ("meter-1", "meter-2", "other"):
            r.add(device)
        r.add("rsa-1", "rs256")
        r.add("blocked-1", blocked=True)
        r.gateway("gate-1")
        r.gateway("gate-token", method="DEVICE_AUTH_TOKEN_ONLY")
        r.gateway("gate-both", method="ASSOCIATION_AND_DEVICE_AUTH_TOKEN")
        r.add("child-1", key=None, bound="gate-1")
        r.add("child-token")
        r.add("child-both", bound="gate-both")
        cls.bridge = Bridge(cls.stage, r)

    def token(self, device, algorithm="ES256", **claims):
        now = int(time.time())
        return {"key": self.registry.key(device), "algorithm": algorithm,
                "claims": {"iat": now, "exp": now + 3600, "aud": PROJECT, **claims}}

    def job(self, device, *steps, client_id=None, token=None, tokens=None):
        return {"port": self.bridge.port, "ca": self.registry.path("ca.pem"), "steps": steps, "tokens": tokens or {},
                "clientId": client_id or f"{NAME}/devices/{device}", **(token or self.token(device))}

    @staticmethod
    def command(jobs):
        return [shutil.which("node") or "nodejs", os.path.join(FOLDER, "device.js"), json.dumps(jobs)]

    def play_all(self, jobs):
        """What each of these devices, one after the other in one program, was told."""
        done = subprocess.run(self.command(jobs), capture_output=True, text=True, timeout=120, check=False)
        told = [[]]
        for line in map(json.loads, done.stdout.splitlines()):
            if line == {"end": True}:
                told.append([])
            else:
                told[-1].append(line)
        self.assertEqual(len(told), len(jobs) + 1, done.stdout + done.stderr)
        self.assertTrue(all(told[:-1]), done.stdout + done.stderr)
        return told[:-1]

    def play(self, device, *steps, **how):
        return self.play_all([self.job(device, *steps, **how)])[0]

    def refused(self, *cases):
        """Each is (device, reason, what is different about its login)."""
        for lines, (_, reason, _) in zip(self.play_all([self.job(device, **how) for device, _, how in cases]), cases):
            self.assertEqual(lines, [{"refused": 4}], reason)
            self.bridge.record.wait("refused", None, reason)

    def closes(self, *cases):
        """Each is (device, reason, its steps)."""
        for lines, (device, reason, _) in zip(self.play_all([self.job(device, *steps, ["closed"]) for device, _, steps in cases]), cases):
            self.assertEqual((lines[0], lines[-1]), (OK, END), reason)
            self.bridge.record.wait("closed", device, reason)

    def test_logs_in_with_both_algorithms(self):
        publish = ["pub", "/devices/meter-1/events", '{"n":1}', 1]
        self.assertEqual(self.play("meter-1", publish), [OK, {"acked": publish[1]}])
        publish = ["pub", "/devices/rsa-1/events/a/b", '{"n":2}', 1]
        self.assertEqual(self.play("rsa-1", publish, token=self.token("rsa-1", "RS256")), [OK, {"acked": publish[1]}])
        self.assertEqual(self.bridge.record.wait("publish", "rsa-1")[0]["payload"], '{"n":2}')

    def test_refuses_what_proves_nothing(self):
        now = int(time.time())
        self.refused(("meter-1", "another key", {"token": self.token("meter-2")}),
                     ("meter-1", "alg is not that", {"token": self.token("rsa-1", "RS256")}),
                     ("meter-1", "neither ES256", {"token": self.token("rsa-1", "RS512")}),
                     ("meter-1", "another project", {"token": self.token("meter-1", aud="elsewhere")}),
                     ("meter-1", "expired", {"token": self.token("meter-1", iat=now - 5000, exp=now - 601)}),
                     ("meter-1", "in the future", {"token": self.token("meter-1", iat=now + 900)}),  # also when this is read minutes later
                     ("meter-1", "24 hours", {"token": self.token("meter-1", iat=now, exp=now + 86401)}),
                     ("nobody", "unknown", {"token": self.token("meter-1")}),
                     ("blocked-1", "blocked", {}),
                     ("meter-1", "client id", {"client_id": "meter-1"}),
                     ("meter-1", "client id", {"client_id": f"{NAME}x/devices/meter-1"}))

    def test_takes_clocks_ten_minutes_apart(self):
        now = int(time.time())
        early, late = self.token("meter-1", iat=now + 540), self.token("meter-1", iat=now - 3600, exp=now - 480)
        self.assertEqual(self.play_all([self.job("meter-1", token=early), self.job("meter-1", token=late)]), [[OK], [OK]])

    def test_closes_on_what_a_device_may_not_say(self):
        steps = (("another device", "pub", "/devices/meter-2/events", "x", 1),
                 ("retained", "pub", "/devices/other/events", "x", 1, True),
                 ("not a gateway", "pub", "/devices/meter-2/attach", "", 1),
                 ("neither events", "pub", "/devices/other/telemetry", "x", 1),
                 ("not a topic", "pub", "devices/other/events", "x", 1),
                 ("256 KB", "pub", "/devices/other/events", 256 * 1024 + 1, 1),
                 ("64 KB", "pub", "/devices/other/state", 64 * 1024 + 1, 1),
                 ("speaks for", "sub", "/devices/meter-2/config", 1),
                 ("neither config", "sub", "/devices/other/#", 1))
        self.closes(*(("other", reason, [step]) for reason, *step in steps))
        lines = self.play("other", ["pub", "/devices/other/events", "x", 2], ["closed"])
        self.assertEqual(lines, [OK, END])  # mosquitto's own rule: max_qos 1

    def test_takes_one_state_a_second(self):
        state = ["pub", "/devices/other/state", "{}", 1]
        self.closes(("other", "one a second", [state] * 10))  # a slow machine may take a second for some of them, not for each

    def test_says_config_and_commands(self):
        with self.bridge.cloud() as cloud:
            cloud.config("meter-2", '{"rate":1}')
            cloud.command("meter-2", "nobody listens")
            self.bridge.record.wait("unheard", "meter-2")
            config, commands = "/devices/meter-2/config", "/devices/meter-2/commands"
            child = subprocess.Popen(self.command(self.job("meter-2", ["sub", config, 1], ["sub", commands + "/#", 1], ["hear", 4])),
                                     stdout=subprocess.PIPE, text=True)
            self.addCleanup(child.stdout.close)
            self.addCleanup(child.wait)
            self.addCleanup(child.kill)
            self.bridge.record.wait("subscribe", "meter-2", "commands", seconds=60)
            cloud.config("meter-2", '{"rate":2}')
            cloud.command("meter-2", "a")
            cloud.command("meter-2", "b", "valve/open")
            wait_until(lambda: child.poll() is not None, 60, "the device to hear everything")
            lines = [json.loads(line) for line in child.stdout.read().splitlines()]
        for topic, payload in ((config, '{"rate":1}'), (config, '{"rate":2}'), (commands, "a"), (commands + "/valve/open", "b")):
            self.assertIn({"topic": topic, "payload": payload}, lines)

    def errors_of_all(self, *cases, **how):
        """Each is (gateway, its steps): what the bridge reports to it, after it has subscribed."""
        told = self.play_all([self.job(gateway, ["sub", f"/devices/{gateway}/errors", 0], *steps, **how) for gateway, steps in cases])
        return [([json.loads(line["payload"]) for line in lines if line.get("topic", "").endswith("/errors")], lines) for lines in told]

    def errors(self, gateway, *steps, **how):
        return self.errors_of_all((gateway, steps), **how)[0]

    def test_speaks_for_an_attached_device(self):
        errors, lines = self.errors("gate-1", ["pub", "/devices/child-1/attach", "", 1],
                                    ["sub", "/devices/child-1/config", 1], ["pub", "/devices/child-1/events", "x", 1],
                                    ["pub", "/devices/gate-1/events", "y", 1])
        self.assertEqual(errors, [])
        self.assertIn({"acked": "/devices/child-1/events"}, lines)
        self.bridge.record.wait("publish", "child-1")
        self.bridge.record.wait("attach", "child-1")

    def test_reports_a_device_that_is_not_attached(self):
        errors, _ = self.errors("gate-1", ["pub", "/devices/child-1/events", "x", 1], ["hear", 1])
        self.assertEqual((errors[0]["error_type"], errors[0]["device_id"]), ("GATEWAY_DEVICE_NOT_FOUND", "child-1"))
        self.assertEqual(errors[0]["mqtt_message_info"]["topic"], "/devices/child-1/events")

    def test_attaches_by_each_method(self):
        token = {"token": self.token("child-token"), "both": self.token("child-both"), "bad": self.token("other")}
        refused = (("gate-1", "child-token", ""), ("gate-1", "nobody", ""), ("gate-token", "child-token", ""),
                   ("gate-token", "child-token", '{"authorization":"$bad"}'), ("gate-both", "child-both", ""),
                   ("gate-both", "child-token", '{"authorization":"$token"}'))
        told = self.errors_of_all(*((gateway, [["send", f"/devices/{child}/attach", body, 1], ["hear", 1], ["pub", f"/devices/{gateway}/events", "x", 1]])
                                    for gateway, child, body in refused), tokens=token)
        for (errors, lines), (gateway, child, _) in zip(told, refused):
            self.assertEqual((errors[0]["error_type"], errors[0]["device_id"]), ("GATEWAY_ATTACHMENT_ERROR", child), gateway)
            self.assertNotIn({"acked": f"/devices/{child}/attach"}, lines)
        taken = (("gate-token", "child-token", '{"authorization":"$token"}'), ("gate-both", "child-both", '{"authorization":"$both"}'))
        told = self.errors_of_all(*((gateway, [["pub", f"/devices/{child}/attach", body, 1], ["pub", f"/devices/{child}/events", "x", 1]])
                                    for gateway, child, body in taken), tokens=token)
        for (errors, _), (_, child, _) in zip(told, taken):
            self.assertEqual(errors, [])
            self.bridge.record.wait("publish", child)

    def test_detaches_when_a_token_ends(self):
        for left in (2, 10, 60):  # seconds, with the ten minutes; on a slow machine few of them have passed before it is attached
            now = int(time.time())
            token = self.token("child-token", iat=now - 3600, exp=now - 600 + left)
            errors, _ = self.errors("gate-token", ["send", "/devices/child-token/attach", '{"authorization":"$short"}', 1],
                                    ["hear", 1], tokens={"short": token})
            if errors[0]["error_type"] != "GATEWAY_ATTACHMENT_ERROR":
                break
        self.assertEqual(errors[0]["error_type"], "GATEWAY_DETACHMENT_DEVICE_ERROR")


if __name__ == "__main__":
    unittest.main(verbosity=2)
