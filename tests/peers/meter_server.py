#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""meter_server - Eastron SDM630 energy meters behind Modbus TCP or RTU, served by pymodbus (see control.py).

    meter_server.py --profiles modbus_profiles.json --units 1,2,3         →  {"ready": true, "port": 40001}
    meter_server.py --profiles modbus_profiles.json --units 1,2 --rtu     →  {"ready": true, "path": "/dev/pts/7"}
    meter_server.py --profiles … --units 1 --rtu-over-tcp                 →  {"ready": true, "port": 40002}

Input registers carry the register map of the profile as big-endian floats that move with time and differ by unit;
addresses without a parameter read 0, a read beyond the map or of more than --max-read registers (80 in the real
meter) is answered with exception 2. Holding registers 0…127 and coils 0…15 can be written and read back; discrete
inputs repeat the coils. Units in --dead never answer.

    dead UNIT | alive UNIT         the unit stops answering, or answers again
    except UNIT CODE               every answer of the unit is this exception; 0 = no more
    freeze UNIT NAME VALUE         a parameter stops moving
    holding UNIT ADDRESS           {"value": register}      coil UNIT ADDRESS → {"value": 0 or 1}
    late SECONDS                   (RTU) the next reply comes this late
    damage                         (RTU) one bit of the next reply is flipped
    unplug | plug                  (RTU) the port disappears, or is there again: {"path": "…"}
    stats                          {"requests": {"1": n, …}}
