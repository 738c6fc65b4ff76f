#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `tidegate check` says of the mistakes that are made when a source is written: the line and column of the mistake, what is wrong, what
is allowed. What it lets pass must not be what the first start refuses."""
import os

from gateway import run
from harness import Stage

FILE = """\
gateway: {{name: site, state_dir: state, control_socket: control.sock}}
clouds:
  - {{name: local, type: mqtt, host: 127.0.0.1, port: 1, tls: off}}
sources:
  - name: bus
    plugin: {plugin}
    settings: {settings}
    devices:
      - id: {id}
        clouds: [local]
        settings: {device}
        points: [{point}]
"""
TCP, PORT, CELLULAR = "transport: tcp, host: 10.0.0.5", "port: /dev/ttyS0", "port: /dev/ttyS0, script: cellular"
REGISTER, SIGNAL, AIR = "name: v, address: input:0", "name: v, cellular: rssi", "name: temperature"
LINE = "name: v, match: 'T=([0-9]+)'"
AT = "name: v, command: AT+CSQ, match: 'CSQ: ([0-9]+)', every: 10s"

# plugin, source's settings, device's settings, point, and what is said: "" = nothing is wrong
CASES = (
    ("modbus", TCP, "unit: 1", REGISTER, ""),
    ("modbus", "transport: tcp, hots: 10.0.0.5", "unit: 1", REGISTER, '7:32: unknown key "hots" in a source\'s settings: did you mean "host"?'),
    ("modbus", TCP, "unit: 300", REGISTER, "11:26: unit: 300 is out of range: 0 to 255 is allowed"),
    ("modbus", TCP, "unit: 250", REGISTER, "11:26: unit: unit 250 is reserved: allowed are 0 to 247 and 255"),
    ("modbus", TCP, "unit: 1, address_base: 1", REGISTER,
     '12:37: address: address "input:0" has no valid number: allowed is 1 to 65536 (0x1 to 0x10000), because address_base is 1'),
    ("modbus", TCP, "unit: 1", "name: v, address: holding:70000", 'has no valid number: allowed is 0 to 65535 (0x0 to 0xFFFF)'),
    ("modbus", TCP, "unit: 1", "name: v, address: input:0.16", "has no valid bit: allowed is .0 to .15 for one bit, or .LOW-HIGH such as .3-7"),
    ("modbus", TCP, "unit: 1", "name: v, address: coil:0.1", 'address "coil:0.1": a coil is one bit already'),
    ("modbus", TCP, "unit: 1", "name: v, address: register:0", "names no table: allowed is coil:N, discrete:N, input:N or holding:N"),
    ("modbus", TCP, "unit: 1", "name: v, address: input:0, type: float32, order: ABDC", '12:68: order: "ABDC" is not one of ABCD, CDAB, BADC, DCBA'),
    ("modbus", TCP, "unit: 1, no_read: [10-5]", REGISTER, '11:38: no_read: no_read entry "10-5" is no range: allowed are N, N-M and TABLE:N-M'),
    ("modbus", TCP, "unit: 1, only_multiple: true, only_single: true", REGISTER, "only_single: only_multiple and only_single exclude each other"),
    ("modbus", TCP, "unit: 1", "name: v, address: input:0, type: int16, sentinel: [FFFF8000]",
     "sentinel: FFFF8000 never stands there: the value has 16 bits, so at most 4 hexadecimal digits"),
    ("modbus", TCP + ", rs485: true", "unit: 1", REGISTER,
     "7:55: rs485: belongs to a serial port, and transport tcp has none: remove it, or write transport: rtu"),
    ("modbus", "transport: rtu", "unit: 1", REGISTER, "7:15: transport rtu needs port: the path of a serial port, like /dev/ttyUSB0"),
    ("modbus", TCP, "unit: 1, profile: eastron-smd120", REGISTER, '11:38: profile: plugin modbus has no profile "eastron-smd120": did you mean "eastron-sdm120"?'),
    ("modbus", TCP, "unit: 1", REGISTER + ", scale: 1e400", "is too large for a number"),
    ("at", PORT, "", AT, ""),
    ("at", PORT + ", baud: 1234", "", AT, "7:40: baud: baud 1234 is no rate of serial ports; 9600 and 115200 are common"),
    ("at", PORT + ", baud: auto, baud_candidates: [9600, fast]", "", AT, "baud_candidates: baud fast is no rate of serial ports"),
    ("at", PORT + ', init: [ATE0, "AT\\rATD112"]', "", AT, "init: command 2 holds a control character, which would end it early"),
    ("at", PORT + ", pin_file: good.pin", "", AT, "7:44: pin_file: needs `script: cellular`"),
    ("at", PORT + ", ppp: true", "", AT, "ppp: needs `script: cellular`"),
    ("at", CELLULAR + ", pin_file: good.pin", "", SIGNAL, ""),
    ("at", CELLULAR + ", pin_file: open.pin", "", SIGNAL, "open.pin can be read or written by others (mode 0644); run: chmod 600 '"),
    ("at", CELLULAR + ", pin: 1234", "", SIGNAL, "pin: a secret is never written into this file: put it into a file with mode 0600 and name that"),
    ("at", CELLULAR + ", apn: 'a\"b'", "", SIGNAL, "apn: holds a character that an AT command cannot"),
    ("at", CELLULAR + ", apn_auth: pap", "", SIGNAL, "apn_auth: needs apn_user"),
    ("at", PORT, "", AT.replace("]+)", "]+"), "12:52: match: pattern \"CSQ: ([0-9]+\" is wrong at character 13: missing closing parenthesis"),
    ("ble", "adapter: hci0", "address: a4:c1:38:00:00:01", AIR, ""),
    ("ble", "adapter: eth0", "address: a4:c1:38:00:00:01", AIR, '7:25: adapter: "eth0" is neither hciN nor an address such as 00:1a:7d:da:71:13'),
    ("ble", "accept: [bthome, ruvi]", "address: a4:c1:38:00:00:01", AIR, 'accept: "ruvi" is no format; there are bthome, ruuvi, mibeacon'),
    ("ble", "method: monitor, scan: active", "address: a4:c1:38:00:00:01", AIR, "method: monitor listens only; scan: active needs method: raw, or auto"),
    ("ble", "", "address: a4:c1:38", AIR, "address: "),
    ("ble", "", "address: a4:c1:38:00:00:01, bind_key_file: open.pin", AIR, "run: chmod 600 '"),
    ("ucx", PORT, "peer: sps://D4CA6E8A1B2Cp", LINE, ""),
    ("ucx", PORT, "peer: D4CA6E8A1B2C", LINE, "11:26: peer: peer begins with sps:// or spp://"),
    ("ucx", PORT + ", baud: 12345", "", LINE, "7:40: baud: 12345 is no rate of serial ports; 115200 is these modules' default"),
    ("ucx", PORT + ', init: ["AT\\r"]', "", LINE, "init: command 1 holds a control character"),
    ("ucx", "", "", LINE, '7:15: missing "port" in the source\'s settings'),
)

with Stage() as stage:
    for name, mode in (("good.pin", 0o600), ("open.pin", 0o644)):
        os.chmod(stage.write(name, "1234"), mode)
    for plugin, settings, device, point, says in CASES:
        text = FILE.format(plugin=plugin, settings="{%s}" % settings, id="device-1", device="{%s}" % device, point="{%s}" % point)
        file = stage.write("tidegate.yaml", text)
        checked = run("check", "-c", file, check=None)
        said = checked.stderr
        assert (checked.returncode == 0) == (says == ""), f"{plugin} {settings} {device} {point}:\n{said}{checked.stdout}"
        assert says in said and (not says or said.count("\n") == 1), f"{plugin} {settings} {device} {point}:\n{said}\n{says}"
