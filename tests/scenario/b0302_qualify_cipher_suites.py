#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Cipher Suites: the gateway offers suites with an ephemeral exchange and an AEAD and no others, takes each that Azure and AWS have in
common with it, and refuses a server that has weak ones only."""
from field import broker_cloud, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from qualify import HelloServer, online, start, tls_broker

TLS13 = {0x1301, 0x1302, 0x1303}
STRONG = {0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9}  # ECDHE with ECDSA or RSA; AES-GCM, ChaCha20-Poly1305
SIGNAL = {0x00ff}  # no suite: renegotiation indication (RFC 5746)

with Stage() as stage:
    server = HelloServer()
    pki, _ = tls_broker(stage)
    gateway = Gateway(stage, configuration(stage, [broker_cloud(server.port, pki.path("ca.pem"))],
                                           [simulated("field", {"meter": (["broker"], None)})]))
    hello = wait_until(lambda: server.hellos and server.hellos[0], 30, "a ClientHello")
    offered = set(hello.suites)
    assert offered <= TLS13 | STRONG | SIGNAL, [hex(suite) for suite in offered - TLS13 - STRONG - SIGNAL]
    # Where AES is slow, AES-256 is offered only once a server has refused the others: below.
    assert {0xc02f, 0xc02b} <= offered, "a suite that the clouds take is not offered"
    assert set(hello.versions) <= {0x0303, 0x0304} and 0x0303 in hello.versions, hello.versions
    assert hello.compressions == [0] and hello.sni == "localhost", (hello.compressions, hello.sni)
    assert gateway.stop() == 0

for cipher in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"):
    with Stage() as stage:
        pki, broker = tls_broker(stage, "server", "--version", "1.2", "--ciphers", cipher)
        gateway = start(stage, broker, ca_file=pki.path("ca.pem"))
        online(gateway)
        assert gateway.stop() == 0
        shakes = broker.command("handshakes")["handshakes"]
        assert {shake.get("cipher") for shake in shakes} - {None} == {cipher}, shakes

for ciphers in ("AES128-SHA:AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA", "ADH-AES128-SHA256:@SECLEVEL=0", "DHE-RSA-AES256-SHA256"):
    with Stage() as stage:
        pki, broker = tls_broker(stage, "server", "--version", "1.2", "--ciphers", ciphers)
        gateway = start(stage, broker, ca_file=pki.path("ca.pem"))
        wait_until(lambda: gateway.session("meter", "broker").get("last_error"), 30, f"the reason why {ciphers} is refused")
        assert broker.command("stats")["connects"] == 0, ciphers
        assert gateway.stop() == 0
