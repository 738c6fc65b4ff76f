#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bench - speed and size of the whole gateway, each as a ratio or figure measured in one run on this machine.

    bench.py [NAME …]            the lines of docs/benchmarks.md; a run of all of them sets the page's table
    bench.py --peers [WORK …]    the same work done by what a user would pick instead (peers.py); likewise
    --json FILE                  keeps what was found
    --compare FILE               shows which ratios and counts differ from an earlier run's FILE
    --page FILE                  only sets the page's tables, from FILE

Everything runs on loopback against Debian's mosquitto with TLS. Pacing uses the gateway's own status; nothing is extrapolated.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import results  # noqa: E402
from fleet import FLEET  # noqa: E402
from drain_rig import drain_latency  # noqa: E402
from results import line  # noqa: E402
from rig import BENCH, TIDEGATE, Broker, Gateway, flood, pause, steady_rate, sustained  # noqa: E402
from wire import WIRE  # noqa: E402
from harness import BUILD, Stage, wait_until  # noqa: E402  (found by rig)

BENCH_FILE = os.path.abspath(__file__)
PAYLOAD_BYTES = 200


def bench_single():
    """One sample per message, full durability, against bare libmosquitto with the same payload."""
    with Stage() as stage:
        broker = Broker(stage)

        def bare():
            out = subprocess.run([os.path.join(BENCH, "bare_mosquitto"), str(broker.port), broker.ca, "150000", str(PAYLOAD_BYTES)],
                                 check=True, capture_output=True)
            return json.loads(out.stdout)["per_second"]
        before = bare()
        rate, size = sustained(stage, broker, "single", [before * share / 100 for share in (110, 100, 90, 80, 70, 60, 50, 40, 30, 20, 10)],
                               "{max_samples: 1}", 8)
        yard = (before + bare()) / 2
        ratio = rate / yard
        line(f"QoS 1, TLS, full, one sample of {size} B a message / bare libmosquitto {PAYLOAD_BYTES} B", ">= 0.8",
             f"{ratio:.2f}  ({rate:,.0f}/s of {yard:,.0f}/s)", ratio >= 0.8, ratio=ratio)


def bench_batched():
    with Stage() as stage:
        broker = Broker(stage)
        rate, _ = sustained(stage, broker, "batched", (500000, 400000, 350000, 300000, 250000, 200000, 175000, 150000, 125000, 100000, 75000, 50000),
                            "{max_samples: 20, max_bytes: 16000, max_delay: 1s}", 1)
        line("the same, 20 samples a message, full", ">= 300,000 /s", f"{rate:,.0f} samples/s", rate >= 300000)


def bench_latency():
    with Stage() as stage:
        broker = Broker(stage)
        devices = "".join(f"""  - name: s{i}
    plugin: simulator
    devices:
      - {{id: d{i}, clouds: [hub], settings: {{every: 10ms}}, points: [{{name: a, signal: sine}}, {{name: b, signal: random}}]}}
""" for i in range(10))
        gateway = Gateway(stage, "latency", broker.port, broker.ca, devices, commit="20ms")
        rate = steady_rate(gateway, 10, 2)
        latency = gateway.status()["clouds"][0]["ack_latency_ms"]
        gateway.process.stop(30)
        line(f"sample -> PUBACK at {rate:,.0f} samples/s, commit_interval 20 ms, p99 (p50, max)", "<= 60 ms",
             f"{latency['p99']} ms ({latency['p50']}, {latency['max']})", latency["p99"] <= 60)


def bench_memory():
    count = 300
    with Stage() as stage:
        broker = Broker(stage)
        empty = Gateway(stage, "empty", 1, broker.ca, flood(1, ident="one"))  # nobody there
        bare = empty.resident()
        empty.process.stop(30)
        devices = "  - name: many\n    plugin: simulator\n    devices:\n" + "".join(
            f"      - {{id: d{i}, clouds: [hub], settings: {{every: 1h}}, points: [{{name: a}}]}}\n" for i in range(count))
        idle = Gateway(stage, "idle", 1, broker.ca, devices)  # nobody there: the same devices without connections
        without = idle.resident()
        idle.process.stop(30)
        gateway = Gateway(stage, "sessions", broker.port, broker.ca, devices)
        wait_until(lambda: gateway.online() == count, 60, "all sessions online")
        pause(4)  # the memory of handshakes goes back two seconds after the last one
        each = (gateway.resident() - without) / count
        whole = (gateway.resident() - bare) / count
        gateway.process.stop(30)
        line("resident memory without sessions", "<= 10 MB", f"{bare / 1e6:.1f} MB", bare <= 10e6)
        line(f"resident memory per connected TLS session ({count}; with its device and feed)", "<= 90 KB",
             f"{each / 1024:.1f} KB ({whole / 1024:.1f} KB)", whole <= 90 * 1024)


