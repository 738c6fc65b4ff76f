# SPDX-License-Identifier: GPL-2.0-or-later
"""field - ready-made pieces of configuration for gateway scenarios: clouds, simulated devices, identities."""


def hub_cloud(hub, port=None, name="hub", **more):
    """The cloud entry for a Hub; `port` when a link stands between."""
    return {"name": name, "type": "azure-iot-hub", "host": "localhost", "port": port or hub.port, "ca_file": hub.pki.path("ca.pem"),
            "keepalive": "30s", "min_backoff": "100ms", "max_backoff": "500ms", "connect_timeout": "3s", "handshake_timeout": "3s",
            "ack_timeout": "5s", "max_connects_per_second": 200, "batch": {"max_samples": 20, "max_bytes": 3900, "max_delay": "50ms"}, **more}


def broker_cloud(port, ca_file=None, name="broker", **more):
    """The cloud entry for any MQTT broker on this port; without ca_file the connection is not encrypted."""
    tls = {"ca_file": ca_file} if ca_file else {"tls": "off"}
    return {"name": name, "type": "mqtt", "host": "localhost", "port": port, "keepalive": "30s", "min_backoff": "100ms",
            "max_backoff": "500ms", "connect_timeout": "2s", "handshake_timeout": "2s", "ack_timeout": "2s",
            "max_connects_per_second": 200, **tls, **more}


def identity(pki, device, kind):
    if kind == "sas":
        return {"sas_key_file": pki.path(f"{device}.sas")}
    return {"certificate": pki.path(f"{device}.pem"), "key": pki.path(f"{device}.key")}


def simulated(name, devices, every="20ms", **settings):
    """A source of simulated devices; devices is {id: (clouds, identity or None)}."""
    return {"name": name, "plugin": "simulator", "devices": [
        {"id": device, "clouds": clouds, **({"identity": who} if who else {}), "settings": {"every": every, **settings},
         "points": [{"name": "value", "signal": "counter"}, {"name": "level", "signal": "sine"},
                    {"name": "setpoint", "signal": "constant", "low": 21, "writable": True, "min": 0, "max": 100}]}
        for device, (clouds, who) in devices.items()]}


def all_online(gateway):
    return all(cloud["state"] == "online" for device in gateway.status()["devices"] for cloud in device["clouds"])


def accepted(gateway, device):
    return gateway.device(device)["last_seq"]
