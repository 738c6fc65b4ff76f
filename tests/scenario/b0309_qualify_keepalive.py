#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""No PINGRESP: a connection on which nothing comes back is given up within 1.5 times the keepalive, and a new one is made."""
from harness import Stage, wait_until
from proof import report
from qualify import Packets, online, start

KEEPALIVE_S = 30  # the shortest that the configuration takes

with Stage() as stage:
    broker = stage.peer("bad_broker.py")
    packets = Packets(broker)
    broker.command("ping off")
    gateway = start(stage, broker, every="1h", keepalive=f"{KEEPALIVE_S}s")
    online(gateway)
    connect = packets.wait("connect")[0]
    assert connect["keepalive"] == KEEPALIVE_S, connect
    wait_until(lambda: broker.command("stats")["connects"] >= 2, 2 * KEEPALIVE_S, "the connection to be given up")
    assert broker.command("stats")["pings"] >= 1, "it was given up without a PINGREQ"
    broker.command("ping on")
    events = broker.command("timeline")["events"]
    lost = next(event for event in events if event["what"] == "lost" and event["conn"] == connect["conn"])
    last_heard = max(packet["at_ms"] for packet in packets.look() if packet["conn"] == connect["conn"] and packet["packet"] != "lost")
    took_s = (lost["at_ms"] - last_heard) / 1000
    print(f"given up {took_s:.1f} s after the last packet")
    assert took_s <= 1.5 * KEEPALIVE_S + 1, f"{took_s} s"
    assert "no PINGRESP within" in gateway.errors()
    online(gateway)
    assert gateway.stop() == 0
    report("C10", "dead_link", 1, 0, {"keepalive_s": KEEPALIVE_S, "given_up_after_s": round(took_s, 1)},
           "A broker that answers no PINGREQ any more: the connection is given up within one and a half keep-alives, and a new one made")
