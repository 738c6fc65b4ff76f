#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A thousand devices with a thousand TLS sessions in one gateway: all come online at the configured pace, one with a wrong password
holds nobody up, Modbus goes on reading beside more than 1024 descriptors, and SIGTERM ends it in order."""
import collections
import os
import resource

from broker import Broker
from field import broker_cloud, simulated
from gateway import Gateway, configuration
from harness import Stage, vectors, wait_until
from pki import Pki

FLEET = 1000
PER_SECOND = 100
WRONG = "device-0100"  # in the middle of the first second's connects

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
assert hard >= 4096, f"a thousand sessions need 4096 descriptors, at most {hard} are allowed here: raise the limit (ulimit -Hn)"
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))  # for the broker; the gateway does so itself

with Stage() as stage:
    pki = Pki(stage.path("pki"))
    names = [f"device-{number:04}" for number in range(FLEET)]
    broker = Broker(stage, pki, users={name: "right" for name in ["meter", *names]})
    meters = stage.peer("meter_server.py", "--profiles", vectors("southbound/modbus_profiles.json"), "--units", "1")
    right, wrong = stage.write("right", "right\n"), stage.write("wrong", "wrong\n")

    def who(name):
        return {"username": name, "password_file": wrong if name == WRONG else right}
    cloud = broker_cloud(broker.port, pki.path("ca.pem"), max_connects_per_second=PER_SECOND, connect_timeout="10s", handshake_timeout="10s",
                         ack_timeout="20s", max_backoff="5s", max_in_flight=5)
    modbus = {"name": "boiler-room", "plugin": "modbus",
              "settings": {"transport": "tcp", "host": "127.0.0.1", "port": str(meters.ready["port"]), "timeout": "1s"},
              "devices": [{"id": "meter", "clouds": ["broker"], "identity": who("meter"), "settings": {"unit": 1},
                           "points": [{"name": "voltage", "address": "input:0", "type": "float32", "unit": "V", "every": "200ms"}]}]}
    config = configuration(stage, [cloud], [simulated("fleet", {name: (["broker"], who(name)) for name in names}, every="5s"), modbus])
    gateway = Gateway(stage, config)
    status = wait_until(lambda: (lambda now: now if now["clouds"][0]["online"] == FLEET else None)(gateway.status()), 50,
                        "all but one of the sessions to be online")

    # Nobody was held up, and the one says why it is not there.
    offline = [device for device in status["devices"] if device["clouds"][0]["state"] != "online"]
    assert [device["id"] for device in offline] == [WRONG], [device["id"] for device in offline]
    wait_until(lambda: "not authorised" in gateway.session(WRONG, "broker").get("last_error", ""), 10, "the refusal to be shown")

    # The pace: in any span of n seconds of the broker's log at most a full bucket and what flows in.
    seconds = collections.Counter(int(at) for at in broker.logged(rf"^(\d+): New connection from .* on port {broker.port}\.$"))
    assert sum(seconds.values()) > FLEET
    for begin in seconds:
        for end in seconds:
            count = sum(n for at, n in seconds.items() if begin <= at <= end)
            assert end < begin or count <= PER_SECOND * (end - begin + 2), f"{count} connects in {end - begin + 1} s: {sorted(seconds.items())}"

    # Modbus beside them.
    descriptors = [int(name) for name in os.listdir(f"/proc/{gateway.process.child.pid}/fd")]
    assert len(descriptors) > FLEET and max(descriptors) > 1024 + FLEET // 2, (len(descriptors), max(descriptors))
    before = gateway.device("meter")["last_seq"]
    meters.command("dead 1")  # and a connection that is made anew now finds a low descriptor
    wait_until(lambda: gateway.device("meter")["state"] == "down", 20, "the meter to be down")
    meters.command("alive 1")
    wait_until(lambda: gateway.device("meter")["state"] == "ok" and gateway.device("meter")["last_seq"] > before + 5, 20, "Modbus to go on reading")
    after = gateway.session("meter", "broker")["acked_seq"]
    wait_until(lambda: gateway.session("meter", "broker")["acked_seq"] > after, 10, "its delivery")
    resident = gateway.status()["gateway"]["resident_bytes"]
    print(f"{FLEET} sessions online; {resident / 1e6:.0f} MB resident, {resident / 1024 / FLEET:.0f} KiB a session with everything; "
          f"busiest second {max(seconds.values())} connects, {PER_SECOND} allowed and a bucket of as many")
    assert resident < 250e6, resident

    assert gateway.stop() == 0
    wait_until(lambda: len(set(broker.logged(r"^\d+: Client (\S+) disconnected\.$"))) >= FLEET, 10, "every session to say goodbye")
    broker.close()
