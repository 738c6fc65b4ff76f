#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The data link: dialled, handed to pppd with fixed arguments and the password through a pipe, supervised and hung up; while pppd has the port
nothing is asked over it, with a second port AT goes on; what ends it is said in words and tried again; nothing stays behind. (pppd itself:
tests/guest/checks.)"""
import json
import os
import shutil
import signal

from cellular import NOWHERE, modem, modem_source, run, secret, uplink
from harness import PEERS, Stage, wait_until

UP = ["Using interface ppp0", "Connect: ppp0 <--> /dev/ttyUSB2", "local  IP address 10.64.64.64", "remote IP address 10.64.64.65"]


def starts(folder):
    path = os.path.join(folder, "started")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def plan(folder, **what):
    for name in ("started", "end"):
        if os.path.exists(os.path.join(folder, name)):
            os.unlink(os.path.join(folder, name))
    with open(os.path.join(folder, "plan.new"), "w", encoding="utf-8") as file:
        json.dump(what, file)
    os.replace(os.path.join(folder, "plan.new"), os.path.join(folder, "plan"))


def end(folder):
    with open(os.path.join(folder, "end"), "w", encoding="utf-8"):
        pass


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


with Stage() as stage:
    folder = stage.path("sbin")
    os.mkdir(folder)
    shutil.copy(os.path.join(PEERS, "fake_pppd.py"), os.path.join(folder, "pppd"))
    shutil.copy(os.path.join(PEERS, "control.py"), folder)
    secret(stage, "ppp.password", "pa ss\n")
    settings = {"ppp": True, "ppp_program": os.path.join(folder, "pppd"), "ppp_user": "web", "ppp_password_file": stage.path("ppp.password"),
                "ppp_options": ["mtu", "1400"]}
    peer = modem(stage)
    plan(folder, stay=True, lines=UP, exit=16)
    gateway = run(stage, [NOWHERE], modem_source(stage, settings=settings))

    # --- one port: the link is up, nothing is asked
    wait_until(lambda: uplink(gateway).get("state") == "up", 30, "the data link")
    assert uplink(gateway)["text"] == "data link up, address 10.64.64.64", uplink(gateway)
    started = starts(folder)
    assert len(started) == 1 and started[0]["secret"] == "pa ss", started
    words = started[0]["arguments"]
    assert words[:3] == [stage.path("port"), "115200", "nodetach"] and words[-2:] == ["mtu", "1400"], words
    assert " ".join(words).count("user web plugin passwordfd.so passwordfd 3") == 1 and "pa ss" not in words, words
    assert set(started[0]["environment"]) <= {"LC_ALL", "LC_CTYPE", "PATH"} and not started[0]["descriptors"], started
    assert started[0]["readable"], "the port was not free"
    commands = peer.command("log")["commands"]
    assert commands.count("ATD*99***1#") == 1 and peer.command("stats")["online"]
    refused = gateway.send("modem-1", "at", {"command": "AT"}, check=None)
    assert "the data link has the port" in refused.stdout + refused.stderr, refused
    assert gateway.device("modem-1")["state"] == "ok"

    # --- it ends: said in words, hung up with +++, tried again
    end(folder)
    wait_until(lambda: "pppd: the modem hung up (exit code 16)" in gateway.errors(), 30, "the reason")
    wait_until(lambda: uplink(gateway)["state"] == "down", 30, "the uplink to go")
    plan(folder, stay=True, lines=UP, exit=0)
    wait_until(lambda: "ATH" in peer.command("log")["commands"], 30, "the modem to be hung up")
    wait_until(lambda: uplink(gateway)["state"] == "up" and len(starts(folder)) == 1, 40, "the next link")

    # --- killed from outside; then a failing login
    pid = starts(folder)[0]["pid"]
    plan(folder, exit=19, lines=["PAP authentication failed"])
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "pppd was killed by signal 9" in gateway.errors(), 30, "the kill to be seen")
    wait_until(lambda: "check ppp_user and ppp_password_file (exit code 19)" in gateway.errors(), 40, "the failing login to be told")
    assert uplink(gateway)["state"] == "down" and "pa ss" not in gateway.errors()

    # --- a crash in the middle of a hang-up leaves the modem online, where it hears no command: it is hung up before anything else
    gateway.kill()
    plan(folder, stay=True, lines=UP, exit=0)
    assert peer.command("stats")["online"]
    gateway.start()
    wait_until(lambda: uplink(gateway).get("state") == "up", 40, "the data link after the crash")

    # --- two ports: AT goes on; the end of the gateway is pppd's
    gateway.stop()
    peer.command("hangup")
    data = stage.peer("at_modem.py", "--link", stage.path("data"), "--silence", 0, "--urcs", 0)
    plan(folder, stay=True, lines=UP, exit=0)
    gateway = run(stage, [NOWHERE], modem_source(stage, settings={**settings, "data_port": stage.path("data")}), name="two.yaml")
    wait_until(lambda: uplink(gateway).get("state") == "up", 30, "the data link on its own port")
    assert "ATD*99***1#" in data.command("log")["commands"] and starts(folder)[0]["arguments"][0] == stage.path("data")
    asked = peer.command("stats")["commands"]
    wait_until(lambda: peer.command("stats")["commands"] > asked + 5, 30, "AT to go on")
    assert "TM-1" in gateway.send("modem-1", "at", {"command": "AT+CGMM"}).stdout
    pid = starts(folder)[0]["pid"]
    assert alive(pid) and gateway.stop() == 0
    wait_until(lambda: not alive(pid), 30, "pppd to end with the gateway")

    # --- no pppd there
    os.unlink(os.path.join(folder, "pppd"))
    gateway.start()
    wait_until(lambda: "cannot be started: No such file or directory (Debian's package is ppp)" in gateway.errors(), 30, "that pppd is missing")
    assert gateway.stop() == 0