def bench_sessions():
    """A thousand devices with a TLS session each: how fast they come and what they hold, new and resumed, with everything."""
    count = 1000
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))  # for the broker
    with Stage() as stage:
        broker = Broker(stage, keys=True)

        def bare():
            out = subprocess.run([os.path.join(BENCH, "bare_wolfssl"), str(broker.port), broker.ca, str(count)], check=True,
                                 capture_output=True)
            return json.loads(out.stdout)
        before = bare()
        empty = Gateway(stage, "empty", 1, broker.ca, flood(1, ident="one"))  # nobody there
        base = empty.resident()
        empty.process.stop(30)
        devices = "  - name: many\n    plugin: simulator\n    devices:\n" + "".join(
            f"      - {{id: d{i}, clouds: [hub], settings: {{every: 1h}}, points: [{{name: a}}]}}\n" for i in range(count))
        begin = time.monotonic()
        gateway = Gateway(stage, "fleet", broker.port, broker.ca, devices)
        wait_until(lambda: gateway.all_online(count), 60, "all sessions online")
        took, cpu = time.monotonic() - begin, gateway.cpu_seconds()
        after = bare()
        pause(4)  # the memory of handshakes goes back two seconds after the last one
        new = (gateway.resident() - base) / count
        broker.process.kill()
        wait_until(lambda: gateway.online() == 0, 10, "the outage to be noticed")
        busy = gateway.cpu_seconds()
        broker.start()
        back = time.monotonic()
        wait_until(lambda: gateway.all_online(count), 60, "all sessions online again")
        back, busy = time.monotonic() - back, gateway.cpu_seconds() - busy
        pause(4)
        again = (gateway.resident() - base) / count
        resumed = sum(session["resumed"] for device in gateway.status()["devices"] for session in device["clouds"])
        gateway.process.stop(30)
        yard = count / min(before["cpu_seconds"], after["cpu_seconds"])
        best = min(before["seconds"], after["seconds"])
        line(f"{count:,} sessions online, from exec (back after an outage; bare wolfSSL)", "<= 5 s",
             f"{took:.1f} s ({back:.1f} s; {best:.1f} s)", took <= 5)
        line("connects per CPU second, start included / bare wolfSSL clients, 8 at a time", ">= 0.5",
             f"{count / cpu / yard:.2f}  ({count / cpu:,.0f} of {yard:,.0f}; resumed {count / busy:,.0f})", count / cpu / yard >= 0.5,
             ratio=count / cpu / yard)
        line("resident memory per new session, everything included (a bare wolfSSL client)", "<= 60 KB",
             f"{new / 1024:.1f} KB ({before['kb_each']:.1f} KB)", new <= 60 * 1024)
        line(f"resident memory per resumed session ({resumed:,} of {count:,} resumed)", "<= 40 KB", f"{again / 1024:.1f} KB",
             again <= 40 * 1024 and resumed == count)


def bench_backlog():
    count = 1000000
    with Stage() as stage:
        broker = Broker(stage)
        batch = "{max_samples: 20, max_bytes: 16000, max_delay: 200ms}"
        quiet = Gateway(stage, "quiet", broker.port, broker.ca, flood(20000, 2), batch)
        wait_until(lambda: quiet.acked() >= 20000, 30, "a warm gateway")
        pause(2)
        base = quiet.resident()
        quiet.process.stop(30)
        broker.stop()
        gateway = Gateway(stage, "backlog", broker.port, broker.ca, flood(count, 2), batch)
        wait_until(lambda: gateway.status()["outbox"]["rows"] >= count, 120, "a backlog of 1,000,000")
        pause(2)
        loaded = gateway.resident()
        broker.start()
        wait_until(lambda: gateway.acked() > 0, 30, "the session")
        begin, first = time.monotonic(), gateway.acked()
        wait_until(lambda: gateway.acked() >= count, 120, "the backlog to drain")
        rate = (count - first) / (time.monotonic() - begin)
        drained = gateway.resident()
        gateway.process.stop(30)
        growth = max(loaded, drained) - base
        line("resident memory with a backlog of 1,000,000 samples (drained), above none", "<= 8 MB",
             f"{(loaded - base) / 1e6:+.1f} MB ({(drained - base) / 1e6:+.1f} MB) on {base / 1e6:.1f} MB", growth <= 8e6)
        line("draining it, 20 samples a message", ">= 50,000 /s", f"{rate:,.0f} samples/s", rate >= 50000)


