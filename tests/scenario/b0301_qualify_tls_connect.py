#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS Connect: the gateway connects with TLS 1.2 and with TLS 1.3, names the host it wants (SNI), and never speaks less than 1.2."""
import socket
import ssl
import warnings

from harness import Stage, wait_until
from qualify import Packets, everything_arrives, online, start, tls_broker

warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is offered on purpose

for version, spoken in (("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")):
    with Stage() as stage:
        pki, broker = tls_broker(stage, "server", "--version", version)
        packets = Packets(broker)
        gateway = start(stage, broker, ca_file=pki.path("ca.pem"))
        online(gateway)
        everything_arrives(gateway, packets)
        assert gateway.stop() == 0
        shakes = broker.command("handshakes")["handshakes"]
        assert [(shake["version"], shake["sni"], shake["error"]) for shake in shakes] == [(spoken, "localhost", None)], shakes

with Stage() as stage:
    pki, broker = tls_broker(stage, "server", "--version", "1.1", "--ciphers", "ALL:@SECLEVEL=0")
    old = ssl.create_default_context(cafile=pki.path("ca.pem"))  # shows that this server does speak it
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", broker.ready["port"])) as tcp, old.wrap_socket(tcp, server_hostname="localhost") as tls:
        assert tls.version() == "TLSv1.1"
    gateway = start(stage, broker, ca_file=pki.path("ca.pem"))
    wait_until(lambda: len(broker.command("handshakes")["handshakes"]) >= 3, 30, "a second attempt")
    wait_until(lambda: gateway.session("meter", "broker").get("last_error"), 30, "the reason")
    print(gateway.session("meter", "broker")["last_error"], broker.command("handshakes")["handshakes"])
    assert gateway.session("meter", "broker")["connects"] == 0 and broker.command("stats")["connects"] == 0
    assert gateway.stop() == 0
