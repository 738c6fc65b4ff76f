#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Samples of a meter travel through a module that `tidegate module provision` has made ready: TLS with the root that it holds, user name
and password of the device, and after a plain start all of them are at the broker. The connection that provisioning has left is closed.
What cannot work is refused by `tidegate check`, with what to do."""
import json
import os

import yaml

from broker import Broker
from carry import module_cloud, module_source
from field import broker_cloud, simulated
from gateway import Gateway, configuration, run
from harness import SOURCE, Stage, wait_until
from pki import Pki
from ucx import Desk, Module
from verdict import Account, Row

SECRET = "s3cr3t & more"
COMMON = {"name": "radio", "type": "module", "source": "module", "host": "localhost"}
SAS = {"service": "azure-iot-hub", "ca": "ca.pem"}

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    broker = Broker(stage, pki, users={"meter-1": SECRET})
    password = stage.write("meter.password", SECRET + "\n")
    login = {"username": "meter-1", "password_file": password}
    key = stage.write("meter.sas", "bH/VjcdSOJJtcwx94hePfV8EJ8ivyZ/cXQ7e3i6gcDU=\n")
    desk = Desk(stage, [broker_cloud(8883, pki.path("ca.pem"))], {"meter-1": ("broker", login)})
    module = Module(stage, {("localhost", 8883): broker.port})
    desk.provision("meter-1", module, says="is connected to", secrets=("hunter2hunter2", SECRET))

    # --- the gateway, with the module in a process of its own
    cloud = {**module_cloud(8883), "host": "localhost", "ca": "ca.pem", "settle": "300ms"}
    del cloud["tls"]
    source = {**module_source(module.port, init=[]), "isolation": "process"}
    hall = simulated("hall", {"meter-1": (["radio"], login)})
    source["devices"][0]["clouds"] = ["direct"]
    config = configuration(stage, [cloud, broker_cloud(broker.back_port, name="direct")], [source, hall])
    run("check", "-c", config, check=0)
    gateway = Gateway(stage, config)
    wait_until(lambda: gateway.session("meter-1", "radio")["state"] == "online", 60, "the meter to be online through the module")
    wait_until(lambda: gateway.session("meter-1", "radio")["acked_seq"] >= 200, 60, "samples to be confirmed")
    last = gateway.session("meter-1", "radio")["acked_seq"]

    def arrived():
        """By what the broker's back has heard, which is a moment later."""
        account = Account()
        for body in broker.heard("tidegate/meter-1/data"):
            for sample in body if isinstance(body, list) else [body]:
                account.take(sample)
        return Row("meter-1", last, account)
    wait_until(lambda: arrived().lost == 0, 30, "what was confirmed to be at the broker")
    row = arrived()
    assert row.holds and row.duplicates == 0, vars(row)
    status = gateway.session("meter-1", "radio")
    assert status["in_flight"] >= 0 and "pending" in status, status
    said = module.said
    assert any(command == "AT+UDLP?" for command in said) and any(command.startswith("AT+UDCPC=") for command in said), said
    assert module.state["peers"] == 1
    assert any("passwd=%%" in command and "&encr=3" in command and "&ca=ca.pem" in command for command in said), said
    assert SECRET not in gateway.errors() and SECRET not in json.dumps(gateway.status())
    assert gateway.stop() == 0

    # --- the example
    run("check", "-c", os.path.join(SOURCE, "config", "examples", "module-transport.yaml"), check=0)

    # --- what cannot work
    def refused(text, more=None, who=None, devices=("meter-1",), settings=None):
        model = {"gateway": {"name": "test", "state_dir": stage.path("state")},
                 "clouds": [{**COMMON, "tls": "off", **(more or {})}],
                 "sources": [{**module_source(module.port, **(settings or {}))}, simulated("hall", {d: (["radio"], who) for d in devices})]}
        model["sources"][0]["devices"][0].pop("clouds", None)
        model["clouds"].append(broker_cloud(1, name="direct"))
        model["sources"][0]["devices"][0]["clouds"] = ["direct"]
        model["clouds"][0] = {name: value for name, value in model["clouds"][0].items() if value is not None}
        said = run("check", "-c", stage.write("bad.yaml", yaml.safe_dump(model, sort_keys=False)), check=1)
        assert text in said.stdout + said.stderr, f"not said: {text}\n{said.stdout}{said.stderr}"

    refused('there is no source "yard"', {"source": "yard"})
    refused("which lends no connection", {"source": "hall"})
    refused("ca is missing: the module has no roots", {"tls": None})
    refused("ca: without TLS there is nothing to check", {"ca": "ca.pem"})
    refused("key: certificate and key need each other", {"key": "key.pem"})
    refused("a name on the module has letters", {"certificate": "a b", "key": "k"})
    refused("IoT Hub lets nobody subscribe", {**SAS, "tls": None, "confirm": "echo"}, {"sas_key_file": key})
    refused("settle: with `confirm: echo`", {"confirm": "echo", "settle": "1s"})
    refused("template: with `confirm: echo` it needs {seq}", {"confirm": "echo", "format": "template", "template": "{value}"})
    refused("compress: a module's topic is settled", {"compress": "deflate"})
    refused("proxy: it is the module that connects", {"proxy": "http://127.0.0.1:3128"})
    refused("transport: it is the module that connects", {"transport": "websocket"})
    refused("topic: IoT Hub says this itself", {**SAS, "tls": None, "topic": "x"}, {"sas_key_file": key})
    refused("sas_lifetime: is for service: azure-iot-hub", {"sas_lifetime": "1h"})
    refused("has nothing to prove itself with", {**SAS, "tls": None})
    refused("a SAS key is for service: azure-iot-hub", None, {"sas_key_file": key})
    refused("max_channels: 8 devices want a connection of the module of source \"module\", which has 7", None, None,
            [f"meter-{n}" for n in range(8)])
    broker.close()