def bench_drain_latency():
    fresh, backlog, end = drain_latency("fair")
    latencies = sorted(ms for came, ms in fresh if came <= end)
    if backlog < 1000000 or len(latencies) < 500:
        line("fresh samples while a backlog of 1,000,000 drains", "<= 500 ms", f"{backlog} of the backlog and {len(latencies)} fresh ones came", False)
        return
    begin = min(came for came, _ in fresh)
    p50, p99 = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    line("fresh samples at 1,000/s of the devices whose backlog of 1,000,000 drains (drain: fair), sample -> a subscriber, p99 (p50, max)", "<= 500 ms",
         f"{p99:.0f} ms ({p50:.0f}, {latencies[-1]:.0f}) of {len(latencies):,} in {end - begin:.1f} s", p99 <= 500)


def bench_modbus():
    done = subprocess.run([os.path.join(BENCH, "bench_modbus")], capture_output=True, check=True,
                          env={**os.environ, "TIDEGATE_BUILD": BUILD})
    result = json.loads(done.stdout.splitlines()[-1])
    line("Modbus TCP through the plugin, 1,000 registers of a unit / bare libmodbus loop", ">= 0.8",
         f"{result['ratio']:.2f}  ({result['plugin_registers_per_second']:,.0f} registers/s)", result["ratio"] >= 0.8, ratio=result["ratio"])


def modbus_source(name, settings, units, points):
    """A source whose devices have the same points; no cloud is needed to read them, their samples stay in the outbox."""
    text = f"  - name: {name}\n    plugin: modbus\n    settings: {settings}\n    devices:\n"
    for unit in units:
        text += f"      - id: unit-{unit}\n        clouds: [hub]\n        settings: {{unit: {unit}, max_gap: 60}}\n        points:\n{points}"
    return text


def modbus_stats(gateway, unit):
    out = subprocess.run([TIDEGATE, "send", "--socket", gateway.socket, f"unit-{unit}", "stats"], capture_output=True, text=True, check=True)
    return json.loads(out.stdout.split(" ", 1)[1])


def bench_modbus_units():
    """Ten units of a thousand registers, all of them every second."""
    with Stage() as stage:
        broker = Broker(stage)
        server = stage.peer("modbus_liar.py", "--tcp")
        points = "".join(f"          - {{name: r{i}, address: \"holding:{i}\", every: 1s}}\n" for i in range(1000))
        gateway = Gateway(stage, "units", broker.port, broker.ca, modbus_source(
            "meters", f"{{transport: tcp, host: 127.0.0.1, port: \"{server.ready['port']}\"}}", range(1, 11), points),
            batch="{max_samples: 20, max_bytes: 100000, max_delay: 1s}")
        wait_until(lambda: gateway.online() == 10 and gateway.acked() >= 20, 60, "all units to be read")
        pause(2)
        begin, cpu, before = time.monotonic(), gateway.cpu_seconds(), modbus_stats(gateway, 10)
        missed = sum(modbus_stats(gateway, unit)["missed_turns"] for unit in range(1, 11))
        pause(20)
        took, cpu = time.monotonic() - begin, gateway.cpu_seconds() - cpu
        missed = sum(modbus_stats(gateway, unit)["missed_turns"] for unit in range(1, 11)) - missed
        after = modbus_stats(gateway, 10)
        gateway.process.stop(30)
        rounds = (after["requests"] - before["requests"]) / 8
        line(f"Modbus TCP, 10 units x 1,000 registers every second, {rounds:.0f} rounds in {took:.0f} s: missed; CPU, delivery included",
             "0; <= 2 % of a core", f"{missed}; {100 * cpu / took:.1f} %  (worst cycle {after['bus']['worst_cycle_ms']} ms)",
             missed == 0 and cpu / took <= 0.02, count=missed)


