# SPDX-License-Identifier: GPL-2.0-or-later
"""gcp - IoT Core's MQTT bridge on loopback: tests/peers/gcp_front.py with TLS, behind it Debian's mosquitto with the rules of
tests/peers/gcp_rules.c.

    registry = Registry(stage.path("gcp"))
    registry.add("meter-1")                                    # a key of its own: registry.key("meter-1")
    registry.gateway("gate-1", method="ASSOCIATION_ONLY")
    registry.add("meter-2", key=None, bound="gate-1")          # only through the gateway
    bridge = Bridge(stage, registry)                           # bridge.port: TLS
    with bridge.cloud() as cloud:
        cloud.config("meter-1", '{"rate": 5}')
        cloud.command("meter-1", '{"relay": true}', "set")
    bridge.record.wait("publish", "meter-1")
"""
import json
import os
import shutil

import paho.mqtt.client as paho
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from harness import BUILD, Expired, Process, accepts, free_port, tail, wait_until
from hub import Record
from pki import Pki, ec_key, write, write_key

PROJECT, REGION, REGISTRY = "plant-one", "us-central1", "meters"
NAME = f"projects/{PROJECT}/locations/{REGION}/registries/{REGISTRY}"
PASSWORD = "service"


class Registry:
    """Devices and keys, in a folder: ca.pem and the server's certificate, {device}.key, and what gcp_rules.so reads."""

    def __init__(self, folder):
        self.pki = Pki(folder)
        self.devices = {}
        self.save()

    def path(self, name):
        return self.pki.path(name)

    def key(self, device):
        return self.path(f"{device}.key")

    def make_key(self, device, kind="es256"):
        """Writes a new private key and returns the public one as PEM."""
        key = ec_key() if kind == "es256" else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        write_key(self.key(device), key)
        return key.public_key().public_bytes(serialization.Encoding.PEM,
                                             serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    def add(self, device, key="es256", **more):
        self.devices[device] = {**({"key": self.make_key(device, key)} if key else {}), **more}
        self.save()

    def gateway(self, device, method="ASSOCIATION_ONLY", **more):
        self.add(device, gateway=True, method=method, **more)

    def change(self, device, **more):
        self.devices[device].update(more)
        self.save()

    def save(self):
        write(self.path("devices.new"), json.dumps(self.devices).encode())
        os.replace(self.path("devices.new"), self.path("devices"))


class Cloud:
    """What an application does with its devices."""

    def __init__(self, port):
        self.client = paho.Client("cloud", protocol=paho.MQTTv311)
        self.client.username_pw_set("service", PASSWORD)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        wait_until(self.client.is_connected, 20, "the cloud's client")

    def say(self, topic, payload):
        sent = self.client.publish(topic, payload, 1)
        wait_until(sent.is_published, 20, f"the bridge to take {topic}")

    def config(self, device, payload):
        self.say(f"config/{device}", payload)

    def command(self, device, payload, subfolder=""):
        self.say(f"command/{device}" + (f"/{subfolder}" if subfolder else ""), payload)

    def detach(self, device):
        self.say(f"detach/{device}", "")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.client.disconnect()
        self.client.loop_stop()


class Bridge:
    def __init__(self, stage, registry, skew=600, name="bridge"):
        self.stage, self.registry, self.skew, self.name = stage, registry, skew, name
        self.log = stage.path(f"{name}.log")
        self.record = Record(stage.path(f"{name}.jsonl"))
        self.process = self.broker_port = None
        for _ in range(10):  # another test may take a free port first
            self.broker_port = free_port()
            if self.start():
                break
        else:
            raise Expired(f"mosquitto does not start:\n{tail(self.log)}")
        self.front = stage.peer("gcp_front.py", registry.path("server.pem"), registry.path("server.key"), self.broker_port)
        self.port = self.front.ready["port"]

    def config(self):
        options = {"registry": self.registry.path("devices"), "record": self.record.path, "name": NAME,
                   "service_password": PASSWORD, "skew": self.skew}
        lines = ["per_listener_settings false", "allow_anonymous false", "persistence false", "sys_interval 0",
                 "set_tcp_nodelay true", "max_inflight_messages 100", f"log_dest file {self.log}", "log_type error",
                 "log_type warning", "log_type notice", f"plugin {os.path.join(BUILD, 'peers', 'gcp_rules.so')}",
                 *(f"plugin_opt_{key} {value}" for key, value in options.items()),
                 f"listener {self.broker_port} 127.0.0.1", "max_qos 1"]
        if os.geteuid() == 0:
            lines.insert(0, "user root")  # or mosquitto gives up the right to read the registry
        return "\n".join(lines) + "\n"

    def start(self):
        """True when it runs and listens; also used to bring it back on its ports after stop() or kill()."""
        conf = self.stage.write(f"{self.name}.conf", self.config())
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        self.process = Process(self.stage, self.name, [program, "-c", conf])
        wait_until(lambda: not self.process.running or (accepts(self.broker_port)), 30,
                   "mosquitto to listen")
        return self.process.running

    def stop(self):
        return self.process.stop()

    def kill(self):
        return self.process.kill()

    def cloud(self):
        return Cloud(self.broker_port)

    def entry(self, port=None, name="lake", **more):
        """The cloud entry of a configuration for it; `port` when a link stands between."""
        return {"name": name, "type": "gcp-iot-core", "project": PROJECT, "region": REGION, "registry": REGISTRY,
                "host": "localhost", "port": port or self.port, "ca_file": self.registry.path("ca.pem"),
                "min_backoff": "100ms", "max_backoff": "500ms", "connect_timeout": "3s", "handshake_timeout": "3s",
                "ack_timeout": "5s", "max_connects_per_second": 200,
                "batch": {"max_samples": 20, "max_bytes": 3900, "max_delay": "50ms"}, **more}
