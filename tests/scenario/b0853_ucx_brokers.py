#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A module is provisioned for a broker with user and password (as Thingstream wants it) and for AWS IoT Core with a certificate; the
broker that enforces the logins hears what the module says on the gateway's own topics, and the module what comes down."""
from aws import Aws
from broker import Broker
from field import broker_cloud, identity
from harness import Stage, wait_until
from pki import Pki
from ucx import Desk, Module

NAME, ENDPOINT = "localhost", "abcdefghijkl-ats.iot.eu-west-2.amazonaws.com"

with Stage() as stage:
    pki = Pki(stage.path("pki"), (ENDPOINT,))
    broker = Broker(stage, pki, users={"44Y4OWYTRN3JJM": "KgpOln78MZ uzYw&3W"})
    aws = Aws(stage, pki)
    aws.add("pump-2")
    password = stage.write("broker.password", "KgpOln78MZ uzYw&3W\n")
    desk = Desk(stage, [
        {**broker_cloud(8883, pki.path("ca.pem")), "client_id": "device:{device}"},
        {"name": "aws", "type": "aws-iot-core", "host": ENDPOINT, "ca_file": pki.path("ca.pem")}], {
            "pump-1": ("broker", {"username": "44Y4OWYTRN3JJM", "password_file": password}),
            "pump-2": ("aws", identity(pki, "pump-2", "x509-ca"))})
    module = Module(stage, {(NAME, 8883): broker.port, (ENDPOINT, 8883): aws.port})

    desk.provision("pump-1", module, "--hello", '{"from":"pump-1"}', "--show", "--store-wifi", says=("AT+UDUV=0,***", "after later starts too"),
                   secrets=("hunter2hunter2", "KgpOln78MZ"))
    wait_until(lambda: broker.heard("tidegate/pump-1/data") == [{"from": "pump-1"}], 30, "what the module said")
    broker.say("tidegate/pump-1/command", "open the valve")
    wait_until(lambda: module.command("delivered")["data"] == ["open the valve"], 30, "the command at the module")
    assert module.said[-6:-3] == ["AT+UWSCA=0,3", "AT+UWSC=0,0,1", "AT+UWSCA=0,1"] or "AT+UWSCA=0,1" in module.said, module.said

    # --- AWS: other names on the module
    desk.provision("pump-2", module, "--names", "AmazonRootCA1.pem,device.crt,device.key", "--hello", '{"from":"pump-2"}',
                   "--subscribe", "$aws/things/pump-2/shadow/update/delta", says=f"pump-2 is connected to {ENDPOINT}")
    assert set(module.state["certificates"]) == {"AmazonRootCA1.pem", "device.crt", "device.key"}
    wait_until(lambda: aws.published("pump-2") == [("dt/tidegate/site-7/pump-2", {"from": "pump-2"})], 30, "its message")
    assert any("ca=AmazonRootCA1.pem&cert=device.crt&privKey=device.key" in command for command in module.said), module.said

    # --- what a module is, without changing it
    text = desk.run("info", "--port", module.port, says=("NINA-W15", "extended data mode", "+UWSSTAT:3,2"))
    text = desk.run("list-certificates", "--port", module.port, "--json", says='"CA","AmazonRootCA1.pem"'.replace('"', '\\"'))
    broker.close()
    module.peer.stop()
