#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""2000 messages at QoS 1 with 20 in flight reach a mosquitto subscriber once each and in order."""
import queue

import paho.mqtt.client as paho

from mqtt_support import LIMIT_S, Mosquitto, Probe, check, run

COUNT = 2000


def scenario(program, directory, stack):
    broker = Mosquitto(directory)
    stack.append(broker)
    broker.start()
    arrived, subscribed = queue.Queue(), queue.Queue()
    watcher = paho.Client("watcher")
    watcher.on_message = lambda c, u, m: arrived.put(m.payload)
    watcher.on_subscribe = lambda c, u, mid, granted: subscribed.put(granted)
    watcher.connect("127.0.0.1", broker.port)
    watcher.loop_start()
    try:
        watcher.subscribe("t/probe", 1)
        check(subscribed.get(timeout=LIMIT_S) == (1,), "the watcher is not subscribed")
        probe = Probe(program, 20)
        stack.append(probe)
        probe.say(f"connect {broker.port} probe clean 60")
        probe.expect("connected session=0 rc=0")
        probe.say(f"publish t/probe 1 {COUNT} 200")
        probe.expect("idle")
        got = [arrived.get(timeout=LIMIT_S) for _ in range(COUNT)]
        check(got == [str(tag).encode().ljust(200, b".") for tag in range(1, COUNT + 1)], "other messages arrived")
        check(arrived.empty(), "a message arrived twice")
        probe.say("disconnect")
        probe.expect("closed in_flight=0 disconnected")
        probe.end()
    finally:
        watcher.disconnect()
        watcher.loop_stop()
    published = broker.received("probe")
    check(published == [(0, id) for id in range(1, COUNT + 1)], "the broker saw other ids, or DUP")


if __name__ == "__main__":
    raise SystemExit(run(scenario))
