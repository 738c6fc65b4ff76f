# SPDX-License-Identifier: GPL-2.0-or-later
"""fleet - lines of the bench about many devices: processor, memory, threads, descriptors, bytes written.

FLEET maps the names of the lines to what measures them; bench.py runs them. What the peers need (broker, Modbus devices, subscriber) is not
counted: CPU is the gateway's own and its children's, out of /proc/PID/stat, over a window in which nothing starts or ends.
"""
import json
import os
import resource
import signal
import subprocess

from results import line
from rig import TIDEGATE, Broker, Gateway, flood, pause
from harness import BUILD, Peer, Process, Stage, accepts, wait_until  # found by rig

MEASURE_S = 20


class Native(Peer):
    """A peer that is a program of this tree: a ready line, SIGUSR1 asks, SIGTERM ends it."""

    def __init__(self, stage, name, *arguments):
        Process.__init__(self, stage, name, [os.path.join(BUILD, "peers", name), *map(str, arguments)], pipes=True)
        self.buffer = b""
        self.ready = self.read_line()

    def ask(self):
        self.signal(signal.SIGUSR1)
        return self.read_line()

    def stop(self, seconds=15):
        code = Process.stop(self, seconds)
        self.child.stdin.close()
        self.child.stdout.close()
        return code


def many_files():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))  # for the broker and the peers


