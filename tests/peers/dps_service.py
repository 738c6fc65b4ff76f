#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""dps_service - what Azure's device provisioning service answers, beside a broker with rules `dps` (see control.py).

    dps_service.py --port SERVICE_PORT --hub HOST      →  {"ready": true}

The broker lets registrations in (hub_login.h); this one answers them: 202 assigning with retry-after, then on each
question for the state assigning again or the outcome. ID is a registration id, "*" stands for all. Commands:

    outcome ID WHAT [COUNT]     assigned (as it is at first), failed, disabled, unauthorized (401002), malformed (JSON
                                that breaks off), never (no answer), unassigned; for the next COUNT outcomes (-1: all)
    at_once ID on|off           the outcome comes in answer to the registration itself
    polls ID N                  how often the state is `assigning` before the outcome (1)
    retry_after ID SECONDS      what 202 says (1); `none`: nothing
    throttle ID KIND COUNT STATUS [RETRY_AFTER]   the next COUNT requests of KIND (register, poll, any) get 429 or 5xx
    lose ID KIND COUNT          … are never answered
    delay ID KIND COUNT MS      … are answered that much later
    assign ID HOST [DEVICE]     the hub and the device id that it gets (otherwise --hub, and the registration id)
    payload ID JSON|echo|none   registrationState.payload: this, what the device sent, or nothing (echo)
    requests [ID]               {"requests": [{"id", "kind", "rid", "at_ms", "payload", "status"}, …]}; status 0: lost
    clear                       takes all levers back
    connected                   {"connected": bool}: whether it hears the broker, after that was away
