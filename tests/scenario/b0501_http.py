#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The local HTTP endpoint shows what the gateway does, in the forms that programs and people read, and lets nobody change it."""
import base64
import contextlib
import hashlib
import json
import re
import select
import socket
import time

from field import all_online, hub_cloud, identity, simulated
from gateway import Gateway, configuration, run
from harness import Stage, free_port, wait_until
from hub import Hub
from pki import Pki
from prometheus import get, scrape

DEVICES = {"sas-1": "sas", "ca-1": "x509-ca"}


def page_of(port):
    status, headers, body = get(port, "/")
    assert status == 200 and headers["Content-Type"].startswith("text/html"), headers
    script = re.search(rb"<script>(.*?)</script>", body, re.S)[1]
    allowed = base64.b64encode(hashlib.sha256(script).digest()).decode()
    assert f"script-src 'sha256-{allowed}'" in headers["Content-Security-Policy"], \
        f"status_page.h has another hash than the script of status_page.html: {allowed}"
    assert not re.search(rb"(?:src|href)=[\"']?(?:https?:)?//|@import|innerHTML", body)


def methods(port):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"):
        for path in ("/", "/metrics", "/status.json", "/nowhere"):
            status, headers, _ = get(port, path, method)
            assert (status, headers["Allow"]) == (405, "GET, HEAD"), (method, path, status, headers)
    for path in ("/", "/metrics", "/healthz", "/status.json"):
        status, headers, body = get(port, path, "HEAD")
        assert status == 200 and body == b"" and int(headers["Content-Length"]) > 0, (path, status, headers)
        assert headers["Cache-Control"] == "no-store" and headers["Connection"] == "close", headers
    for path in ("/nowhere", "/metrics/", "/../etc/passwd", "//", "/%2fmetrics"):
        assert get(port, path)[0] == 404, path
    assert get(port, "/healthz?verbose=1")[0] == 200


def hosts(port):
    for host in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}", "127.1.2.3", f"[::1]:{port}", "LOCALHOST"):
        assert get(port, "/status.json", headers={"Host": host})[0] == 200, host
    for host in (f"evil.example:{port}", "localhost.evil.example", "10.0.0.1", "[fe80::1]", "x" * 300, "127.0.0.1.evil"):
        assert get(port, "/status.json", headers={"Host": host})[0] == 403, host


def said(connection, seconds=30):
    """Everything that comes until the other side closes."""
    connection.settimeout(seconds)
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            data += part
    return data


