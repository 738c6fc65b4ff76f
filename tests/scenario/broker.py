# SPDX-License-Identifier: GPL-2.0-or-later
"""broker - Debian's mosquitto as a plain broker on loopback: TLS with an EC key, users with passwords or client certificates.

    broker = Broker(stage, pki, users={"pump-1": "secret"})      # without users: a client certificate is asked for
    broker.heard("site/pump-1/data")                             # bodies that came on a topic, read as they come
    broker.say("site/pump-1/command", '{"command":"set"}')
"""
import json
import os
import re
import shutil
import subprocess
import threading

import paho.mqtt.client as paho
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from harness import PEERS, Expired, Process, accepts, free_port, tail, wait_until
from pki import ec_key, issue, pem, write, write_key


def server_credentials(pki, name):
    key = ec_key()
    certificate = issue("localhost", key, pki.root, sans=[x509.DNSName("localhost")], usage=ExtendedKeyUsageOID.SERVER_AUTH)
    write(pki.path(f"{name}.pem"), pem(certificate))
    write_key(pki.path(f"{name}.key"), key)


class Broker:
    def __init__(self, stage, pki, users=None, name="broker", credentials=server_credentials):
        """`credentials(pki, name)` writes NAME.pem and NAME.key."""
        self.stage, self.pki, self.name, self.users = stage, pki, name, users
        self.log = stage.path(f"{name}.log")
        pki.save()
        credentials(pki, name)
        if users is not None:
            stage.write(f"{name}.users", "".join(f"{user}:{password}\n" for user, password in users.items()))
            subprocess.run(["mosquitto_passwd", "-U", stage.path(f"{name}.users")], check=True)
        for _ in range(10):  # another test may take a free port first
            self.port, self.back_port = free_port(), free_port()
            if self.start():
                break
        else:
            raise Expired(f"mosquitto does not start:\n{tail(self.log)}")
        self.messages = []
        self.client = paho.Client("back", protocol=paho.MQTTv311)
        self.client.on_connect = lambda client, user, flags, code: client.subscribe("#", 1)
        self.client.on_message = lambda client, user, message: self.messages.append((message.topic, message.payload))
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", self.back_port)
        self.client.loop_start()

    def config(self):
        front = [f"password_file {self.stage.path(self.name + '.users')}"] if self.users is not None else \
            ["require_certificate true", "use_identity_as_username true"]
        lines = ["per_listener_settings true", "persistence false", "sys_interval 0", "max_queued_messages 0", "set_tcp_nodelay true",
                 f"log_dest file {self.log}", "log_type all", f"listener {self.port} 127.0.0.1", "allow_anonymous false", *front,
                 f"cafile {self.pki.path('ca.pem')}", f"certfile {self.pki.path(self.name + '.pem')}", f"keyfile {self.pki.path(self.name + '.key')}",
                 f"listener {self.back_port} 127.0.0.1", "allow_anonymous true"]
        if os.geteuid() == 0:
            lines.insert(0, "user root")  # or mosquitto gives up the right to read the keys
        return "\n".join(lines) + "\n"

    def start(self):
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        self.process = Process(self.stage, self.name, [program, "-c", self.stage.write(f"{self.name}.conf", self.config())])
        wait_until(lambda: not self.process.running or (accepts(self.port) and accepts(self.back_port)), 20, "mosquitto to listen")
        return self.process.running

    def heard(self, topic):
        return [json.loads(body) for at, body in list(self.messages) if at == topic]

    def say(self, topic, payload):
        sent = self.client.publish(topic, payload, 1)
        wait_until(sent.is_published, 10, f"the broker to take a message on {topic}")

    def logged(self, pattern):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return re.findall(pattern, file.read(), re.M)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Aedes(Process):
    """A broker of another origin (tests/peers/node/aedes_broker.js) with TLS and users."""

    def __init__(self, stage, pki, users, name="aedes"):
        folder = os.path.join(PEERS, "node")
        if not os.path.isdir(os.path.join(folder, "node_modules", "aedes")):
            raise AssertionError(f"aedes is not installed: run `npm ci` in {folder} (./dev setup does)")
        server_credentials(pki, name)
        super().__init__(stage, name, ["node", os.path.join(folder, "aedes_broker.js"), pki.path(f"{name}.pem"), pki.path(f"{name}.key")], pipes=True)
        self.told = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.port = wait_until(lambda: self.told[0]["port"] if self.told else None, 20, "aedes to listen")
        self.command("users " + " ".join(f"{user} {password}" for user, password in users.items()))

    def read(self):
        for line in self.child.stdout:
            self.told.append(json.loads(line))

    def command(self, line):
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()

    def heard(self, topic):
        return [json.loads(item["payload"]) for item in list(self.told) if item.get("topic") == topic]

    def say(self, topic, payload):
        self.command(f"send {topic} {payload}")

    def close(self):
        self.child.stdin.close()
        assert self.wait() == 0
