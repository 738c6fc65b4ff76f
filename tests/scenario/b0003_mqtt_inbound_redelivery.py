#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages not acknowledged before the link was lost come again with DUP and in order, and once acknowledged they
do not: what a cloud's command queue needs."""
import subprocess

from mqtt_support import Mosquitto, Probe, check, run


def send(broker, text):
    subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", "-t", "down/probe", "-m", text],
                   check=True, timeout=20)


def connect(broker, probe, session):
    probe.say(f"connect {broker.port} probe keep 60")
    probe.expect(f"connected session={session} rc=0")


def scenario(program, directory, stack):
    broker = Mosquitto(directory)
    stack.append(broker)
    broker.start()
    probe = Probe(program, 20)
    stack.append(probe)
    connect(broker, probe, 0)
    probe.say("subscribe down/# 1")
    probe.expect("suback code=1")
    probe.say("hold")
    for text in ("one", "two", "three"):
        send(broker, text)
    ids = [probe.expect(rf"message id=(\d+) qos=1 dup=0 down/probe {text}").group(1) for text in ("one", "two", "three")]
    check(len(set(ids)) == 3, f"ids {ids}")

    probe.say("drop")
    probe.expect("closed in_flight=0 dropped")
    send(broker, "four")  # while nobody is there: queued
    connect(broker, probe, 1)
    for text, dup, id in (("one", 1, ids[0]), ("two", 1, ids[1]), ("three", 1, ids[2])):
        probe.expect(f"message id={id} qos=1 dup={dup} down/probe {text}", skip="$")
    probe.expect(r"message id=\d+ qos=1 dup=0 down/probe four", skip="$")
    probe.say("ack")  # given in reverse; the core writes them in order of receipt
    send(broker, "five")
    probe.expect(r"message id=\d+ qos=1 dup=0 down/probe five", skip="$")

    probe.say("disconnect")
    probe.expect("closed in_flight=0 disconnected")
    send(broker, "six")
    connect(broker, probe, 1)
    probe.expect(r"message id=\d+ qos=1 dup=0 down/probe six", skip="$")
    probe.end()
    log = open(broker.log, encoding="utf-8").read()
    acked = [line for line in log.splitlines() if line.startswith("Received PUBACK from probe")]
    check([line.split("Mid: ")[1].split(",")[0] for line in acked[:3]] == ids, f"acknowledged as {acked[:3]}")


if __name__ == "__main__":
    raise SystemExit(run(scenario))
