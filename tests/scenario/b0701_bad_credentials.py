#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Credentials that are wrong, of somebody else, expired, unknown, disabled or inactive: each session says which and waits for a change,
nothing of it is lost, the neighbours go on; a mended file counts at once, and what is mended in the cloud is found without help."""
import shutil

from aws import Aws, aws_cloud
from broker import Broker
from field import broker_cloud, hub_cloud, identity, simulated
from gateway import Gateway, configuration
from harness import Stage, free_port, wait_until
from hub import Hub
from metrics import metric
from pki import DAY, Pki
from verdict import delivered, judge, table

# device: its kind, what `status` says, and what it waits for. Those of "slow" would wait for minutes if their file did not change.
BAD = {"wrong-key": ("sas", "slow", "not authorised", "change"), "wrong-pair": ("x509-ca", "slow", "does not belong to", "change"),
       "other-certificate": ("x509-thumbprint", "slow", "not authorised", "change"), "no-key": ("sas", "slow", "does not hold a base64 key", "change"),
       "unknown": ("sas", "quick", "not authorised", "change"), "disabled": ("x509-ca", "quick", "not authorised", "change"),
       "expired": ("x509-ca", "quick", "not authorised", "change"),
       "expired-tls": ("x509-ca", "broker", "refused our client certificate: alert certificate_expired", "back-off")}
GOOD = {"good-sas": "sas", "good-ca": "x509-ca"}

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device, kind in {**GOOD, **{device: kind for device, (kind, *_) in BAD.items()}}.items():
        pki.add(device, kind, **({"begin": -60 * DAY, "end": -2 * DAY} if "expired" in device else {}))
    unknown = pki.lines["unknown"]
    pki.remove("unknown")
    pki.enable("disabled", False)

    def swap(device, ending):
        """Puts the neighbour's file in its place; returns what puts its own back."""
        own, kept = pki.path(f"{device}.{ending}"), pki.path(f"{device}.own-{ending}")
        shutil.move(own, kept)
        shutil.copy(pki.path({"sas": "good-sas.sas", "key": "good-ca.key"}[ending]), own)
        return lambda: shutil.copy(kept, own)
    mend = {"wrong-key": swap("wrong-key", "sas"), "wrong-pair": swap("wrong-pair", "key")}
    shutil.copy(pki.path("no-key.sas"), pki.path("no-key.right"))
    stage.write("pki/no-key.sas", "not a key at all!\n")
    mend["no-key"] = lambda: shutil.copy(pki.path("no-key.right"), pki.path("no-key.sas"))
    registered = pki.lines["other-certificate"]
    pki.add("other-certificate", "x509-thumbprint")  # another pair of files than the one that is registered
    pki.register("other-certificate", *registered[:2])
    hub = Hub(stage, pki)
    broker = Broker(stage, pki, name="certificates")
    aws = Aws(stage, Pki(stage.path("aws-pki")))
    aws.add("thing")
    aws.command("certificate", "thing", "INACTIVE")
    clouds = [hub_cloud(hub, name="slow", max_backoff="60s"), hub_cloud(hub, name="quick"), broker_cloud(broker.port, pki.path("ca.pem")), aws_cloud(aws)]
    web = free_port()
    gateway = Gateway(stage, configuration(stage, clouds, [
        simulated("good", {device: (["quick"], identity(pki, device, kind)) for device, kind in GOOD.items()}),
        simulated("bad", {device: ([cloud], identity(pki, device, "sas" if kind == "sas" else "x509"))
                          for device, (kind, cloud, *_) in BAD.items()}),
        simulated("cloudy", {"thing": (["aws"], aws.identity("thing"))})], gateway={"http": f"127.0.0.1:{web}"}))

    def shows(device, cloud, says, waits):
        def holds():
            session = gateway.session(device, cloud)
            return session["state"] == "waiting" and says in session.get("last_error", "") and session["waits_for"] == waits
        wait_until(holds, 30, f"{device} to wait for {waits} and say: {says}; it is {gateway.session(device, cloud)}")
        assert gateway.session(device, cloud)["pending"] > 0

    def online(device, cloud):
        wait_until(lambda: gateway.session(device, cloud)["state"] == "online", 30, f"{device} to come online")

    for device, (_, cloud, says, waits) in BAD.items():
        shows(device, cloud, says, waits)
    shows("thing", "aws", "the certificate is not active", "change")
    for device, cloud in (*((device, cloud) for device, (_, cloud, *_) in BAD.items()), ("thing", "aws")):
        assert metric(web, "tidegate_session_failures_total", device=device, cloud=cloud) >= 1, device
        assert metric(web, "tidegate_session_online", device=device, cloud=cloud) == 0, device
    assert gateway.session("expired", "quick")["certificate_days_left"] < 0
    assert "its certificate ended on" in gateway.errors()
    before = gateway.accounts()
    for device in GOOD:
        online(device, "quick")
        wait_until(lambda: gateway.session(device, "quick")["acked_seq"] > before[device] + 20, 30, f"{device} to go on")
    assert not any(hub.record.select("connect", device) for device in BAD) and not aws.record.select("connect", "thing")

    # Files that are mended count at once, although the next try is minutes away.
    for device, put_right in mend.items():
        assert gateway.session(device, "slow")["retry_in_ms"] > 120000, gateway.session(device, "slow")
        put_right()
        online(device, "slow")
        assert "last_error" not in gateway.session(device, "slow"), gateway.session(device, "slow")
    for device in ("expired", "expired-tls"):
        pki.add(device, "x509-ca")
    # What is mended in the cloud is found by the next try.
    pki.enable("disabled", True)
    pki.register("unknown", *unknown[:2])
    aws.command("certificate", "thing", "ACTIVE")
    for device in ("expired", "disabled", "unknown"):
        online(device, "quick")
    online("expired-tls", "broker")
    online("thing", "aws")
    # A device that is disabled while it is online.
    pki.enable("disabled", False)
    shows("disabled", "quick", "not authorised", "change")
    pki.enable("disabled", True)
    online("disabled", "quick")

    accounts = gateway.accounts()
    left = accounts.pop("other-certificate")
    thing, expired = accounts.pop("thing"), accounts.pop("expired-tls")
    wait_until(lambda: delivered(hub.record, accounts) and delivered(aws.record, {"thing": thing}), 30, "everything to be delivered")
    wait_until(lambda: gateway.session("expired-tls", "broker")["acked_seq"] >= expired, 30, "everything of expired-tls")
    session = gateway.session("other-certificate", "slow")
    assert session["pending"] >= left > 0 and session["failures"] == 1, session  # kept, and nobody was hammered
    assert all(gateway.session(device, "quick")["connects"] == 1 for device in GOOD)
    assert all(metric(web, "tidegate_session_failures_total", device=device, cloud="quick") == 0 for device in GOOD)
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts) + judge(aws.record, {"thing": thing})
    print(table(rows))
    assert all(row.holds for row in rows)
    broker.close()
