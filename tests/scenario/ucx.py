# SPDX-License-Identifier: GPL-2.0-or-later
"""ucx - a u-connectXpress module on a pty (peers/ucx_module.py), and `tidegate module` beside it.

    desk = Desk(stage, pki, clouds, {"meter-1": ("hub", identity)})
    module = Module(stage, {("hub.example", 8883): hub.port})
    desk.provision("meter-1", module, "--hello", "hi", says="is connected to")
"""
import subprocess

import yaml

from gateway import PROGRAM

SSID, PASSWORD = "yard net", "hunter2hunter2"


class Module:
    def __init__(self, stage, names=None, *options):
        maps = [word for (host, port), there in (names or {}).items() for word in ("--map", f"{host}:{port}=127.0.0.1:{there}")]
        self.peer = stage.peer("ucx_module.py", "--wifi", f"{SSID}={PASSWORD}", *maps, *options)
        self.port = self.peer.ready["path"]
        self.command = self.peer.command

    @property
    def said(self):
        return self.command("said")["commands"]

    @property
    def state(self):
        return self.command("state")


class Desk:
    """A configuration file, and the command line that works on it. devices: {id: (cloud, identity)}."""

    def __init__(self, stage, clouds, devices):
        self.stage = stage
        self.wifi = stage.write("wifi.password", PASSWORD + "\n")
        self.config = stage.write("module.yaml", yaml.safe_dump({
            "gateway": {"name": "site-7", "state_dir": stage.folder, "control_socket": stage.path("c.sock"), "http": "off"},
            "clouds": clouds,
            "sources": [{"name": "rehearsal", "plugin": "simulator", "devices": [
                {"id": device, "clouds": [cloud], **({"identity": identity} if identity else {}), "points": [{"name": "v"}]}
                for device, (cloud, identity) in devices.items()]}]}))

    def run(self, *words, code=0, says=(), secrets=(PASSWORD,)):
        """Standard output and error; `says`: what they must hold; secrets: what they must not."""
        done = subprocess.run([PROGRAM, "module", *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
        text = done.stdout + done.stderr
        assert done.returncode == code, f"{words}: exit code {done.returncode}, not {code}\n{text}"
        for part in [says] if isinstance(says, str) else says:
            assert part in text, f"{part!r} is not in what {words} says:\n{text}"
        for secret in secrets:
            assert secret not in text, f"a secret is in what {words} says:\n{text}"
        return text

    def provision(self, device, module, *words, wifi=True, **more):
        network = ("--ssid", SSID, "--wifi-password-file", self.wifi) if wifi else ()
        return self.run("provision", device, "-c", self.config, "--port", module.port, *network, *words, **more)

    def dry_run(self, device, *words):
        text = self.run("provision", device, "-c", self.config, "--dry-run", "--ssid", SSID, "--wifi-password-file", self.wifi, *words)
        return text.splitlines()


