# SPDX-License-Identifier: GPL-2.0-or-later
"""sealed - the entries of tests/vectors/southbound/ble_*.json as sensors in the simulated air: what each says, under which address, with which key, and
what the gateway has to make of it."""
import glob
import json
import os

from air import SOURCE

FOLDER = os.environ.get("TIDEGATE_VECTORS") or os.path.join(SOURCE, "tests", "vectors")
# Which 16-bit number stands before the bytes that a file gives: of the service, or of the company.
NUMBERS = {"ble_bthome": 0xFCD2, "ble_mibeacon": 0xFE95, "ble_atc_pvvx": 0x181A, "ble_beacons": 0xFEAA, "ble_ruuvi": 0x0499}
# Errors of the entries, as the gateway counts them.
COUNTERS = {"version": "unsupported", "too_short": "malformed", "key_required": "key needed", "not_ibeacon": "other format"}


def numbered(names_and_values):
    """A name that comes again gets _2, _3 …"""
    found, seen = {}, {}
    for name, value in names_and_values:
        seen[name] = seen.get(name, 0) + 1
        found[f"{name}_{seen[name]}" if seen[name] > 1 else name] = value
    return found


def dashed(uuid):
    return "-".join((uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:]))


def readings_of(file, expect):
    """{reading: value}; None is the sensor's own "no value"."""
    if file in ("ble_bthome", "ble_mibeacon"):
        return numbered((o["name"], o.get("raw", o.get("value"))) for o in expect["objects"])
    said = {key: value for key, value in expect.items() if key not in ("format", "mac", "counter", "model", "error", "frame")}
    if file in ("ble_ruuvi", "ble_beacons") and "battery" in said:
        said["voltage"] = said.pop("battery")  # in volts: a voltage in every format
    if "uptime_s" in said:
        said["uptime"] = said.pop("uptime_s")
    if "uuid" in said:
        said["uuid"] = dashed(said["uuid"])
    return said


def profile_of(file, entry):
    if file == "ble_atc_pvvx":
        return "pvvx" if entry["expect"]["format"].startswith("pvvx") else "atc"
    if file == "ble_beacons":
        return "eddystone" if "service_data" in entry else "ibeacon"
    return {"ble_ruuvi": "ruuvitag"}.get(file, file[4:])


class Entry:
    def __init__(self, file, entry, index):
        expect = entry["expect"]
        self.file, self.id, self.event = file, entry["id"], entry.get("hci_event")
        self.key = entry.get("key") or entry.get("bindkey")
        self.profile = profile_of(file, entry)
        mac = expect.get("mac")
        self.address = (entry.get("address") or (mac and ":".join(mac[i:i + 2] for i in range(0, 12, 2))) or f"C2:00:00:00:00:{index:02X}").upper()
        self.rssi = entry.get("rssi", -61)
        self.data = self.content(entry)
        nothing = "error" in expect and file != "ble_govee" or expect.get("objects") == []
        # Where it says nothing: under which counter it is found.
        self.counter = COUNTERS.get(expect.get("error"), "unsupported") if nothing else "ok"
        self.readings = {} if nothing else {**readings_of(file, expect), "rssi": self.rssi}

    def content(self, entry):
        """The AD structure; of a whole event all its structures."""
        if self.event:
            packet = bytes.fromhex(self.event)
            at = 13 if packet[3] == 2 else 28  # the length's place in a legacy and in an extended report
            return packet[at + 1:at + 1 + packet[at]]
        whole = entry.get("manufacturer_data_with_company")
        body = bytes.fromhex(whole or entry.get("service_data") or entry["manufacturer_data"])
        if not whole:
            body = NUMBERS[self.file].to_bytes(2, "little") + body
        return bytes((len(body) + 1, 0x16 if "service_data" in entry else 0xFF)) + body

    @property
    def public(self):
        return not self.address.startswith("C2:")

    def play(self, adapter):
        """As the event says it, else as an advertisement with the bytes. `adapter` scans."""
        if self.event:
            adapter.say("event", self.event)
        else:
            say(adapter, self.address, self.data, self.rssi, self.public)


def say(adapter, address, data, rssi=-61, public=True):
    adapter.say("advert", ("public/" if public else "") + address, data.hex(), rssi)


def entries():
    """All but those of ble_hci_events, which are packets of a controller and no sensors."""
    found = []
    for path in sorted(glob.glob(os.path.join(FOLDER, "southbound", "ble_*.json"))):
        file = os.path.basename(path)[:-5]
        if file == "ble_hci_events":
            continue
        with open(path, encoding="utf-8") as opened:
            found += [Entry(file, entry, len(found) + i) for i, entry in enumerate(json.load(opened)["vectors"])]
    return found


def events():
    """Of ble_hci_events: {id: packet}."""
    with open(os.path.join(FOLDER, "southbound", "ble_hci_events.json"), encoding="utf-8") as file:
        return {entry["id"]: entry["hci_event"] for entry in json.load(file)["vectors"]}