def bench_modbus_paced():
    """A bus at 9600 baud with three units of which one is dead, from its first second on, against the same without it."""
    profiles = os.path.join(os.path.dirname(BENCH_FILE), "..", "vectors", "southbound", "modbus_profiles.json")
    points = "".join(f"          - {{name: r{at}, address: \"input:{at}\", type: float32, every: 50ms}}\n" for at in (0, 2, 4, 52, 70, 72))
    counts = []
    with Stage() as stage:
        broker = Broker(stage)
        for units in ((1, 2, 3), (1, 2)):
            meters = stage.peer("meter_server.py", "--profiles", profiles, "--units", "1,2,3", "--dead", "3", "--rtu")
            wire = stage.peer("paced_line.py", "--baud", "9600", "--to", meters.ready["path"])
            gateway = Gateway(stage, f"bus{len(units)}", broker.port, broker.ca, modbus_source(
                "bus", f"{{transport: rtu, port: {wire.ready['path']}, baud: 9600, timeout: 500ms}}", units, points))
            pause(40)
            counts.append(sum(modbus_stats(gateway, unit)["answers"] for unit in (1, 2)))
            gateway.process.stop(30)
    ratio = counts[0] / counts[1]
    line("RTU at a true 9600 baud, pace of two units beside a dead one / without it, first 40 s", ">= 0.9",
         f"{ratio:.2f}  ({counts[0]} of {counts[1]} reads)", ratio >= 0.9, ratio=ratio)


def bench_at():
    for how, words in (("a prompt device", []), ("a device that is late", ["late"])):
        done = subprocess.run([os.path.join(BENCH, "bench_at"), "100000", *words], capture_output=True, check=False)
        result = json.loads(done.stdout.splitlines()[-1])
        line(f"AT: 100,000 numbered commands on a pty, URCs in between, {how}", ">= 100 /s, 0 mismatches",
             f"{result['per_second']:,.0f} exchanges/s, {result['mismatches']} mismatches",
             done.returncode == 0 and result["mismatches"] == 0 and result["per_second"] >= 100,
             count=result["mismatches"])


def bench_isolation():
    """A plugin in a process of its own, against the same one in-process, and what its crash costs."""
    out = subprocess.run([os.path.join(BENCH, "bench_isolation"), os.path.join(BUILD, "tests", "fixtures"),
                          os.path.join(BUILD, "tidegate-plugin-host")], check=True, capture_output=True)
    got = json.loads(out.stdout)
    ratio = got["isolated_per_second"] / got["in_process_per_second"]
    line("samples through an isolated plugin / in-process", ">= 0.3",
         f"{ratio:.2f}  ({got['isolated_per_second']:,}/s of {got['in_process_per_second']:,}/s)", ratio >= 0.3, ratio=ratio)
    line("crash of an isolated plugin -> open again, worst of 5", "<= 1000 ms", f"{got['restart_ms']} ms", got["restart_ms"] <= 1000)
    line("largest gap of another source meanwhile, in periods of 20 ms", "<= 2", f"{got['gap_periods']:.2f}", got["gap_periods"] <= 2)


def written(gateway):
    with open(f"/proc/{gateway.process.child.pid}/io", encoding="ascii") as file:
        return next(int(text.split()[1]) for text in file if text.startswith("write_bytes:"))


def steady(durability):
    """A thousand devices that bring a sample a second over a good link for a minute: bytes to the block layer, by /proc, and what the
    gateway counts itself, for each sample; share of a core; resident bytes; samples."""
    count, seconds = 1000, 60
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))  # for the broker
    with Stage() as stage:
        broker = Broker(stage)
        devices = "  - name: many\n    plugin: simulator\n    devices:\n" + "".join(
            f"      - {{id: d{i}, clouds: [hub], settings: {{every: 1s}}, points: [{{name: a, signal: sine}}, {{name: b, signal: random}}]}}\n"
            for i in range(count))
        gateway = Gateway(stage, durability, broker.port, broker.ca, devices, durability=durability)
        wait_until(lambda: gateway.all_online(count), 60, "all sessions online")
        pause(10)
        before, own = gateway.acked(), gateway.status()["outbox"]["written_bytes"]
        begin, busy, bytes_before = time.monotonic(), gateway.cpu_seconds(), written(gateway)
        pause(seconds)
        bytes_after, busy, took = written(gateway), gateway.cpu_seconds() - busy, time.monotonic() - begin
        samples, own = gateway.acked() - before, gateway.status()["outbox"]["written_bytes"] - own
        resident = gateway.resident()
        gateway.process.stop(60)
        return (bytes_after - bytes_before) / samples, own / samples, busy / took, resident, samples


