#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`auth: exchange`: a token is fetched at the key file's token_uri, used until three quarters of its life, renewed between requests,
fetched anew when refused; a token service that fails or refuses is told apart."""
from field import all_online, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import Pki
from pubsub import PubSub, pubsub_cloud

NEVER = "or when its credential or the configuration changes"

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    cloud = PubSub(stage, pki)
    gateway = Gateway(stage, configuration(stage, [pubsub_cloud(cloud.port, pki.path("ca.pem"), cloud.account, auth="exchange")],
                                           [simulated("field", {"meter-1": (["lake"], None)})]), wait=True)

    def caught_up(what):
        last = gateway.accounts()["meter-1"]
        wait_until(lambda: cloud.received("meter-1") >= last, 30, f"everything, {what}")
    wait_until(lambda: all_online(gateway) and cloud.received("meter-1") > 20, 30, "the first samples")
    assert cloud.stats()["tokens"] == 1, "one token for many requests"

    said = len(gateway.errors())
    cloud.command("life 4")
    cloud.command("revoke")
    wait_until(lambda: cloud.stats()["tokens"] == 2, 30, "a new token for one that is refused")
    wait_until(lambda: cloud.stats()["tokens"] >= 3, 30, "a new token before the old one ends")
    caught_up("with renewed tokens")
    log = gateway.errors()[said:]
    assert log.count("the token is refused") == 1 and "warn" not in log, log

    cloud.command("life 3600")
    for how, says, never in (("503", "the token service answers 503", False), ("garbage", "no token from localhost: ", False),
                             ("400", "the token service answers 400 \"invalid_grant\" \"as ordered\"", True)):
        said = len(gateway.errors())
        cloud.command("token", how)
        cloud.command("revoke")
        wait_until(lambda: says in gateway.session("meter-1", "lake").get("last_error", ""), 30, f"{how} of the token service to be told")
        assert (NEVER in gateway.errors()[said:]) == never, gateway.errors()[said:]
        cloud.command("token good")
        wait_until(lambda: all_online(gateway), 30, f"the session to be online again after {how}")
        caught_up(f"after {how}")
    assert gateway.stop() == 0
    cloud.read()
    account = cloud.accounts["meter-1"]
    assert not account.conflicts and account.out_of_order == 0, f"{account.conflicts} {account.out_of_order}"
    print(f"{account.prefix} delivered, {account.duplicates} twice")
