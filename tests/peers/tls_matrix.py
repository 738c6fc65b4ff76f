# SPDX-License-Identifier: GPL-2.0-or-later
"""Which server certificates and TLS parameters the gateway accepts, and what people read about the others.

Usage: tls_matrix.py PROBE      (the tls_probe program)
Each cell is a server with its own chain, asked over TLS 1.2 and 1.3 where it applies, and the expected answer:
"ok" or an error code with a pattern for its text. All cells run at once against one probe process.
"""
import glob
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import warnings

from certificates import CA, LEAF, Pki

warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is offered on purpose

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def san(*names):
    return "subjectAltName=" + ",".join(names)


class Cell:
    def __init__(self, name, expect, text="", chain="leaf", key="leaf", ca="root", host="hub.test", client="-",
                 versions=(V12, V13), setup=None, cert=True):
        self.name, self.expect, self.text, self.chain, self.key, self.ca = name, expect, text, chain, key, ca
        self.host, self.client, self.versions, self.setup, self.cert = host, client, versions, setup, cert


def make_chains(p):
    hub = [*LEAF, san("DNS:hub.test")]
    inter = CA + ["authorityKeyIdentifier=keyid"]
    p.key("leaf")
    p.key("leaf-rsa", "rsa:2048")
    p.key("leaf-weak", "rsa:1024")
    p.key("leaf-p384", "P-384")
    p.key("leaf-p224", "secp224r1")
    p.key("root-rsa", "rsa:2048")
    p.issue("root", "/CN=tidegate test root", extensions=CA)
    p.issue("root-rsa", "/CN=tidegate test RSA root", extensions=CA)
    p.issue("other-root", "/CN=some other root", extensions=CA)
    p.issue("old-root", "/CN=root of last year", extensions=CA, start=-400, end=-30)
    p.issue("inter", "/CN=tidegate test intermediate", "root", extensions=inter)
    p.issue("inter-old", "/CN=intermediate of last year", "root", extensions=inter, start=-400, end=-30)
    p.issue("inter-sha1", "/CN=sha1 intermediate", "root", extensions=inter, digest="sha1")
    p.issue("inter-nosign", "/CN=may not sign", "root",
            extensions=["basicConstraints=critical,CA:TRUE", "keyUsage=critical,digitalSignature,cRLSign"])
    p.issue("inter-path0", "/CN=pathlen 0", "root",
            extensions=["basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign"])
    p.issue("inter-below", "/CN=below pathlen 0", "inter-path0", extensions=inter)
    p.issue("inter-permits", "/CN=only other.test", "root",
            extensions=inter + ["nameConstraints=critical,permitted;DNS:other.test"])
    p.issue("inter-excludes", "/CN=never hub.test", "root",
            extensions=inter + ["nameConstraints=critical,excluded;DNS:hub.test"])
    p.issue("not-a-ca", "/CN=not a CA", "root", extensions=[*LEAF, san("DNS:not-a-ca.test")])

    def leaf(name, issuer="root", extensions=hub, key="leaf", subject="/CN=hub.test", **more):
        return p.issue(name, subject, issuer, key=key, extensions=extensions, **more)

    leaf("leaf")
    leaf("leaf-rsa", key="leaf-rsa")
    leaf("leaf-rsa-rsa", "root-rsa", key="leaf-rsa")
    leaf("leaf-p384", key="leaf-p384", digest="sha384")
    leaf("leaf-p224", key="leaf-p224")
    leaf("leaf-weak", key="leaf-weak")
    leaf("leaf-no-cn", subject="/O=no common name")
    leaf("expired", start=-60, end=-2)
    leaf("not-yet", start=2, end=60)
    leaf("wrong-host", extensions=[*LEAF, san("DNS:a.example", "DNS:*.b.example")], subject="/CN=a.example")
    leaf("san-mismatch", extensions=[*LEAF, san("DNS:a.example")])
    leaf("no-san", extensions=LEAF)
    leaf("wildcard", extensions=[*LEAF, san("DNS:*.hub.test")])
    leaf("wildcard-partial", extensions=[*LEAF, san("DNS:a*.hub.test")])
    leaf("wildcard-top", extensions=[*LEAF, san("DNS:*.test")])
    leaf("ip", extensions=[*LEAF, san("IP:127.0.0.1")])
    leaf("ip-as-dns", extensions=[*LEAF, san("DNS:127.0.0.1")], subject="/CN=127.0.0.1")
    leaf("many-names", extensions=[*LEAF, san("DNS:a.test", "DNS:b.test", "DNS:c.test", "DNS:d.test", "DNS:hub.test")])
    leaf("sha1", digest="sha1")
    leaf("client-only", extensions=[*LEAF[:2], "extendedKeyUsage=clientAuth", san("DNS:hub.test")])
    leaf("unknown-ca", "other-root")
    p.issue("self-signed", "/CN=hub.test", key="leaf", extensions=hub)
    p.corrupt_signature("bad-signature", "leaf")
    for issuer in ("inter", "inter-old", "inter-sha1", "inter-nosign", "inter-below", "inter-permits", "inter-excludes",
                   "not-a-ca"):
        leaf("by-" + issuer, issuer)
        p.bundle("chain-" + issuer, "by-" + issuer, issuer)
    p.bundle("chain-below", "by-inter-below", "inter-below", "inter-path0")
    p.bundle("chain-with-root", "by-inter", "inter", "root")
    p.bundle("chain-disordered", "by-inter", "other-root", "inter")
    p.bundle("chain-long", "by-inter", "inter", *["root-rsa"] * 14)
    p.bundle("two-roots", "other-root", "root")
    p.bundle("old-and-good", "old-root", "root")
    # A pinned, self-signed server certificate and its clone: all the same but the key.
    start, end = "20260101000000Z", "20400101000000Z"
    pinned = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,digitalSignature",
              "subjectKeyIdentifier=0102030405", san("DNS:hub.test")]
    p.key("clone")
    for name, key in (("pinned", "leaf"), ("clone", "clone")):
        p.issue(name, "/CN=hub.test", key=key, extensions=pinned, serial=0x7777, start_text=start, end_text=end)
    clone = [CA[0], CA[1] + ",digitalSignature", CA[2], san("DNS:hub.test")]
    p.issue("root-clone", "/CN=tidegate test root", key="clone", extensions=clone, serial=0x1001)
    p.issue("client", "/CN=meter-1", "root", extensions=[LEAF[0], LEAF[1], "extendedKeyUsage=clientAuth"])
    p.issue("client-other", "/CN=meter-1", "other-root", extensions=[LEAF[0], LEAF[1], "extendedKeyUsage=clientAuth"])


