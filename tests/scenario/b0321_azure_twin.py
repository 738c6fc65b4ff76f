#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the hub's twin wants reaches the device in order, also what changed while it was away; what the device reports reaches the
twin. Lost, throttled and damaged answers delay that and change nothing else."""
from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from verdict import samples


def last_setpoint(record):
    entries = record.telemetry("sas-1")
    return samples(entries[-1])[-1]["values"].get("setpoint") if entries else None


def is_done(twin, value, version):
    """The device has it, and the twin says so."""
    wait_until(lambda: last_setpoint(hub.record) == value, 30, f"the set point {value}")
    twin.wait_reported(lambda reported: reported.get("setpoint", {}).get("value") == value and reported["setpoint"]["ac"] == 200 and
                       reported["setpoint"]["av"] == version)


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    pki.add("sas-1", "sas")
    hub = Hub(stage, pki, twin=True)
    twin = hub.twin("sas-1")
    twin.set_desired({"setpoint": 30})  # before it was ever there
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    config = configuration(stage, [hub_cloud(hub, port=link.ready["ports"]["hub"])], [simulated("rehearsal", {"sas-1": (["hub"], identity(pki, "sas-1", "sas"))}, every="50ms")])
    gateway = Gateway(stage, config)
    is_done(twin, 30, twin.desired["$version"])
    assert twin.reported["gateway"] == "test", twin.reported
    subscribed = hub.record.select("subscribe", "sas-1")
    assert sorted(entry["reason"] for entry in subscribed) == sorted(
        ["$iothub/methods/POST/#", "$iothub/twin/PATCH/properties/desired/#", "$iothub/twin/res/#", "devices/sas-1/messages/devicebound/#"])
    assert len(twin.requests("get")) == 1

    version = twin.set_desired({"setpoint": 31})  # patches, one of them told twice, one from the past
    is_done(twin, 31, version)
    twin.push_again()
    twin.push(1, {"setpoint": 99})
    is_done(twin, 32, twin.set_desired({"setpoint": 32}))
    assert len(twin.requests("get")) == 1

    twin.set_desired({"setpoint": 33, "nonsense": True}, told=False)  # a patch is lost: the next one shows the gap
    version = twin.set_desired({"nonsense": None})
    is_done(twin, 33, version)
    assert len(twin.requests("get")) == 2

    link.command("cut hub")  # what changes while nobody can be told
    wait_until(lambda: not all_online(gateway), 30, "the session to end")
    version = twin.set_desired({"setpoint": 34})
    link.command("restore hub")
    is_done(twin, 34, version)
    gets = len(twin.requests("get"))
    assert gateway.stop() == 0
    version = twin.set_desired({"setpoint": 35})
    twin.fail(429, 1, "get")
    twin.garble(1, "get")
    gateway.start()
    is_done(twin, 35, version)
    answers = [entry["status"] for entry in twin.requests("get")[gets:]]
    assert answers[0] == 429 and answers[-1] == 200 and len(answers) >= 2, answers
    wait_until(lambda: "asked for again" in gateway.errors(), 30, "a line about it")

    twin.fail(503, 2, "patch")  # reports wait, and come
    before = len(twin.requests("patch"))
    is_done(twin, 36, twin.set_desired({"setpoint": 36}))
    assert [entry["status"] for entry in twin.requests("patch")[before:]][:3].count(503) == 2
    twin.fail(400, 1, "patch")  # one that is refused is said, and the next goes
    version = twin.set_desired({"setpoint": 37})
    wait_until(lambda: "refused the reported properties (400)" in gateway.errors(), 30, "a line about the refusal")
    is_done(twin, 38, twin.set_desired({"setpoint": 38}))

    deep = {"a": 1}
    for _ in range(9):
        deep = {"d": deep}
    twin.push(twin.desired["$version"] + 1, {"far": {"too": {"deep": deep}}})  # beyond the limits: left out, nothing else happens
    wait_until(lambda: "nested more than 10 levels deep" in gateway.errors(), 30, "a line about the depth")
    seq = gateway.device("sas-1")["last_seq"]
    wait_until(lambda: gateway.session("sas-1", "hub")["acked_seq"] > seq, 30, "telemetry to go on")
    assert gateway.session("sas-1", "hub")["state"] == "online"
    assert gateway.stop() == 0
