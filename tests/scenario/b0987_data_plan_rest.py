#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `check` says of pings, connects and flash is what a run of the same file costs in the same time, by the relay's and the kernel's
count as well as by the gateway's own.

The gateway's clocks run ten times as fast (peers/fast_clock.c), so that its keepalive of 30 s, the least that it takes, and its token's life
pass in seconds; the network and the disk are the real ones. The estimate of a month is scaled to the time that has passed.

TOLERANCE  A factor of 1.5 each way, as for the payload of messages. A run has whole pings and connects, at most one more or less than the time
           has on average, of three to six. TLS 1.3, which is spoken here, takes 7 bytes less a record than the estimate has. A full handshake is the
           server's chain for the most part: here three RSA certificates of 3 kB, as clouds send them. How many segments carry it is the kernels' choice.
           What the gateway's own count lacks is what passes after its goodbye: close_notify and FIN, 50 B and four segments a connection.
"""
import json
import os
import re
import subprocess
import time

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from broker import Broker
from field import all_online, broker_cloud, hub_cloud, identity
from gateway import Gateway, configuration, run
from harness import BUILD, Stage, wait_until
from hub import Hub
from pki import Pki, issue, pem, write, write_key

FACTOR = 1.5
FAST = 10
MONTH_S = 30 * 24 * 3600
HEAD = 52  # of a segment
SILENT, PACED = "1h", "30s"  # PACED: longer than from the last byte to the ping
DEVICES = {"silent": SILENT, "paced": PACED, "flash": "2s", "token": SILENT, "chain": SILENT}

tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
assert tried.returncode == 0, f"this test counts writes with strace, which may not trace here: {tried.stderr.strip()}"


def long_chain(pki, name):
    issuer, chain = pki.root, b""
    for depth in range(3):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        sans = [x509.DNSName("localhost"), *(x509.DNSName(f"front-{i}.westeurope.cloud.example.net") for i in range(10))] if depth == 2 else []
        own = issue("localhost" if depth == 2 else f"issuing authority {depth}", key, issuer, ca=depth < 2, sans=sans,
                    usage=ExtendedKeyUsageOID.SERVER_AUTH if depth == 2 else None)
        issuer, chain = (own, key), pem(own) + chain
    write(pki.path(f"{name}.pem"), chain)
    write_key(pki.path(f"{name}.key"), issuer[1])


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for name, kind in (("token", "sas"), ("chain", "x509-ca")):
        pki.add(name, kind)
    hub = Hub(stage, pki)
    broker = Broker(stage, pki, users={"site": "right"}, credentials=long_chain)
    certificates = Broker(stage, pki, name="certificates", credentials=long_chain)
    behind = {"silent": broker.port, "paced": broker.port, "flash": broker.port, "token": hub.port, "chain": certificates.port}
    link = stage.peer("link.py", *(f"{name}=127.0.0.1:{port}" for name, port in behind.items()))
    who = {"username": "site", "password_file": stage.write("site", "right\n")}
    # Ten times as long, so that they are as long as ever.
    patience = {"connect_timeout": "60s", "handshake_timeout": "60s", "ack_timeout": "60s"}

    def cloud(name, **more):
        return broker_cloud(link.ready["ports"][name], pki.path("ca.pem"), name=name, **{"command_topic": "", "keepalive": "30s", **patience, **more})
    config = configuration(stage, [
        cloud("silent", identity=who), cloud("paced", identity=who), cloud("flash", identity=who), cloud("chain", keepalive="600s"),
        hub_cloud(hub, link.ready["ports"]["token"], name="token", sas_lifetime="30s", **{**patience, "keepalive": "600s"})],
        [{"name": name, "plugin": "simulator", "devices": [
            {"id": name, "clouds": [name], "settings": {"every": every}, **({"identity": identity(pki, name, {"token": "sas"}.get(name))} if name in pki.lines else {}),
             "points": [{"name": f"{kind}_l1", "signal": "random"} for kind in ("voltage", "current", "power", "factor")]}]}
         for name, every in DEVICES.items()])
    plan = json.loads(run("check", "--json", "-c", config, check=0).stdout)["plan"]
    clouds, flash = {entry["name"]: entry for entry in plan["clouds"]}, plan["flash"]
    gateway = Gateway(stage, config, env={"LD_LIBRARY_PATH": os.path.join(BUILD, "peers"), "LD_PRELOAD": "fast_clock.so", "TIDEGATE_FAST": str(FAST)},
                      under=["strace", "-D", "-f", "--seccomp-bpf", "-y", "-s", "0", "-o", stage.path("writes"), "-e", "trace=pwrite64"])
    wait_until(lambda: all_online(gateway), 30, "all sessions")

    def disk():
        with open(stage.path("writes"), encoding="utf-8", errors="replace") as file:
            return sum(int(size) for size in re.findall(r"/state/[^>]*>.*\) = (\d+)$", file.read(), re.M))

    def relayed():
        return {name: link.command(f"stats {name}") for name in DEVICES}

    def look():
        """{cloud: what has passed}, and of the disk, at a moment when nothing passed the relay while the gateway was asked; else None."""
        before, status, at, after = relayed(), gateway.status(), time.monotonic(), relayed()
        if any(before[name][way] != after[name][way] for name in DEVICES for way in ("up", "down")):
            return None
        found = {}
        for entry in status["clouds"]:
            wire, seen = entry["wire"], after[entry["name"]]
            ours = wire["bytes_in"] + wire["bytes_out"]
            found[entry["name"]] = {"at": at, "ours": ours, "seen": seen["up"] + seen["down"], "samples": wire["samples"], "heads": seen["segments"] * HEAD,
                                    "our heads": wire["ip_bytes"] - ours, "connects": seen["accepted"], **wire["handshakes"]}
        return found, {"samples": status["outbox"]["accepted"], "ours": status["outbox"]["written_bytes"], "seen": disk()}

    def compare(what, ours, seen, expected, within=0.02):
        print(f"{what}: expected {expected:.0f}, the gateway counts {ours:.0f}, from outside {seen:.0f}: {seen / expected:.2f}")
        assert abs(ours - seen) <= within * seen, f"{what}: the gateway counts {ours}, from outside it is {seen}"
        assert 1 / FACTOR < seen / expected < FACTOR, f"{what}: {seen}, expected {expected:.0f}"

    def less(after, before):
        return {key: after[key] - before[key] for key in after}

    def heads(name):  # all of a month but those of the messages, which have three segments each at this size
        entry = clouds[name]
        return entry["ip_bytes"] - entry["payload_bytes"] - entry["messages"] * 3 * HEAD

    def a_sample(name):
        return clouds[name]["data_bytes"] / clouds[name]["samples"]

    # The first connect of each, and its first sample.
    first = wait_until(lambda: (found := look()) and all(wire["samples"] for wire in found[0].values()) and found[0], 30, "a sample of each")
    for name in ("silent", "paced", "chain"):
        wire = first[name]
        assert (wire["full"], wire["resumed"], wire["connects"]) == (1, 0, 1), wire
        compare(f"{name}: full connect, B", wire["ours"] - a_sample(name), wire["seen"] - a_sample(name), clouds[name]["connect_bytes"] / 30)

    # Between two samples of the paced one, which come after a ping's time: three silences.
    def paced(count):
        return wait_until(lambda: (found := look()) and found[0]["paced"]["samples"] >= count and found, 60, "the next sample")
    for trial in range(4):
        begun = paced(first["paced"]["samples"] + 1)
        ended = paced(begun[0]["paced"]["samples"] + 3)
        passed = {name: less(ended[0][name], begun[0][name]) for name in DEVICES}
        # A machine that stands still for a second and a half has waited in vain for PINGRESP for 15 s of the gateway's: once more.
        if passed["silent"]["connects"] == passed["paced"]["connects"] == 0 and passed["paced"]["samples"] == 3:
            break
        first = ended[0]
    else:
        raise AssertionError(f"no silence without a lost connection: {passed}")
    share = passed["silent"]["at"] * FAST / MONTH_S
    for name in ("silent", "paced"):
        wire, pings = passed[name], clouds[name]["pings"] * share
        data = wire["samples"] * a_sample(name)
        compare(f"{name}: {pings:.1f} pings, B", wire["ours"] - data, wire["seen"] - data, clouds[name]["ping_bytes"] * share, within=0.1)
        acks = wire["samples"] * 3 * HEAD
        compare(f"{name}: their TCP/IP heads, B", wire["our heads"] - acks, wire["heads"] - acks, heads(name) * share, within=0.35)
    wire, entry = passed["token"], clouds["token"]
    assert wire["full"] == 0 and wire["resumed"] >= 2, wire
    print(f"token: {wire['connects']} connects, expected {entry['connects'] * share:.1f}")
    assert abs(wire["connects"] - entry["connects"] * share) <= 1 + wire["connects"] / 3, wire
    compare("token: a renewal, B", wire["ours"] / wire["connects"], wire["seen"] / wire["connects"], entry["connect_bytes"] / entry["connects"], within=0.15)
    compare("token: its TCP/IP heads, B", wire["our heads"] / wire["connects"], wire["heads"] / wire["connects"],
            heads("token") / entry["connects"], within=0.4)
    wrote = less(ended[1], begun[1])
    compare(f"flash: {wrote['samples']} samples, B", wrote["ours"], wrote["seen"], flash["written_bytes"] / flash["samples"] * wrote["samples"], within=0.1)
    assert gateway.stop() == 0
    hub.stop()
    broker.close()
    certificates.close()
