#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices whose private keys stay in PKCS#11 tokens (SoftHSM; a software TPM where its packages are) deliver through the hub over
mutual TLS; a wrong PIN is presented once, and the right one in its file is enough to go on."""
import json
import os
import subprocess
import sys

from field import hub_cloud, simulated
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from hub import Hub
from pki import Pki
from soft_tpm import MODULE as TPM_MODULE, SoftTpm
from verdict import delivered, judge, table

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "4711"


def tool(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"


def soft_token(label):
    tool("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "567890")


def soft_key(token, label, kind, number):
    tool("pkcs11-tool", "--module", SOFTHSM, "--token-label", token, "--login", "--pin", PIN, "--keypairgen", "--key-type", kind,
         "--id", number, "--label", label)


def in_token(device, token, module, pin):
    return {"certificate": f"{device}.pem", "key": f"pkcs11:token={token};object={device}?module-path={module}&pin-source=file:{pin}"}


with Stage() as stage:
    os.environ["SOFTHSM2_CONF"] = stage.write(
        "softhsm2.conf", f"directories.tokendir = {stage.path('tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.mkdir(stage.path("tokens"))
    soft_token("site-7")
    soft_token("guarded")
    soft_key("site-7", "ec-1", "EC:prime256v1", "01")
    soft_key("site-7", "rsa-1", "rsa:2048", "02")
    soft_key("guarded", "guarded-1", "EC:prime256v1", "01")
    stage.write("pin", PIN + "\n")
    stage.write("pin2", PIN + "\n")
    devices = {"ec-1": in_token("ec-1", "site-7", SOFTHSM, "pin"), "rsa-1": in_token("rsa-1", "site-7", SOFTHSM, "pin"),
               "guarded-1": in_token("guarded-1", "guarded", SOFTHSM, "pin2")}
    missing = SoftTpm.missing()
    if missing:
        print(f"SKIPPED: the TPM part: not installed: {', '.join(missing)}")
    else:
        tpm = SoftTpm(stage, "site-tpm", PIN)
        os.environ.update(tpm.environment)
        for name, algorithm in (("tpm-ec", "ecc256"), ("tpm-rsa", "rsa2048")):
            tpm.key(name, algorithm)
            devices[name] = in_token(name, "site-tpm", TPM_MODULE, "pin")
    pki = Pki(stage.path("pki"))
    pki.save()
    hub = Hub(stage, pki)
    config = configuration(stage, [hub_cloud(hub)], [
        simulated("rehearsal", {name: (["hub"], identity) for name, identity in devices.items()}, every="50ms")])
    for name in devices:
        made = run("identity", "create", name, "-c", config, "--json", check=0)
        pki.register(name, "x509-thumbprint", json.loads(made.stdout)["certificate"]["sha256"])
    stage.write("pin2", "9999\n")
    gateway = Gateway(stage, config)
    good = [name for name in devices if name != "guarded-1"]
    for name in good:
        hub.record.wait("connect", name, seconds=60)
    wait_until(lambda: "refused the PIN" in json.dumps(gateway.session("guarded-1", "hub")), 30, "the wrong PIN to be told")
    assert not hub.record.select("connect", "guarded-1")
    stage.write("pin2", PIN + "\n")
    hub.record.wait("connect", "guarded-1", seconds=60)
    # A connection that is cut is made again with the same key; the token's session is kept.
    hub.stop()
    hub.start()
    for name in devices:
        hub.record.wait("connect", name, count=2, seconds=60)
    accounts = gateway.accounts()
    wait_until(lambda: delivered(hub.record, accounts), 30, "everything to be delivered")
    assert gateway.stop() == 0
    rows = judge(hub.record, accounts)
    print(table(rows))
    assert len(rows) == len(devices) and all(row.holds for row in rows)
sys.exit(0)
