# SPDX-License-Identifier: GPL-2.0-or-later
"""hub - a cloud on loopback: Debian's mosquitto with TLS and the rules of tests/peers/hub_rules.c.

    pki = Pki(stage.path("pki")); pki.add("meter-1", "sas")
    hub = Hub(stage, pki)                     # hub.port: TLS, as the gateway sees it
    hub.record.wait("connect", "meter-1")     # what the broker saw
    with hub.service() as service:            # what a cloud application does
        service.c2d("meter-1", '{"set":{"relay":true}}')

    hub = Hub(stage, pki, twin=True)          # with peers/twin_service.py beside it
    twin = hub.twin("meter-1")
    twin.set_desired({"interval": 5})         # the version
    twin.wait_reported(lambda reported: reported.get("interval") == 5)
    hub.call_method("meter-1", "reboot", {"delay": 1}).status

    dps = Dps(stage, pki, hub)                # the provisioning service, with peers/dps_service.py beside it
    dps.enrol("meter-1")                      # its key is in pki.secret("meter-1"), as for the hub
    dps.group("meters"); dps.enrol("meter-2", group="meters")
    dps.command("outcome", "meter-1", "failed")
    dps.wait_requests("meter-1", "register")

The listener asks for a client certificate and insists on none, as the hub's does; so devices of every kind share it.
"""
import base64
import hashlib
import hmac
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
        self.is_telemetry = lambda topic: "/events" in topic  # IoT Hub's and IoT Core's; another cloud has other topics

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


class DeviceTwin:
    """A device's twin as the cloud sees it (peers/twin_service.py, whose --help lists what it can do wrong)."""

    def __init__(self, service, device):
        self.service, self.device = service, device

    def read(self):
        return self.service.command("twin", self.device)["twin"]

    @property
    def desired(self):
        return self.read()["desired"]

    @property
    def reported(self):
        return self.read()["reported"]

    def set_desired(self, patch, told=True):
        """Merges it (null removes) and tells the device, if it is there; told=False loses that message. The version."""
        return self.service.command("desired" if told else "hidden", self.device, json.dumps(patch))["version"]

    def push(self, version, patch):
        """Says a desired patch that is in no document."""
        self.service.command("push", self.device, version, json.dumps(patch))

    def push_again(self):
        self.service.command("again", self.device)

    def fail(self, status, count=1, kind="any"):
        self.service.command("fail", self.device, kind, count, status)

    def lose(self, count=1, kind="any"):
        self.service.command("lose", self.device, kind, count)

    def garble(self, count=1, kind="any"):
        self.service.command("garble", self.device, kind, count)

    def delay(self, milliseconds, count=1, kind="any"):
        self.service.command("delay", self.device, kind, count, milliseconds)

    def requests(self, kind=None):
        """What it asked for: dicts with kind (get or patch), rid, at_ms, payload, status (0: lost on demand)."""
        return [entry for entry in self.service.command("requests", self.device)["requests"] if kind in (None, entry["kind"])]

    def wait_requests(self, kind=None, count=1, seconds=30):
        return wait_until(lambda: len(self.requests(kind)) >= count and self.requests(kind), seconds,
                          f"{self.device} to send {count} twin requests ({kind or 'any'})")

    def wait_reported(self, condition, seconds=30):
        """Waits until condition(reported) holds and returns the reported properties."""
        return wait_until(lambda: condition(self.reported) and self.reported, seconds,
                          f"{self.device} to report; so far {self.reported}")


class MethodCall:
    def __init__(self, service, number, timeout):
        self.service, self.number, self.timeout = service, number, timeout

    def __getattr__(self, name):  # state, status, payload
        if name not in ("state", "status", "payload"):
            raise AttributeError(name)
        value = self.service.command("result", self.number).get(name)
        return json.loads(value) if name == "payload" and value else value

    def wait(self):
        wait_until(lambda: self.state != "waiting", self.timeout + 20, "a method call to end")
        return self


