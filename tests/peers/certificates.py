# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes certificates with the openssl command line: any dates, any extensions, right or wrong on purpose."""
import datetime
import os
import subprocess

CONF = """
[ca]
default_ca = d
[d]
database = {dir}/index.txt
serial = {dir}/serial
new_certs_dir = {dir}
policy = p
unique_subject = no
rand_serial = no
copy_extensions = none
[p]
commonName = optional
organizationName = optional
[req]
distinguished_name = dn
[dn]
[x]
{extensions}
"""

LEAF = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature,keyEncipherment",
        "extendedKeyUsage=serverAuth"]
CA = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash"]


def when(days):
    t = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return t.strftime("%Y%m%d%H%M%SZ")


class Pki:
    """Files in one directory: NAME.key and NAME.pem."""

    def __init__(self, directory):
        self.dir = directory
        self.serial = 0x1000

    def path(self, name):
        return os.path.join(self.dir, name)

    def openssl(self, *args):
        done = subprocess.run(["openssl", *args], cwd=self.dir, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError("openssl " + " ".join(args) + ": " + done.stderr)

    def key(self, name, kind="P-256"):
        if kind.startswith("rsa:"):
            self.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:" + kind[4:], "-out", name + ".key")
        else:
            self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + kind, "-out", name + ".key")
        return name

    def issue(self, name, subject, issuer=None, key=None, extensions=(), start=-1, end=30, digest="sha256",
              serial=None, start_text=None, end_text=None):
        """issuer None = self-signed. Leaves NAME.pem (one certificate)."""
        key = key or name
        if not os.path.exists(self.path(key + ".key")):
            self.key(key)
        if serial is None:
            self.serial += 1
            serial = self.serial
        conf = self.path(name + ".cnf")
        with open(conf, "w") as f:
            f.write(CONF.format(dir=self.dir, extensions="\n".join(extensions)))
        open(self.path("index.txt"), "w").close()
        with open(self.path("serial"), "w") as f:
            f.write("%X\n" % serial)
        self.openssl("req", "-new", "-config", conf, "-key", key + ".key", "-subj", subject, "-out", name + ".csr")
        signer = ["-selfsign", "-keyfile", key + ".key"] if issuer is None else \
            ["-cert", issuer + ".pem", "-keyfile", issuer + ".key"]
        self.openssl("ca", "-batch", "-notext", "-config", conf, "-extensions", "x", "-md", digest, "-preserveDN",
                     "-startdate", start_text or when(start), "-enddate", end_text or when(end),
                     "-in", name + ".csr", "-out", name + ".pem", *signer)
        return name

    def bundle(self, name, *parts):
        with open(self.path(name + ".pem"), "w") as out:
            for part in parts:
                with open(self.path(part + ".pem")) as f:
                    out.write(f.read())
        return name

    def corrupt_signature(self, name, source):
        """A copy of SOURCE whose last signature byte is another one."""
        self.openssl("x509", "-in", source + ".pem", "-outform", "DER", "-out", name + ".der")
        with open(self.path(name + ".der"), "rb") as f:
            der = bytearray(f.read())
        der[-1] ^= 0x55
        with open(self.path(name + ".der"), "wb") as f:
            f.write(der)
        self.openssl("x509", "-inform", "DER", "-in", name + ".der", "-out", name + ".pem")
        return name
