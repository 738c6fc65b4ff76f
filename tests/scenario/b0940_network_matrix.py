#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What can happen between a gateway and its cloud, cell by cell, each in networks of its own: nothing accepted is lost, what comes twice is bounded,
the operator reads what is wrong, a dead connection is found in time, and one is made within a second of the link being back.

    b0940_network_matrix.py                      all cells, side by side
    b0940_network_matrix.py --cell link_down     one, with all that it says

TIDEGATE_NETWORK_TRIALS=n does each n times (./dev prove)."""
import base64
import collections
import contextlib
import ipaddress
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

import netns
from field import simulated
from gateway import Gateway, configuration
from harness import BUILD, Stage, wait_until
from netns import HERE, NAME, PORT, THERE, Cloud, Dns, Middlebox, Server, Site
from pki import Pki, issue, pem, write, write_key
from proof import count, report

TRIALS = count("TIDEGATE_NETWORK_TRIALS", 1)
SIDE_BY_SIDE = count("TIDEGATE_NETWORK_CELLS", 12)
KEEPALIVE_S = 30
BACK_S = 1.0     # from the link being back to the broker's accepted login
LATE_S = 1.0 if TRIALS == 1 else 0.3  # what a machine that is busy with the other cells may add
LATE, LATE_STATUS, LATE_AGAIN = "late: ", 75, 2 if TRIALS == 1 else 0  # what was right but late is done again, when most others are done: was it the gateway or the machine?
GROWTH = 12 << 20
WINDOW, BATCH = 20, 20
CELLS = []


def cell(seconds, *says):
    """A row of the matrix: about how long it takes, and what the operator reads (patterns, in the log or the last error)."""
    def note(function):
        CELLS.append((function.__name__, seconds, says, function))
        return function
    return note


class Play:
    def __init__(self, stage, pki):
        self.stage, self.pki, self.figures = stage, pki, {}
        self.site = self.cloud = self.gateway = self.bad = None
        self.seen, self.repeats, self.resident, self.errors_seen = {}, 0, 0, set()

    def place(self, hosts=True, cloud=True, port=PORT):
        self.site = Site(self.stage, hosts=hosts)
        if cloud:
            self.open_cloud(port)

    def open_cloud(self, port=PORT):
        self.cloud = Cloud(self.stage, self.pki.folder, port)

    def entry(self, **more):
        return {"name": "cloud", "type": "mqtt", "host": NAME, "port": PORT, "ca_file": self.pki.path("ca.pem"),
                "keepalive": f"{KEEPALIVE_S}s", "min_backoff": "100ms", "max_backoff": "500ms", "connect_timeout": "2s",
                "handshake_timeout": "2s", "ack_timeout": "2s", "max_connects_per_second": 200,
                "batch": {"max_samples": BATCH, "max_bytes": 3900, "max_delay": "50ms"}, **more}

    def begin(self, every="20ms", online=True, clouds=(), **more):
        entries = [self.entry(**more), *clouds]
        config = configuration(self.stage, entries, [simulated("field", {"meter": ([entry["name"] for entry in entries], None)}, every=every)])
        self.gateway = Gateway(self.stage, config, under=self.site.inside if self.site else ())
        if online:
            self.online()

    def begin_bad(self, *levers, **more):
        """At a broker that misbehaves, on this side's loopback."""
        self.bad = self.stage.peer("bad_broker.py")
        for lever in levers:
            self.bad.command(lever)
        entry = {**self.entry(), "host": "localhost", "port": self.bad.ready["port"], "tls": "off", **more}
        entry.pop("ca_file")
        config = configuration(self.stage, [entry], [simulated("field", {"meter": (["cloud"], None)}, every="20ms")])
        self.gateway = Gateway(self.stage, config)

    def status(self):
        status = self.gateway.status()
        self.resident = self.resident or status["gateway"]["resident_bytes"]
        self.errors_seen.add(self.session_of(status).get("last_error", ""))
        return status

    @staticmethod
    def session_of(status):
        return status["devices"][0]["clouds"][0]

    def session(self):
        return self.session_of(self.status())

    def reach(self):
        return self.status()["clouds"][0]["reach"]

    def online(self, seconds=40):
        wait_until(lambda: self.session()["state"] == "online", seconds, "the session to be online")

    def more(self, samples, seconds=40):
        """So many more are accepted: time passes."""
        begin = self.gateway.device("meter")["last_seq"]
        wait_until(lambda: self.gateway.device("meter")["last_seq"] >= begin + samples, seconds, f"{samples} more samples")

    def fails(self, what, seconds=60):
        """Waits for one more failure; how long it took."""
        before, begin = self.session()["failures"], time.monotonic()
        wait_until(lambda: self.session()["failures"] > before, seconds, what)
        return time.monotonic() - begin

    def waits_for_way(self):
        """The session does not try any more, and says so."""
        wait_until(lambda: self.session().get("waits_for") == "way", 40, "the session to wait for a way")
        failures, connects = self.session()["failures"], self.cloud.connects()
        self.more(60)
        network = self.status()["gateway"]["network"]
        assert network["state"] == "down" and self.session()["failures"] == failures and self.cloud.connects() == connects, network

    def back(self, act):
        """Does it, and measures until the broker has let the device in again."""
        before, begin = self.cloud.connects(), time.monotonic()
        act()
        wait_until(lambda: self.cloud.connects() > before, 40, "the login after the link was back")
        took = time.monotonic() - begin
        self.figures["back_s"] = round(took, 3)
        self.online()
        assert took <= BACK_S + LATE_S, f"{LATE}the login came {took:.2f} s after the link was back"

    def found(self, seconds, bound):
        self.figures["found_s"] = round(seconds, 2)
        assert seconds <= bound, f"{LATE}found after {seconds:.1f} s, at most {bound} s are promised"

    def heard(self):
        """{seq: sample} of all that came; counts what came twice."""
        if self.bad:
            for packet in self.bad.command("seen")["packets"]:
                if packet["packet"] == "publish":
                    self.take(json.loads(base64.b64decode(packet["payload"])))
        else:
            self.seen, self.repeats = {}, 0
            for sample in self.cloud.samples():
                self.take(sample)
        return self.seen

    def take(self, body):
        for sample in body if isinstance(body, list) else [body]:
            known = self.seen.setdefault(sample["seq"], sample)
            assert known == sample, f"two bodies under seq {sample['seq']}"
            self.repeats += known is not sample

    def finish(self, says, seconds=60):
        """Everything that was accepted is there; what came twice and the memory are bounded; the words were said."""
        last = self.gateway.device("meter")["last_seq"]
        wait_until(lambda: self.heard().keys() >= set(range(1, last + 1)), seconds, f"all {last} samples")
        session, status = self.session(), self.status()
        broken = session["failures"] + 1
        bound = WINDOW * BATCH * broken
        assert self.repeats <= bound, f"{self.repeats} came twice, at most {bound} may"
        growth = status["gateway"]["resident_bytes"] - self.resident
        assert growth < GROWTH or sanitized(), f"memory grew by {growth >> 10} KiB"
        log = self.gateway.errors()
        for pattern in says:
            assert re.search(pattern, log) or any(re.search(pattern, text) for text in self.errors_seen), f"nobody said {pattern!r}"
        self.figures.update(samples=last, twice=self.repeats, failures=session["failures"], growth_kib=growth >> 10)
        assert self.gateway.stop() == 0

    def close(self):
        for part in (self.cloud, self.site):
            if part:
                part.close()


