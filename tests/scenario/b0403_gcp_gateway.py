#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One connection for all devices of IoT Core: they are attached one by one, one that is not associated waits with a clear
reason and disturbs no other, config and commands find their device, and neither a cut line nor a detached device loses anything."""
from field import simulated
from gateway import Gateway, configuration
from gcp import Bridge, Registry
from harness import Stage, wait_until
from verdict import delivered, judge, samples, table

CHILDREN = ("child-1", "child-2", "child-3")


def last_setpoint(record, device):
    entries = [entry for entry in record.select("publish", device) if "/events" in entry["topic"]]
    return samples(entries[-1])[-1]["values"].get("setpoint") if entries else None


def unattached(entries):
    """Errors about devices that are not attached. What was under way when the cloud detached a device is none: the gateway could not know."""
    wrong, detached = [], set()
    for entry in entries:
        if entry["ev"] == "attach":
            detached.discard(entry["device"])
        elif entry["ev"] == "error" and "GATEWAY_DETACHMENT_DEVICE_ERROR" in entry["reason"]:
            detached.add(entry["device"])
        elif entry["ev"] == "error" and "GATEWAY_DEVICE_NOT_FOUND" in entry["reason"] and entry["device"] not in detached:
            wrong.append(entry)
    return wrong


def only(accounts, *names):
    return {name: accounts[name] for name in names}


with Stage() as stage:
    registry = Registry(stage.path("gcp"))
    registry.gateway("gate-1")
    registry.gateway("gate-2", method="DEVICE_AUTH_TOKEN_ONLY")
    for child in CHILDREN[:2]:
        registry.add(child, key=None, bound="gate-1")
    registry.add("child-3", key=None)
    registry.add("child-4")
    bridge = Bridge(stage, registry)
    record = bridge.record
    link = stage.peer("link.py", f"bridge=127.0.0.1:{bridge.port}")
    port = link.ready["ports"]["bridge"]
    clouds = [bridge.entry(port, mode="gateway", gateway_id="gate-1", identity={"jwt_key": registry.key("gate-1")}),
              bridge.entry(port, "token", mode="gateway", gateway_id="gate-2", identity={"jwt_key": registry.key("gate-2")})]
    devices = {**{child: (["lake"], None) for child in CHILDREN},
               "child-4": (["token"], {"jwt_key": registry.key("child-4")})}
    gateway = Gateway(stage, configuration(stage, clouds, [simulated("rehearsal", devices)]))

    # Three are attached, the stranger says why it is not.
    wait_until(lambda: all(gateway.session(child, cloud)["state"] == "online" for child, cloud in
                           (("child-1", "lake"), ("child-2", "lake"), ("child-4", "token"))), 30, "three devices to be attached")
    wait_until(lambda: "GATEWAY_ATTACHMENT_ERROR" in gateway.session("child-3", "lake").get("last_error", ""), 30, "the refusal in the status")
    text = gateway.session("child-3", "lake")["last_error"]
    assert "not attached to gateway gate-1" in text and "associated" in text, text
    assert gateway.session("child-3", "lake")["state"] == "attaching"
    assert record.wait("attach", "child-4")[0]["reason"] == "token"
    record.wait("error", "child-3", "GATEWAY_ATTACHMENT_ERROR", count=4, seconds=60)
    before = only(gateway.accounts(), "child-1", "child-2", "child-4")
    wait_until(lambda: delivered(record, before), 30, "the others' data in the meantime")
    assert len(record.select("connect", "gate-1")) == 1, "a refused device must not cost the others their connection"

    # What is for a device finds it.
    record.wait("subscribe", "child-2", "commands", seconds=30)
    with bridge.cloud() as cloud:
        cloud.command("child-2", '{"setpoint": 42}', "set")
        wait_until(lambda: last_setpoint(record, "child-2") == 42, 30, "the set point of child-2")
        cloud.config("child-1", '{"setpoint": 17}')
        wait_until(lambda: last_setpoint(record, "child-1") == 17, 30, "the set point of child-1")

        # Once it is associated, the stranger is attached without a hand.
        registry.change("child-3", bound="gate-1")
        wait_until(lambda: gateway.session("child-3", "lake")["state"] == "online", 30, "child-3 to be attached")
        assert gateway.session("child-3", "lake").get("last_error", "") == ""

        # A device that the cloud detaches comes back, alone.
        attached = len(record.select("attach", "child-1"))
        cloud.detach("child-1")
        record.wait("attach", "child-1", count=attached + 1, seconds=30)
    assert len(record.select("connect", "gate-1")) == 1

    # The line is cut: everybody is attached anew before anything else is said.
    for lever in ("cut bridge", "rst bridge"):
        before = gateway.accounts()
        link.command(lever)
        wait_until(lambda: all(seq >= before[child] + 50 for child, seq in gateway.accounts().items()), 30, "fifty samples a device")
        link.command("restore bridge")
        wait_until(lambda: delivered(record, before), 40, f"what came before `{lever}`")
    accounts = gateway.accounts()
    wait_until(lambda: delivered(record, accounts), 40, "everything to be delivered")
    assert not unattached(record.read()), "something was said for a device that was not attached"
    assert gateway.stop() == 0
    rows = judge(record, accounts)
    print(table(rows))
    assert all(row.holds for row in rows)
    assert not record.select("closed"), record.select("closed")
