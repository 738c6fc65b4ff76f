#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""aws_service - AWS IoT Core beside the test hub (hub_rules.c with open rules, see control.py): registry, shadows, jobs, fleet.

    aws_service.py --port SERVICE_PORT --judge SOCKET      →  {"ready": true}

Who comes in: a certificate that is registered and active, with the client id of its thing; a claim with any. A device's
name is its thing's. SHADOW is a name, or "-" for the classic one. Commands:

    thing NAME CERTIFICATE           registers the PEM file, active and attached to the thing
    claim CERTIFICATE                registers it as a claim
    certificate NAME STATUS          ACTIVE or INACTIVE: of a thing's certificates
    certificates                     {"certificates": [{"thing", "status", "claim"}, …]}
    template NAME JSON               a provisioning template: {"thing": "meter_{SerialNumber}", "parameters": [names that it
                                     needs], "configuration": {…}}
    shadow THING SHADOW              {"document": …}; null when there is none
    update THING SHADOW JSON         what an application writes: {"desired": {…}}; {"version": n}
    delete THING SHADOW
    delta THING SHADOW VERSION JSON  says a delta that is in no document: old, doubled or from the future
    job THING ID JSON [NUMBER]       queues an execution of a job with this document
    jobs THING                       {"executions": [{"jobId", "status", "statusDetails", …}]}
    cancel THING ID
    notify THING                     says notify-next as it is
    fail DEVICE KIND COUNT CODE      the next COUNT (-1: all) requests of KIND are refused with CODE; KIND: get, update,
                                     start-next, job-update, create, provision, any
    lose DEVICE KIND COUNT           … are never answered, and nothing is done
    mute DEVICE KIND COUNT           … are done, but never answered
    garble DEVICE KIND COUNT         … are answered with JSON that breaks off
    requests [DEVICE]                {"requests": [{"device", "kind", "topic", "at_ms", "payload", "code"}, …]}; code 0: lost
    clear                            takes all levers back
    connected                        {"connected": bool}
"""
import argparse
import asyncio
import hashlib
import json
import re
import secrets
import sys
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization

import control
import pki
from aws_things import TOKEN_MAX, Jobs, Refused, Shadow, now
from judge import Judge
from levers import Levers
from service_link import ServiceLink

KINDS = ("get", "update", "start-next", "job-update", "create", "provision", "any")
SHADOW = re.compile(r"^\$aws/things/([^/]+)/shadow(?:/name/([^/]+))?/(get|update|delete)$")
JOBS = re.compile(r"^\$aws/things/([^/]+)/jobs/(?:([^/]+)/)?(get|update|start-next)$")
CREATE = "$aws/certificates/create-from-csr/json"
PROVISION = re.compile(r"^\$aws/provisioning-templates/([^/]+)/provision/json$")


def compact(value):
    return json.dumps(value, separators=(",", ":"))


class Registry:
    """Certificates; the judge asks from threads of its own."""

    def __init__(self):
        self.certificates, self.clients = {}, {}  # by thumbprint; thumbprint by client id

    def add(self, der, **entry):
        self.certificates[hashlib.sha256(der).hexdigest()] = entry

    def of_client(self, client):
        return self.certificates.get(self.clients.get(client), {})

    def decide(self, login):
        if not login["certificate"]:
            return "aws: no certificate", 0
        thumbprint = hashlib.sha256(login["certificate"]).hexdigest()
        entry = self.certificates.get(thumbprint)
        if not entry or entry["status"] != "ACTIVE":
            return f"aws: certificate {entry['status'] if entry else 'unknown'}", 0
        if not entry["claim"] and login["client"] != entry["thing"]:
            return "aws: the policy allows the thing's name as client id only", 0
        self.clients[login["client"]] = thumbprint
        return None, 0


class Fleet:
    """Certificates from requests, and templates."""

    def __init__(self, registry):
        key = pki.ec_key()
        self.registry, self.templates, self.tokens = registry, {}, {}
        self.issuer = (pki.issue("Amazon Web Services O=Amazon.com Inc.", key, ca=True), key)

    def create(self, request):
        try:
            csr = x509.load_pem_x509_csr(request["certificateSigningRequest"].encode())
        except (KeyError, ValueError, AttributeError) as error:
            raise Refused(400, "Invalid CSR") from error
        if not csr.is_signature_valid:
            raise Refused(400, "Invalid CSR signature")
        name = csr.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
        certificate = pki.issue(name, CsrKey(csr.public_key()), self.issuer, usage=x509.ExtendedKeyUsageOID.CLIENT_AUTH)
        der = certificate.public_bytes(serialization.Encoding.DER)
        self.registry.add(der, thing=None, status="PENDING_ACTIVATION", claim=False)
        token = secrets.token_urlsafe(48)
        self.tokens[token] = der
        return {"certificateId": hashlib.sha256(der).hexdigest(), "certificatePem": pki.pem(certificate).decode(),
                "certificateOwnershipToken": token}

    def provision(self, name, request):
        template, der = self.templates.get(name), self.tokens.get(request.get("certificateOwnershipToken"))
        parameters = request.get("parameters", {})
        if not template:
            raise Refused(404, "no such template")
        if not der:
            raise Refused(400, "Invalid ownership token")
        missing = [wanted for wanted in template.get("parameters", []) if not parameters.get(wanted)]
        if missing or not all(isinstance(value, str) for value in parameters.values()):
            raise Refused(400, f"Missing parameters: {', '.join(missing)}")
        thing = template["thing"].format(**parameters)
        self.registry.add(der, thing=thing, status="ACTIVE", claim=False)
        del self.tokens[request["certificateOwnershipToken"]]
        return {"deviceConfiguration": template.get("configuration", {}), "thingName": thing}


class CsrKey:
    """What pki.issue() needs of the subject's key."""

    def __init__(self, public):
        self.public = public

    def public_key(self):
        return self.public