def too_much(port):
    for request in (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"b" * 20000 + b"\r\n\r\n",
                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100 + b"\r\n\r\n",
                    b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n" + b"c" * 30000):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
            answer = said(connection)
            assert not answer or re.match(rb"HTTP/1\.[01] (?:4\d\d|505) ", answer), answer[:200]


def slow_ones(gateway, port):
    """All places are taken by clients that send a byte now and then; they lose them, and the one that waits is served."""
    begin = time.monotonic()
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
    for connection in slow:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
    waiting = socket.create_connection(("127.0.0.1", port))
    waiting.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
    accepted = gateway.accounts()
    waiting.settimeout(0)
    served = b""
    while not served:
        for connection in slow:
            with contextlib.suppress(OSError):
                connection.send(b"x")
        with contextlib.suppress(BlockingIOError):
            served = waiting.recv(4096)
        select.select([waiting], [], [], 0.2)
        assert time.monotonic() - begin < 40, "a client that is in no hurry keeps the others out"
    assert served.startswith((b"HTTP/1.0 200", b"HTTP/1.1 200")), served
    assert time.monotonic() - begin > 5, "the places were not taken"
    assert all(last > accepted[device] for device, last in gateway.accounts().items())
    for connection in slow:
        connection.close()
    waiting.close()
    wait_until(lambda: get(port, "/healthz")[0] == 200, 30, "the endpoint to be itself again")


def numbers(gateway, hub, port):
    wait_until(lambda: min(entry["acked_seq"] for device in gateway.status()["devices"] for entry in device["clouds"]) > 50, 30, "some samples")
    gateway.send("sas-1", "set", {"setpoint": 22})
    before, status, after = scrape(port), gateway.status(), scrape(port)

    def between(name, value, **labels):
        assert before.get(name, **labels) <= value <= after.get(name, **labels), (name, before.get(name, **labels), value, after.get(name, **labels))
    between("tidegate_outbox_accepted_samples_total", status["outbox"]["accepted"])
    between("tidegate_outbox_commits_total", status["outbox"]["commits"])
    between("tidegate_uptime_seconds", status["gateway"]["uptime_ms"] / 1000)
    between("tidegate_cloud_acked_samples_total", status["clouds"][0]["acked_samples"], cloud="hub")
    for device in status["devices"]:
        session = device["clouds"][0]
        labels = {"device": device["id"], "cloud": "hub"}
        between("tidegate_device_accepted_samples_total", device["accepted"], device=device["id"], source="rehearsal")
        for name, field in (("published_messages_total", "published"), ("acked_seq", "acked_seq"), ("sent_bytes_total", "bytes_out"),
                            ("received_bytes_total", "bytes_in"), ("body_bytes_total", "body_bytes"), ("messages_today", "messages_today"),
                            ("blocks_today", "blocks_today"), ("connects_total", "connects")):
            between(f"tidegate_session_{name}", session[field], **labels)
        assert session["published"] == session["messages_today"] <= session["blocks_today"] > 0, session  # unless midnight is now
        assert after.get("tidegate_session_state", state="online", **labels) == 1
        assert after.get("tidegate_session_online", **labels) == 1
        assert len(after.labels("tidegate_session_state", **labels)) == 1
    assert after.get("tidegate_cloud_sessions_online", cloud="hub") == 2
    assert after.get("tidegate_cloud_ack_latency_seconds", cloud="hub", quantile="0.99") > 0
    assert after.get("tidegate_cloud_ack_latency_seconds_count", cloud="hub") > 0
    assert 0 < after.get("tidegate_metrics_build_seconds") < 5
    assert 10 < after.get("tidegate_open_descriptors") < 200
    assert after.get("tidegate_resident_memory_bytes") > 1e6
    # What proves them, and until when.
    ca, sas = (gateway.session(device, "hub") for device in ("ca-1", "sas-1"))
    assert (ca["identity"], sas["identity"]) == ("certificate", "sas key")
    assert 29 <= ca["certificate_days_left"] == after.get("tidegate_session_certificate_days_left", device="ca-1", cloud="hub")
    assert after.get("tidegate_session_certificate_expiry_timestamp_seconds", device="ca-1", cloud="hub") == ca["certificate_ends_s"]
    assert "token_ends_s" not in ca and "certificate_ends_s" not in sas
    assert time.time() < sas["token_ends_s"] == after.get("tidegate_session_token_expiry_timestamp_seconds", device="sas-1", cloud="hub")
    assert not sas["shared"] and "waits_for" not in sas and sas["host"] == "localhost"


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device, kind in DEVICES.items():
        pki.add(device, kind)
    hub = Hub(stage, pki)
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    port = free_port()
    config = configuration(stage, [hub_cloud(hub, link.ready["ports"]["hub"])], [
        simulated("rehearsal", {device: (["hub"], identity(pki, device, kind)) for device, kind in DEVICES.items()})],
        gateway={"http": f"127.0.0.1:{port}"})
    gateway = Gateway(stage, config)
    wait_until(lambda: all_online(gateway), 30, "both sessions")
    assert gateway.status()["gateway"]["http"] == {"address": f"127.0.0.1:{port}", "listening": True}
    assert get(port, "/healthz")[::2] == (200, b"ok\n")
    status, headers, body = get(port, "/status.json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body).keys() == gateway.status().keys()
    numbers(gateway, hub, port)
    page_of(port)
    methods(port)
    hosts(port)
    too_much(port)
    slow_ones(gateway, port)

    # An outage of the cloud is what the gateway is there for: it is well.
    link.command("cut hub")
    wait_until(lambda: scrape(port).get("tidegate_cloud_sessions_online", cloud="hub") == 0, 30, "the outage to be seen")
    assert get(port, "/healthz")[0] == 200
    wait_until(lambda: scrape(port).get("tidegate_session_pending_samples", device="sas-1", cloud="hub") > 20, 30, "a backlog")
    wait_until(lambda: gateway.session("sas-1", "hub").get("waits_for") == "back-off", 30, "the back-off to be shown")
    shown = run("status", "-c", config, check=0).stdout
    assert re.search(r"^sas-1 .* hub .*\(again in [0-9.]+ s\)|^sas-1 .* (queued|connecting)", shown, re.M), shown
    link.command("restore hub")
    wait_until(lambda: all_online(gateway), 30, "the end of the outage")

    # The endpoint moves and goes with the configuration; nothing else is touched.
    def use(http):
        with open(config, encoding="utf-8") as file:
            text = file.read()
        stage.write("tidegate.yaml", re.sub(r"http: .*", f"http: '{http}'", text))
        gateway.reload()
    connects = gateway.session("sas-1", "hub")["connects"]
    other = free_port()
    use(f"localhost:{other}")
    wait_until(lambda: gateway.status()["gateway"].get("http", {}).get("address") == f"localhost:{other}", 30, "the reload")
    assert get(other, "/healthz")[0] == 200
    with contextlib.suppress(ConnectionRefusedError):
        raise AssertionError(get(port, "/healthz"))
    use("off")
    wait_until(lambda: "http" not in gateway.status()["gateway"], 30, "the endpoint to be off")
    assert gateway.session("sas-1", "hub")["connects"] == connects
    use(f"127.0.0.1:{port}")
    wait_until(lambda: "http" in gateway.status()["gateway"], 30, "the endpoint to be back")
    with socket.create_connection(("127.0.0.1", port)) as half:  # a stop does not wait for it
        half.sendall(b"GET / HT")
        wait_until(lambda: get(port, "/healthz")[0] == 200, 10, "an answer beside a half request")
        assert gateway.stop() == 0
        assert said(half) == b""
