# SPDX-License-Identifier: GPL-2.0-or-later
"""aws_things - what AWS IoT keeps of a thing: shadows and job executions, by the rules of its documentation. No network.

    shadow = Shadow()
    accepted, delta = shadow.update({"state": {"desired": {"a": 1}}})      # delta None: desired and reported agree
    jobs = Jobs()
    jobs.add("job-1", {"command": "x"}); jobs.start_next(); jobs.update("job-1", {"status": "SUCCEEDED"})

What is refused raises Refused(code, message).
"""
import copy
import json
import re
import time

DOCUMENT_MAX = 8192
DEPTH_MAX = 8
TOKEN_MAX = 64
DETAIL_MAX = 1024
TERMINAL = ("SUCCEEDED", "FAILED", "REJECTED", "CANCELED", "TIMED_OUT", "REMOVED")


class Refused(ValueError):
    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


def now():
    return int(time.time())


def merged(document, patch):
    """null removes; what becomes empty by it goes too."""
    after = dict(document)
    for key, value in patch.items():
        if value is None:
            after.pop(key, None)
        elif isinstance(value, dict):
            before = after.get(key)
            after[key] = merged(before if isinstance(before, dict) else {}, value)
        else:
            after[key] = value
    return after


def difference(desired, reported):
    """What is desired and not reported so."""
    result = {}
    for key, value in desired.items():
        have = reported.get(key)
        if isinstance(value, dict) and isinstance(have, dict):
            below = difference(value, have)
            if below:
                result[key] = below
        elif value != have:
            result[key] = value
    return result


def depth(value):
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


def stamped(value):
    """metadata has the shape of the state"""
    if isinstance(value, dict):
        return {key: stamped(below) for key, below in value.items()}
    return {"timestamp": now()}


class Shadow:
    def __init__(self):
        self.version, self.state = 0, {}  # state: "desired", "reported"

    @property
    def exists(self):
        return bool(self.state)

    def document(self):
        if not self.exists:
            raise Refused(404, "No shadow exists with that name")
        delta = difference(self.state.get("desired", {}), self.state.get("reported", {}))
        return {"state": {**self.state, **({"delta": delta} if delta else {})}, "metadata": stamped(self.state),
                "version": self.version, "timestamp": now()}

    def update(self, request):
        """(what was accepted, the delta or None)"""
        if not isinstance(request, dict) or not isinstance(request.get("state"), dict):
            raise Refused(400, "Missing required node: state")
        if set(request) - {"state", "clientToken", "version"}:
            raise Refused(400, "Invalid node")
        state = request["state"]
        for name, section in state.items():
            if name not in ("desired", "reported") or not isinstance(section, (dict, type(None))):
                raise Refused(400, f"State contains an invalid node: '{name}'")
            if depth(section) > DEPTH_MAX:
                raise Refused(400, f"JSON contains too many levels of nesting; maximum is {DEPTH_MAX}")
        if request.get("version", self.version) != self.version:
            raise Refused(409, "Version conflict")
        after = copy.deepcopy(self.state)
        for name, section in state.items():
            if section is None:
                after.pop(name, None)
            else:
                after[name] = merged(after.get(name, {}), section)
        if len(json.dumps(after, separators=(",", ":"))) > DOCUMENT_MAX:
            raise Refused(413, "The payload exceeds the maximum size allowed")
        self.state = after
        self.version += 1
        delta = difference(after.get("desired", {}), after.get("reported", {}))
        return ({"state": state, "metadata": stamped(state), "version": self.version, "timestamp": now()},
                {"version": self.version, "timestamp": now(), "state": delta, "metadata": stamped(delta)} if delta else None)

    def delete(self):
        if not self.exists:
            raise Refused(404, "No shadow exists with that name")
        self.state = {}
        return {"version": self.version, "timestamp": now()}


class Jobs:
    """The executions of one thing, oldest first."""

    def __init__(self):
        self.executions = []

    def add(self, job, document, number=1):
        self.executions.append({"jobId": job, "jobDocument": document, "status": "QUEUED", "queuedAt": now(),
                                "lastUpdatedAt": now(), "versionNumber": 1, "executionNumber": number})

    def find(self, job):
        found = [execution for execution in self.executions if execution["jobId"] == job]
        if not found:
            raise Refused("ResourceNotFound", f"no execution of {job}")
        return found[-1]

    def next(self):
        """What is in progress goes before what is queued."""
        for status in ("IN_PROGRESS", "QUEUED"):
            for execution in self.executions:
                if execution["status"] == status:
                    return execution
        return None

    def start_next(self, details=None):
        execution = self.next()
        if execution and execution["status"] == "QUEUED":
            self.change(execution, "IN_PROGRESS", details)
        return execution

    @staticmethod
    def change(execution, status, details=None):
        execution.update(status=status, lastUpdatedAt=now(), versionNumber=execution["versionNumber"] + 1)
        if status == "IN_PROGRESS":
            execution.setdefault("startedAt", now())
        if details is not None:
            execution["statusDetails"] = details

    def update(self, job, request):
        execution = self.find(job)
        status, details = request.get("status"), request.get("statusDetails")
        if status not in ("IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"):
            raise Refused("InvalidRequest", "status")
        if details is not None and not (isinstance(details, dict) and len(details) <= 10 and all(
                re.fullmatch(r"[a-zA-Z0-9:_-]{1,128}", key) and isinstance(value, str) and 0 < len(value) <= DETAIL_MAX and
                value.isprintable() for key, value in details.items())):
            raise Refused("InvalidRequest", "statusDetails")
        if request.get("executionNumber", execution["executionNumber"]) != execution["executionNumber"]:
            raise Refused("ResourceNotFound", "executionNumber")
        if request.get("expectedVersion", execution["versionNumber"]) != execution["versionNumber"]:
            raise Refused("VersionMismatch", "expectedVersion")
        if execution["status"] in TERMINAL:
            raise Refused("InvalidStateTransition", f"the execution is {execution['status']}")
        self.change(execution, status, details)

    def cancel(self, job):
        self.change(self.find(job), "CANCELED")