def bench_lazy():
    each, own, cpu, resident, samples = steady("lazy")
    line("1,000 devices, a sample a second, good link, lazy: bytes written a sample", "<= 20 B",
         f"{each:.1f} B ({own:.1f} B by its own count; {samples:,} samples, {cpu:.1%} of a core, {resident / 1e6:.0f} MB)", each <= 20)


def bench_steady_full():
    each, own, cpu, resident, samples = steady("full")
    line("the same, full: bytes written a sample", "<= 1100 B", f"{each:,.0f} B ({own:,.0f} B by its own count; {samples:,} samples)",
         each <= 1100)
    line("the same: CPU", "<= 10 % of a core", f"{cpu:.1%}", cpu <= 0.10)
    line("the same: resident memory", "<= 80 MB", f"{resident / 1e6:.1f} MB", resident <= 80e6)


def bench_commit_stall():
    """A minute at 50,000 samples a second of 200 B with acknowledgements; then with a second cloud that takes nothing."""
    for how in ([], ["keep"]):
        with Stage() as stage:
            out = subprocess.run([os.path.join(BENCH, "bench_commit"), stage.path(), "60", "50000", *how], check=True, capture_output=True)
            got = json.loads(out.stdout)
            line(f"50,000 samples/s of 200 B: longest commit{', a backlog growing' if how else ''}", "<= 100 ms",
                 f"{got['longest_commit_ms']:.0f} ms (its checkpoint at most {got['longest_checkpoint_ms']:.0f} ms; longest wait for one, beyond commit_interval: {max(got['longest_wait_ms'], 0):.0f} ms; "
                 f"{got['file_mb']:.0f} MB file, {got['wal_mb']:.1f} MB log)", max(got["longest_commit_ms"], got["longest_wait_ms"]) <= 100)


def bench_start():
    best = None
    with Stage() as stage:
        broker = Broker(stage)
        for i in range(5):
            gateway = Gateway(stage, f"start{i}", broker.port, broker.ca, flood(10, ident="first"), commit="10ms")
            wait_until(lambda: gateway.status()["gateway"]["first_accepted_boot_ms"], 10, "the first sample")
            took = gateway.status()["gateway"]["first_accepted_boot_ms"] - gateway.started * 1000
            best = took if best is None else max(best, took)
            gateway.process.stop(30)
    line("start to first sample accepted, worst of 5", "<= 300 ms", f"{best:.0f} ms", best <= 300)


def chosen(wanted, there):
    unknown = [name for name in wanted if name not in there]
    if unknown:
        sys.exit(f"bench: unknown {', '.join(unknown)}; there are {', '.join(there)}")
    return wanted or list(there)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*")
    parser.add_argument("--peers", action="store_true")
    for option in ("--json", "--compare", "--page"):
        parser.add_argument(option, metavar="FILE")
    words = parser.parse_args()
    if words.page:
        results.write_page(results.load(words.page))
        return 0
    before = results.load(words.compare) if words.compare else None  # a file that is not there is said before the run
    busy = os.getloadavg()[0]
    if words.peers:
        import peers
        calls = peers.WORKS
    else:
        calls = {**{name[6:]: call for name, call in globals().items() if name.startswith("bench_")}, **FLEET, **WIRE}
    names = chosen(words.name, calls)
    print(f"machine: {results.machine()}; broker, peers and gateway share it\n", flush=True)
    for name in names:
        results.begin("peers" if words.peers else name)
        calls[name]()
    found = results.document(busy)
    if words.json:
        results.save(words.json, found)
    if words.peers:
        peers.show()
    missed = sum(not row["ok"] for row in found["lines"])
    print(f"\n{len(found['lines']) - missed} of {len(found['lines'])} lines reached")
    if before:
        print(f"\nagainst {before['date']}, {before['commit']}:")
        print("\n".join(results.differences(before, found)) or "no ratio beyond its spread, no count, no verdict changed")
    if not words.name:
        results.write_page(found)
        print(f"set: {os.path.relpath(results.PAGE)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
