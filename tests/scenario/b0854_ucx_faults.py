#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where provisioning stops, people read at which step, at which command, what the module said, what to do, and what it has by then;
nothing of it is a secret. What was mended goes through."""
import os
from concurrent.futures import ThreadPoolExecutor

from field import hub_cloud, identity
from harness import Stage, wait_until
from hub import Dps, Hub
from pki import Pki
from ucx import PASSWORD, SSID, Desk, Module

HUB, DPS = "contoso.azure-devices.net", "global.azure-devices-provisioning.net"

with Stage() as stage:
    pki = Pki(stage.path("pki"), (HUB, DPS))
    hub = Hub(stage, pki, options={"hosts": HUB})
    dps = Dps(stage, pki, hub, host=HUB)
    pki.add("m1", "x509-ca")
    pki.add("m2", "sas")
    dps.enrol("m3", "x509-ca")
    dps.command("outcome", "m3", "disabled")
    other = Pki(stage.path("other"))
    other.add("m1", "x509-ca")
    section = {**hub_cloud(hub, name="assigned"), "provisioning": {"id_scope": dps.id_scope}, "port": 8883}
    del section["host"]
    desk = Desk(stage, [{**hub_cloud(hub), "host": HUB, "port": 8883}, section,
                        {"name": "no-ca", "type": "azure-iot-hub", "host": HUB}], {
        "m1": ("hub", identity(pki, "m1", "x509-ca")), "m2": ("hub", identity(pki, "m2", "sas")),
        "m3": ("assigned", identity(pki, "m3", "x509-ca")), "m4": ("no-ca", identity(pki, "m1", "x509-ca")),
        "m5": ("hub", {"certificate": pki.path("m1.pem"), "key": "pkcs11:token=t;object=o?pin-source=file:" + pki.path("m2.sas")})})
    module = Module(stage, {(HUB, 8883): hub.port, (DPS, 8883): dps.port})

    def stops(*says, device="m1", words=(), **more):
        return desk.provision(device, module, *words, code=1, says=("tidegate module provision: ", *says), **more)

    # --- before anything is sent
    desk.run("provision", "m1", "--port", module.port, "-c", desk.config, code=2, says="--ssid is missing")
    desk.run("provision", "m1", "--ssid", SSID, "-c", desk.config, code=2, says="--port PORT is missing")
    desk.run("provision", "m1", "--port", module.port, "--ssid", SSID, "--baud", "9601", code=2, says="--baud takes a rate")
    stops('there is no device "m9"', device="m9")
    stops("the module has no roots of its own", device="m4")
    stops("--register-only needs a cloud with a provisioning section", words=("--register-only",))
    os.chmod(desk.wifi, 0o644)
    stops("chmod", words=())
    os.chmod(desk.wifi, 0o600)
    desk.run("provision", "m1", "-c", desk.config, "--port", stage.path("no-such-port"), "--ssid", SSID, code=1, says="is the device plugged in?")
    assert module.said == [], module.said

    # --- the module
    module.command("silent", -1)
    stops("stopped at finding the module: nothing answers", "Nothing was changed on the module.")
    module.command("silent", 0)
    module.command("garbage", "on")
    desk.run("info", "--port", module.port, code=1, says="is the baud rate right")
    module.command("garbage", "off")
    module.command("enter", "data")
    desk.run("info", "--port", module.port, says="command mode")  # the escape sequence led out of data mode
    module.command("fail", "AT+UFACTORY")
    stops('stopped at the factory reset: AT+UFACTORY: the module answered "ERROR"', "Nothing was changed on the module.")
    module.command("fail", "AT+USECMNG=0,2")
    stops("stopped at the upload of the private key: AT+USECMNG=0,2,key.pem,", "The module has by now: factory settings, ca.pem, cert.pem.")
    module.command("corrupt", "on")
    text = stops("stopped at the upload of the CA certificate", "is not the MD5 of what was sent", "--flow rtscts")
    assert "cert.pem" not in text.split("by now")[1]
    module.command("corrupt", "off")
    module.command("fail", "ATO2")
    stops("stopped at entering extended data mode: ATO2")
    module.command("fail", "AT+UWSC=0,8")
    stops("stopped at setting up Wi-Fi: AT+UWSC=0,8,***", secrets=(PASSWORD,))
    module.command("fail", "AT+UDUV")
    stops("stopped at connecting to the cloud: AT+UDUV=0,***", "Wi-Fi settings (until it restarts)", device="m2",
          secrets=(PASSWORD, "SharedAccessSignature", pki.secret("m2")))

    # --- the network
    module.command("wifi", SSID, "another password")
    stops("stopped at joining the Wi-Fi network",
          '"+UUWLD:0,4"', "is the password right")
    module.command("wifi", SSID, PASSWORD)

    # --- the cloud
    pki.enable("m1", False)
    stops("stopped at connecting to the cloud", f"{HUB} ended the connection", "it refuses the login", "ca.pem, cert.pem, key.pem, Wi-Fi")
    pki.enable("m1", True)
    stops(f"{HUB} ended the connection", "the root of the server's certificate", words=("--ca-file", other.path("ca.pem")))
    stops("stopped at", "the provisioning service refused: disabled", device="m3")
    dps.command("outcome", "m3", "assigned")

    # --- mended
    desk.provision("m3", module, says="m3 is connected to")
    desk.provision("m1", module, says="m1 is connected to")

    # --- unplugged in the middle: at the last Wi-Fi setting or while it joins, whichever the answer to the former reaches
    module.command("wifi", SSID, "gone")
    with ThreadPoolExecutor(1) as pool:
        before = len(module.said)
        stopped = pool.submit(stops, "was unplugged", "That was at ", "ca.pem, cert.pem, key.pem")
        wait_until(lambda: any(line.startswith("AT+UWSCA") for line in module.said[before:]), 30, "the module to look for the network")
        module.command("unplug")
        stopped.result()
    module.peer.stop()