def sanitized():
    with open(os.path.join(BUILD, "tidegate"), "rb") as program:
        return b"__asan_init" in program.read()


# --- the link --------------------------------------------------------------------------------------------

LONG = {"min_backoff": "30s", "max_backoff": "60s"}  # whoever connects sooner was told


@cell(12, r"no route to 10\.9\.0\.1", r"the way out is gone: no route", r"the way out is back after", r"samples are kept")
def link_down(play):
    play.place()
    play.begin(**LONG)
    play.site.there("ip link set gw0 down")
    play.waits_for_way()
    play.back(lambda: play.site.there(f"ip link set gw0 up && ip route add default via {HERE}"))
    assert play.reach()["last_recovery_ms"] <= (BACK_S + LATE_S) * 1000, f"{LATE}{play.reach()}"


@cell(12, r"the link gw0 to 10\.9\.0\.1 is down or has no carrier", r"the way out is gone")
def carrier_lost(play):
    play.place()
    play.begin(**LONG)
    play.site.here("ip link set cloud0 down")
    play.waits_for_way()
    play.back(lambda: play.site.here("ip link set cloud0 up"))


@cell(8, r"its address here, 10\.9\.0\.2, is gone: the network has changed")
def address_change(play):
    play.place()
    play.begin(**LONG, ack_timeout="10m")
    play.back(lambda: play.site.there(f"ip addr add 10.9.0.3/24 dev gw0 && ip addr del {THERE}/24 dev gw0; ip addr add 10.9.0.3/24 dev gw0 || true; "
                                      f"ip route replace default via {HERE}"))


