# SPDX-License-Identifier: GPL-2.0-or-later
"""wire - a line of the bench: bytes on the wire for each value of a 20-point meter, as an independent relay counts them.

Two gateways side by side send the same meter, a sample a second: one in messages of a minute, JSON deflated; the other each value by itself, as
a JSON message to a topic of its own. Both lose their connection once and resume. TCP payload of both directions counts, from the first SYN to
the end: handshakes, TLS, MQTT, acknowledgements, pings.
"""
from results import line
from rig import Broker, Gateway
from harness import Stage, wait_until  # found by rig

POINTS = 20
KINDS = {"together": ("{max_samples: 60, max_bytes: 60000, max_delay: 60s}", "type: mqtt, command_topic: \"\", compress: deflate"),
         "apart": ("{max_samples: 1}", "type: mqtt, command_topic: \"\", topic: \"tidegate/{device}/{point}\"")}


def meter(name, every):
    points = ", ".join(f"{{name: {kind}_l{phase}, unit: {unit}, signal: random, low: {low}, high: {low * 1.05}}}"
                       for kind, unit, low in (("voltage", "V", 225), ("current", "A", 12), ("power", "W", 2600), ("reactive", "var", 300),
                                               ("factor", "\"1\"", 0.9)) for phase in (1, 2, 3, 4))
    return f"""  - name: meters
    plugin: simulator
    devices:
      - {{id: {name}, clouds: [hub], settings: {{every: {every}}}, points: [{points}]}}
"""


def measure(stage, every, samples, seconds):
    """{kind: bytes a value}, after so many samples of each."""
    broker = Broker(stage, keys=True)
    relay = stage.peer("link.py", *(f"{kind}=127.0.0.1:{broker.port}" for kind in KINDS))
    gateways = {kind: Gateway(stage, kind, relay.ready["ports"][kind], broker.ca, meter(f"meter-{kind[0]}", every), batch, cloud=cloud)
                for kind, (batch, cloud) in KINDS.items()}
    wait_until(lambda: all(gateway.acked() >= samples / 4 for gateway in gateways.values()), seconds, "the first quarter")
    for kind in KINDS:
        relay.command(f"rst {kind}")
    wait_until(lambda: all(gateway.acked() >= samples for gateway in gateways.values()), seconds, "all samples")
    found = {}
    for kind, gateway in gateways.items():
        wire, seen = gateway.status()["clouds"][0]["wire"], relay.command(f"stats {kind}")
        found[kind] = (seen["up"] + seen["down"]) / (gateway.acked() * POINTS)
        assert (wire["handshakes"]["full"], wire["handshakes"]["resumed"]) == (1, 1), (kind, wire["handshakes"])
        gateway.process.stop(30)
    broker.stop()
    return found


def wire():
    with Stage() as stage:
        found = measure(stage, "1s", 240, 600)
    ratio = found["together"] / found["apart"]
    line(f"wire bytes a value of a {POINTS}-point meter: a minute in a message, deflated / each value by itself", "<= 0.15",
         f"{ratio:.3f}  ({found['together']:.1f} B of {found['apart']:.0f} B)", ratio <= 0.15, ratio=ratio)


WIRE = {"wire": wire}