"""
import argparse
import asyncio
import json
import logging
import math
import struct
import sys
import time

from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext
from pymodbus.datastore.store import BaseModbusDataBlock, ModbusSequentialDataBlock
from pymodbus.device import ModbusDeviceIdentification
from pymodbus.pdu import ExceptionResponse
from pymodbus.server.async_io import ModbusSerialServer, ModbusTcpServer
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer

import control

NOMINAL = {"voltage": (230.0, 4.0), "current": (8.0, 3.0), "power": (1800.0, 600.0), "apparent": (1900.0, 600.0),
           "reactive": (120.0, 60.0), "pf": (0.95, 0.04), "frequency": (50.0, 0.05)}


class Parameters(BaseModbusDataBlock):
    """The moving input registers of one unit."""

    def __init__(self, unit, tags, max_read):
        self.unit, self.max_read = unit, max_read
        self.by_address = {address: name for name, (address, *_) in tags.items()}
        self.size = max(self.by_address) + 2
        self.frozen = {}
        self.begin = time.monotonic()

    def value(self, name):
        if name in self.frozen:
            return self.frozen[name]
        elapsed = time.monotonic() - self.begin
        kind = name.split("_")[0]
        if "energy" in name or "reactive_" in name and kind in ("import", "export"):
            return 1000.0 * self.unit + elapsed * 0.01
        middle, swing = NOMINAL.get(kind, (float(self.unit), 0.5))
        phase = sum(name.encode()) % 7 + self.unit
        return middle + swing * math.sin(elapsed * 0.9 + phase)

    def validate(self, address, count=1):
        return 0 < count <= self.max_read and address + count <= self.size

    def getValues(self, address, count=1):
        words = []
        for at in range(address, address + count):
            even = at if at in self.by_address else at - 1
            name = self.by_address.get(even)
            raw = struct.pack(">f", self.value(name)) if name else bytes(4)
            words.append(int.from_bytes(raw[(at - even) * 2:(at - even) * 2 + 2] if name else raw[:2], "big"))
        return words

    def setValues(self, address, values):
        raise ValueError("input registers are read-only")


class Meters:
    """All units of one server, with their levers."""

    def __init__(self, units, dead, tags, max_read):
        self.slaves = {}
        self.exceptions = {}
        self.requests = {}
        for unit in units:
            coils = ModbusSequentialDataBlock(0, [0] * 16)
            holding = ModbusSequentialDataBlock(0, [0] * 128)
            self.slaves[unit] = ModbusSlaveContext(di=coils, co=coils, hr=holding, zero_mode=True,
                                                   ir=Parameters(unit, tags, max_read))
        self.silent = set(dead)
        self.context = ModbusServerContext(slaves=self.slaves, single=False)

    def answer(self, response):
        """pymodbus hands every response through here before it is encoded."""
        unit = response.unit_id
        self.requests[unit] = self.requests.get(unit, 0) + 1
        response.should_respond = unit not in self.silent
        code = self.exceptions.get(unit, 0) if response.should_respond else 0
        if code:
            refusal = ExceptionResponse(response.function_code & 0x7f, code)
            refusal.transaction_id, refusal.unit_id = response.transaction_id, unit
            return refusal, False
        return response, False

    def dead(self, unit):
        self.silent.add(int(unit))

    def alive(self, unit):
        self.silent.discard(int(unit))

    def fail(self, unit, code):
        self.exceptions[int(unit)] = int(code)

    def freeze(self, unit, name, value):
        self.slaves[int(unit)].store["i"].frozen[name] = float(value)

    def holding(self, unit, address):
        return {"value": self.slaves[int(unit)].getValues(3, int(address), 1)[0]}

    def coil(self, unit, address):
        return {"value": int(self.slaves[int(unit)].getValues(1, int(address), 1)[0])}

    def stats(self):
        return {"requests": self.requests}

    def commands(self):
        return {"dead": self.dead, "alive": self.alive, "except": self.fail, "freeze": self.freeze,
                "holding": self.holding, "coil": self.coil, "stats": self.stats}


class Wire:
    """Two pty pairs joined: the gateway opens `port`, pymodbus opens `inner`."""

    def __init__(self, link):
        self.delay = 0.0
        self.flip = False
        self.port = control.Port(lambda data: self.inner.write(data), link)
        self.inner = control.Port(self.reply)

    def reply(self, data):
        data = bytearray(data)
        if self.flip and len(data) > 3:
            data[3] ^= 0x10
            self.flip = False
        delay, self.delay = self.delay, 0.0
        if delay:
            asyncio.get_running_loop().call_later(delay, self.port.write, bytes(data))
        else:
            self.port.write(bytes(data))

    def late(self, seconds):
        self.delay = float(seconds)

    def damage(self):
        self.flip = True


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", required=True, help="modbus_profiles.json")
    parser.add_argument("--profile", default="eastron_sdm630")
    parser.add_argument("--units", default="1")
    parser.add_argument("--dead", default="")
    parser.add_argument("--max-read", type=int, default=80)
    parser.add_argument("--rtu", action="store_true")
    parser.add_argument("--rtu-over-tcp", action="store_true")
    parser.add_argument("--model", help="what the units say to function 43/14: VENDOR/PRODUCT/REVISION")
    parser.add_argument("--link", help="with --rtu: a symbolic link to the port, so that its name stays")
    arguments = parser.parse_args()
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    with open(arguments.profiles, encoding="utf-8") as file:
        tags = json.load(file)["profiles"][arguments.profile]["tags"]

    def numbers(text):
        return [int(number) for number in text.split(",") if number]

    vendor, product, revision = (arguments.model or "//").split("/")
    identity = ModbusDeviceIdentification(info_name={"VendorName": vendor, "ProductCode": product, "MajorMinorRevision": revision})
    meters = Meters(numbers(arguments.units), numbers(arguments.dead), tags, arguments.max_read)
    commands = meters.commands()
    if arguments.rtu:
        wire = Wire(arguments.link)
        server = ModbusSerialServer(meters.context, ModbusRtuFramer, identity=identity, port=wire.inner.path, baudrate=115200,
                                    response_manipulator=meters.answer)
        await server.start()
        commands.update(late=wire.late, damage=wire.damage, unplug=wire.port.unplug, plug=wire.port.plug)
        await control.serve({"path": wire.port.path}, commands)
        return
    framer = ModbusRtuFramer if arguments.rtu_over_tcp else ModbusSocketFramer
    server = ModbusTcpServer(meters.context, framer, identity=identity, address=("127.0.0.1", 0),
                             response_manipulator=meters.answer)
    serving = asyncio.get_running_loop().create_task(server.serve_forever())
    await server.serving
    await control.serve({"port": server.server.sockets[0].getsockname()[1]}, commands)
    serving.cancel()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
