#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Large Size Server Certificate: a certificate of 8 KB is taken; one that is too large costs one clear sentence, not the gateway."""
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from harness import Stage, wait_until
from pki import Pki, issue, pem, write, write_key
from qualify import Packets, everything_arrives, online, start


def certificate_of(pki, name, size):
    """A server certificate for localhost that has about `size` bytes, by its many names."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    names = [x509.DNSName("localhost")] + [x509.DNSName(f"{n:04d}.{'x' * 40}.example") for n in range(size // 58)]
    made = issue("localhost", key, pki.root, sans=names, usage=ExtendedKeyUsageOID.SERVER_AUTH)
    write(pki.path(f"{name}.pem"), pem(made), 0o644)
    write_key(pki.path(f"{name}.key"), key)
    return made


for size, fits in ((8000, True), (30000, False)):
    with Stage() as stage:
        pki = Pki(stage.path("pki"))
        certificate_of(pki, "large", size)
        broker = stage.peer("bad_broker.py", "--cert", pki.path("large.pem"), "--key", pki.path("large.key"))
        gateway = start(stage, broker, ca_file=pki.path("ca.pem"))
        if fits:
            online(gateway)
            everything_arrives(gateway, Packets(broker))
        else:
            wait_until(lambda: "longer than about 9 KB" in gateway.session("meter", "broker").get("last_error", ""), 30,
                       "the reason to be shown")
            assert broker.command("stats")["connects"] == 0
        assert gateway.stop() == 0
