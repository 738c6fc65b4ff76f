#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""sunspec_devices - SunSpec devices behind Modbus TCP, served by pymodbus (see control.py).

    sunspec_devices.py 1:40000:1,103,203 2:0:1,111 3:50000:1,101,124      →  {"ready": true, "port": 40001}

UNIT:BASE:MODELS, the models in the order in which they stand. Registers outside the chain are answered with exception 2, and so is
a read that goes beyond it. What is not named below is "not implemented" (8000, FFFF, 0, NaN by its type).

    set UNIT MODEL OFFSET WORD…    registers of a model (0 is its id)
    models UNIT BASE MODELS        another chain (a new firmware); connections stay
    drop                           ends all connections
    reads UNIT                     {"reads": n} requests so far
"""
import asyncio
import logging
import struct
import sys

from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext
from pymodbus.datastore.store import BaseModbusDataBlock
from pymodbus.server.async_io import ModbusTcpServer

import control

LENGTHS = {1: 66, 101: 50, 103: 50, 111: 60, 113: 60, 124: 24, 203: 105, 213: 124, 160: 48}
NAN = (0x7FC0, 0)


def text(value, registers):
    raw = value.encode().ljust(registers * 2, b"\0")
    return struct.unpack(f">{registers}H", raw)


def real(value):
    return struct.unpack(">HH", struct.pack(">f", value))


def blank(model):
    """Everything "not implemented"."""
    words = [0xFFFF] * (LENGTHS[model] + 2)
    if model == 1:
        words[2:] = [0] * LENGTHS[1]
        words[2:18], words[18:34], words[50:66] = text("Tidewater", 16), text("TW-5000", 16), text("SN 4711", 16)
        words[42:50] = text("1.2.3", 8)
    elif model in (101, 103):
        for offset in (6, 13, 14, 15, 17, 18, 19, 20, 21, 22, 23, 26, 28, 30, 31, 32, 33, 34, 35, 36, 37):
            words[offset] = 0x8000
        words[24:26] = [0, 0]
        words[14:18] = [0xFF85, 0x0001, 4998, 0xFFFE]     # −123 × 10^1 W, 49.98 Hz
        words[10], words[13] = 2314, 0xFFFF                # 231.4 V
        words[24:27] = [0x0001, 0x86A0, 2]                 # 100000 × 10^2 Wh
        words[38] = 4
    elif model in (111, 113):
        for offset in range(2, 48, 2):
            words[offset:offset + 2] = NAN
        words[22:24], words[24:26] = real(4321.5), real(50.0)
    elif model == 203:
        for offset in range(2, 107):
            words[offset] = 0x8000
        words[18], words[22] = 250, 0
        words[38:40], words[46:48], words[54] = [0, 0], [0, 777], 0
    elif model == 124:
        words[8], words[22] = 875, 0xFFFF
    words[0], words[1] = model, LENGTHS[model]
    return words


class Chain(BaseModbusDataBlock):
    def __init__(self, base, models):
        self.reads = 0
        self.change(base, models)

    def change(self, base, models):
        self.base, self.at = base, {}
        self.words = [0x5375, 0x6E53]
        for model in models:
            self.at[model] = len(self.words)
            self.words += blank(model)
        self.words += [0xFFFF, 0]

    def validate(self, address, count=1):
        self.reads += 1
        return self.base <= address and address + count <= self.base + len(self.words)

    def getValues(self, address, count=1):
        return self.words[address - self.base:address - self.base + count]

    def setValues(self, address, values):
        raise AssertionError("nobody writes here")


def models_of(words):
    return [int(word) for word in words.split(",") if word]


async def main():
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    chains = {}
    for argument in sys.argv[1:]:
        unit, base, models = argument.split(":")
        chains[int(unit)] = Chain(int(base), models_of(models))
    context = ModbusServerContext(slaves={unit: ModbusSlaveContext(hr=chain, zero_mode=True) for unit, chain in chains.items()}, single=False)
    server = ModbusTcpServer(context, address=("127.0.0.1", 0))
    serving = asyncio.get_running_loop().create_task(server.serve_forever())
    await server.serving

    def put(unit, model, offset, *words):
        chain = chains[int(unit)]
        at = chain.at[int(model)] + int(offset)
        chain.words[at:at + len(words)] = [int(word, 0) for word in words]

    def drop():
        for handler in list(server.active_connections.values()):
            handler.transport.close()

    commands = {"set": put, "drop": drop, "models": lambda unit, base, models: chains[int(unit)].change(int(base), models_of(models)),
                "reads": lambda unit: {"reads": chains[int(unit)].reads}}
    await control.serve({"port": server.server.sockets[0].getsockname()[1]}, commands)
    serving.cancel()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
