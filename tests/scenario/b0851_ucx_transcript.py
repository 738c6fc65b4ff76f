#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The double of the module answers the application note's transcript as the document has it, line by line, times aside: echo,
prompts, frames and events, with a provisioning service that really answers."""
import hashlib
import json
import os
import select
import tty

from harness import SOURCE, Stage, wait_until
from hub import Dps, Hub
from pki import Pki

with open(os.path.join(SOURCE, "tests", "vectors", "southbound", "ucx_dps_transcript.json"), encoding="utf-8") as file:
    NOTE = json.load(file)
NAME = "global.azure-devices-provisioning.net"


class Wire:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        self.buffer = b""

    def read(self):
        while select.select([self.fd], [], [], 0)[0]:
            self.buffer += os.read(self.fd, 4096)
        return self.buffer

    def lines(self, want):
        """Takes text up to these lines, which must be all that came (what the boot loader says aside)."""
        def whole():
            text = self.read().decode("latin-1")
            return [line for line in text.replace("\r", "\n").split("\n") if line][-len(want):] == want
        wait_until(whole, 30, f"the module to say {want}")
        got = [line for line in self.buffer.decode("latin-1").replace("\r", "\n").split("\n") if line]
        if want != ["+STARTUP"]:
            assert got == want, (got, want)
        self.buffer = b""

    def frame(self):
        def whole():
            self.read()
            return len(self.buffer) > 3 and len(self.buffer) >= int.from_bytes(self.buffer[1:3], "big") + 4
        wait_until(whole, 30, "a frame")
        length = int.from_bytes(self.buffer[1:3], "big")
        frame, self.buffer = self.buffer[:length + 4], self.buffer[length + 4:]
        assert frame[0] == 0xAA and frame[-1] == 0x55, frame
        return int.from_bytes(frame[3:5], "big"), frame[5:-1]


def sent(step):
    """The frame of a step; its first five bytes are those that the document prints, unless its authors hid a text."""
    channel = bytes([step["channel"]]) if "channel" in step else b""
    payload = (b"\x00\x36" if channel else b"\x00\x44") + channel + step["text"].encode()
    frame = b"\xaa" + len(payload).to_bytes(2, "big") + payload + b"\x55"
    assert step.get("replaced") or frame[:5].hex().upper() == step["frame"], (frame[:5], step["frame"])
    return frame


def shape(text):
    """What of an answer of the service is the same for every device: keys and states."""
    answer = json.loads(text)
    return sorted(answer), answer["status"], "registrationState" in answer and answer["registrationState"]["assignedHub"] != ""


with Stage() as stage:
    pki = Pki(stage.path("pki"), (NAME,))
    hub = Hub(stage, pki)
    dps = Dps(stage, pki, hub, id_scope=NOTE["id_scope"])
    dps.enrol("ninadps", "x509-ca")
    dps.command("polls", "ninadps", 0)
    files = {}
    for name, source in (("ca.pem", "ca.pem"), ("cert.pem", "ninadps.pem"), ("key.pem", "ninadps.key")):
        with open(pki.path(source), "rb") as file:
            files[name] = file.read()
    module = stage.peer("ucx_module.py", "--wifi", "SSID=PASSWORD", "--map", f"{NAME}:8883=127.0.0.1:{dps.port},20.43.44.164")
    wire = Wire(module.ready["path"])
    upload = None
    for step in NOTE["steps"]:
        if "tx" in step:
            text = step["tx"]
            if text.startswith("AT+USECMNG"):  # our files have other sizes
                head, name, size = text.rsplit(",", 2)
                text = f"{head},{name},{len(files[name])}"
            os.write(wire.fd, text.encode() + b"\r")
        elif "upload" in step:
            upload = files[step["upload"]]
            os.write(wire.fd, upload)
        elif "rx" in step:
            want = [line.replace(step["md5"], hashlib.md5(upload).hexdigest().upper()) if "md5" in step else line for line in step["rx"]]
            if want[0].startswith("AT+USECMNG"):
                want[0] = text
            if want[0] == "ATO2":  # the start event comes right behind, which the note's script discards
                wait_until(lambda: b"\xaa\x00\x02\x00\x71\x55" in wire.read(), 30, "extended data mode")
                assert wire.buffer == b"ATO2\r\r\nOK\r\n\xaa\x00\x02\x00\x71\x55", wire.buffer
                wire.buffer = b""
                continue
            wire.lines(want)
        elif "frame" in step:
            os.write(wire.fd, sent(step))
        elif "response" in step:
            kind, payload = wire.frame()
            assert kind == 0x45 and payload.decode().split() == step["response"], (kind, payload, step)
        elif "event" in step:
            kind, payload = wire.frame()
            assert kind == 0x41 and payload.decode().strip() == step["event"], (kind, payload, step)
        elif "connect" in step:
            kind, payload = wire.frame()
            assert kind == 0x11 and payload == bytes([step["connect"], 2, 2, 20, 43, 44, 164, 0x22, 0xB3, 0, 0, 0, 0, 0, 0]), payload
        elif "data" in step:
            payload, whole = b"", None
            while whole is None:  # the module may hand an answer over in several frames
                kind, part = wire.frame()
                assert kind == 0x31 and part[0] == step["data"], (kind, part)
                payload += part[1:]
                try:
                    whole = shape(payload)
                except ValueError:
                    whole = None
            assert whole == shape(step["text"]), (payload, step["text"])
            if "operationId" in json.loads(payload) and "assigning" in step["text"]:
                operation = json.loads(step["text"])["operationId"], json.loads(payload)["operationId"]
                for later in NOTE["steps"]:  # the next question bears the id that was given here
                    if operation[0] in later.get("text", "") and later["text"].startswith("AT+UDUV"):
                        later["text"], later["replaced"] = later["text"].replace(*operation), True
    os.close(wire.fd)
    assert module.command("state")["mode"] in ("booting", "command")
    dps.record.wait("connect", "ninadps", "x509")