"""
import argparse
import asyncio
import json
import re
import sys
import time
import uuid

import control
from levers import FOREVER, Levers
from service_link import ServiceLink

REGISTER = "$dps/registrations/PUT/iotdps-register/"
OUTCOMES = ("assigned", "failed", "disabled", "unauthorized", "malformed", "never", "unassigned")
CREATED = "2024-01-01T00:00:00.0000000Z"


def problem(code, message):
    return {"errorCode": code, "trackingId": str(uuid.uuid4()), "message": message, "timestampUtc": CREATED}


class DpsService:
    def __init__(self, link, loop, hub):
        self.link, self.loop, self.hub = link, loop, hub
        self.levers, self.seen, self.operations, self.assigned = Levers(), [], {}, set()
        link.forwarded("$dps/", lambda *said: loop.call_soon_threadsafe(self.on_request, *said))

    # --- requests -------------------------------------------------------------------------------

    def on_request(self, who, topic, payload):
        kind = "register" if topic.startswith(REGISTER) else "poll"
        rid, now = re.search(r"\?\$rid=([^&]*)", topic).group(1), round(time.monotonic() * 1000)
        status, retry_after, body = self.answer(who, kind, topic, payload)
        self.seen.append({"id": who, "kind": kind, "rid": rid, "at_ms": now, "payload": payload.decode(errors="replace"),
                          "status": status})
        if status == 0:
            return
        said = f"$dps/registrations/res/{status}/?$rid={rid}" + (f"&retry-after={retry_after}" if retry_after else "")
        delay_ms = self.levers.take(who, "delay", kind) or 0
        body = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
        self.loop.call_later(delay_ms / 1000, self.link.say, who, said, body)

    def answer(self, who, kind, topic, payload):
        """(status or 0 = none, retry-after or None, body)"""
        if self.levers.take(who, "lose", kind):
            return 0, None, ""
        throttled = self.levers.take(who, "throttle", kind)
        if throttled:
            status, retry_after = throttled
            return status, retry_after, problem(status * 1000 + 1, "Operations are being throttled for this tenant.")
        return self.register(who, payload) if kind == "register" else self.poll(who, topic)

    def register(self, who, payload):
        try:
            body = json.loads(payload)
            if not isinstance(body, dict) or body.get("registrationId") != who:
                raise ValueError("registrationId")
        except ValueError:
            return 400, None, problem(400004, "The body is no registration of this id.")
        operation = f"5.{uuid.uuid4().hex[:16]}.{uuid.uuid4()}"
        self.operations[operation] = {"id": who, "sent": body.get("payload"), "left": int(self.setting(who, "polls", 1))}
        return self.state(who, operation, self.setting(who, "at_once", "off") == "on")

    def poll(self, who, topic):
        match = re.search(r"&operationId=([^&]*)", topic)
        operation = self.operations.get(match.group(1)) if match else None
        if not operation or operation["id"] != who:
            return 404, None, problem(404205, "Operation not found.")
        operation["left"] -= 1
        return self.state(who, match.group(1), operation["left"] < 0)

    def setting(self, who, what, otherwise):
        value = self.levers.take(who, what)
        return otherwise if value is None else value

    def state(self, who, operation, final):
        if not final:
            retry_after = self.setting(who, "retry_after", "1")
            return 202, None if retry_after == "none" else retry_after, {"operationId": operation, "status": "assigning"}
        return self.outcome(who, operation, self.setting(who, "outcome", "assigned"))

    def outcome(self, who, operation, what):
        state = {"registrationId": who, "createdDateTimeUtc": CREATED, "status": what, "lastUpdatedDateTimeUtc": CREATED,
                 "etag": "IjAwMDAi"}
        if what == "never":
            return 0, None, ""
        if what == "unauthorized":
            return 401, None, problem(401002, "Unauthorized.")
        if what == "failed":
            state.update(errorCode=400209, errorMessage="Custom allocation failed with status code: 400")
        if what in ("assigned", "malformed"):
            host, device = self.setting(who, "assign", (self.hub, None))
            state.update(status="assigned", assignedHub=host, deviceId=device or who,
                         substatus="deviceDataMigrated" if who in self.assigned else "initialAssignment")
            self.assigned.add(who)
            payload = self.setting(who, "payload", "echo")
            given = {"echo": self.operations[operation]["sent"], "none": None}.get(payload, payload)
            if given is not None:
                state["payload"] = json.loads(payload) if given is payload else given
        body = json.dumps({"operationId": operation, "status": state["status"], "registrationState": state},
                          separators=(",", ":"))
        return 200, None, body[:len(body) // 2] if what == "malformed" else body

    # --- levers -----------------------------------------------------------------------------------

    def set_outcome(self, who, what, count=FOREVER):
        if what not in OUTCOMES:
            raise ValueError(", ".join(OUTCOMES))
        self.levers.set(who, "outcome", what, int(count))

    def set_next(self, what):
        def pull(who, kind, count, value="1", retry_after=None):
            if kind not in ("register", "poll", "any"):
                raise ValueError("register, poll or any")
            self.levers.set(who, what, (int(value), retry_after) if what == "throttle" else int(value), int(count), kind)
        return pull

    def set_payload(self, who, payload):
        if payload not in ("echo", "none"):
            json.loads(payload)
        self.levers.set(who, "payload", payload)

    def requests(self, who=None):
        return {"requests": [entry for entry in self.seen if who in (None, entry["id"])]}

    def commands(self):
        return {"connected": lambda: {"connected": self.link.connected()}, "outcome": self.set_outcome, "payload": self.set_payload, "requests": self.requests,
                "at_once": lambda who, state: self.levers.set(who, "at_once", state),
                "polls": lambda who, count: self.levers.set(who, "polls", int(count)),
                "retry_after": lambda who, seconds: self.levers.set(who, "retry_after", seconds),
                "assign": lambda who, host, device=None: self.levers.set(who, "assign", (host, device)),
                **{what: self.set_next(what) for what in ("throttle", "lose", "delay")}, "clear": self.levers.clear}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="the broker's listener for services")
    parser.add_argument("--hub", required=True, help="the hub that devices are assigned to")
    arguments = parser.parse_args()
    control.die_with_parent()
    link = ServiceLink(arguments.port, "dps")
    service = DpsService(link, asyncio.get_running_loop(), arguments.hub)
    await control.serve({}, service.commands())
    link.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