@cell(12, r"no route to 10\.9\.0\.1")
def started_without_a_link(play):
    """The host is a number, so that it is known before the first connection."""
    play.place()
    play.site.there("ip link set gw0 down")
    play.begin(online=False, **LONG, host=HERE, tls="on")
    wait_until(lambda: play.session().get("waits_for") == "way", 40, "the session to wait")
    play.more(50)
    play.back(lambda: play.site.there("ip link set gw0 up"))


@cell(14)
def link_flaps(play):
    play.place()
    play.begin()
    for _ in range(6):
        play.site.there("ip link set gw0 down")
        play.more(10)
        play.site.there(f"ip link set gw0 up && ip route add default via {HERE}")
        play.more(10)
    play.online()
    connects = play.cloud.connects()
    play.figures["connects"] = connects
    assert connects <= 1 + 2 * 6, f"{connects} connects for six flaps"


# --- what drops, breaks, loses -----------------------------------------------------------------------------

@cell(12, r"no PUBACK within 2000 ms")
def silent_drop(play):
    play.place()
    play.begin()
    play.site.nft("in drop", "out drop")
    play.found(play.fails("the silence to be noticed"), 1.5 * KEEPALIVE_S)
    play.more(50)
    play.site.clear()
    play.online()


@cell(40, r"no PINGRESP within 10000 ms")
def silent_drop_down(play):
    """What the gateway sends arrives, nothing comes back; acknowledgements may take their time."""
    play.place()
    play.begin(ack_timeout="10m", every="200ms")
    play.site.nft("out drop")
    play.found(play.fails("the silence to be noticed", 90), 1.5 * KEEPALIVE_S)
    play.site.clear()
    play.online()


@cell(40, r"does not answer any more: what was sent arrives nowhere")
def silent_drop_up_idle(play):
    """The ping goes nowhere: TCP gives up after ack_timeout."""
    play.place()
    play.begin(every="1h")
    wait_until(lambda: play.session()["pending"] == 0, 30, "the first sample")
    play.site.nft("in drop")
    play.found(play.fails("the silence to be noticed", 90), 1.5 * KEEPALIVE_S)
    play.site.clear()
    play.online()


@cell(10, r"connection reset|Connection refused|ECONNRESET")
def resets(play):
    play.place()
    play.begin()
    play.site.nft(f"in tcp dport {PORT} reject with tcp reset")
    play.found(play.fails("the reset"), 5)
    play.more(50)
    play.site.clear()
    play.online()


@cell(20)
def loss_20(play):
    play.place()
    play.begin(ack_timeout="15s", connect_timeout="10s", handshake_timeout="10s")
    play.site.nft("in numgen random mod 100 < 20 drop", "out numgen random mod 100 < 20 drop")
    play.more(300)
    play.site.clear()


@cell(20)
def slow_64_kbit(play):
    play.place()
    play.site.there("tc qdisc add dev gw0 root tbf rate 64kbit burst 4kb latency 3s")
    play.begin(every="50ms", ack_timeout="15s", connect_timeout="10s", handshake_timeout="10s")
    play.more(150)
    assert play.session()["connects"] == 1, "a slow line is no dead one"


@cell(25, r"no PUBACK within|nothing was answered", r"handshake was not done within 2000 ms")
def mtu_black_hole(play):
    """Large packets vanish, without a word from the router."""
    play.place()
    play.begin()
    play.site.nft("in ip length > 300 drop", "out ip length > 300 drop")
    play.found(play.fails("the hole to be noticed"), 1.5 * KEEPALIVE_S)
    play.fails("a handshake that does not come to its end")
    play.site.clear()
    play.online()


@cell(55, r"something on the way forgets connections that are silent for 2\d s: from now on its sessions ping after 1\d s")
def middlebox_20_s(play):
    play.place(port=PORT + 1)
    box = Middlebox(PORT + 1, 20)
    play.begin(every="1h")
    play.figures["killed_after_s"] = round(play.fails("the middlebox to forget"), 1)
    play.online()
    pings = play.cloud.logged("PINGREQ from meter")
    assert 10000 <= play.reach()["ping_every_ms"] <= 12500, play.reach()
    wait_until(lambda: play.cloud.logged("PINGREQ from meter") >= pings + 2, 60, "two pings")
    assert box.forgot == 1, "it has forgotten again"
    play.figures["ping_every_s"] = play.reach()["ping_every_ms"] / 1000
    box.close()


# --- who answers instead ------------------------------------------------------------------------------------

def until_the_cloud_is_back(play, server, seconds=30):
    """Something else was there; now the cloud is, and gets everything."""
    server.close()
    play.open_cloud()
    play.online(seconds)


