#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `check` says a file will cost is what a run of it costs, within a factor of 1.5, and status counts the bytes that an independent relay saw."""
import json

from broker import Broker
from field import all_online, broker_cloud
from gateway import Gateway, configuration, run
from harness import Stage, wait_until
from pki import Pki

FACTOR = 1.5
NAMES = ("alone", "batched", "deflated", "cbor", "points", "urgent")
EVERY = {"points": "200ms", "urgent": "100ms"}  # on a slow machine too each has a message of its own
# Samples of each, in whole messages: then all is silent, and what two count can be compared.
COUNT = {name: 150 if name not in EVERY else 25 for name in NAMES}


def device(name, cloud, every, count, **more):
    return {"name": name, "plugin": "simulator", "devices": [
        {"id": name, "clouds": [cloud], "settings": {"every": every, "count": count},
         "points": [{"name": f"{kind}_l{phase}", "unit": unit, "signal": "random", "low": low, "high": low * 1.1, **more}
                    for kind, unit, low in (("voltage", "V", 220), ("current", "A", 10), ("power", "W", 2000)) for phase in (1, 2, 3)]}]}


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    broker = Broker(stage, pki, users={"site": "right"})
    names = NAMES
    link = stage.peer("link.py", *(f"{name}=127.0.0.1:{broker.port}" for name in names))
    who = {"username": "site", "password_file": stage.write("site", "right\n")}

    def cloud(name, **more):
        return broker_cloud(link.ready["ports"][name], pki.path("ca.pem"), name=name, identity=who, command_topic="", **more)
    batch = {"max_samples": 25, "max_bytes": 16000, "max_delay": "10s"}
    config = configuration(stage, [
        cloud("alone"), cloud("batched", batch=batch), cloud("deflated", batch=batch, compress="deflate"),
        cloud("cbor", batch=batch, format="senml-cbor"), cloud("points", topic="site/{device}/{point}"), cloud("urgent", batch=batch)],
        [device(name, name, EVERY.get(name, "25ms"), COUNT[name], **({"priority": "high"} if name == "urgent" else {})) for name in names])
    said = run("check", "-c", config, check=0).stdout
    assert all(f"plan: cloud {name}: " in said for name in names) and "a month on the wire in all" in said and "written to flash" in said, said
    plan = {entry["name"]: entry for entry in json.loads(run("check", "--json", "-c", config, check=0).stdout)["plan"]["clouds"]}
    gateway = Gateway(stage, config)

    def look():
        return {c["name"]: c["wire"] for c in gateway.status()["clouds"]}

    def relayed():
        return {name: {way: link.command(f"stats {name}")[way] for way in ("up", "down")} for name in names}

    def silent():
        """Both counts, when nothing passed the relay while the gateway was asked."""
        delivered = not any(cloud["pending"] for entry in gateway.status()["devices"] for cloud in entry["clouds"])
        before, wire = relayed(), look()
        return delivered and all(wire[name]["samples"] >= COUNT[name] for name in names) and \
            before == relayed() and (wire, before)
    after, seen_all = wait_until(silent, 90, "all to be delivered")
    for name in names:
        samples, shakes = after[name]["samples"], after[name]["handshakes"]
        seen = sum(seen_all[name].values())
        ours = after[name]["bytes_in"] + after[name]["bytes_out"]
        heads = after[name]["ip_bytes"] - ours
        assert abs(ours - seen) <= 0.01 * seen, f"{name}: status counts {ours} B, the relay {seen} B"
        seen -= shakes["full_bytes"]  # the plan has connects by themselves
        measured, expected = seen / samples, plan[name]["data_bytes"] / plan[name]["samples"]
        whole = (plan[name]["ip_bytes"] - plan[name]["ping_bytes"] - plan[name]["connect_bytes"]) / plan[name]["samples"]
        with_heads = measured + heads / samples
        each = after[name]["samples_per_message"]
        print(f"{name}: {measured:.0f} B a sample measured, {expected:.0f} B expected; with TCP/IP {with_heads:.0f} B and {whole:.0f} B; "
              f"{each:.1f} samples a message")
        assert 1 / FACTOR < measured / expected < FACTOR, f"{name}: {measured:.0f} B a sample, expected {expected:.0f} B"
        assert 1 / FACTOR < with_heads / whole < FACTOR, f"{name}: {with_heads:.0f} B a sample with TCP/IP, expected {whole:.0f} B"
        assert name != "urgent" or each < 2, "samples with priority waited for company"
        assert shakes["full"] == 1 and shakes["resumed"] == 0 and shakes["full_bytes"] > 1000, shakes
        print(f"    a full handshake {shakes['full_bytes']} B")
    # What a reconnect costs: it resumes.
    for name in names:
        link.command(f"rst {name}")
    wait_until(lambda: all(wire["handshakes"]["resumed"] == 1 for wire in look().values()), 30, "all to resume")
    wire = look()
    for name in names:
        shakes = wire[name]["handshakes"]
        assert shakes["full"] == 1 and shakes["resumed_bytes"] < shakes["full_bytes"], shakes
    print(f"a resumed handshake {wire['alone']['handshakes']['resumed_bytes']} B")
    # The month's sum goes on over a restart.
    wait_until(lambda: all_online(gateway), 30, "the sessions to be online again")
    spent = gateway.status()["plan"]["month_bytes"]
    assert spent > 10000 and gateway.status()["plan"]["projected_month_bytes"] > spent
    assert gateway.stop() == 0
    gateway.start()
    assert gateway.status()["plan"]["month_bytes"] >= spent, "the month's sum was forgotten"
    assert gateway.stop() == 0
    broker.close()
