# SPDX-License-Identifier: GPL-2.0-or-later
"""netns - a gateway in one network and its cloud in another, with a cable between that can be pulled, cut, slowed and bitten.

    netns.own()                                  # first of all: runs the program again in networks and mounts of its own, or skips
    with Stage() as stage:
        site = Site(stage)                       # cloud side: here, 10.9.0.1; gateway side: 10.9.0.2, a network of its own
        cloud = Cloud(stage, pki_folder)         # mosquitto with TLS on 10.9.0.1:8883, and what it heard
        gateway = Gateway(stage, config, under=site.inside)
        site.nft("drop both ways"); site.clear()

The gateway's name for the cloud is `broker.test` (in /etc/hosts, or from a DNS server: Dns). What cannot be done here (delay, jitter,
reordering) is done by a relay in user space: Middlebox.
"""
import asyncio
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import threading
import time

import paho.mqtt.client as paho

from harness import PYTHON, Process, accepts, die_with_parent, tail, wait_until

SKIP = 77
HERE, THERE, NAME = "10.9.0.1", "10.9.0.2", "broker.test"
PORT, BACK = 8883, 1884


def own():
    """From here on this program is in networks and mounts of its own. Where that is not allowed the test is skipped, visibly."""
    if os.environ.get("TIDEGATE_NETNS") == "yes":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["unshare", *user, "--net", "--mount", "--propagation", "private"]
    trial = "ip link add t0 type veth peer name t1 && nft add table inet t && mount --bind /etc/hosts /etc/hosts"
    tried = subprocess.run([*unshare, "sh", "-c", trial], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        print(f"SKIPPED: it needs networks of its own and nftables: run it as root, or where user namespaces are allowed ({tried.stderr.strip()})")
        sys.exit(SKIP)
    os.environ["TIDEGATE_NETNS"] = "yes"
    os.execvp(unshare[0], [*unshare, PYTHON, "-B", *sys.argv])


def again(arguments, **more):
    """This program once more, with these arguments, in a network and mounts of its own below this one's."""
    return subprocess.Popen(["unshare", "--net", "--mount", "--propagation", "private", PYTHON, "-B", sys.argv[0], *arguments],
                            preexec_fn=die_with_parent, **more)


def mount_text(stage, target, text):
    """`target` has this text from here on, for this program and its children."""
    path = stage.write(f"mounted {os.path.basename(target)}", text, mode=0o644)
    subprocess.run(["mount", "--bind", path, target], check=True)
    return path


class Site:
    def __init__(self, stage, hosts=True):
        self.stage = stage
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo && exec cat"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        self.holder.stdout.readline()
        self.inside = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]
        self.here(f"ip link add cloud0 type veth peer name gw0 netns {self.holder.pid}")
        self.here(f"ip addr add {HERE}/24 dev cloud0 && ip link set cloud0 up")
        self.there(f"ip addr add {THERE}/24 dev gw0 && ip link set gw0 up && ip route add default via {HERE}")
        if hosts:
            mount_text(stage, "/etc/hosts", f"127.0.0.1 localhost\n{HERE} {NAME}\n")

    def here(self, command):
        subprocess.run(["sh", "-ec", command], check=True)

    def there(self, command):
        subprocess.run([*self.inside, "sh", "-ec", command], check=True)

    def nft(self, *rules):
        """Rules for what goes from the gateway (`in`) and to it (`out`): "in drop", "out tcp dport 1 drop"."""
        self.clear()
        text = "table inet bite {\n"
        for hook, word, device in (("input", "in", "iifname"), ("output", "out", "oifname")):
            lines = [rule[len(word) + 1:] for rule in rules if rule.startswith(word + " ")]
            text += f"chain {hook} {{ type filter hook {hook} priority 0; policy accept;\n"
            text += "".join(f'{device} "cloud0" {line}\n' for line in lines) + "}\n"
        subprocess.run(["nft", "-f", "-"], input=text + "}\n", text=True, check=True)

    def clear(self):
        subprocess.run("nft delete table inet bite 2>/dev/null", shell=True, check=False)

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()
        self.holder.stdout.close()


