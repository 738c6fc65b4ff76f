#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Server certificates that must not be trusted: of an unknown CA, for another name, expired. Nothing is sent to such a server, the operator
reads why, and once the server is the right one all that was collected arrives."""
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from field import broker_cloud, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import DAY, Pki, issue, pem, write, write_key

CASES = {"unknown-ca": "neither in CA file", "other-name": "not for this host", "expired": "expired on"}

with Stage() as stage:
    pki, stranger = Pki(stage.path("pki")), Pki(stage.path("stranger"))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for name, issuer, host, validity in (("unknown-ca", stranger.root, "localhost", {}), ("other-name", pki.root, "other.example", {}),
                                         ("expired", pki.root, "localhost", {"begin": -60 * DAY, "end": -2 * DAY})):
        made = issue(host, key, issuer, sans=[x509.DNSName(host)], usage=ExtendedKeyUsageOID.SERVER_AUTH, **validity)
        write(pki.path(f"{name}.pem"), pem(made), 0o644)
        write_key(pki.path(f"{name}.key"), key)
    brokers = {name: stage.peer("bad_broker.py", "--cert", pki.path(f"{name}.pem"), "--key", pki.path(f"{name}.key"))
               for name in (*CASES, "server")}
    field = [simulated("field", {f"at-{name}": ([name], None) for name in CASES})]
    clouds = [broker_cloud(brokers[name].ready["port"], pki.path("ca.pem"), name=name) for name in CASES]
    gateway = Gateway(stage, configuration(stage, clouds, field))
    for name, says in CASES.items():
        wait_until(lambda: says in gateway.session(f"at-{name}", name).get("last_error", ""), 30, f"{name} to be told: {says}")
        wait_until(lambda: gateway.session(f"at-{name}", name)["failures"] >= 3, 30, f"{name} to be tried again")
        stats = brokers[name].command("stats")
        assert (stats["connects"], stats["publishes"]) == (0, 0), f"something was sent to a server that cannot be trusted: {name}"
    assert gateway.stop() == 0
    # The same outbox, the right server.
    clouds = [broker_cloud(brokers["server"].ready["port"], pki.path("ca.pem"), name=name) for name in CASES]
    gateway = Gateway(stage, configuration(stage, clouds, field))
    last = gateway.accounts()
    for name in CASES:
        wait_until(lambda: gateway.session(f"at-{name}", name)["acked_seq"] >= last[f"at-{name}"] > 0, 40, f"all samples of at-{name}")
    assert gateway.stop() == 0
