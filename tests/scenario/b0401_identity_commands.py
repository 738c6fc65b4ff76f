#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tidegate identity: keys, certificates, requests, imports and tokens, every output judged by openssl or computed a second time."""
import base64
import hashlib
import hmac
import json
import os
import re
import stat
import subprocess
import time
import urllib.parse

from harness import BUILD, Stage

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
GROUP_KEY = base64.b64encode(b"g" * 32).decode()
DEVICE_KEY = base64.b64encode(b"0123456789abcdef" * 2).decode()

CONFIG = """\
gateway: {name: site-7, state_dir: state, control_socket: control.sock, http: off}
clouds:
  - name: hub
    type: azure-iot-hub
    host: contoso.azure-devices.net
  - name: assigned
    type: azure-iot-hub
    provisioning: {id_scope: 0ne00000001}
  - name: lake
    type: gcp-iot-core
    project: plant-one
    region: us-central1
    registry: meters
    host: us-central1-mqtt.clearblade.com
sources:
  - name: rehearsal
    plugin: simulator
    devices:
      - {id: meter-1, clouds: [hub], identity: {certificate: keys/m1.pem, key: keys/m1.key}, points: [{name: v}]}
      - {id: meter-2, clouds: [hub], identity: {sas_key_file: keys/m2.sas}, points: [{name: v}]}
      - {id: meter-3, clouds: [assigned], identity: {derive_from_group: keys/group}, points: [{name: v}]}
      - {id: meter-4, clouds: [lake], identity: {jwt_key: keys/m4.key}, points: [{name: v}]}
      - {id: meter-5, clouds: [hub], identity: {pkcs12: keys/m5.p12, password_file: keys/m5.pw}, points: [{name: v}]}
      - id: meter-6
        clouds: [hub]
        identity: {certificate: keys/m6.pem, key: "pkcs11:token=site-7;object=m6?module-path=MODULE&pin-source=file:keys/pin"}
        points: [{name: v}]
      - id: meter-7
        clouds: [{name: hub, id: other-7, identity: {sas_key_file: keys/m2.sas}}, {name: lake, identity: {jwt_key: keys/m4.key}}]
        points: [{name: v}]
      - {id: meter-8, clouds: [hub], identity: {certificate: keys/m8.pem, key: keys/m8.key}, points: [{name: v}]}
"""