def require_client(context, p):
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(p.path("root.pem"))


def request_client(context, p):
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(p.path("root.pem"))


def ciphers(text):
    return lambda context, p: context.set_ciphers(text + ":@SECLEVEL=0")


def tls11(context, p):
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def only_curve(name):
    return lambda context, p: context.set_ecdh_curve(name)


def only_name(name):
    def setup(context, p):
        def check(sock, asked, ctx):
            return None if asked == name else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        context.sni_callback = check
    return setup


def cells():
    c = Cell
    only12 = {"versions": (V12,)}
    return [
        # Good ones.
        c("good-ec", "ok"),
        c("good-rsa-leaf", "ok", chain="leaf-rsa", key="leaf-rsa"),
        c("good-rsa", "ok", chain="leaf-rsa-rsa", key="leaf-rsa", ca="root-rsa"),
        c("good-p384", "ok", chain="leaf-p384", key="leaf-p384"),
        c("good-intermediate", "ok", chain="chain-inter"),
        c("good-root-sent", "ok", chain="chain-with-root"),
        c("good-disordered-chain", "ok", chain="chain-disordered"),
        c("good-second-root", "ok", ca="two-roots"),
        c("good-beside-expired-root", "ok", ca="old-and-good"),
        c("good-no-common-name", "ok", chain="leaf-no-cn"),
        c("good-fifth-name", "ok", chain="many-names"),
        c("good-upper-case-host", "ok", host="HUB.Test"),
        c("good-trailing-dot", "ok", host="hub.test.", setup=only_name("hub.test")),
        c("good-wildcard", "ok", chain="wildcard", host="a.hub.test"),
        c("good-ip", "ok", chain="ip", host="127.0.0.1"),
        c("good-pinned", "ok", chain="pinned", ca="pinned"),
        c("good-sni", "ok", setup=only_name("hub.test")),
        c("good-p256-exchange", "ok", setup=only_curve("prime256v1")),
        c("good-p384-exchange", "ok", setup=only_curve("secp384r1")),
        c("good-chacha", "ok", setup=ciphers("ECDHE-ECDSA-CHACHA20-POLY1305"), **only12),
        c("good-aes256-only", "ok", setup=ciphers("ECDHE-ECDSA-AES256-GCM-SHA384"), **only12),
        c("good-client-certificate", "ok", client="client", setup=require_client),
        c("good-client-not-asked", "ok", client="client"),
        c("good-empty-client-certificate", "ok", setup=request_client),
        # Dates.
        c("expired", "CERT", r"certificate of hub\.test expired on \d{4}-\d\d-\d\d \(the clock here", chain="expired"),
        c("not-yet-valid", "CERT", r"is not valid before .* check the clock", chain="not-yet"),
        c("expired-intermediate", "CERT", r'"intermediate of last year" that hub\.test sent expired on',
          chain="chain-inter-old"),
        c("expired-root", "CERT", r'none of its 1 certificates.*"root of last year" expired on', ca="old-root"),
        # Names.
        c("wrong-host", "CERT", r"certificate of hub\.test is for a\.example, \*\.b\.example, not for",
          chain="wrong-host"),
        c("san-mismatch-cn-match", "CERT", r"is for a\.example, not for this host", chain="san-mismatch"),
        c("cn-without-san", "CERT", r'no subject alternative name.*"hub\.test"', chain="no-san"),
        c("wildcard-two-levels", "CERT", r"is for \*\.hub\.test", chain="wildcard", host="a.b.hub.test"),
        c("wildcard-apex", "CERT", r"is for \*\.hub\.test", chain="wildcard"),
        c("wildcard-partial", "CERT", r"is for a\*\.hub\.test", chain="wildcard-partial", host="ab.hub.test"),
        c("wildcard-top-level", "CERT", r"is for \*\.test", chain="wildcard-top"),
        c("ip-only-san", "CERT", r"is for 127\.0\.0\.1, not", chain="ip"),
        c("ip-as-dns-name", "CERT", r"is for 127\.0\.0\.1, not", chain="ip-as-dns", host="127.0.0.1"),
        c("other-ip", "CERT", r"is for 127\.0\.0\.1, not", chain="ip", host="127.0.0.2"),
        c("name-not-permitted", "CERT", r"name constraints.*\"only other\.test\"", chain="chain-inter-permits"),
        c("name-excluded", "CERT", r"name constraints.*\"never hub\.test\"", chain="chain-inter-excludes"),
        # Trust.
        c("self-signed", "CERT", r"is self-signed and not in CA file .*root\.pem", chain="self-signed"),
        c("unknown-ca", "CERT", r'issued by "some other root", which is neither in CA file .*root\.pem', chain="unknown-ca"),
        c("missing-intermediate", "CERT", r"intermediate certificate is missing", chain="by-inter"),
        c("issuer-is-no-ca", "CERT", r'"not a CA", which is no CA certificate', chain="chain-not-a-ca"),
        c("issuer-may-not-sign", "CERT", r'"may not sign", whose key usage does not allow', chain="chain-inter-nosign"),
        c("path-length", "CERT", r'more CAs below "pathlen 0" than its path length allows', chain="chain-below"),
        c("bad-signature", "CERT", r"its signature is not by the key", chain="bad-signature"),
        c("clone-of-pinned", "CERT", r"its signature is not by the key of \"hub\.test\"", chain="clone", key="clone", ca="pinned"),
        c("clone-of-root", "CERT", r"its signature is not by the key of \"tidegate test root\"", chain="root-clone", key="clone"),
        # Kind and strength.
        c("client-auth-only", "CERT", r"not meant for servers", chain="client-only"),
        c("rsa-1024", "CERT", r"key that is too short", chain="leaf-weak", key="leaf-weak",
          setup=ciphers("DEFAULT")),
        c("ec-224", "TLS", r".", chain="leaf-p224", key="leaf-p224", setup=ciphers("DEFAULT")),
        c("sha1-leaf", "CERT", r"certificate of hub\.test is signed with SHA-1", chain="sha1", setup=ciphers("DEFAULT")),
        c("sha1-intermediate", "CERT", r'"sha1 intermediate" that hub\.test sent is signed with SHA-1',
          chain="chain-inter-sha1", setup=ciphers("DEFAULT")),
        c("chain-too-long", "TLS", r"about 9 KB", chain="chain-long"),
        # Protocol.
        c("tls-1.1", "TLS", r"alert protocol_version|before 1\.2", setup=tls11, versions=(None,)),
        c("anonymous", "TLS", r"handshake_failure", setup=ciphers("ADH"), cert=False, **only12),
        c("null-cipher", "TLS", r"handshake_failure", setup=ciphers("eNULL"), **only12),
        c("cbc", "TLS", r"handshake_failure", setup=ciphers("ECDHE-ECDSA-AES128-SHA256"), **only12),
        c("rsa-key-exchange", "TLS", r"handshake_failure", chain="leaf-rsa", key="leaf-rsa",
          setup=ciphers("AES128-GCM-SHA256"), **only12),
        c("dhe", "TLS", r"handshake_failure", chain="leaf-rsa", key="leaf-rsa",
          setup=ciphers("DHE-RSA-AES128-GCM-SHA256"), **only12),
        c("name-unknown-to-server", "TLS", r"alert unrecognized_name", setup=only_name("else.test")),
        # Our certificate.
        c("client-certificate-missing", "AUTH|TLS", r"wants a client certificate|client certificate is missing",
          setup=require_client),
        c("client-certificate-of-other-ca", "AUTH", r"refused our client certificate: alert unknown_ca",
          client="client-other", setup=require_client),
    ]


