#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""twin_service - IoT Hub's twins and direct methods: a service beside the test hub (hub_rules.c, see control.py).

    twin_service.py --port SERVICE_PORT      →  {"ready": true}

It answers the twin requests of every device, keeps the documents (twins.py) and calls methods. DEVICE is a client id,
"*" stands for all. Commands:

    twin DEVICE                      {"twin": {"desired": …, "reported": …}}, each with its $version
    desired DEVICE JSON              merges into the desired properties and tells the device: {"version": n}
    hidden DEVICE JSON               the same, but the device is not told: the next patch leaves a gap
    push DEVICE VERSION JSON         says a desired patch that is in no document: old, doubled or from the future
    again DEVICE                     says the last patch once more
    reset DEVICE                     a new, empty twin, as after the identity was deleted and made again
    fail DEVICE KIND COUNT STATUS    the next COUNT (-1: all) requests of KIND (get, patch, any) get this status
    lose DEVICE KIND COUNT           … are never answered
    garble DEVICE KIND COUNT         … are answered with JSON that breaks off
    delay DEVICE KIND COUNT MS       … are answered that much later
    method DEVICE NAME TIMEOUT_S PAYLOAD    calls it; {"call": n}. PAYLOAD may be empty
    result CALL                      {"state": "waiting" | "answered" | "timeout" | "offline", "status": n, "payload": text}
    requests [DEVICE]                {"requests": [{"device", "kind", "rid", "at_ms", "payload", "status"}, …]}; status 0: lost
    late                             {"late": n}: method answers that came after the time limit, or to no call
    clear                            takes all levers back
    connected                        {"connected": bool}: whether it hears the hub, after the hub was away
