#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A broker that stalls, lies, refuses or sends garbage costs time, never a sample; another cloud's sessions are not delayed; the
operator reads what is wrong."""
import base64
import json

from field import broker_cloud, simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until

with Stage() as stage:
    bad, good = stage.peer("bad_broker.py"), stage.peer("bad_broker.py")
    seen = {}

    def collect():
        for packet in bad.command("seen")["packets"]:
            if packet["packet"] == "publish":
                body = json.loads(base64.b64decode(packet["payload"]))
                for sample in body if isinstance(body, list) else [body]:
                    assert seen.setdefault(sample["seq"], sample) == sample, "another body under the same seq"
        return seen
    bad.command("connack", "5")
    gateway = Gateway(stage, configuration(stage, [broker_cloud(bad.ready["port"], name="bad"), broker_cloud(good.ready["port"], name="good")], [
        simulated("a", {"one": (["bad"], None)}), simulated("b", {"two": (["good"], None)})]))
    wait_until(lambda: "not authorised" in gateway.session("one", "bad").get("last_error", ""), 15, "the refusal to be shown")
    wait_until(lambda: gateway.session("two", "good")["state"] == "online", 10, "the other cloud, which is not held up")
    bad.command("connack", "0")
    wait_until(lambda: gateway.session("one", "bad")["state"] == "online", 15, "the session once it is let in")
    faults = (("handshake stall", "handshake go", None), ("connack never", "connack 0", "no CONNACK within"), ("puback never", "puback once", "no PUBACK within"),
              ("garbage", None, None), ("oversize", None, None), ("reset", None, None), ("close", None, None),
              ("puback twice", "puback once", None), ("puback unknown", "puback once", None), ("suback 128", "suback 1", None))
    for begin, end, says in faults:
        failures, acked = gateway.session("one", "bad")["failures"], gateway.session("one", "bad")["acked_seq"]
        bad.command(begin)
        if begin in ("handshake stall", "connack never", "suback 128"):
            bad.command("reset")
        if begin not in ("puback twice", "suback 128"):
            wait_until(lambda: gateway.session("one", "bad")["failures"] > failures, 20, f"`{begin}` to be noticed")
        if says:
            wait_until(lambda: says in gateway.errors(), 20, f"a text about {says}")
        if end:
            bad.command(end)
        wait_until(lambda: gateway.session("one", "bad")["acked_seq"] > acked + 20, 20, f"delivery after `{begin}`")
        collect()
    connects = gateway.session("two", "good")["connects"]
    assert connects == 1, f"the good cloud's session was disturbed: {connects} connects"
    last = gateway.device("one")["last_seq"]
    wait_until(lambda: all(seq in collect() for seq in range(1, last + 1)), 20, "everything to have arrived")
    assert gateway.stop() == 0