def serve(listener, context):
    """Answers every connection with one word; a client that refuses us is the client's business."""
    def one(sock):
        try:
            with context.wrap_socket(sock, server_side=True) as tls:
                tls.sendall(b"hello")
                tls.recv(1)
        except (OSError, ssl.SSLError):
            sock.close()
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        sock.settimeout(20)
        threading.Thread(target=one, args=(sock,), daemon=True).start()


def start_server(p, cell, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # the server must be able to show weak chains
    if cell.cert:
        context.load_cert_chain(p.path(cell.chain + ".pem"), p.path(cell.key + ".key"))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if cell.setup:
        cell.setup(context, p)
    listener = socket.create_server((cell.host if cell.host.startswith("127.") else "127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener, context), daemon=True).start()
    return listener


def run_probe(probe, lines, env=None):
    done = subprocess.run([probe], input="".join(line + "\n" for line in lines), capture_output=True, text=True,
                          env=env, timeout=60)
    if done.returncode != 0:
        raise RuntimeError("tls_probe ended with %d: %s" % (done.returncode, done.stderr))
    return dict((f[0], f[1:]) for f in (line.split("\t") for line in done.stdout.splitlines()))


def probe_line(p, name, cell, port):
    def file(n, end):
        return "-" if n == "-" else p.path(n + end)
    return "\t".join([name, cell.host, str(port), file(cell.ca, ".pem"), "any", file(cell.client, ".pem"),
                      file(cell.client, ".key")])


def check(failures, name, answer, expect, pattern):
    if answer is None:
        failures.append("%s: no answer" % name)
    elif not re.fullmatch(expect, answer[0]) or (pattern and not re.search(pattern, answer[1])):
        failures.append("%s: wanted %s /%s/, got %s" % (name, expect, pattern, " ".join(answer)))


def check_clock(p, probe, port, failures):
    """In 1970 nothing is expired and everything is in the future: the clock is what must be named."""
    library = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not library:
        failures.append("clock-1970: libfaketime is missing (Debian package libfaketime)")
        return
    env = dict(os.environ, FAKETIME="1970-01-02 00:00:00", FAKETIME_DONT_FAKE_MONOTONIC="1", TZ="UTC",
               LD_PRELOAD=library[0], ASAN_OPTIONS="verify_asan_link_order=0")
    line = probe_line(p, "clock-1970", Cell("clock-1970", "CLOCK"), port)
    check(failures, "clock-1970", run_probe(probe, [line], env).get("clock-1970"), "CLOCK",
          r"the clock here says 1970-01-02T.*waiting for the right time")


def main():
    probe = sys.argv[1]
    directory = tempfile.mkdtemp(prefix="tls matrix ")
    began = time.monotonic()
    try:
        p = Pki(directory)
        make_chains(p)
        made = time.monotonic()
        lines, wanted, listeners = [], {}, []
        for cell in cells():
            for version in cell.versions:
                name = cell.name + {V12: " TLS 1.2", V13: " TLS 1.3", None: ""}[version]
                listener = start_server(p, cell, version)
                listeners.append(listener)
                wanted[name] = cell
                lines.append(probe_line(p, name, cell, listener.getsockname()[1]))
        answers = run_probe(probe, lines)
        failures = []
        for name, cell in wanted.items():
            answer = answers.get(name)
            check(failures, name, answer, cell.expect, cell.text)
            if "-v" in sys.argv:
                print("%-45s %s" % (name, " ".join(answer or ["no answer"])))
        if "--no-clock" not in sys.argv:
            check_clock(p, probe, listeners[0].getsockname()[1], failures)
        for listener in listeners:
            listener.close()
        print("%d cells, %d wrong; chains made in %.1f s, all in %.1f s" % (
            len(wanted) + 1, len(failures), made - began, time.monotonic() - began))
        print("\n".join(failures))
        return 1 if failures else 0
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
