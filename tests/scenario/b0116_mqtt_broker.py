#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Any MQTT broker: mosquitto with passwords, mosquitto with client certificates, and aedes; each gets everything through an outage,
commands come back, and who is refused reads why."""
import json

from broker import Aedes, Broker
from field import broker_cloud, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from pki import Pki

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device in ("by-certificate", "stranger"):
        pki.add(device, "x509-ca")
    pki.add("self-signed", "x509-thumbprint")
    users = {"by-password": "right", "intruder": "right", "by-aedes": "right"}
    brokers = {"by-password": Broker(stage, pki, users=users, name="passwords"), "by-certificate": Broker(stage, pki, name="certificates"),
               "by-aedes": Aedes(stage, pki, users)}
    link = stage.peer("link.py", *(f"{device}=127.0.0.1:{broker.port}" for device, broker in brokers.items()))
    right = stage.write("right", "right\n")
    stage.write("intruder", "wrong\n")

    def password(name, file=right):
        return {"username": name, "password_file": file}

    def certificate(name):
        return {"certificate": pki.path(f"{name}.pem"), "key": pki.path(f"{name}.key")}
    identities = {"by-password": password("by-password"), "by-certificate": certificate("by-certificate"), "by-aedes": password("by-aedes")}
    clouds = [broker_cloud(link.ready["ports"][device], pki.path("ca.pem"), name=device, batch={"max_samples": 20, "max_delay": "50ms"})
              for device in brokers]
    gateway = Gateway(stage, configuration(stage, clouds, [
        simulated("rehearsal", {device: ([device], who) for device, who in identities.items()}),
        simulated("refused", {"intruder": (["by-password"], password("intruder", stage.path("intruder"))), "nobody": (["by-certificate"], None),
                              "self-signed": (["by-certificate"], certificate("self-signed"))})]))

    def received(device):
        bodies = brokers[device].heard(f"tidegate/{device}/data")
        return [sample for body in bodies for sample in (body if isinstance(body, list) else [body])]
    for device in brokers:
        wait_until(lambda: gateway.session(device, device)["state"] == "online", 20, f"{device} to be online")
    for device, cloud, says in (("intruder", "by-password", "not authorised: user name, password or certificate is wrong"),
                                ("nobody", "by-certificate", "wants a client certificate, and this identity has none"),
                                ("self-signed", "by-certificate", "refused our client certificate: alert unknown_ca")):
        wait_until(lambda: says in gateway.session(device, cloud).get("last_error", ""), 15, f"{device} to be told: {says}")
    for device, broker in brokers.items():
        broker.say(f"tidegate/{device}/command", '{"command":"set","arguments":{"setpoint":42}}')
        wait_until(lambda: any(sample["values"]["setpoint"] == 42 for sample in received(device)[-5:]), 15, f"the set point of {device}")

    before = gateway.accounts()
    for device in brokers:
        link.command(f"cut {device}")
    wait_until(lambda: all(gateway.accounts()[device] > before[device] + 100 for device in brokers), 20, "a backlog")
    for device in brokers:
        link.command(f"restore {device}")
    for device in brokers:
        wait_until(lambda: gateway.session(device, device)["state"] == "online", 20, f"{device} to be online again")
    stage.write("intruder", "right\n")  # mended: read anew with each attempt
    wait_until(lambda: gateway.session("intruder", "by-password")["state"] == "online", 20, "the intruder with the right password")
    accounts = gateway.accounts()
    for device in brokers:
        wait_until(lambda: {sample["seq"] for sample in received(device)} >= set(range(1, accounts[device] + 1)), 20, f"everything of {device}")
    assert gateway.stop() == 0
    for device in brokers:
        first = list(dict.fromkeys(sample["seq"] for sample in received(device)))
        bodies = {json.dumps(sample, sort_keys=True) for sample in received(device)}
        assert first == sorted(first) and len(bodies) == len(first), f"{device}: out of order, or a number with two bodies"
        print(f"{device}: {len(first)} delivered, {len(received(device)) - len(first)} twice")
    for broker in brokers.values():
        broker.close()