class AwsService:
    def __init__(self, link, registry, loop):
        self.link, self.registry, self.fleet = link, registry, Fleet(registry)
        self.shadows, self.jobs, self.notified = {}, {}, {}
        self.levers, self.seen = Levers(), []
        link.forwarded("$aws/", lambda *said: loop.call_soon_threadsafe(self.on_request, *said))

    def shadow(self, thing, name):
        return self.shadows.setdefault((thing, None if name in (None, "-") else name), Shadow())

    def jobs_of(self, thing):
        return self.jobs.setdefault(thing, Jobs())

    # --- requests -------------------------------------------------------------------------------

    def on_request(self, client, topic, payload):
        for pattern, kind_of, run in (
                (SHADOW, lambda found: found[3], self.on_shadow),
                (JOBS, lambda found: "job-update" if found[3] == "update" else found[3], self.on_jobs),
                (re.compile(re.escape(CREATE) + "$"), lambda found: "create", self.on_fleet),
                (PROVISION, lambda found: "provision", self.on_fleet)):
            found = pattern.match(topic)
            if found:
                self.serve(client, topic, payload, kind_of(found), lambda request: run(client, found, request))
                return

    def serve(self, client, topic, payload, kind, run):
        entry = {"device": client, "kind": kind, "topic": topic, "at_ms": round(time.monotonic() * 1000),
                 "payload": payload.decode(errors="replace"), "code": 200}
        self.seen.append(entry)
        token = None
        if self.levers.take(client, "lose", kind):
            entry["code"] = 0
            return
        after = ()
        try:
            request = json.loads(payload or b"{}")
            if not isinstance(request, dict):
                raise Refused(400, "no JSON object")
            token = request.get("clientToken")
            if token is not None and (not isinstance(token, str) or len(token) > TOKEN_MAX):
                raise Refused(400, "clientToken")
            code = self.levers.take(client, "fail", kind)
            if code:
                raise Refused(int(code) if code.isdigit() else code, "as the test wants it")
            answer, after = run(request)
            verdict = "accepted"
        except (Refused, json.JSONDecodeError, RecursionError) as error:
            refusal = error if isinstance(error, Refused) else Refused(400, "Payload is not a valid JSON")
            verdict, answer = "rejected", self.refusal(kind, refusal)
            entry["code"] = refusal.code
        if token is not None:
            answer = {**answer, "clientToken": token}
        if self.levers.take(client, "mute", kind):
            entry["code"] = 0
        else:
            body = compact(answer)
            self.link.say(client, f"{topic}/{verdict}", body[:-2] if self.levers.take(client, "garble", kind) else body)
        for said, content in after:
            self.link.say(client, said, compact({**content, "clientToken": token} if token else content))

    @staticmethod
    def refusal(kind, refused):
        if kind in ("create", "provision"):
            return {"statusCode": refused.code, "errorCode": {429: "Throttled"}.get(refused.code, "InvalidParameters"),
                    "errorMessage": refused.message}
        return {"code": refused.code, "message": refused.message, "timestamp": now()}

    def on_shadow(self, client, found, request):
        thing, name, verb = found[1], found[2], found[3]
        shadow, prefix = self.shadow(thing, name), found[0].rsplit("/", 1)[0]
        if verb == "get":
            return shadow.document(), ()
        if verb == "delete":
            return shadow.delete(), ()
        accepted, delta = shadow.update(request)
        return accepted, [(f"{prefix}/update/delta", delta)] if delta else ()

    def on_jobs(self, client, found, request):
        thing, job, verb = found[1], found[2], found[3]
        jobs, answer = self.jobs_of(thing), {"timestamp": now()}
        if verb == "start-next":
            execution = jobs.start_next(request.get("statusDetails"))
        elif verb == "update":
            jobs.update(job, request)
            execution = None
        else:
            execution = jobs.next() if job == "$next" else jobs.find(job) if job else None
        if execution:
            answer["execution"] = {**execution, "thingName": thing}
        return answer, self.news(thing) if verb == "update" else ()

    def news(self, thing):
        """notify-next when the next one is another one."""
        execution = self.jobs_of(thing).next()
        following = execution and (execution["jobId"], execution["executionNumber"])
        if self.notified.get(thing) == following:
            return ()
        self.notified[thing] = following
        return [(f"$aws/things/{thing}/jobs/notify-next", self.next_of(thing))]

    def next_of(self, thing):
        execution = self.jobs_of(thing).next()
        return {"timestamp": now(), **({"execution": {**execution, "thingName": thing}} if execution else {})}

    def on_fleet(self, client, found, request):
        if not self.registry.of_client(client).get("claim"):
            raise Refused(403, "no claim")
        return (self.fleet.create(request) if found[0] == CREATE else self.fleet.provision(found[1], request)), ()

    # --- what the test does ------------------------------------------------------------------------

    def thing(self, name, path):
        self.register(path, thing=name, status="ACTIVE", claim=False)

    def claim(self, path):
        self.register(path, thing=None, status="ACTIVE", claim=True)

    def register(self, path, **entry):
        with open(path, "rb") as file:
            certificate = x509.load_pem_x509_certificate(file.read())
        self.registry.add(certificate.public_bytes(serialization.Encoding.DER), **entry)

    def certificate(self, name, status):
        for entry in self.registry.certificates.values():
            if entry["thing"] == name:
                entry["status"] = status

    def template(self, name, text):
        self.fleet.templates[name] = json.loads(text)

    def read(self, thing, name):
        shadow = self.shadow(thing, name)
        return {"document": shadow.document() if shadow.exists else None}

    def prefix(self, thing, name):
        return f"$aws/things/{thing}/shadow" + ("" if name == "-" else f"/name/{name}")

    def update(self, thing, name, text):
        accepted, delta = self.shadow(thing, name).update({"state": json.loads(text)})
        self.link.say(thing, self.prefix(thing, name) + "/update/accepted", compact(accepted))
        if delta:
            self.link.say(thing, self.prefix(thing, name) + "/update/delta", compact(delta))
        return {"version": accepted["version"]}

    def delete(self, thing, name):
        self.shadow(thing, name).delete()

    def delta(self, thing, name, version, text):
        self.link.say(thing, self.prefix(thing, name) + "/update/delta",
                      compact({"version": int(version), "timestamp": now(), "state": json.loads(text)}))

    def job(self, thing, job, document, number="1"):
        self.jobs_of(thing).add(job, json.loads(document), int(number))
        self.tell_news(thing)

    def cancel(self, thing, job):
        self.jobs_of(thing).cancel(job)
        self.tell_news(thing)

    def tell_news(self, thing):
        for topic, content in self.news(thing):
            self.link.say(thing, topic, compact(content))

    def notify(self, thing):
        self.link.say(thing, f"$aws/things/{thing}/jobs/notify-next", compact(self.next_of(thing)))

    def lever(self, what):
        def pull(device, kind, count, value="1"):
            if kind not in KINDS:
                raise ValueError(", ".join(KINDS))
            self.levers.set(device, what, value, int(count), kind)
        return pull

    def commands(self):
        return {"thing": self.thing, "claim": self.claim, "certificate": self.certificate,
                "certificates": lambda: {"certificates": list(self.registry.certificates.values())},
                "template": self.template, "shadow": self.read, "update": self.update, "delete": self.delete,
                "delta": self.delta, "job": self.job, "cancel": self.cancel, "notify": self.notify,
                "jobs": lambda thing: {"executions": self.jobs_of(thing).executions},
                "requests": lambda device=None: {"requests": [e for e in self.seen if device in (None, e["device"])]},
                "connected": lambda: {"connected": self.link.connected()}, "clear": self.levers.clear,
                **{what: self.lever(what) for what in ("fail", "lose", "mute", "garble")}}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="the hub's listener for services")
    parser.add_argument("--judge", required=True, help="the socket at which the hub asks about logins")
    arguments = parser.parse_args()
    control.die_with_parent()
    registry = Registry()
    link = ServiceLink(arguments.port, "aws")
    with Judge(arguments.judge, registry.decide):
        service = AwsService(link, registry, asyncio.get_running_loop())
        await control.serve({}, service.commands())
    link.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
