# SPDX-License-Identifier: GPL-2.0-or-later
"""hub - a cloud on loopback: Debian's mosquitto with TLS and the rules of tests/peers/hub_rules.c.

    pki = Pki(stage.path("pki")); pki.add("meter-1", "sas")
    hub = Hub(stage, pki)                     # hub.port: TLS, as the gateway sees it
    hub.record.wait("connect", "meter-1")     # what the broker saw
    with hub.service() as service:            # what a cloud application does
        service.c2d("meter-1", '{"set":{"relay":true}}')

The listener asks for a client certificate and insists on none, as the hub's does; so devices of every kind share it.
"""
import json
import os
import shutil
import signal
import ssl

from harness import BUILD, Expired, Process, accepts, free_port, tail, wait_until

from service_link import PASSWORD as SERVICE_PASSWORD, ServiceLink  # found by harness in peers/

# The suites that the hub takes from clients; mosquitto applies them to TLS 1.2.
CIPHERS = ("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:"
           "ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256")


class Record:
    """The broker's record (peers/hub_record.h), read as it grows."""

    def __init__(self, path):
        self.path = path
        self.offset = 0
        self.entries = []

    def read(self):
        if not os.path.exists(self.path):
            return self.entries
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self.offset += whole
        self.entries.extend(json.loads(line) for line in data[:whole].splitlines())
        return self.entries

    def select(self, event, device=None, reason=""):
        return [entry for entry in self.read() if entry["ev"] == event and device in (None, entry["device"]) and
                reason in entry.get("reason", "")]

    def wait(self, event, device=None, reason="", count=1, seconds=20):
        """The first `count` entries of that kind, waited for."""
        return wait_until(lambda: self.select(event, device, reason)[:count]
                          if len(self.select(event, device, reason)) >= count else None,
                          seconds, f"the hub to record {event} {device or ''} {reason}")

    def telemetry(self, device):
        prefix = "devices/" + device.replace("/", "/modules/", 1) + "/messages/events/"
        return [entry for entry in self.select("publish", device) if entry["topic"].startswith(prefix)]


class Service:
    """The cloud's side: an application that talks to devices through the hub. `link` is a peers/service_link.py."""

    def __init__(self, port):
        self.link = ServiceLink(port)

    def publish(self, topic, payload, qos=1):
        """Under the open rules the service may publish anything."""
        self.link.wait(self.link.publish(topic, payload, qos))

    def c2d(self, device, payload, bag="", qos=1):
        self.publish(f"devices/{device}/messages/devicebound/{bag}", payload, qos)

    def say(self, device, topic, payload, qos=1):
        """One message to one device on any topic that it has subscribed to; the record says "told" or "unheard"."""
        self.link.wait(self.link.say(device, topic, payload, qos))

    def lever(self, device, what, value=""):
        """What the hub does to a device ("*": to all) from now on: peers/hub_levers.h."""
        self.link.wait(self.link.lever(device, what, value))

    def listen(self, *filters):
        """A list that grows by (topic, payload) of every message on these; they are granted when this returns."""
        heard = []
        for topic in filters:
            self.link.heard(topic, lambda topic, payload: heard.append((topic, payload)))
        return heard

    def forwarded(self, prefix=""):
        """A list that grows by (device, topic, payload) of what devices say under a forwarded prefix."""
        heard = []
        self.link.forwarded(prefix, lambda *said: heard.append(said))
        return heard

    def events(self, what):
        """A list that grows by (device, reason): connect, disconnect, subscribe, unsubscribe."""
        heard = []
        self.link.events(what, lambda *event: heard.append(event))
        return heard

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.link.close()


class Hub:
    def __init__(self, stage, pki, tls=None, options=None, name="hub", mosquitto=None):
        """`tls`: mosquitto's tls_version, "tlsv1.2" by default, as the hub offers; options: plugin_opt_ of hub_rules;
        mosquitto: other lines of its configuration. With the open rules (hub_login.h) this is any other cloud."""
        self.stage, self.pki, self.name = stage, pki, name
        self.mosquitto = {"max_queued_messages": 50, "max_inflight_messages": 100, **(mosquitto or {})}
        self.tls = tls or "tlsv1.2"
        self.options = options or {}
        self.log = stage.path(f"{name}.log")
        self.record = Record(stage.path(f"{name}.jsonl"))
        self.process = None
        self.port = self.service_port = None
        pki.save()
        for _ in range(10):  # another test may take a free port first
            self.port, self.service_port = free_port(), free_port()
            if self.start():
                return
        raise Expired(f"mosquitto does not start:\n{tail(self.log)}")

    def config(self):
        options = {"registry": self.pki.path("registry"), "record": self.record.path,
                   "service_password": SERVICE_PASSWORD, "hosts": f"localhost,localhost:{self.port}", **self.options}
        lines = ["per_listener_settings false", "allow_anonymous false", "persistence false", "sys_interval 0",
                 "set_tcp_nodelay true", *(f"{key} {value}" for key, value in self.mosquitto.items()),
                 f"log_dest file {self.log}", "log_type error", "log_type warning", "log_type notice",
                 f"plugin {os.path.join(BUILD, 'peers', 'hub_rules.so')}",
                 *(f"plugin_opt_{key} {value}" for key, value in options.items()),
                 f"listener {self.port} 127.0.0.1", "max_qos 1", f"tls_version {self.tls}", f"ciphers {CIPHERS}",
                 f"cafile {self.pki.path('ca.pem')}", f"certfile {self.pki.path('server.pem')}",
                 f"keyfile {self.pki.path('server.key')}",
                 f"listener {self.service_port} 127.0.0.1", "max_qos 1"]
        if os.geteuid() == 0:
            lines.insert(0, "user root")  # or mosquitto gives up the right to read the keys
        return "\n".join(lines) + "\n"

    def start(self):
        """True when it runs and listens; also used to bring it back on its ports after stop() or kill()."""
        conf = self.stage.write(f"{self.name}.conf", self.config())
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        self.process = Process(self.stage, self.name, [program, "-c", conf],
                               env={"LD_LIBRARY_PATH": os.path.join(BUILD, "peers"), "LD_PRELOAD": "hub_rules.so"})
        wait_until(lambda: not self.process.running or (accepts(self.port) and accepts(self.service_port)), 20,
                   "mosquitto to listen")
        return self.process.running

    def stop(self):
        return self.process.stop()

    def kill(self):
        return self.process.kill()

    def freeze(self):
        self.process.signal(signal.SIGSTOP)

    def thaw(self):
        self.process.signal(signal.SIGCONT)

    def service(self):
        return Service(self.service_port)

    def client_context(self, device=None):
        """A TLS context as an independent client uses it; `device` or a path without ending names a certificate."""
        context = ssl.create_default_context(cafile=self.pki.path("ca.pem"))
        if device:
            base = self.pki.path(device)  # an absolute path stays what it is
            context.load_cert_chain(base + ".pem", base + ".key")
        return context