class Hub:
    def __init__(self, stage, pki, tls=None, options=None, name="hub", mosquitto=None, twin=False, keys=False):
        """`tls`: mosquitto's tls_version, "tlsv1.2" by default, as the hub offers; options: plugin_opt_ of hub_rules;
        mosquitto: other lines of its configuration. With the open rules (hub_login.h) this is any other cloud.
        `twin`: twins and methods are answered; otherwise requests for them stay without answer. `keys`: session tickets of before
        are taken after a restart too (peers/ticket_keys.c)."""
        self.stage, self.pki, self.name = stage, pki, name
        self.mosquitto = {"max_queued_messages": 50, "max_inflight_messages": 100, **(mosquitto or {})}
        self.preload = "hub_rules.so ticket_keys.so" if keys else "hub_rules.so"
        self.tls = tls or "tlsv1.2"
        self.options = options or {}
        self.log = stage.path(f"{name}.log")
        self.record = Record(stage.path(f"{name}.jsonl"))
        self.process = None
        self.port = self.service_port = None
        self.services = []  # peers that answer for this broker
        pki.save()
        for _ in range(10):  # another test may take a free port first
            self.port, self.service_port = free_port(), free_port()
            if self.start():
                self.twins = self.serve("twin_service.py") if twin else None
                return
        raise Expired(f"mosquitto does not start:\n{tail(self.log)}")

    def registry(self):
        return self.pki.path("registry")

    def config(self):
        options = {"registry": self.registry(), "record": self.record.path,
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
                               env={"LD_LIBRARY_PATH": os.path.join(BUILD, "peers"), "LD_PRELOAD": self.preload})
        wait_until(lambda: not self.process.running or (accepts(self.port) and accepts(self.service_port)), 20,
                   "mosquitto to listen")
        for service in self.services:
            wait_until(lambda: service.command("connected")["connected"] or not self.process.running, 20, f"{service.name} to be back")
        return self.process.running

    def serve(self, script, *arguments):
        """Starts a peer that answers for this broker: it is given --port, the listener for services."""
        self.services.append(self.stage.peer(script, "--port", self.service_port, *arguments))
        return self.services[-1]

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

    def twin(self, device):
        return DeviceTwin(self.twins, device)

    def start_method(self, device, name, payload=None, timeout=30):
        """Calls it and returns at once; timeout as the service gives it, in seconds. payload None: an empty body."""
        body = "" if payload is None else json.dumps(payload)
        return MethodCall(self.twins, self.twins.command("method", device, name, timeout, body)["call"], timeout)

    def call_method(self, device, name, payload=None, timeout=30):
        """Calls it and waits for the end: .state answered, timeout or offline; .status, .payload (of JSON)."""
        return self.start_method(device, name, payload, timeout).wait()

    def client_context(self, device=None):
        """A TLS context as an independent client uses it; `device` or a path without ending names a certificate."""
        context = ssl.create_default_context(cafile=self.pki.path("ca.pem"))
        if device:
            base = self.pki.path(device)  # an absolute path stays what it is
            context.load_cert_chain(base + ".pem", base + ".key")
        return context


def derived_key(group_key, registration):
    """What a device of an enrolment group signs with, from the documentation of symmetric key attestation."""
    mac = hmac.new(base64.b64decode(group_key), registration.encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


class Dps(Hub):
    """The provisioning service. Whom it enrols is registered at the hub at once, so that its login there can succeed."""

    def __init__(self, stage, pki, hub, id_scope="0ne00ABCDEF", name="dps", host="localhost", **more):
        """`hub` is where devices are assigned to, as `host` (the host name alone, as in the real answer)."""
        self.id_scope, self.hub, self.enrolments = id_scope, hub, {}
        self.registry_path = stage.path(f"{name}.registry")
        self.save()
        super().__init__(stage, pki, name=name, options={"rules": "dps", "id_scope": id_scope, **more.pop("options", {})}, **more)
        self.service_peer = self.serve("dps_service.py", "--hub", host)

    def registry(self):
        return self.registry_path

    def save(self):
        text = "".join(f"{name} {auth} {secret} enabled\n" for name, (auth, secret) in self.enrolments.items())
        with open(self.registry_path + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.replace(self.registry_path + ".new", self.registry_path)

    def group(self, name, kind="sas"):
        """An enrolment group: by a key, which is returned, or for every certificate of the CA (kind x509-ca)."""
        secret = base64.b64encode(os.urandom(48)).decode() if kind == "sas" else "-"
        self.enrolments["group:" + name] = (kind, secret)
        self.save()
        return secret

    def enrol(self, registration, kind="sas", group=None, device=None):
        """Lets it register, by itself or in a group, and registers the device at the hub with the same credential; kind as
        in Pki.add(). Key and certificate lie where Pki.add() puts them."""
        group_key = self.enrolments["group:" + group][1] if group else None
        if group_key not in (None, "-"):
            self.pki.register(registration, "sas", derived_key(group_key, registration))
        else:
            self.pki.add(registration, kind)
        if not group:
            self.enrolments[registration] = self.pki.lines[registration][:2]
            self.save()
        if device:
            self.pki.register(device, *self.pki.lines[registration][:2])

    def remove(self, name):
        """A registration id, or group:NAME."""
        del self.enrolments[name]
        self.save()

    def command(self, *words):
        """See peers/dps_service.py --help."""
        return self.service_peer.command(*words)

    def requests(self, registration=None, kind=None):
        """What was asked: dicts with id, kind (register or poll), rid, at_ms, payload, status (0: lost on demand)."""
        words = ["requests", registration] if registration else ["requests"]
        return [entry for entry in self.command(*words)["requests"] if kind in (None, entry["kind"])]

    def wait_requests(self, registration, kind=None, count=1, seconds=30):
        return wait_until(lambda: len(self.requests(registration, kind)) >= count and self.requests(registration, kind), seconds,
                          f"{registration} to ask the provisioning service {count} times ({kind or 'any'})")
