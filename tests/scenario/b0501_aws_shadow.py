#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""AWS IoT: what a shadow desires is written and reported, also what was desired during an outage; telemetry loses nothing."""
from aws import Aws, aws_cloud
from field import all_online, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import Pki
from verdict import delivered, judge, table


def acknowledged(reported):
    return {name: ack["ac"] for name, ack in reported.get("_ack", {}).items()}


with Stage() as stage:
    aws = Aws(stage, Pki(stage.path("pki")))
    for name in ("meter-1", "meter-2"):
        aws.add(name)
    link = stage.peer("link.py", f"aws=127.0.0.1:{aws.port}")
    gateway = Gateway(stage, configuration(stage, [aws_cloud(aws, link.ready["ports"]["aws"], shadow="classic")], [
        simulated("rehearsal", {name: (["aws"], aws.identity(name)) for name in ("meter-1", "meter-2")})]))
    wait_until(lambda: all_online(gateway), 30, "both sessions to be online")
    thing = aws.thing("meter-1")
    # No shadow yet: the first report makes it.
    thing.wait_reported(lambda reported: reported.get("gateway") == "test" and reported["state"]["is"] == "ok")
    assert "desired" not in thing.document()["state"]
    # A wish, and its end: the bare value is reported, so that AWS sees no difference any more.
    thing.update({"desired": {"setpoint": 42.5}})
    thing.wait_reported(lambda reported: reported.get("setpoint") == 42.5)
    wait_until(lambda: "delta" not in thing.document()["state"], 30, "the delta to vanish")
    wait_until(lambda: any('"setpoint":42.5' in entry["payload"] for entry in aws.record.select("publish", "meter-1")
                           if aws.record.is_telemetry(entry["topic"])), 30, "the set point in the telemetry")
    # Refused ones stay different, and say why.
    thing.update({"desired": {"setpoint": 999, "nope": 1}})
    thing.wait_reported(lambda reported: acknowledged(reported) == {"setpoint": 400, "nope": 404})
    assert thing.document()["state"]["delta"] == {"setpoint": 999, "nope": 1}
    thing.update({"desired": {"setpoint": 7, "nope": None}})
    thing.wait_reported(lambda reported: reported.get("setpoint") == 7 and acknowledged(reported) == {"setpoint": 200})
    # What is told twice, or late, is written once.
    aws.command("delta", "meter-1", "-", 2, '{"setpoint": 1}')
    assert thing.reported.get("setpoint") == 7
    # An outage: the backlog is delivered, and the newest wish counts.
    before = gateway.accounts()
    link.command("cut aws")
    aws.command("update", "meter-1", "-", '{"desired": {"setpoint": 8}}')
    aws.command("update", "meter-1", "-", '{"desired": {"setpoint": 9}}')
    wait_until(lambda: all(seq >= before[name] + 100 for name, seq in gateway.accounts().items()), 30, "a backlog")
    link.command("restore aws")
    thing.wait_reported(lambda reported: reported.get("setpoint") == 9)
    # Throttled and conflicting, it comes to the same end.
    aws.command("fail", "meter-1", "update", 2, 429)
    thing.update({"desired": {"setpoint": 10}})
    thing.wait_reported(lambda reported: reported.get("setpoint") == 10)
    aws.command("fail", "meter-1", "update", 1, 409)
    thing.update({"desired": {"setpoint": 11}})
    thing.wait_reported(lambda reported: reported.get("setpoint") == 11)
    assert [request["code"] for request in thing.requests("update")].count(429) == 2
    assert "code 409" not in gateway.errors()
    accounts = gateway.accounts()
    wait_until(lambda: delivered(aws.record, accounts), 40, "everything to be delivered")
    # Nobody else's shadow, nothing that was not allowed, and no talk without end.
    assert aws.thing("meter-2").document()["state"].keys() == {"reported"}
    assert not aws.record.select("closed") and not aws.record.select("denied")
    assert len(thing.requests()) < 60, len(thing.requests())
    assert gateway.stop() == 0
    rows = judge(aws.record, accounts)
    print(table(rows))
    assert all(row.holds for row in rows)