"""
import argparse
import asyncio
import json
import re
import sys
import time
import uuid

import control
from levers import Levers
from service_link import ServiceLink
from twins import Refused, Twin

GET, PATCH = "$iothub/twin/GET/", "$iothub/twin/PATCH/properties/reported/"
DESIRED = "$iothub/twin/PATCH/properties/desired/"
METHOD_ANSWER = re.compile(r"^\$iothub/methods/res/(\d+)/\?\$rid=([^&]+)")
MESSAGE_MAX = 128 * 1024  # of a method call, each way


def rid_of(topic):
    return re.search(r"\?\$rid=([^&]*)", topic).group(1)


def text_of(payload):
    return payload.decode(errors="replace")


class TwinService:
    def __init__(self, link, loop):
        self.link, self.loop = link, loop
        self.twins, self.last_patch, self.calls = {}, {}, {}
        self.levers, self.seen, self.late = Levers(), [], 0
        on_loop = loop.call_soon_threadsafe
        link.forwarded("$iothub/twin/", lambda *said: on_loop(self.on_twin, *said))
        link.forwarded("$iothub/methods/", lambda *said: on_loop(self.on_method_answer, *said))
        link.events("unheard", lambda *event: on_loop(self.on_unheard, *event))

    def twin(self, device):
        return self.twins.setdefault(device, Twin())

    # --- requests -------------------------------------------------------------------------------

    def on_twin(self, device, topic, payload):
        kind = "get" if topic.startswith(GET) else "patch"
        rid, now = rid_of(topic), round(time.monotonic() * 1000)
        status, version, body = self.answer(device, kind, payload)
        self.seen.append({"device": device, "kind": kind, "rid": rid, "at_ms": now, "payload": text_of(payload),
                          "status": status})
        if status == 0:
            return
        if self.levers.take(device, "garble", kind):
            body = (body or json.dumps({"desired": {}}))[:-1]
        said = f"$iothub/twin/res/{status}/?$rid={rid}" + (f"&$version={version}" if version else "")
        delay_ms = self.levers.take(device, "delay", kind) or 0
        self.loop.call_later(delay_ms / 1000, self.link.say, device, said, body)

    def answer(self, device, kind, payload):
        """(status or 0 = none, version or None, body)"""
        if self.levers.take(device, "lose", kind):
            return 0, None, ""
        status = self.levers.take(device, "fail", kind)
        if status:
            return status, None, self.problem(status * 1000 + 1, "as the test wants it")
        twin = self.twin(device)
        if kind == "get":
            return 200, None, json.dumps(twin.document(), separators=(",", ":"))
        try:
            return 204, twin.reported.patch(json.loads(payload)), ""
        except (ValueError, RecursionError) as error:  # Refused is a ValueError, and so is what is no JSON
            reason = str(error) if isinstance(error, Refused) else "no JSON"
            return 400, None, self.problem(400004, reason)

    @staticmethod
    def problem(code, message):
        """The official SDK does not look at the status: an errorCode in the body is what makes it a failure."""
        return json.dumps({"errorCode": code, "message": message, "trackingId": str(uuid.uuid4())})

    # --- desired properties -----------------------------------------------------------------------

    def push(self, device, version, patch):
        patch = json.loads(patch) if isinstance(patch, str) else patch
        self.last_patch[device] = (int(version), patch)
        body = json.dumps({**patch, "$version": int(version)}, separators=(",", ":"))
        self.link.say(device, f"{DESIRED}?$version={version}", body)
        return {"version": int(version)}

    def desired(self, device, patch):
        patch = json.loads(patch)
        return self.push(device, self.twin(device).desired.patch(patch), patch)

    def hidden(self, device, patch):
        return {"version": self.twin(device).desired.patch(json.loads(patch))}

    def again(self, device):
        return self.push(device, *self.last_patch[device])

    # --- methods ----------------------------------------------------------------------------------

    def method(self, device, name, timeout_s, payload=""):
        if len(payload.encode()) > MESSAGE_MAX:
            raise ValueError("more than 128 KB")
        call = str(len(self.calls) + 1)
        topic = f"$iothub/methods/POST/{name}/?$rid={call}"
        timer = self.loop.call_later(float(timeout_s), self.on_timeout, call)
        self.calls[call] = {"state": "waiting", "device": device, "topic": topic, "timer": timer}
        self.link.say(device, topic, payload)
        return {"call": int(call)}

    def end_call(self, call, state, **more):
        call["timer"].cancel()
        call.update(state=state, **more)

    def on_timeout(self, number):
        self.end_call(self.calls[number], "timeout")

    def on_unheard(self, device, topic):
        for call in self.calls.values():
            if call["state"] == "waiting" and (call["device"], call["topic"]) == (device, topic):
                self.end_call(call, "offline")

    def on_method_answer(self, device, topic, payload):
        match = METHOD_ANSWER.match(topic)
        call = self.calls.get(match.group(2)) if match else None
        if not call or call["state"] != "waiting" or call["device"] != device:
            self.late += 1
            return
        self.end_call(call, "answered", status=int(match.group(1)), payload=text_of(payload))

    def result(self, number):
        call = self.calls[number]
        return {key: call[key] for key in ("state", "status", "payload") if key in call}

    # --- levers -----------------------------------------------------------------------------------

    def lever(self, what):
        def pull(device, kind, count, value="1"):
            if kind not in ("get", "patch", "any"):
                raise ValueError("get, patch or any")
            self.levers.set(device, what, int(value), int(count), kind)
        return pull

    def requests(self, device=None):
        return {"requests": [entry for entry in self.seen if device in (None, entry["device"])]}

    def reset(self, device):
        self.twins.pop(device, None)

    def commands(self):
        return {"connected": lambda: {"connected": self.link.connected()}, "twin": lambda device: {"twin": self.twin(device).document()}, "desired": self.desired,
                "hidden": self.hidden, "push": self.push, "again": self.again, "reset": self.reset,
                **{what: self.lever(what) for what in ("fail", "lose", "garble", "delay")}, "clear": self.levers.clear,
                "method": self.method, "result": self.result, "requests": self.requests,
                "late": lambda: {"late": self.late}}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="the hub's listener for services")
    arguments = parser.parse_args()
    control.die_with_parent()
    link = ServiceLink(arguments.port, "twins")
    service = TwinService(link, asyncio.get_running_loop())
    await control.serve({}, service.commands())
    link.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
