#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""AWS IoT: jobs run as commands, one after the other and each once, also when the gateway is killed, the answer gets lost, or the
connection is lost while a command runs."""
from aws import Aws, aws_cloud
from field import all_online, simulated
from gateway import Gateway, configuration
from harness import BUILD, Stage, wait_until
from pki import Pki

RAN = "command=set status=ok"


def setpoint(value):
    return {"command": "set", "arguments": {"setpoint": value}}


with Stage() as stage:
    aws = Aws(stage, Pki(stage.path("pki")))
    for name in ("meter-1", "slow-1"):
        aws.add(name)
    thing = aws.thing("meter-1")
    thing.job("first", setpoint(41))  # waits since before the gateway was there
    link = stage.peer("link.py", f"aws=127.0.0.1:{aws.port}")
    gateway = Gateway(stage, configuration(stage, [aws_cloud(aws, jobs="on"), aws_cloud(aws, link.ready["ports"]["aws"], "line", jobs="on")], [
        simulated("rehearsal", {"meter-1": (["aws"], aws.identity("meter-1"))}),
        {"name": "slow", "plugin": "burden", "devices": [
            {"id": "slow-1", "clouds": ["line"], "identity": aws.identity("slow-1"), "points": [{"name": "text"}]}]}],
        gateway={"plugin_dirs": [f"{BUILD}/tests/fixtures", f"{BUILD}/plugins"]}))
    assert thing.wait_job("first", "SUCCEEDED", "FAILED")["statusDetails"] == {"status": "ok", "result": "{}"}
    # Several at once, and what cannot be done.
    for number in range(5):
        thing.job(f"row-{number}", setpoint(50 + number))
    thing.job("range", setpoint(1000))
    thing.job("unknown", {"command": "fly", "arguments": {}})
    thing.job("foreign", {"operation": "install", "files": []})
    for number in range(5):
        thing.wait_job(f"row-{number}", "SUCCEEDED")
    assert "outside the point's range" in thing.wait_job("range", "FAILED")["statusDetails"]["result"]
    assert thing.wait_job("unknown", "FAILED")["statusDetails"]["status"] in ("unsupported", "invalid")
    assert "no command" in thing.wait_job("foreign", "REJECTED")["statusDetails"]["reason"]
    # The answer gets lost, and the gateway is killed: what was done is told, and not done again.
    aws.command("lose", "meter-1", "job-update", -1)
    lost = len(thing.requests("job-update"))
    thing.job("killed", setpoint(77))
    wait_until(lambda: len(thing.requests("job-update")) > lost, 30, "the first outcome")
    assert gateway.errors().count(RAN) == 1 + 5 + 1, gateway.errors()
    gateway.kill()
    aws.command("clear")
    gateway.start()
    thing.wait_job("killed", "SUCCEEDED", "FAILED")
    # Its outcome may have missed the disk by a moment; what counts is that the command ran once.
    assert thing.execution("killed")["statusDetails"]["status"] in ("ok", "unknown")
    assert gateway.errors().count(RAN) == 0, gateway.errors()
    thing.job("last", setpoint(78))
    thing.wait_job("last", "SUCCEEDED")
    assert gateway.errors().count(RAN) == 1, gateway.errors()
    # Cancelled while its end is on the way: the next one runs all the same.
    aws.command("lose", "meter-1", "job-update", 1)
    lost = len(thing.requests("job-update"))
    thing.job("cancelled", setpoint(79))
    wait_until(lambda: len(thing.requests("job-update")) > lost, 30, "the outcome that gets lost")
    aws.command("cancel", "meter-1", "cancelled")
    thing.job("after", setpoint(80))
    thing.wait_job("after", "SUCCEEDED", seconds=60)
    assert thing.execution("cancelled")["status"] == "CANCELED"
    assert "ended elsewhere" in gateway.errors()
    # The connection is lost while a command runs, which takes 3 s: its end is told on the next one, whether it comes before that is up or after.
    slow = aws.thing("slow-1")
    for job, outage in (("short", False), ("long", True)):
        ran = gateway.errors().count("command=late status=ok")
        commands = gateway.session("slow-1", "line")["commands"] + 1
        slow.job(job, {"command": "late"})
        wait_until(lambda: slow.execution(job)["status"] == "IN_PROGRESS", 30, f"{job} to run")
        wait_until(lambda: gateway.session("slow-1", "line")["commands"] == commands, 30, f"{job} to be taken")
        link.command("cut aws" if outage else "rst aws")
        if outage:
            wait_until(lambda: gateway.errors().count("command=late status=ok") > ran, 30, f"the command of {job} to end")
            assert gateway.session("slow-1", "line")["state"] != "online"
            link.command("restore aws")
        assert slow.wait_job(job, "SUCCEEDED", "FAILED")["statusDetails"] == {"status": "ok", "result": '{"late":true}'}, slow.execution(job)
        assert gateway.session("slow-1", "line")["commands"] == commands and gateway.errors().count("command=late status=ok") == ran + 1
    assert gateway.session("slow-1", "line")["connects"] == 3
    assert not aws.record.select("closed") and not aws.record.select("denied")
    assert all_online(gateway)
    assert gateway.stop() == 0
