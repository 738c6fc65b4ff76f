#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Pub/Sub where an HTTP proxy with a password is the only way out: requests and the token exchange go through it; a wrong password, for
either, and a proxy that forbids the place are told and tried again with back-off, and nothing is lost."""
from field import all_online, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import Pki
from pubsub import PubSub, pubsub_cloud

DEVICES = ("meter-1", "meter-2")
HOST = "pubsub.plant.example"  # no name of this machine: who resolves it is the proxy
NEVER, BACKOFF = "or when its credential or the configuration changes", "retrying in"

with Stage() as stage:
    pki = Pki(stage.path("pki"), names=[HOST])
    cloud = PubSub(stage, pki)
    proxy = stage.peer("connect_proxy.py", f"{HOST}=127.0.0.1")
    proxy.command("auth gate 'pass word:1'")
    password = stage.write("proxy-password", "pass word:1\n")
    gateway = Gateway(stage, configuration(
        stage, [pubsub_cloud(cloud.port, pki.path("ca.pem"), cloud.account, host=HOST, auth="exchange",
                             proxy=f"http://127.0.0.1:{proxy.ready['port']}", proxy_user="gate", proxy_password_file=password)],
        [simulated("field", {device: (["lake"], None) for device in DEVICES})]))

    def caught_up(what):
        accounts = gateway.accounts()
        wait_until(lambda: all(cloud.received(device) >= last for device, last in accounts.items()), 30, f"everything, {what}")

    def all_went_through():
        """Every connection that the cloud saw was opened by the proxy (the cloud counts those whose TLS came about)."""
        seen = cloud.stats()["connections"]
        assert proxy.command("stats")["opened"] >= seen > 0, (proxy.command("stats"), seen)

    wait_until(lambda: all_online(gateway) and all(cloud.received(device) > 20 for device in DEVICES), 30, "the first samples")
    stats = proxy.command("stats")
    assert set(stats["asked"]) == {f"{HOST}:{cloud.port}", f"localhost:{cloud.port}"} and stats["refused"] == 0, stats
    all_went_through()

    # A wrong password for the connection: told, tried again and again, and mended by the file alone.
    stage.write("proxy-password", "wrong\n")
    said, before = len(gateway.errors()), gateway.accounts()
    proxy.command("cut")
    wait_until(lambda: "the proxy 127.0.0.1" in gateway.session("meter-1", "lake").get("last_error", "") and
               "refused the user name or the password (407" in gateway.session("meter-1", "lake")["last_error"], 30, "the wrong password to be told")
    refused = proxy.command("stats")["refused"]
    wait_until(lambda: proxy.command("stats")["refused"] >= refused + 3, 30, "further attempts")
    wait_until(lambda: all(gateway.accounts()[device] > before[device] + 20 for device in DEVICES), 30, "a backlog")
    log = gateway.errors()[said:]
    assert BACKOFF in log and NEVER not in log, log
    stage.write("proxy-password", "pass word:1\n")
    wait_until(lambda: all_online(gateway), 30, "the sessions to be back")
    caught_up("with the right password")

    # The same, and a place that is forbidden, when a token is to be fetched while the connection is there.
    for spoil, mend, says in ((lambda: stage.write("proxy-password", "wrong\n"), lambda: stage.write("proxy-password", "pass word:1\n"),
                               "refused the user name or the password (407"),
                              (lambda: proxy.command("refuse 403"), lambda: proxy.command("refuse 0"),
                               f"does not allow connections to localhost:{cloud.port} (403")):
        said, tokens = len(gateway.errors()), cloud.stats()["tokens"]
        spoil()
        cloud.command("revoke")
        wait_until(lambda: any("no token from localhost: the proxy 127.0.0.1" in line and says in line and BACKOFF in line
                               for line in gateway.errors()[said:].splitlines()), 30, f"no token: {says} to be told")
        assert NEVER not in gateway.errors()[said:], gateway.errors()[said:]
        assert cloud.stats()["tokens"] == tokens
        mend()
        wait_until(lambda: all_online(gateway) and cloud.stats()["tokens"] > tokens, 30, "the sessions to be back with a new token")
        caught_up(f"after {says}")
    all_went_through()

    assert gateway.stop() == 0
    cloud.read()
    for device in DEVICES:
        account = cloud.accounts[device]
        assert not account.conflicts and account.out_of_order == 0, f"{device}: {account.conflicts} {account.out_of_order}"
        print(f"{device}: {account.prefix} delivered, {account.duplicates} twice")
    said = gateway.errors()
    assert "pass word" not in said and "cGFzcyB3b3JkOjE" not in said and "ya29." not in said, "a secret is in the log"