@cell(12, r"TLS handshake was not done within 2000 ms")
def tls_stalls(play):
    play.place(cloud=False)
    server = Server(lambda connection: connection.recv(65536))
    play.begin(online=False)
    play.found(play.fails("the stalled handshake"), 2 * 2 + 10)
    until_the_cloud_is_back(play, server)


@cell(12, r"closed the connection|handshake")
def accepts_and_closes(play):
    """Waits grow: not a connect every moment."""
    play.place(cloud=False)
    server = Server(lambda connection: connection.close())
    play.begin(online=False, min_backoff="200ms", max_backoff="10s")
    play.more(400)
    play.figures["tries_in_8_s"] = len(server.accepted)
    assert 2 <= len(server.accepted) <= 14, f"{len(server.accepted)} connects in 8 s"
    until_the_cloud_is_back(play, server, 60)


@cell(12, r"does not speak TLS on this port: it answers HTTP, as a captive portal")
def captive_portal(play):
    def portal(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\nContent-Length: 0\r\n\r\n")
        connection.close()
    play.place(cloud=False)
    server = Server(portal)
    play.begin(online=False)
    play.fails("the portal")
    until_the_cloud_is_back(play, server)


@cell(12, r"certificate")
def captive_portal_tls(play):
    other = make_pki(play.stage.path("portal"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(other.path("server.pem"), other.path("server.key"))

    def portal(connection):
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)
    play.place(cloud=False)
    server = Server(portal)
    play.begin(online=False)
    play.fails("the portal")
    until_the_cloud_is_back(play, server)


# --- names ----------------------------------------------------------------------------------------------------

@cell(15, r"the name was not resolved within 2000 ms")
def dns_dead(play):
    play.place(hosts=False)
    dns = Dns(play.stage, "silent")
    play.begin(online=False)
    play.found(play.fails("the silence of the name server"), 12)
    dns.mode = "answer"
    play.online()
    assert play.reach()["failures"]["dns"] >= 1, play.reach()
    dns.close()


@cell(12)
def dns_slow(play):
    play.place(hosts=False)
    dns = Dns(play.stage, 0.8)
    play.begin(connect_timeout="5s")
    assert play.session()["failures"] == 0 and dns.asked >= 1
    dns.close()


@cell(12, r"the name cannot be resolved")
def dns_without_the_name(play):
    play.place(hosts=False)
    dns = Dns(play.stage, "none")
    play.begin(online=False)
    play.fails("the missing name")
    dns.mode = "answer"
    play.online()
    assert play.reach()["failures"]["dns"] >= 1, play.reach()
    dns.close()


# --- one cloud of two ---------------------------------------------------------------------------------------------

@cell(14, r"cloud=other cannot be reached while 1 of 2 can", r"no cloud can be reached \(2 of 2; no route to", r"cloud=cloud is reached again, after")
def one_cloud_or_all(play):
    play.place()
    play.begin(clouds=[{**play.entry(), "name": "other", "port": PORT + 7}])
    wait_until(lambda: "cannot be reached while 1 of 2 can" in play.gateway.errors(), 30, "the one cloud to be told")
    play.site.there("ip link set gw0 down")
    wait_until(lambda: "no cloud can be reached" in play.gateway.errors(), 30, "both to be told")
    assert play.status()["gateway"]["network"]["clouds_out"] == 2
    play.site.there(f"ip link set gw0 up && ip route add default via {HERE}")
    wait_until(lambda: "cloud=cloud is reached again" in play.gateway.errors(), 30, "the first to be told")


# --- brokers that misbehave ------------------------------------------------------------------------------------------

@cell(12, r"no PUBACK within 2000 ms")
def never_acks(play):
    play.begin_bad("puback never")
    play.found(play.fails("the missing acknowledgement"), 1.5 * KEEPALIVE_S)
    play.bad.command("puback once")
    play.online()


@cell(8)
def acks_twice_and_unknown(play):
    play.begin_bad("puback twice")
    play.online()
    play.more(100)
    play.bad.command("puback unknown")
    play.fails("what is never acknowledged")
    play.bad.command("puback once")
    play.online()


@cell(8)
def acks_slowly(play):
    play.begin_bad("puback later")
    play.online()
    for _ in range(5):
        play.more(20)
        play.bad.command("release")
    play.bad.command("puback once")
    play.bad.command("release")
    assert play.session()["connects"] == 1, "slow acknowledgements are acknowledgements"


@cell(12, r"no CONNACK within 2000 ms")
def never_lets_in(play):
    play.begin_bad("connack never")
    play.found(play.fails("the missing CONNACK"), 1.5 * KEEPALIVE_S)
    play.bad.command("connack 0")
    play.online()
    assert play.reach()["failures"]["login"] >= 1, play.reach()


@cell(14, r"refused by the broker, code 3")
def throttles(play):
    """A login that is refused for now, again and again: waits grow, none is short by chance."""
    play.begin_bad("connack 3", min_backoff="400ms", max_backoff="20s")
    play.more(400)
    tries = play.bad.command("stats")["connects"]
    play.figures["tries_in_8_s"] = tries
    assert 2 <= tries <= 6, f"{tries} connects in 8 s"
    assert play.reach()["failures"]["throttled"] >= 2, play.reach()
    play.bad.command("connack 0")
    play.online(60)


@cell(14, r"soon after each login")
def throws_out(play):
    """Lets in and closes with the first message: a quota. The login is no success that begins the waits anew."""
    play.begin_bad("close_after 1", min_backoff="200ms", max_backoff="20s")
    play.more(400)
    tries = play.bad.command("stats")["connects"]
    play.figures["tries_in_8_s"] = tries
    assert 2 <= tries <= 14, f"{tries} connects in 8 s"
    play.bad.command("close_after -1")
    play.online(60)


# --- all of them ---------------------------------------------------------------------------------------------------

def make_pki(folder):
    """A server's certificate for the name and the address."""
    pki, key = Pki(folder), rsa.generate_private_key(public_exponent=65537, key_size=2048)
    sans = [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address(HERE))]
    write(pki.path("server.pem"), pem(issue(NAME, key, pki.root, sans=sans, usage=ExtendedKeyUsageOID.SERVER_AUTH)), 0o644)
    write_key(pki.path("server.key"), key)
    return pki


def run_cell(name, folder):
    _, _, says, function = next(row for row in CELLS if row[0] == name)
    pki = Pki.__new__(Pki)  # made by the program that started this one
    pki.folder = folder
    with Stage() as stage:
        play = Play(stage, pki)
        try:
            function(play)
            play.finish(says)
        except AssertionError as error:
            if not str(error).startswith(LATE):
                raise
            print(error)
            sys.exit(LATE_STATUS)
        finally:
            play.close()
    print(json.dumps(play.figures))


def run_all(folder):
    """Longest first, SIDE_BY_SIDE at a time, each in a process of its own; {name: [(figures or None, what it said)]}."""
    waiting = sorted(((seconds, name) for name, seconds, _, _ in CELLS for _ in range(TRIALS)), key=lambda row: row[0])
    running, results, late = [], {}, collections.Counter()
    while waiting or running:
        while waiting and len(running) < SIDE_BY_SIDE:
            name = waiting.pop()[1]
            output = tempfile.TemporaryFile()
            running.append((name, output, netns.again(["--cell", name, folder], stdout=output, stderr=subprocess.STDOUT)))
        wait_until(lambda: any(child.poll() is not None for _, _, child in running), 240, "a cell to end")
        for row in [row for row in running if row[2].poll() is not None]:
            running.remove(row)
            name, output, child = row
            output.seek(0)
            text = output.read().decode(errors="replace")
            output.close()
            if child.returncode == LATE_STATUS and late[name] < LATE_AGAIN:
                late[name] += 1
                waiting.insert(0, (0, name))
                continue
            figures = json.loads(text.strip().splitlines()[-1]) if child.returncode == 0 else None
            results.setdefault(name, []).append((figures, text))
    return results


def summary(runs):
    """Of each figure the worst."""
    good = [figures for figures, _ in runs if figures is not None]
    return {key: max(figures[key] for figures in good if key in figures) for key in sorted({key for figures in good for key in figures})}


def main():
    netns.own()
    if sys.argv[1:2] == ["--cell"]:
        with tempfile.TemporaryDirectory(prefix="tidegate-pki-") as folder:
            run_cell(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else make_pki(folder).folder)
        return 0
    with Stage() as stage:
        begin = time.monotonic()
        pki = make_pki(stage.path("pki"))
        results = run_all(pki.folder)
    failed = 0
    for name, _, _, function in CELLS:
        runs = results[name]
        failures = sum(figures is None for figures, _ in runs)
        failed += failures
        print(f"{'FAILED' if failures else 'ok':<7}{name:<26}{json.dumps(summary(runs))}")
        for figures, text in runs:
            if figures is None:
                print(text)
        report("C10", f"network_{name}", len(runs), failures, summary(runs), (function.__doc__ or name.replace("_", " ")).strip())
    print(f"{len(CELLS)} cells in {time.monotonic() - begin:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
