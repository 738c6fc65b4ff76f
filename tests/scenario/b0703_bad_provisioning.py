#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A provisioning service that answers nonsense: each form is told, tried again with a back-off and believed in nothing; a device that is
assigned goes on meanwhile, and the first right answer connects the others with all that was collected."""
from field import hub_cloud, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Dps, Hub
from pki import Pki
from verdict import delivered, judge, table

ASSIGNED = '{"operationId":"1.a","status":"assigned","registrationState":%s}'
DEEP = "[" * 3000 + "]" * 3000
# device: the status and the body of its answer, and what `status` then says
FORMS = {
    "broken": (200, '{"operationId":"1.a","status":"assi', "no JSON"),
    "text": (200, '"assigned"', "no object"),
    "nothing": (200, "", "no JSON"),
    "bytes": (200, b'{"status":"\xff\xfe"}', "no JSON"),
    "nul": (200, b'{"status":"assigned\\u0000"}', "no JSON"),
    "twice": (200, '{"status":"assigning","status":"assigned"}', "no JSON"),
    "deep": (200, '{"status":"assigned","registrationState":%s}' % DEEP, "nested more than 24 levels"),
    "large": (200, '{"status":"%s"}' % ("x" * 140000), "at most 131072"),
    "unheard-of": (200, '{"status":"perhaps"}', "no status that is known"),
    "number": (200, '{"status":7}', "no status that is known"),
    "no-state": (200, '{"status":"assigned"}', "no usable hub and device id"),
    "no-hub": (200, ASSIGNED % '{"deviceId":"no-hub"}', "no usable hub and device id"),
    "odd-hub": (200, ASSIGNED % '{"assignedHub":"host:8883/path","deviceId":"odd-hub"}', "no usable hub and device id"),
    "long-hub": (200, ASSIGNED % ('{"assignedHub":"%s","deviceId":"long-hub"}' % ("h" * 300)), "no usable hub and device id"),
    "odd-device": (200, ASSIGNED % '{"assignedHub":"localhost","deviceId":"a/b#+"}', "no usable hub and device id"),
    "huge-number": (200, ASSIGNED % '{"assignedHub":"localhost","deviceId":"huge-number","payload":1e999}', "no JSON"),
    "no-reason": (401, "who are you", "refused with 401"),
}

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    hub = Hub(stage, pki)
    dps = Dps(stage, pki, hub)
    group = stage.write("group.key", dps.group("meters") + "\n")
    for device in ("steady", *FORMS):
        dps.enrol(device, group="meters")
    for device in FORMS:
        dps.command("lose", device, "any", -1)
    cloud = hub_cloud(hub, identity={"derive_from_group": group}, max_backoff="1s",
                      provisioning={"id_scope": dps.id_scope, "host": "localhost", "port": dps.port})
    del cloud["host"]
    gateway = Gateway(stage, configuration(stage, [cloud], [
        simulated("field", {device: (["hub"], None) for device in ("steady", *FORMS)}, every="100ms")]))
    wait_until(lambda: gateway.session("steady", "hub")["state"] == "online", 40, "the steady device")
    with dps.service() as service:
        for device, (status, body, says) in FORMS.items():
            def told():
                """Answers what it asks, until the answer has come to the session that asked."""
                asked = dps.requests(device)
                if asked and len(asked) > len(answered):
                    answered.append(asked[-1]["rid"])
                    service.say(device, f"$dps/registrations/res/{status}/?$rid={asked[-1]['rid']}&retry-after=99999999999999999999", body)
                return says in gateway.session(device, "hub").get("last_error", "")
            answered = []
            wait_until(told, 40, f"{device} to be told: {says}; it is {gateway.session(device, 'hub')}")
            session = gateway.session(device, "hub")
            assert session["connects"] == 0 and session["pending"] > 0, session
    sessions = {device: gateway.session(device, "hub") for device in FORMS}
    assert not [device for device in FORMS if hub.record.select("connect", device) or hub.record.select("refused", device)]
    assert all(session["state"] in ("waiting", "queued", "connecting", "login", "provisioning") for session in sessions.values()), sessions
    asked = {device: len(dps.requests(device)) for device in FORMS}
    assert all(count < 60 for count in asked.values()), asked  # nobody is hammered
    assert gateway.session("steady", "hub")["connects"] == 1

    dps.command("clear")
    for device in FORMS:
        dps.command("at_once", device, "on")
    with dps.service() as service:
        service.lever("*", "kick")  # what was asked before stays without an answer
    wait_until(lambda: all(gateway.session(device, "hub")["state"] == "online" for device in FORMS if device != "no-reason"), 40, "the right answers")
    wait_until(lambda: gateway.session("no-reason", "hub")["state"] == "online", 40, "the one that was refused")
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 40, "everything to be delivered")
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert all(row.holds for row in rows)