class Desk:
    """A folder with the configuration, and the command line in it."""

    def __init__(self, folder):
        self.folder = folder
        os.mkdir(self.path("keys"), 0o700)
        with open(self.path("tidegate.yaml"), "w", encoding="utf-8") as file:
            file.write(CONFIG.replace("MODULE", MODULE))

    def path(self, name):
        return os.path.join(self.folder, name)

    def put(self, name, text, mode=0o600):
        with open(self.path(name), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(self.path(name), mode)

    def get(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def run(self, *args, code=0, says="", config=True):
        command = [os.path.join(BUILD, "tidegate"), "identity", *args] + (["-c", self.path("tidegate.yaml")] if config else [])
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        text = done.stdout + done.stderr
        assert done.returncode == code, f"{args}: exit {done.returncode}, not {code}: {text}"
        assert says in text, f"{args} does not say \"{says}\": {text}"
        return done.stdout

    def sh(self, command):
        done = subprocess.run(["/bin/sh", "-ec", "umask 077\n" + command], cwd=self.folder, capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def mode(self, name):
        return stat.S_IMODE(os.stat(self.path(name)).st_mode)


def thumbprint(desk, name, kind):
    return desk.sh(f"openssl x509 -in {name} -noout -fingerprint -{kind}").split("=")[1].replace(":", "")


def create(desk):
    out = desk.run("create", "meter-1", "--days", "30")
    assert desk.mode("keys/m1.key") == 0o600 and desk.mode("keys/m1.pem") == 0o644
    desk.sh("openssl x509 -in keys/m1.pem -noout -pubkey > a; openssl pkey -in keys/m1.key -pubout > b; cmp a b")
    assert desk.sh("openssl x509 -in keys/m1.pem -noout -subject") == "subject=CN = meter-1"
    desk.sh("openssl verify -CAfile keys/m1.pem -check_ss_sig keys/m1.pem")
    desk.sh(f"openssl x509 -in keys/m1.pem -noout -checkend {29 * 86400}; ! openssl x509 -in keys/m1.pem -noout -checkend {31 * 86400}")
    assert thumbprint(desk, "keys/m1.pem", "sha1") in out and thumbprint(desk, "keys/m1.pem", "sha256") in out, out
    assert desk.get("b").decode() in out and "PRIVATE" not in out
    before = desk.get("keys/m1.key")
    desk.run("create", "meter-1", code=1, says="m1.key exists already; --force overwrites it")
    assert desk.get("keys/m1.key") == before
    given = json.loads(desk.run("create", "meter-1", "--force", "--rsa", "2048", "--json"))
    assert desk.get("keys/m1.key") != before and desk.mode("keys/m1.key") == 0o600
    assert given["certificate"]["sha256"] == thumbprint(desk, "keys/m1.pem", "sha256") and given["certificate"]["days_left"] in (364, 365), given
    assert "2048 bit" in desk.sh("openssl pkey -in keys/m1.key -noout -text")
    desk.run("create", "meter-1", "--rsa", "1024", "--force", code=2, says="--rsa takes 2048 or 3072")
    desk.run("create", "meter-1", "--days", "0", "--force", code=2, says="--days takes a number from 1 to 36500")
    desk.run("create", "meter-2", code=1, says="proves itself with a shared key")
    desk.run("create", "meter-9", code=1, says="there is no device \"meter-9\"")
    desk.run("create", "meter-4")
    assert desk.mode("keys/m4.key") == 0o600
    # Without a configuration, from files alone.
    desk.run("create", "loose", "--key", "loose.key", "--certificate", "loose.pem", config=False)
    assert desk.sh("openssl x509 -in loose.pem -noout -subject") == "subject=CN = loose"
    assert "ASN1 OID: prime256v1" in desk.sh("openssl pkey -in loose.key -noout -text")


def requests_and_imports(desk):
    desk.sh("openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj '/CN=plant ca' -days 90 2> /dev/null; chmod 644 ca.pem")
    desk.run("csr", "meter-8", "--out", "m8.csr", says="a new key is in")
    desk.sh("openssl req -in m8.csr -verify -noout")
    desk.sh("openssl x509 -req -in m8.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 60 -out m8.pem; cat ca.pem >> m8.pem; chmod 644 m8.pem")
    desk.run("import", "meter-8", "--certificate", "m8.pem", says="days left)")
    assert desk.get("keys/m8.pem") == desk.get("m8.pem")
    before = desk.get("keys/m8.pem")
    desk.run("import", "meter-8", "--certificate", "keys/m1.pem", code=1, says="does not belong to the certificate of \"meter-1\"; nothing was changed")
    desk.sh("openssl x509 -req -in m8.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days -1 -out old.pem; chmod 644 old.pem")
    desk.run("import", "meter-8", "--certificate", "old.pem", code=1, says="has ended already")
    assert desk.get("keys/m8.pem") == before
    # Rotation with the same key: a new certificate in place of the old one, no force needed.
    desk.sh("openssl x509 -req -in m8.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 80 -out new.pem; chmod 644 new.pem")
    assert re.search(r"\((79|80) days left\)", desk.run("import", "meter-8", "--certificate", "new.pem"))
    text = desk.run("csr", "loose", "--key", "loose.key", config=False)
    desk.put("loose.csr", text)
    desk.sh("openssl req -in loose.csr -verify -noout")
    proof = desk.run("csr", "--proof", "75B86466DA34D2B0", "--key", "ca.key", "--certificate", "ca.pem", config=False)
    desk.put("proof.pem", proof)
    desk.sh("openssl verify -CAfile ca.pem proof.pem")
    assert desk.sh("openssl x509 -in proof.pem -noout -subject") == "subject=CN = 75B86466DA34D2B0"
    desk.run("csr", "--proof", "X", "--key", "loose.key", "--certificate", "ca.pem", code=1, says="does not belong", config=False)
    desk.sh("openssl pkcs12 -export -inkey keys/m8.key -in m8.pem -certfile ca.pem -passout pass:geheim -out m5.p12")
    desk.put("pw", "geheim\n")
    desk.put("wrong", "gemein\n")
    desk.run("import", "meter-5", "--pkcs12", "m5.p12", "--password-file", "wrong", code=1, says="the password does not open it")
    desk.run("import", "meter-5", "--pkcs12", "m5.p12", "--password-file", "pw")
    assert desk.mode("keys/m5.p12") == 0o600 and desk.mode("keys/m5.pw") == 0o600
    desk.run("import", "meter-8", "--pkcs12", "m5.p12", "--password-file", "pw", code=1, says="exists already")
    desk.run("import", "meter-8", "--pkcs12", "m5.p12", "--password-file", "pw", "--force")
    desk.sh("openssl pkey -in keys/m8.key -noout -check")


def token_key(desk):
    os.environ["SOFTHSM2_CONF"] = desk.path("softhsm2.conf")
    os.mkdir(desk.path("tokens"))
    desk.put("softhsm2.conf", f"directories.tokendir = {desk.path('tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n")
    desk.sh("softhsm2-util --init-token --free --label site-7 --pin 4711 --so-pin 567890")
    desk.sh(f"pkcs11-tool --module {MODULE} --token-label site-7 --login --pin 4711 --keypairgen --key-type EC:prime256v1 --id 06 --label m6")
    desk.put("keys/pin", "4711\n")
    out = desk.run("create", "meter-6", "--days", "10", says="(in the token)")
    assert thumbprint(desk, "keys/m6.pem", "sha1") in out
    desk.sh("openssl verify -CAfile keys/m6.pem -check_ss_sig keys/m6.pem")
    desk.put("m6.csr", desk.run("csr", "meter-6"))
    desk.sh("openssl req -in m6.csr -verify -noout; openssl x509 -req -in m6.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -out m6.pem; "
            "chmod 644 m6.pem")
    assert re.search(r"\([89] days left\)", desk.run("import", "meter-6", "--certificate", "m6.pem"))
    desk.run("import", "meter-6", "--certificate", "keys/m1.pem", code=1, says="does not belong")


def show(desk):
    desk.put("keys/m2.sas", DEVICE_KEY)
    desk.put("keys/group", GROUP_KEY)
    given = json.loads(desk.run("show", "meter-6", "--json"))
    assert given["kind"] == "certificate" and given["key_in_token"] and given["certificate"]["days_left"] in (8, 9), given
    desk.sh("openssl x509 -in keys/m6.pem -noout -pubkey > a")
    assert given["public_key"] == desk.get("a").decode()
    given = json.loads(desk.run("show", "meter-5", "--json"))
    assert given["kind"] == "pkcs12" and given["certificate"]["sha1"] == thumbprint(desk, "m8.pem", "sha1"), given
    assert "PUBLIC KEY" in given["public_key"]
    given = json.loads(desk.run("show", "meter-3", "--json"))
    assert given["kind"] == "group key" and given["registration_id"] == "meter-3", given
    given = json.loads(desk.run("show", "meter-4", "--json"))
    desk.sh("openssl pkey -in keys/m4.key -pubout > b")
    assert given["kind"] == "jwt key" and given["public_key"] == desk.get("b").decode()
    given = json.loads(desk.run("show", "meter-7", "--cloud", "hub", "--json"))
    assert given["cloud_device_id"] == "other-7", given
    desk.run("show", "meter-7", code=1, says="choose one with --cloud (hub, lake)")
    for device in ("meter-1", "meter-2", "meter-3", "meter-4", "meter-5", "meter-6"):
        text = desk.run("show", device)
        for secret in (DEVICE_KEY, GROUP_KEY, "geheim", "4711", "PRIVATE"):
            assert secret not in text, f"{device}: {text}"


def sas_token(resource, key, expiry):
    quoted = urllib.parse.quote(resource, safe="")
    mac = hmac.new(key, f"{quoted}\n{expiry}".encode(), hashlib.sha256).digest()
    return quoted, urllib.parse.quote(base64.b64encode(mac).decode(), safe="")


def tokens(desk):
    text = desk.run("token", "meter-2", "--ttl", "2h").strip()
    expiry = int(re.search(r"&se=(\d+)", text)[1])
    resource, mac = sas_token("contoso.azure-devices.net/devices/meter-2", base64.b64decode(DEVICE_KEY), expiry)
    assert text == f"SharedAccessSignature sr={resource}&sig={mac}&se={expiry}", text
    assert abs(expiry - time.time() - 7200) < 60
    given = json.loads(desk.run("token", "meter-3", "--json"))
    expiry = int(re.search(r"&se=(\d+)", given["token"])[1])
    derived = hmac.new(base64.b64decode(GROUP_KEY), b"meter-3", hashlib.sha256).digest()
    _, mac = sas_token("0ne00000001/registrations/meter-3", derived, expiry)
    assert f"&sig={mac}&" in given["token"] and given["client_id"] == "meter-3", given
    header, claims, signature = desk.run("token", "meter-4", "--ttl", "1h").strip().split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "ES256", "typ": "JWT"}
    claims_json = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert claims_json["aud"] == "plant-one" and abs(claims_json["exp"] - time.time() - 3600) < 120, claims_json
    raw = base64.urlsafe_b64decode(signature + "==")
    assert len(raw) == 64

    def integer(part):
        part = part.lstrip(b"\0") or b"\0"
        part = b"\0" + part if part[0] & 0x80 else part
        return bytes([2, len(part)]) + part
    body = integer(raw[:32]) + integer(raw[32:])
    desk.put("sig", bytes([0x30, len(body)]) + body)
    desk.put("m", f"{header}.{claims}")
    desk.sh("openssl pkey -in keys/m4.key -pubout > b; openssl dgst -sha256 -verify b -signature sig m")
    desk.run("token", "meter-1", code=1, says="proves itself without a token")
    desk.run("token", "meter-2", "--ttl", "soon", code=2, says="--ttl")


def usage(desk):
    desk.run("--help", says="usage: tidegate identity create", config=False)
    desk.run("paint", "meter-1", code=2, says="usage:")
    desk.run("create", code=2, says="usage:")
    desk.run("create", "a", "b", code=2, says="one argument too many")
    desk.run("csr", "--proof", "x", code=2, says="--proof needs --key", config=False)
    desk.run("import", "meter-8", code=2, says="give --certificate FILE, or --pkcs12")


with Stage() as stage:
    d = Desk(stage.folder)
    create(d)
    requests_and_imports(d)
    token_key(d)
    show(d)
    tokens(d)
    usage(d)
print("keys, requests, imports and tokens are what openssl takes them for")
