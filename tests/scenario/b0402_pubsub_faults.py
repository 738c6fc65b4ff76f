#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever Pub/Sub answers, nothing is lost: each misbehaviour falls into the right class of retry, says why, and the same messages go again."""
from field import all_online, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import Pki
from pubsub import PubSub, pubsub_cloud

GOOD, PAUSE, BACKOFF, NEVER = "no failure", "sent again in", "retrying in", "or when its credential or the configuration changes"
FAULTS = (
    ("chunked", GOOD, None), ("until-close", GOOD, "the server has ended the connection"), ("close", GOOD, "the server has ended the connection"),
    ("slow", GOOD, None), ("interim", GOOD, None), ("twice", GOOD, "the server has ended the connection"),
    ("409", PAUSE, "409 ABORTED"), ("429", PAUSE, "429 RESOURCE_EXHAUSTED: \"as ordered\"; the project's quota is used up"),
    ("499", PAUSE, "499 CANCELLED"), ("429-retry", PAUSE, "sent again in 1."), ("500", PAUSE, "500 INTERNAL"),
    ("503", PAUSE, "503 UNAVAILABLE"), ("504", PAUSE, "504 DEADLINE_EXCEEDED"),
    ("count", PAUSE, "it is not known which are stored"), ("html", PAUSE, "is not JSON"),
    ("truncated", BACKOFF, "closed the connection within the body"), ("garbage", BACKOFF, "the answer is not HTTP"),
    ("mid-request", BACKOFF, "closed the connection without an answer"), ("silent", BACKOFF, "no answer to a publish request within 2 s"),
    ("400", NEVER, "400 INVALID_ARGUMENT"), ("403", NEVER, "roles/pubsub.publisher"), ("404", NEVER, "create the topic"),
)
ONE = "meter-1"

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    cloud = PubSub(stage, pki)
    gateway = Gateway(stage, configuration(stage, [pubsub_cloud(cloud.port, pki.path("ca.pem"), cloud.account)],
                                           [simulated("field", {device: (["lake"], None) for device in (ONE, "meter-2")})]))
    wait_until(lambda: all_online(gateway) and cloud.received(ONE) > 5, 30, "the first samples")

    def caught_up(what):
        accounts = gateway.accounts()
        wait_until(lambda: all(cloud.received(device) >= last for device, last in accounts.items()), 30, f"everything, {what}")

    for how, kind, says in FAULTS:
        said, before = len(gateway.errors()), cloud.stats()
        count = {"mid-request": 2, NEVER: 1}.get(how, {NEVER: 1}.get(kind, 2))
        cloud.command("fail", how, count)
        wait_until(lambda: cloud.stats()["served"] - before["served"] == count, 30, f"{how} to be answered {count} times")
        caught_up(f"after {how}")
        log = gateway.errors()[said:]
        print(f"{how}: {log.strip().splitlines()}")
        assert says is None or says in log, f"{how}: the log does not say {says!r}: {log}"
        assert kind is GOOD or kind in log, f"{how}: {kind}: {log}"
        assert kind is not GOOD or "warn" not in log, f"{how}: {log}"
        assert (NEVER in log) == (kind is NEVER), f"{how}: {log}"
        if kind is PAUSE:
            assert cloud.stats()["connections"] == before["connections"], f"{how}: the connection was not kept"

    # A token that is refused once is made anew, without a failure; refused again, it is for good.
    said, before = len(gateway.errors()), cloud.stats()
    cloud.command("fail 401 1")
    wait_until(lambda: cloud.stats()["served"] > before["served"], 30, "401")
    caught_up("after 401")
    assert "making a new one" in gateway.errors()[said:] and "warn" not in gateway.errors()[said:], gateway.errors()[said:]
    assert cloud.stats()["connections"] == before["connections"]
    cloud.command("fail 401")
    wait_until(lambda: "401 UNAUTHENTICATED" in gateway.session(ONE, "lake").get("last_error", ""), 30, "the refusal to be seen")
    wait_until(lambda: gateway.session(ONE, "lake")["state"] == "waiting", 30, "the session to wait")
    assert NEVER in gateway.errors()[said:]
    cloud.command("good")
    caught_up("after 401 for good")

    # The server closes an idle connection, and one that was not used.
    said = len(gateway.errors())
    cloud.command("close-idle")
    caught_up("after the connection was closed")
    assert cloud.stats()["refused"] == [], cloud.stats()

    # Another service account: refused; the right key file mends it.
    assert gateway.stop() == 0
    with open(cloud.account, encoding="utf-8") as file:
        right = file.read()
    with open(cloud.stranger, encoding="utf-8") as file:
        stage.write("key.json", file.read())
    gateway.config = configuration(stage, [pubsub_cloud(cloud.port, pki.path("ca.pem"), stage.path("key.json"))],
                                   [simulated("field", {device: (["lake"], None) for device in (ONE, "meter-2")})])
    gateway.start()
    wait_until(lambda: "401 UNAUTHENTICATED" in gateway.session(ONE, "lake").get("last_error", ""), 30, "the stranger to be refused")
    stage.write("key.json", "{}")
    wait_until(lambda: "not a service account's key" in gateway.session(ONE, "lake").get("last_error", ""), 30, "the broken file to be told")
    stage.write("key.json", right)
    caught_up("with the right key")
    assert gateway.stop() == 0
    cloud.read()
    for device, account in cloud.accounts.items():
        assert not account.conflicts and account.out_of_order == 0, f"{device}: {account.conflicts} {account.out_of_order}"
        print(f"{device}: {account.prefix} delivered, {account.duplicates} twice")
