# SPDX-License-Identifier: GPL-2.0-or-later
"""azure_sdk - the official Azure device SDK as a device: an independent client of the test hub (peers/node-azure/sdk.js).

    device = SdkDevice(stage, "one")
    device.open(hub, "meter-1")                    # with the key or certificate that pki made
    device.do("twin")["desired"]
    device.wait_event("desired")
"""
import json
import os
import shutil
import threading

from harness import PEERS, Expired, Process, wait_until

PATIENCE_S = 60


class SdkError(AssertionError):
    """What the SDK said to its user; .name, .code."""

    def __init__(self, answer):
        super().__init__(f"{answer['error']}: {answer.get('message')}")
        self.name, self.code = answer["error"], answer.get("errorCode")


class SdkDevice(Process):
    folder, package = "node-azure", "azure-iot-provisioning-device"

    def __init__(self, stage, name, trust=None):
        """`trust`: a CA for what takes none from its caller (the provisioning client)."""
        if not os.path.isdir(os.path.join(PEERS, self.folder, "node_modules", self.package)):
            raise AssertionError("the SDK is not installed: ./dev setup does it")
        super().__init__(stage, name, [shutil.which("node") or "nodejs", os.path.join(PEERS, self.folder, "sdk.js")], pipes=True,
                         env={"NODE_EXTRA_CA_CERTS": trust} if trust else None)
        self.answers, self.events = [], []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.child.stdout:
            said = json.loads(line)
            (self.events if "event" in said else self.answers).append(said)

    def start(self, what, **job):
        """Without waiting; answer() gets what comes of it."""
        self.child.stdin.write(json.dumps({"do": what, **job}).encode() + b"\n")
        self.child.stdin.flush()

    def answer(self, what="a command", seconds=PATIENCE_S):
        wait_until(lambda: self.answers or not self.running, seconds, f"the SDK to answer {what}")
        if not self.answers:
            raise Expired(f"the SDK ended during {what}")
        answer = self.answers.pop(0)
        if not answer.pop("ok"):
            raise SdkError(answer)
        return answer

    def do(self, what, **job):
        self.start(what, **job)
        return self.answer(what)

    def open(self, hub, device):
        auth, secret, _ = hub.pki.lines[device]
        how = f"SharedAccessKey={secret}" if auth == "sas" else "x509=true"
        files = {} if auth == "sas" else {"cert": hub.pki.path(device + ".pem"), "key": hub.pki.path(device + ".key")}
        self.do("open", connection=f"HostName=localhost:{hub.port};DeviceId={device};{how}", ca=hub.pki.path("ca.pem"), **files)

    def seen(self, kind):
        return [event for event in self.events if event["event"] == kind]

    def wait_event(self, kind, count=1):
        """The count-th event of that kind."""
        return wait_until(lambda: self.seen(kind)[count - 1:count], PATIENCE_S, f"the SDK to see {kind} {count}")[0]
