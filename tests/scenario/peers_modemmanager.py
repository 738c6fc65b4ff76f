#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The modem's double is right: Debian's ModemManager, an AT client that knows real modems, takes it for one: identity, SIM and its PIN,
registration, operator, signal. What this gateway reads from it is then worth something.

ModemManager is not installed (that would start a service that grabs serial ports) but unpacked; it gets a bus of its own and a
port that is an abstract socket. Without a Debian mirror the test is skipped."""
import json
import os
import subprocess
import sys

from harness import PYTHON, SOURCE, Process, Stage, wait_until

sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
from debian_packages import NotToBeHad, environment, unpacked  # noqa: E402

PACKAGES = ("modemmanager", "libmm-glib0", "libmbim-glib4", "libqmi-glib5", "libqrtr-glib0", "libgudev-1.0-0", "libpolkit-gobject-1-0")
PIN = "4711"

if os.environ.get("TIDEGATE_OWN_BUS") != "yes":
    os.environ["TIDEGATE_OWN_BUS"] = "yes"
    os.execvp("dbus-run-session", ["dbus-run-session", "--", PYTHON, "-B", *sys.argv])

try:
    root = unpacked(*PACKAGES)
except NotToBeHad as why:
    print(f"skipped: {why}")
    sys.exit(77)
env = {**environment(root), "DBUS_SYSTEM_BUS_ADDRESS": os.environ["DBUS_SESSION_BUS_ADDRESS"]}  # mmcli looks at the system's bus

with Stage() as stage:
    def call(method, *arguments):
        return subprocess.run(["gdbus", "call", "--session", "--dest", "org.freedesktop.ModemManager1", "--object-path", "/org/freedesktop/ModemManager1",
                               "--method", method, *arguments], capture_output=True, text=True, timeout=30, check=False)

    def mmcli(*arguments):
        done = subprocess.run(["mmcli", "--output-json", *arguments], capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, **env})
        if done.returncode != 0:
            return {"error": done.stdout + done.stderr}
        return json.loads(done.stdout) if done.stdout.startswith("{") else {}

    def modem():
        found = mmcli("-L").get("modem-list", [])
        return mmcli("-m", found[0]).get("modem", {}) if found else {}

    port = f"abstract:port{os.getpid()}"
    peer = stage.peer("at_modem.py", "--abstract", port, "--silence", 0, "--urcs", 0, "--pin", PIN)
    peer.command("signal 17 20 50")
    peer.command("register 5 7")
    manager = Process(stage, "ModemManager", [
        "ModemManager", "--test-session", "--test-enable", "--test-no-udev", "--test-no-suspend-resume", "--test-no-qrtr", "--no-auto-scan",
        "--test-plugin-dir=" + os.path.join(root, "usr/lib", os.path.basename(env["LD_LIBRARY_PATH"].split(":")[0]), "ModemManager")], env=env)
    wait_until(lambda: call("org.freedesktop.ModemManager1.Test.SetProfile", "test", "generic", f"['{port}']").returncode == 0, 60,
               "ModemManager on its bus")
    try:
        # --- what it is, and that its SIM is locked
        wait_until(lambda: modem().get("generic", {}).get("state") == "locked", 60, "the modem to be found, locked")
        generic = modem()["generic"]
        assert (generic["manufacturer"], generic["model"], generic["revision"]) == ("tidegate test works", "TM-1", "01.02"), generic
        assert generic["equipment-identifier"] == "356938035643809", generic
        assert generic["unlock-required"] == "sim-pin", generic
        # --- a wrong PIN, the right one
        sim = generic["sim"]
        wrong = mmcli("-i", sim, "--pin=1111")
        assert "error" in wrong and peer.command("stats")["pins"] == 1, wrong
        right = mmcli("-i", sim, "--pin=" + PIN)
        wait_until(lambda: modem().get("generic", {}).get("state") in ("disabled", "enabled", "registered"), 60, "the SIM to be open")
        assert peer.command("stats")["pins"] == 2, right
        # --- on the air
        path = mmcli("-L")["modem-list"][0]
        wait_until(lambda: mmcli("-m", path, "--enable").get("error") is None or modem()["generic"]["state"] == "registered", 60, "it to be switched on")
        wait_until(lambda: modem().get("generic", {}).get("state") == "registered", 60, "it to be registered")
        now = modem()
        assert now["3gpp"]["registration-state"] == "roaming" and now["3gpp"]["operator-name"] == "Tide Mobile", now["3gpp"]
        wait_until(lambda: modem()["generic"]["signal-quality"]["value"] == str(17 * 100 // 31), 60, "the signal")
        assert "lte" in modem()["generic"]["access-technologies"], modem()["generic"]
    except Exception:
        print(json.dumps(modem(), indent=1), json.dumps(peer.command("log")["commands"]))
        raise
    manager.signal(15)