class Window:
    """What a running gateway uses between two looks."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.pid = gateway.process.child.pid
        self.begin, self.cpu, self.written = clock(), gateway.cpu_seconds(), self.bytes_written()

    def bytes_written(self):
        with open(f"/proc/{self.pid}/io", encoding="ascii") as file:
            return next(int(text.split()[1]) for text in file if text.startswith("write_bytes:"))

    def close(self):
        """Afterwards `share` of a core, `wrote` bytes, and what it holds now."""
        took = clock() - self.begin
        self.seconds = took
        self.share = (self.gateway.cpu_seconds() - self.cpu) / took
        self.wrote = self.bytes_written() - self.written
        self.resident = self.gateway.resident()
        self.threads = len(os.listdir(f"/proc/{self.pid}/task"))
        self.files = len(os.listdir(f"/proc/{self.pid}/fd"))
        return self


def clock():
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0])


def once_a_second(look):
    """The status of a thousand devices is work for the gateway that is measured: it is not asked more often than this."""
    last = [0, None]

    def asked():
        if clock() - last[0] >= 1:
            last[:] = clock(), look()
        return last[1]
    return asked


# --- 500 Modbus TCP devices, the nearest peer's published work


def modbus_sources(devices, points, port):
    """A source a device: that is how an integrator with five hundred meters on a network writes them."""
    registers = "".join(f"          - {{name: r{i}, address: \"holding:{i}\", every: 1s}}\n" for i in range(points))
    return "".join(f"""  - name: line-{i}
    plugin: modbus
    settings: {{transport: tcp, host: 127.8.{i // 250}.{i % 250 + 1}, port: "{port}", timeout: 900ms}}
    devices:
      - id: d{i}
        clouds: [hub]
        settings: {{unit: 1}}
        points:
{registers}""" for i in range(devices))


def missed_turns(gateway, devices, every=25):
    """Of a sample of the devices, by the plugin's own count."""
    missed = 0
    for i in range(0, devices, every):
        out = subprocess.run([TIDEGATE, "send", "--socket", gateway.socket, f"d{i}", "stats"], capture_output=True, text=True, check=True)
        missed += json.loads(out.stdout.split(" ", 1)[1])["missed_turns"]
    return missed


def fleet_modbus():
    """500 devices x 30 registers a second, one message a device and second: over one session, and over one session each."""
    many_files()
    devices, points = 500, 30
    for how, share, memory in (("shared", 0.18, 45e6), ("per-device", None, 70e6)):
        with Stage() as stage:
            broker = Broker(stage)
            meters = Native(stage, "modbus_fleet", devices)
            gateway = Gateway(stage, how, broker.port, broker.ca, modbus_sources(devices, points, meters.ready["port"]),
                              batch="{max_samples: 1}", cloud=f'type: mqtt, command_topic: "", session: {how}')
            sessions = 1 if how == "shared" else devices
            wait_until(lambda: gateway.online() == devices and gateway.acked() >= 2 * devices, 120, "every device to be delivered")
            pause(6)  # what the handshakes needed goes back
            before, asked, missed = gateway.acked(), meters.ask()["requests"], missed_turns(gateway, devices)
            window = Window(gateway)
            pause(MEASURE_S)
            window.close()
            delivered, requests = gateway.acked() - before, meters.ask()["requests"] - asked
            missed = missed_turns(gateway, devices) - missed
            gateway.process.stop(30)
            meters.stop()
        what = f"{devices} Modbus TCP devices x {points} registers at 1 s, a message each, " + (
            "one shared session" if sessions == 1 else f"{sessions} TLS sessions")
        figures = (f"{window.resident / 1e6:.1f} MB, {window.threads} threads, {window.files} descriptors, "
                   f"{delivered / window.seconds:.0f} msg/s, {requests / window.seconds:.0f} requests/s, {missed} missed")
        reach = f"{'<= 18 %, ' if share else ''}<= {memory / 1e6:.0f} MB, <= 20 threads"
        line(what, reach, f"{100 * window.share:.1f} % of a core ({figures})",
             (not share or window.share <= share) and window.resident <= memory and window.threads <= 20 and missed == 0)


# --- 1,000 devices with a session each: idle, one sample a second, two days of outage


def simulated_fleet(count, settings, source="", points=1):
    values = ", ".join(f"{{name: p{i}, signal: sine, period: {30 + i}s}}" for i in range(points))
    return f"  - name: fleet\n    plugin: simulator\n{source}    devices:\n" + "".join(
        f"      - {{id: d{i}, clouds: [hub], settings: {settings}, points: [{values}]}}\n" for i in range(count))


def idle():
    """1,000 sessions that have nothing to say, with the keep-alive that a broker gets who asks for none."""
    many_files()
    count, seconds = 1000, 60
    with Stage() as stage:
        broker = Broker(stage)
        gateway = Gateway(stage, "idle", broker.port, broker.ca, simulated_fleet(count, "{every: 1h}"))
        wait_until(lambda: gateway.all_online(count), 120, "all sessions online")
        pause(5)
        window = Window(gateway)
        pause(seconds)
        window.close()
        gateway.process.stop(60)
    line(f"{count:,} TLS sessions idle for {seconds} s", "<= 1 % of a core",
         f"{100 * window.share:.2f} % of a core ({window.resident / 1e6:.1f} MB, {window.threads} threads)", window.share <= 0.01)


def steady():
    """1,000 devices that give a sample a second, not in step, each over its own session; every sample is on disk before it is sent."""
    many_files()
    count = 1000
    with Stage() as stage:
        broker = Broker(stage)
        gateway = Gateway(stage, "steady", broker.port, broker.ca,
                          simulated_fleet(count, "{every: 1s}", "    settings: {spread: true}\n", points=4))
        wait_until(lambda: gateway.all_online(count) and gateway.acked() > 2 * count, 120, "all devices to be delivered")
        pause(6)
        before = gateway.acked()
        window = Window(gateway)
        pause(30)
        window.close()
        samples = gateway.acked() - before
        waiting = gateway.pending()
        gateway.process.stop(60)
    each = window.wrote / samples
    line(f"{count:,} devices x 1 sample/s on {count:,} sessions, `full`, not in step: CPU", "<= 10 % of a core",
         f"{100 * window.share:.1f} % of a core ({samples / window.seconds:,.0f} samples/s, {waiting} waiting)",
         window.share <= 0.10 and samples / window.seconds > 0.97 * count)
    line("the same: resident memory", "<= 80 MB", f"{window.resident / 1e6:.1f} MB", window.resident <= 80e6)
    line("the same: written to disk per sample", "<= 1.1 kB", f"{each / 1000:.2f} kB", each <= 1100)


class LoggingBroker(Broker):
    """Remembers the subscriber over a restart, and writes down who connects when."""

    def start(self):
        self.log = self.stage.path("broker.log")
        config = self.stage.write("mosquitto.conf", "\n".join([
            f"listener {self.port} 127.0.0.1", f"cafile {self.ca}", f"certfile {self.pki}/server.pem",
            f"keyfile {self.pki}/server.key", "allow_anonymous true", "persistence true", f"persistence_location {self.stage.folder}/",
            "autosave_interval 0", "max_inflight_messages 0", "max_queued_messages 0", "set_tcp_nodelay true", "log_type notice",
            f"log_dest file {self.log}", "log_timestamp true", "user root", ""]))
        self.process = self.stage.process("mosquitto", "/usr/sbin/mosquitto", "-c", config)
        wait_until(lambda: accepts(self.port), 10, "mosquitto")

    def connects(self):
        """How many devices connected in each second, from the first to the last."""
        with open(self.log, encoding="utf-8") as file:
            came = [int(text.split(":", 1)[0]) for text in file if "New client connected" in text and "seq-judge" not in text]
        return [came.count(second) for second in range(min(came), max(came) + 1)]


def outage48():
    """Two days of a sample a minute of 1,000 devices pile up, the link returns, and an independent subscriber sees all of it in order."""
    many_files()
    count, hours, pace = 1000, 48, 100
    each = hours * 60
    total = count * each
    with Stage() as stage:
        broker = LoggingBroker(stage)
        judge = Native(stage, "seq_judge", broker.port, broker.ca)  # its session stays with the broker
        judge.stop()
        broker.stop()
        gateway = Gateway(stage, "outage", broker.port, broker.ca,
                          simulated_fleet(count, f"{{every: 1m, history: {hours}h, count: {each}}}", points=2),
                          batch="{max_samples: 100, max_bytes: 16000, max_delay: 1s}", rate=pace)
        begin, first = clock(), None

        def accepted():
            nonlocal first
            now = gateway.status()["outbox"]["rows"]
            first = first or (now >= total // 50 and gateway.resident())
            return now >= total
        wait_until(once_a_second(accepted), 600, "two days of samples to be stored")
        fed, stored = clock() - begin, gateway.resident()
        begin, peak, cpu = clock(), [0], gateway.cpu_seconds()
        broker.start()
        judge = Native(stage, "seq_judge", broker.port, broker.ca)

        def drained():
            peak[0] = max(peak[0], gateway.resident())
            return gateway.pending() == 0
        wait_until(once_a_second(drained), 600, "the backlog to be delivered")
        took, cpu = clock() - begin, gateway.cpu_seconds() - cpu
        seen = wait_until(lambda: (got := judge.ask())["silent_ms"] > 2000 and got, 60, "the subscriber to have everything")
        pause(4)
        after = gateway.resident()
        histogram = broker.connects()
        gateway.process.stop(60)
        judge.stop()
        broker.stop()
    right = seen["holes"] == 0 and seen["least"] == seen["most"] == each and seen["devices"] == count
    line(f"{hours} h of outage, {count:,} devices x 1 sample/min: {total:,} samples delivered, in order per device", "all, 0 holes",
         f"{seen['samples'] - seen['duplicates']:,}, {seen['holes']} holes (duplicates {seen['duplicates']}; stored in {fed:.0f} s, "
         f"drained in {took:.0f} s, with {cpu:.1f} s of CPU)", right, count=total - (seen["samples"] - seen["duplicates"]))
    growth = max(stored - first, peak[0] - after)
    line("the same: memory grows with the backlog by", "<= 8 MB",
         f"{growth / 1e6:.1f} MB (outage {first / 1e6:.1f} -> {stored / 1e6:.1f} MB; draining at most {peak[0] / 1e6:.1f}, then "
         f"{after / 1e6:.1f} MB)", growth <= 8e6)
    # A busy broker writes late, and then several at once; it cannot write early. So what counts is whether the connects were ever ahead.
    ahead = max(sum(histogram[:seconds + 1]) - pace * (seconds + 1) for seconds in range(len(histogram)))
    line(f"the same: connects per second as the broker saw them, with max_connects_per_second: {pace}", "never ahead of it",
         f"{' '.join(map(str, histogram))} ({max(ahead, 0)} ahead at most)", ahead <= pace // 10)


# --- instructions: the same on a busy machine as on a quiet one


def instructions(stage, name, broker, source, done):
    """Instructions of a gateway's whole run under callgrind, and what the run did."""
    gateway = Gateway(stage, name, broker.port, broker.ca, source, batch=done["batch"], under=callgrind(stage, name))
    result = done["until"](gateway)
    gateway.process.stop(120)
    with open(stage.path(f"{name}.callgrind"), encoding="utf-8", errors="replace") as file:
        return next(int(text.split()[1]) for text in file if text.startswith(("summary:", "totals:"))), result


def callgrind(stage, name):
    return ["valgrind", "--tool=callgrind", "--trace-children=no", f"--callgrind-out-file={stage.path(name + '.callgrind')}", "-q"]


def sample_instructions(what, points, batch, reach, samples):
    """The difference between twice as many samples and as many: start, connection and end fall out of it."""
    with Stage() as stage:
        broker = Broker(stage)
        spent = []
        for times in (1, 2):
            count = samples * times

            def until(gateway, count=count):
                wait_until(lambda: gateway.acked() >= count, 300, "all samples to be acknowledged")
            spent.append(instructions(stage, f"of{times}", broker, flood(count, points),
                                      {"batch": batch, "until": until})[0])
    each = (spent[1] - spent[0]) / samples
    line(f"instructions per sample, TLS, `full`, {what}", f"<= {reach:,}", f"{each:,.0f}", each <= reach, count=round(each, -2))


def instructions_single():
    sample_instructions("one a message of 8 values", 8, "{max_samples: 1}", 45000, 20000)


def instructions_batched():
    sample_instructions("20 a message, 1 value each", 1, "{max_samples: 20, max_bytes: 16000, max_delay: 1s}", 20000, 40000)


def instructions_poll():
    """What a poll of 30 registers costs the whole gateway: source, filter, store, a message over the device's own session."""
    devices = 50
    with Stage() as stage:
        broker = Broker(stage)
        meters = Native(stage, "modbus_fleet", devices)
        spent, polls = [], []
        for seconds in (5, 25):
            def until(gateway, seconds=seconds):
                wait_until(lambda: gateway.acked() >= devices, 120, "all devices to be delivered")
                pause(seconds)
                return gateway.acked()
            found = instructions(stage, f"poll{seconds}", broker, modbus_sources(devices, 30, meters.ready["port"]),
                                 {"batch": "{max_samples: 1}", "until": until})
            spent.append(found[0])
            polls.append(found[1])
        meters.stop()
    each = (spent[1] - spent[0]) / (polls[1] - polls[0])
    line("instructions per poll of 30 Modbus TCP registers, delivered as a message", "<= 110,000", f"{each:,.0f}", each <= 110000,
         count=round(each, -3))


FLEET = {call.__name__: call for call in (fleet_modbus, idle, steady, outage48, instructions_single, instructions_batched,
                                          instructions_poll)}
