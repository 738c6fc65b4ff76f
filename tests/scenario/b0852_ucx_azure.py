#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A module is provisioned for Azure IoT Hub with a certificate, with a shared key, and through the provisioning service; the hub that
enforces its logins has each as that device, and hears what it says. What is printed holds no secret."""
from field import hub_cloud, identity
from harness import Stage, wait_until
from hub import Dps, Hub
from pki import Pki
from ucx import Desk, Module

HUB = "contoso.azure-devices.net"
DPS = "global.azure-devices-provisioning.net"

with Stage() as stage:
    pki = Pki(stage.path("pki"), (HUB, DPS))
    hub = Hub(stage, pki, options={"hosts": HUB})
    dps = Dps(stage, pki, hub, host=HUB)
    pki.add("by-cert", "x509-ca")
    pki.add("by-key", "sas")
    dps.enrol("by-dps", "x509-ca")
    dps.command("polls", "by-dps", 1)
    group = stage.write("group.key", dps.group("meters") + "\n")
    dps.enrol("by-group", group="meters")
    cloud = {**hub_cloud(hub), "host": HUB, "port": 8883}
    section = {**hub_cloud(hub, name="assigned"), "provisioning": {"id_scope": dps.id_scope}, "port": 8883}
    del section["host"]
    desk = Desk(stage, [cloud, section], {
        "by-cert": ("hub", identity(pki, "by-cert", "x509-ca")), "by-key": ("hub", identity(pki, "by-key", "sas")),
        "by-dps": ("assigned", identity(pki, "by-dps", "x509-ca")), "by-group": ("assigned", {"derive_from_group": group})})
    module = Module(stage, {(HUB, 8883): hub.port, (DPS, 8883): dps.port})

    def private(device):
        with open(pki.path(f"{device}.key"), encoding="utf-8") as file:
            return file.read().splitlines()[1]

    # --- a certificate: what is printed with --dry-run is what is sent
    planned = desk.dry_run("by-cert", "--hello", "from by-cert")
    text = desk.provision("by-cert", module, "--hello", "from by-cert", "--show", says=f"by-cert is connected to {HUB}",
                          secrets=("hunter2hunter2", private("by-cert"), "PRIVATE KEY"))
    hub.record.wait("connect", "by-cert", "x509")
    wait_until(lambda: hub.record.telemetry("by-cert"), 30, "the module's greeting")
    shown = [line.strip()[3:] for line in text.splitlines() if line.startswith("  -> ")]
    assert shown == planned, (shown, planned)
    commands = [command for command in module.said if command != "AT"]
    assert [c for c in planned if c.startswith("AT")] == [c.replace('"hunter2hunter2"', "***").replace("hunter2hunter2", "***")
                                                         for c in commands], (planned, commands)
    with hub.service() as service:  # and it hears what the cloud says: the module hands it to its host
        service.c2d("by-cert", "hello module")
        wait_until(lambda: module.command("delivered")["data"] == ["hello module"], 30, "the cloud's message at the module")

    # --- a shared key: the token goes through a variable; the module was left in extended data mode by the run before
    assert module.state["mode"] == "edm"
    key = pki.secret("by-key")
    text = desk.provision("by-key", module, "--hello", "from by-key", "--show", says=("its token ends at", "AT+UDUV=0,***"),
                          secrets=("hunter2hunter2", key, "SharedAccessSignature", "sig="))
    hub.record.wait("connect", "by-key", "sas")
    wait_until(lambda: hub.record.telemetry("by-key"), 30, "the module's greeting")
    assert any(command.startswith('AT+UDUV=0,"SharedAccessSignature sr=') for command in module.said)

    # --- through the provisioning service, with a certificate and with a group's key
    desk.provision("by-dps", module, "--hello", "from by-dps", says=(f"assigned to {HUB} as by-dps", "is connected to"))
    dps.record.wait("connect", "by-dps", "x509")
    hub.record.wait("connect", "by-dps", "x509")
    wait_until(lambda: hub.record.telemetry("by-dps"), 30, "the module's greeting")
    assert [entry["kind"] for entry in dps.requests("by-dps")][:2] == ["register", "poll"]
    desk.provision("by-group", module, "--hello", "from by-group", "--command-limit", "256", says="by-group is connected to")
    hub.record.wait("connect", "by-group", "sas")
    assert all(len(command) <= 256 or "AT+UDUV" in command for command in module.said[-12:]), module.said[-12:]

    # --- registered only, as the note's script does, and restarted
    desk.provision("by-dps", module, "--register-only", "--restart", says=f"assigned to {HUB} as by-dps")
    wait_until(lambda: module.state["mode"] == "command", 20, "the module to have restarted")

    # --- keeping what is there: certificates of the same names are replaced, Wi-Fi is joined anew
    before = module.state["certificates"]
    desk.provision("by-cert", module, "--no-reset", says="by-cert is connected to")
    after = module.state["certificates"]
    assert before["ca.pem"] == after["ca.pem"] and before["key.pem"] != after["key.pem"]
    assert module.said.count("AT+UFACTORY") == 5, module.said
    module.peer.stop()
