#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A certificate that ends soon is seen in time: in the log once, in the status with its days, in the metrics; a new file ends it."""
import datetime
import os
import pty
import re
import subprocess

from field import hub_cloud, identity, simulated
from gateway import PROGRAM, Gateway, configuration
from harness import Stage, free_port, wait_until
from hub import Hub
from pki import DAY, Pki
from prometheus import scrape

HOUR = datetime.timedelta(hours=1)
DEVICES = {"soon": 5 * DAY + HOUR, "later": 20 * DAY + HOUR, "fine": 300 * DAY + HOUR, "over": -2 * DAY - HOUR}


def on_terminal(config):
    """`tidegate status` as a person sees it."""
    ours, its = pty.openpty()
    with subprocess.Popen([PROGRAM, "status", "-c", config], stdout=its) as child:
        os.close(its)
        text = b""
        try:
            while part := os.read(ours, 65536):
                text += part
        except OSError:
            pass  # its end has closed
        assert child.wait() == 0
    os.close(ours)
    return text.decode().replace("\r\n", "\n")


with Stage() as stage:
    pki = Pki(stage.path("pki"))
    for device, end in DEVICES.items():
        pki.add(device, "x509-ca", begin=-30 * DAY, end=end)
    hub = Hub(stage, pki)
    link = stage.peer("link.py", f"hub=127.0.0.1:{hub.port}")
    port = free_port()
    config = configuration(stage, [hub_cloud(hub, link.ready["ports"]["hub"])], [
        simulated("rehearsal", {device: (["hub"], identity(pki, device, "x509-ca")) for device in DEVICES})], gateway={"http": f"127.0.0.1:{port}"})
    gateway = Gateway(stage, config)

    def online(*devices):
        return all(gateway.session(device, "hub")["state"] == "online" for device in devices)
    wait_until(lambda: online("soon", "later", "fine") and "certificate_days_left" in gateway.session("over", "hub"), 30, "the sessions")
    days = {device: gateway.session(device, "hub")["certificate_days_left"] for device in DEVICES}
    assert days == {"soon": 5, "later": 20, "fine": 300, "over": -3}, days
    metrics = scrape(port)
    assert {device: metrics.get("tidegate_session_certificate_days_left", device=device, cloud="hub") for device in DEVICES} == days

    shown = on_terminal(config)
    assert re.search(r"^soon .*\033\[33mcertificate ends in 5 days\033\[0m", shown, re.M), shown
    assert re.search(r"^later .*\033\[33mcertificate ends in 20 days\033\[0m", shown, re.M), shown
    assert re.search(r"^over .*\033\[31mcertificate ended 2 days ago\033\[0m", shown, re.M), shown
    assert not re.search(r"^fine .*certificate", shown, re.M), shown

    # Said once a day, however often it connects.
    link.command("cut hub")
    wait_until(lambda: gateway.session("soon", "hub")["state"] != "online", 20, "the cut")
    link.command("restore hub")
    wait_until(lambda: online("soon", "later", "fine"), 30, "them to be back")
    said = [line for line in gateway.errors().splitlines() if "its certificate end" in line]
    assert len(said) == 2, said
    end = datetime.datetime.utcfromtimestamp(gateway.session("soon", "hub")["certificate_ends_s"]).date()
    assert any(f"device=soon cloud=hub its certificate ends in 5 days, on {end}: renew it" in line and "warn" in line for line in said), said
    assert any("device=over cloud=hub its certificate ended on" in line and "error" in line for line in said), said

    # Renewed: the new file is read with the next connection.
    pki.add("soon", "x509-ca", end=100 * DAY + HOUR)
    link.command("cut hub")
    wait_until(lambda: gateway.session("soon", "hub")["state"] != "online", 20, "the cut")
    link.command("restore hub")
    wait_until(lambda: online("soon") and gateway.session("soon", "hub")["certificate_days_left"] == 100, 30, "the new certificate to be used")
    assert gateway.stop() == 0
