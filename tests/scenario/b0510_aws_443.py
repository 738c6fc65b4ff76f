#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""AWS where only port 443 leads out: the gateway offers x-amzn-mqtt-ca in TLS, also when it resumes a session; a server that does not
agree is told by that name, is told nothing, and loses nothing."""
import firewall

ENDPOINT = "a1b2c3d4e5-ats.iot.eu-central-1.amazonaws.com"
firewall.site({ENDPOINT: "127.0.0.1"})

from aws import Aws, aws_cloud  # noqa: E402  (after the program has run itself again)
from field import all_online, simulated  # noqa: E402
from gateway import Gateway, configuration, run  # noqa: E402
from harness import Stage, wait_until  # noqa: E402
from pki import Pki  # noqa: E402
from verdict import delivered, judge, table  # noqa: E402

THINGS = ("meter-1", "meter-2")

with Stage() as stage:
    pki = Pki(stage.path("pki"), names=[ENDPOINT])
    aws = Aws(stage, pki)
    for name in THINGS:
        aws.add(name)
    clients = [word for name in THINGS for word in ("--client", pki.path(name))]

    def gate_opens():
        return stage.peer("alpn_gate.py", f"localhost:{aws.port}", "--port", 443, "--certificate", pki.path("server.pem"), "--key",
                          pki.path("server.key"), "--ca", pki.path("ca.pem"), *clients)

    gate = gate_opens()
    cloud = aws_cloud(aws, 443, host=ENDPOINT, shadow="classic")
    sources = [simulated("rehearsal", {name: (["aws"], aws.identity(name)) for name in THINGS})]
    gateway = Gateway(stage, configuration(stage, [cloud], sources))

    def all_back(what):
        wait_until(lambda: all_online(gateway), 30, f"both sessions to be online {what}")

    def everything(what):
        accounts = gateway.accounts()
        wait_until(lambda: delivered(aws.record, accounts), 30, f"everything to be delivered {what}")
        return accounts

    all_back("through port 443")
    stats = gate.command("stats")
    assert stats["refused"] == 0 and set(stats["names"]) == {ENDPOINT}, stats
    thing = aws.thing("meter-1")
    thing.update({"desired": {"setpoint": 42.5}})
    thing.wait_reported(lambda reported: reported.get("setpoint") == 42.5)

    connects = {name: gateway.session(name, "aws")["connects"] for name in THINGS}
    gate.command("cut")
    wait_until(lambda: all(gateway.session(name, "aws")["connects"] > connects[name] for name in THINGS), 30, "new connections")
    all_back("after the cut")
    assert gate.command("stats")["refused"] == 0 and gate.command("stats")["resumed"] > 0, gate.command("stats")

    def is_told(server, says):
        """Both sessions say why they are not there, back off and collect; nobody gets to the broker."""
        before, logins, said = gateway.accounts(), len(aws.record.select("connect")), len(gateway.errors())
        for name in THINGS:
            wait_until(lambda: says in gateway.session(name, "aws").get("last_error", ""), 30, f"{name} to be told by {server}")
        wait_until(lambda: all(gateway.accounts()[name] > before[name] + 20 for name in THINGS), 30, "a backlog")
        assert len(aws.record.select("connect")) == logins, f"{server}: somebody logged in"
        assert says in gateway.errors()[said:] and "retrying in" in gateway.errors()[said:], gateway.errors()[said:]

    gate.command("agree none")
    gate.command("cut")
    is_told("a server that does not know the protocol", f"{ENDPOINT} did not agree to speak x-amzn-mqtt-ca on this port (ALPN)")
    gate.command("agree x-amzn-mqtt-ca")
    all_back("after a server without the protocol")
    everything("after a server without the protocol")

    # One that says so by an alert (RFC 7301 3.2), as a web server does.
    gate.stop()
    web = stage.process("s_server", "openssl", "s_server", "-accept", "127.0.0.1:443", "-alpn", "h2", "-cert", pki.path("server.pem"), "-key",
                        pki.path("server.key"), "-quiet")
    is_told("a web server", f"{ENDPOINT} ended the TLS handshake: alert no_application_protocol")
    web.stop()
    gate = gate_opens()
    all_back("after a web server")
    accounts = everything("after a web server")
    assert gateway.stop() == 0
    rows = judge(aws.record, accounts)
    print(table(rows))
    assert all(row.holds for row in rows)

    cloud = aws_cloud(aws, 443, transport="websocket")
    refused = run("check", "-c", configuration(stage, [cloud], sources, name="bad.yaml"), check=1)
    assert "`port: 443` passes the same firewalls" in refused.stdout + refused.stderr, refused.stdout + refused.stderr