class Cloud:
    """mosquitto with TLS; every client may log in and publish. A client on the back port hears everything."""

    def __init__(self, stage, pki, port=PORT):
        self.stage, self.log, self.port, self.messages = stage, stage.path("mosquitto.log"), port, []
        self.process = None
        self.pki = pki
        subscribed = threading.Event()
        # Whoever publishes before there is a listener is not heard, so the door opens when there is one.
        door = f'table inet door {{\nchain input {{ type filter hook input priority 1;\niifname "cloud0" tcp dport {port} reject with tcp reset\n}}\n}}\n'
        subprocess.run(["nft", "-f", "-"], input=door, text=True, check=True)
        self.start()
        self.client = paho.Client("back", protocol=paho.MQTTv311)
        self.client.on_connect = lambda client, user, flags, code: client.subscribe("#", 1)
        self.client.on_subscribe = lambda client, user, number, granted: subscribed.set()
        self.client.on_message = lambda client, user, message: self.messages.append((time.monotonic(), message.payload))
        self.client.connect("127.0.0.1", BACK)
        self.client.loop_start()
        assert subscribed.wait(30), "mosquitto takes no subscription"
        subprocess.run(["nft", "delete table inet door"], check=True)

    def start(self):
        lines = ["per_listener_settings true", "persistence false", "sys_interval 0", "max_queued_messages 0", "set_tcp_nodelay true",
                 "user root", f"log_dest file {self.log}", "log_type all", f"listener {self.port}", "allow_anonymous true",
                 f"cafile {self.pki}/ca.pem", f"certfile {self.pki}/server.pem", f"keyfile {self.pki}/server.key",
                 f"listener {BACK} 127.0.0.1", "allow_anonymous true"]
        path = self.stage.write("mosquitto.conf", "\n".join(lines) + "\n")
        self.process = Process(self.stage, "mosquitto", ["/usr/sbin/mosquitto", "-c", path])
        wait_until(lambda: accepts(self.port) and accepts(BACK), 30, f"mosquitto to listen\n{tail(self.log)}")

    def logged(self, pattern):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return len(re.findall(pattern, file.read()))

    def connects(self):
        """Logins of the gateway's device by now."""
        return self.logged(r"New client connected from \S+ as meter ")

    def samples(self):
        """Every sample that came, oldest first, repeated ones too."""
        found = []
        for _, payload in list(self.messages):
            body = json.loads(payload)
            found += body if isinstance(body, list) else [body]
        return found

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Server:
    """Something else on the cloud's port: a function that is given each accepted socket, in a thread of its own."""

    def __init__(self, serve, port=PORT):
        self.serve, self.accepted, self.closing, self.sockets = serve, [], False, []
        self.socket = socket.create_server((HERE, port))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.closing:
            if not select.select([self.socket], [], [], 0.1)[0]:
                continue
            connection, _ = self.socket.accept()
            self.accepted.append(time.monotonic())
            self.sockets.append(connection)
            threading.Thread(target=self.one, args=(connection,), daemon=True).start()

    def one(self, connection):
        try:
            self.serve(connection)
        except OSError:
            pass  # the gateway went first: that is its part of the play

    def close(self):
        self.closing = True
        self.thread.join()
        self.socket.close()
        for connection in self.sockets:
            connection.close()


class Dns:
    """A name server on the cloud's side that knows one name: `mode` is "answer", "silent", "none" (NXDOMAIN), or seconds to wait first."""

    def __init__(self, stage, mode):
        self.mode, self.asked, self.closing = mode, 0, False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HERE, 53))
        mount_text(stage, "/etc/resolv.conf", f"nameserver {HERE}\noptions timeout:2 attempts:2\n")
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.closing:
            if not select.select([self.socket], [], [], 0.1)[0]:
                continue
            query, sender = self.socket.recvfrom(512)
            self.asked += 1
            if self.mode == "silent":
                continue
            if isinstance(self.mode, (int, float)):
                threading.Timer(self.mode, self.answer, (query, sender, True)).start()
            else:
                self.answer(query, sender, self.mode == "answer")

    def answer(self, query, sender, known):
        end = 12
        while query[end]:
            end += 1 + query[end]
        question = query[12:end + 5]
        is_a = question[-4:-2] == b"\0\1"
        count = 1 if known and is_a else 0
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else 3), 1, count, 0, 0)
        record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(HERE) if count else b""
        if not self.closing:
            self.socket.sendto(head + question + record, sender)

    def close(self):
        self.closing = True
        self.thread.join()
        self.socket.close()


class Middlebox:
    """A relay in front of the cloud that forgets a connection which is silent for `idle_s`: what comes then is answered with a reset."""

    def __init__(self, target, idle_s, port=PORT):
        self.idle_s, self.target, self.port = idle_s, target, port
        self.forgot = self.accepted = 0
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.ready.wait()

    def run(self):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.accept, HERE, self.port))
        self.ready.set()
        self.loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))

    async def accept(self, reader, writer):
        self.accepted += 1
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.target)
        last = [time.monotonic()]

        async def pump(source, sink):
            while data := await source.read(65536):
                if time.monotonic() - last[0] > self.idle_s:
                    self.forgot += 1
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                last[0] = time.monotonic()
                sink.write(data)
                await sink.drain()

        pumps = [asyncio.ensure_future(pump(reader, to_writer)), asyncio.ensure_future(pump(to_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in pumps:
                task.cancel()
            writer.transport.abort()
            to_writer.transport.abort()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
