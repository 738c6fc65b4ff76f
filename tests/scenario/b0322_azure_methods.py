#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Direct methods run as commands and are answered with their result; many at once find their callers; a slow device is a timeout
for the caller and nothing worse for the gateway."""
from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from hub import Hub
from pki import Pki


def modem(port, who):
    return {"name": "modem", "plugin": "at", "settings": {"port": port, "script": "none"},
            "devices": [{"id": "modem-1", "clouds": ["hub"], "identity": who,
                         "points": [{"name": "signal", "command": "AT+CSQ", "match": r"^\+CSQ: (\d+),", "type": "int", "every": "60s"}]}]}


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for name in ("sas-1", "modem-1"):
        pki.add(name, "sas")
    hub = Hub(stage, pki, twin=True)
    peer = stage.peer("at_modem.py", "--link", stage.path("port"), "--silence", 0, "--urcs", 0)
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    config = configuration(stage, [hub_cloud(hub, port=link.ready["ports"]["hub"])], [
        simulated("rehearsal", {"sas-1": (["hub"], identity(pki, "sas-1", "sas"))}, every="50ms"),
        modem(stage.path("port"), identity(pki, "modem-1", "sas"))])
    gateway = Gateway(stage, config)
    for name in ("sas-1", "modem-1"):
        hub.record.wait("subscribe", name, count=4, seconds=30)
    wait_until(lambda: all_online(gateway), 30, "the sessions")

    def call(name, payload=None, device="sas-1", timeout=30):
        done = hub.call_method(device, name, payload, timeout)
        return done.state, done.status, done.payload

    # --- what the caller is told
    assert call("set", {"setpoint": 42.5}) == ("answered", 200, {})
    for payload, says in (({"setpoint": 101}, "outside the point's range"), ({"nope": 1}, "no such point"), (["setpoint"], "object"),
                          (None, "1 to 64 points")):
        state, status, answer = call("set", payload)
        assert (state, status) == ("answered", 400) and says in answer["error"], (payload, answer)
    state, status, answer = call("no such command", {})
    assert (state, status) == ("answered", 501), (status, answer)
    assert call("at", {"command": "AT+CGMI"}, "modem-1") == ("answered", 200, {"lines": ["tidegate test works"], "status": "ok"})
    assert call("at", {"command": "AT+WHAT"}, "modem-1")[1] == 502

    # --- many at once: each caller gets its own answer
    calls = {n: hub.start_method("sas-1", "set", {"setpoint": 1, f"nope-{n}": n}) for n in range(25)}
    for n, started in calls.items():
        done = started.wait()
        assert done.status == 400 and f"nope-{n}" in done.payload["error"], (n, done.payload)

    def recovered():
        wait_until(lambda: call("at", {"command": "AT+COPS?"}, "modem-1")[1] == 200, 30, "the modem to answer again")

    # --- a device that does not answer: the caller does not wait for ever, and a late answer disturbs nobody
    peer.command("silent 1")
    state, status, answer = call("at", {"command": "AT+COPS?", "timeout_ms": 1000}, "modem-1")
    assert (state, status) == ("answered", 504), (status, answer)
    recovered()
    peer.command("silent 1")
    late = hub.call_method("modem-1", "at", {"command": "AT+COPS?", "timeout_ms": 2000}, timeout=0.5)
    assert late.state == "timeout", late.state
    wait_until(lambda: hub.twins.command("late")["late"] == 1, 30, "the answer that comes too late")
    recovered()

    # --- a connection that breaks under way: its answer is not given to a call of the next one
    commands = gateway.session("modem-1", "hub")["commands"]
    peer.command("silent 1")
    cut = hub.start_method("modem-1", "at", {"command": "AT+COPS?", "timeout_ms": 2000})
    wait_until(lambda: gateway.session("modem-1", "hub")["commands"] > commands, 30, "the command to be on its way")
    link.command("rst hub")
    hub.record.wait("connect", "modem-1", count=2, seconds=30)
    recovered()  # the modem takes one command after the other: the one that was cut off has ended
    assert hub.twins.command("late")["late"] == 1 and cut.state != "answered", cut.state

    assert gateway.session("sas-1", "hub")["state"] == "online"
    assert gateway.stop() == 0
