#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""QoS 1 Publish Retry: what was not acknowledged goes out again on the next connection, same packet ids, same bodies, in order, before
anything new, with DUP when the broker kept the session, and never again on a timer within a connection (MQTT 3.1.1, 4.4)."""
from harness import Stage, wait_until
from qualify import Packets, everything_arrives, online, start


def told(packets):
    return [(packet["id"], packet["topic"], packet["payload"]) for packet in packets]


for session in ("on", "off"):
    with Stage() as stage:
        broker = stage.peer("bad_broker.py")
        broker.command("session", session)
        packets = Packets(broker)
        gateway = start(stage, broker, max_in_flight=5, ack_timeout="2s")
        online(gateway)
        wait_until(lambda: gateway.session("meter", "broker")["acked_seq"] > 3, 30, "a connection that works")
        broker.command("puback never")
        connects = broker.command("stats")["connects"]
        wait_until(lambda: broker.command("stats")["connects"] == connects + 1, 40, "the connection to be given up")
        assert "no PUBACK within" in gateway.errors()
        second = broker.command("stats")["accepted"]
        first = second - 1
        wait_until(lambda: len([p for p in packets.look("publish") if p["conn"] == second]) >= 5, 30, "what was in flight to come again")
        broker.command("puback once")  # the next connection is the one that is answered
        everything_arrives(gateway, packets)
        assert gateway.stop() == 0
        unacked = [packet for packet in packets.look("publish") if packet["conn"] == first][-5:]
        again = [packet for packet in packets.look("publish") if packet["conn"] == second][:5]
        assert told(again) == told(unacked), f"\n{told(unacked)}\n{told(again)}"
        assert [packet["dup"] for packet in again] == [session == "on"] * 5, again
        assert len({packet["id"] for packet in unacked}) == 5, "an id was used again while it was in flight"
        sent = told([packet for packet in packets.look("publish") if packet["conn"] == first])
        assert len(set(sent)) == len(sent), "something was sent twice within one connection"
