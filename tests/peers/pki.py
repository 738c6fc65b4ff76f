#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""pki - keys, certificates and the identity registry of a test hub, in one folder.

    pki.py DIR meter-1=sas meter-2=x509-ca meter-3=x509-chain meter-4=x509-thumbprint

makes, every secret with mode 0600:

    ca.pem                    the root: signs the server, and is the CA that the hub has registered
    server.pem server.key     RSA 2048 as the hub has, SAN localhost and 127.0.0.1
    meter-1.sas               a 32-byte key in base64
    meter-2.pem .key          EC P-256, CN = device id, signed by the root
    meter-3.pem .key          the same, signed by an intermediate that stands behind it in the file: the hub
                              knows the root only, so a client that sends no chain is refused
    meter-4.pem .key          self-signed, registered by SHA-256 thumbprint (x509-sha1: by SHA-1)
    registry                  what hub_rules.so reads
"""
import argparse
import base64
import datetime
import hashlib
import ipaddress
import os
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = ("sas", "x509-ca", "x509-chain", "x509-thumbprint", "x509-sha1")
DAY = datetime.timedelta(days=1)


def write(path, data, mode=0o600):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def write_key(path, key):
    write(path, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()))


def ec_key():
    return ec.generate_private_key(ec.SECP256R1())


def issue(subject, key, issuer=None, ca=False, sans=(), usage=None, begin=-DAY, end=30 * DAY):
    """A certificate for `key`; issuer is (certificate, key), None = self-signed."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.datetime.utcnow()
    issuer_key = issuer[1] if issuer else key
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(issuer[0].subject if issuer else name)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now + begin).not_valid_after(now + end)
               .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
                              critical=False)
               .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=ca, crl_sign=ca,
                                            content_commitment=False, key_encipherment=False, data_encipherment=False,
                                            key_agreement=False, encipher_only=False, decipher_only=False),
                              critical=True))
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


class Pki:
    """The folder as an object; registry lines are kept so that tests can change them."""

    def __init__(self, folder, names=()):
        """`names`: further names in the server's certificate."""
        self.folder = folder
        self.lines = {}
        os.makedirs(folder, mode=0o700, exist_ok=True)
        key = ec_key()
        self.root = (issue("tidegate test root", key, ca=True), key)
        key = ec_key()
        self.intermediate = (issue("tidegate test intermediate", key, self.root, ca=True), key)
        write(self.path("ca.pem"), pem(self.root[0]), 0o644)
        server_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        sans = [*map(x509.DNSName, ("localhost", *names)), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        server = issue("localhost", server_key, self.root, sans=sans, usage=ExtendedKeyUsageOID.SERVER_AUTH)
        write(self.path("server.pem"), pem(server), 0o644)
        write_key(self.path("server.key"), server_key)

    def path(self, name):
        return os.path.join(self.folder, name)

    def add(self, device, kind, enabled=True, **validity):
        """Makes the credentials of a device and registers it."""
        file = device.replace("/", "_")
        if kind == "sas":
            secret = base64.b64encode(os.urandom(32)).decode()
            write(self.path(file + ".sas"), secret.encode() + b"\n")
            self.register(device, "sas", secret, enabled)
            return
        key = ec_key()
        issuer = {"x509-ca": self.root, "x509-chain": self.intermediate}.get(kind)
        certificate = issue(device, key, issuer, usage=ExtendedKeyUsageOID.CLIENT_AUTH, **validity)
        chain = pem(self.intermediate[0]) if kind == "x509-chain" else b""
        write(self.path(file + ".pem"), pem(certificate) + chain, 0o644)
        write_key(self.path(file + ".key"), key)
        if issuer:
            self.register(device, "x509-ca", "-", enabled)
            return
        der = certificate.public_bytes(serialization.Encoding.DER)
        digest = hashlib.sha1(der) if kind == "x509-sha1" else hashlib.sha256(der)
        self.register(device, "x509-thumbprint", digest.hexdigest().upper(), enabled)

    def secret(self, device):
        return self.lines[device][1]

    def register(self, device, auth, secret, enabled=True):
        self.lines[device] = (auth, secret, enabled)
        self.save()

    def enable(self, device, enabled):
        auth, secret, _ = self.lines[device]
        self.register(device, auth, secret, enabled)

    def remove(self, device):
        del self.lines[device]
        self.save()

    def save(self):
        text = "# id auth secret state\n" + "".join(
            f"{device} {auth} {secret} {'enabled' if enabled else 'disabled'}\n"
            for device, (auth, secret, enabled) in self.lines.items())
        write(self.path("registry.new"), text.encode())
        os.replace(self.path("registry.new"), self.path("registry"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("device", nargs="*", help="ID=KIND, kind one of " + ", ".join(KINDS))
    arguments = parser.parse_args()
    wanted = [item.rpartition("=")[::2] for item in arguments.device]
    for device, kind in wanted:
        if not device or kind not in KINDS:
            parser.error(f"{device}={kind}: expected ID=KIND, kind one of {', '.join(KINDS)}")
    pki = Pki(arguments.folder)
    for device, kind in wanted:
        pki.add(device, kind)
    pki.save()
    sys.stdout.write(open(pki.path("registry"), encoding="ascii").read())
    return 0


if __name__ == "__main__":
    sys.exit(main())
