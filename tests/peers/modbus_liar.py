#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""modbus_liar - a Modbus server on a raw socket or pty that lies on demand (see control.py).

    modbus_liar.py --tcp | --rtu [--link PATH] | --rtu-over-tcp    →  {"ready": true, "port": 40001} or {"path": "…"}

Every unit answers; register A of unit U holds (1000·U + A) mod 65536 until it is written, bit A is A odd. So a value
that is taken from another answer shows. It knows functions 1 to 6, 15, 16 and 22, and keeps what is written.

    lie UNIT HOW [TIMES]   the next TIMES answers of the unit (default: all) are not honest; `lie UNIT honest` ends it
    left UNIT              {"left": lies still to tell}
    put UNIT REGISTER N    the register holds N
    hole FROM TO           reading any of these registers is exception 2
    log                    {"log": [[unit, function, address, count], …]} of all requests
    connections            {"connections": how many there were}
    drop                   closes all connections, in order
    stream on|off          sends noise without an end to everybody who is connected, answers nothing meanwhile
    unplug | plug          (RTU) the port disappears, or is there again

HOW is one of: silent, late:SECONDS, exception:CODE, tid, protocol, unit, function, length:DELTA, count:DELTA, crc,
swapped, nocrc, half, dribble, noise, echo, twice, reset, flood, wrongecho, deaf (does not do what it is told,
and says nothing), second:U (a second answer in the same segment, unit U's), gap:SECONDS (a pause within the frame), odd (an odd
byte count), short (reads less than it was asked for), shift (answers one request behind, like a
unit that was late once).
"""
import argparse
import asyncio
import random
import socket
import struct
import sys

import control


def crc(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0xA001 if value & 1 else 0)
    return struct.pack("<H", value)


class Liar:
    def __init__(self, tcp):
        self.tcp = tcp
        self.lies, self.written, self.bits, self.holes = {}, {}, {}, []
        self.requests, self.connections, self.held, self.open = [], 0, {}, set()
        self.streaming, self.wires = False, set()

    # --- what a device would say ------------------------------------------------------------

    def register(self, unit, address):
        return self.written.get((unit, address), (1000 * unit + address) & 0xFFFF)

    def bit(self, unit, address):
        return self.bits.get((unit, address), address & 1)

    def honest(self, body):
        """The body (unit, function, …) of the right answer; None = a broadcast."""
        unit, function, address, count = struct.unpack(">BBHH", body[:6].ljust(6, b"\0"))
        self.requests.append([unit, function, address, count if function not in (5, 6, 22) else 1])
        units = range(1, 248) if unit == 0 and not self.tcp else [unit]
        if function in (1, 2):
            values = [self.bit(unit, address + i) for i in range(count)]
            packed = bytes(sum(bit << k for k, bit in enumerate(values[i:i + 8])) for i in range(0, count, 8))
            return bytes([unit, function, len(packed)]) + packed
        if function in (3, 4):
            if any(address <= hole[1] and address + count > hole[0] for hole in self.holes):
                return bytes([unit, function | 0x80, 2])
            data = b"".join(struct.pack(">H", self.register(unit, address + i)) for i in range(count))
            return bytes([unit, function, len(data)]) + data
        if function not in (5, 6, 15, 16, 22):
            return bytes([unit, function | 0x80, 1])
        for each in units:
            if function == 5:
                self.bits[each, address] = int(count == 0xFF00)
            elif function == 6:
                self.written[each, address] = count
            elif function == 15:
                for i in range(count):
                    self.bits[each, address + i] = body[7 + i // 8] >> (i % 8) & 1
            elif function == 16:
                for i in range(count):
                    self.written[each, address + i] = struct.unpack(">H", body[7 + 2 * i:9 + 2 * i])[0]
            elif function == 22:
                old, other = self.register(each, address), struct.unpack(">H", body[6:8])[0]
                self.written[each, address] = (old & count) | (other & ~count & 0xFFFF)
        if unit == 0 and not self.tcp:
            return None
        return body[:8] if function == 22 else body[:6]

    # --- frames -------------------------------------------------------------------------------

    def frame(self, body, tid, protocol=0, delta=0):
        if self.tcp:
            return struct.pack(">HHH", tid, protocol, (len(body) + delta) & 0xFFFF) + body
        return body + crc(body)

    def take(self, buffer):
        """(request frame, its body, tid) and removes it from buffer; None while it is not complete."""
        if self.tcp:
            if len(buffer) < 7 or len(buffer) < 6 + struct.unpack(">H", buffer[4:6])[0]:
                return None
            size = 6 + struct.unpack(">H", buffer[4:6])[0]
            frame = bytes(buffer[:size])
            del buffer[:size]
            return frame, frame[6:], struct.unpack(">H", frame[:2])[0]
        if len(buffer) < 8:
            return None
        size = {15: 9 + buffer[6], 16: 9 + buffer[6], 22: 10}.get(buffer[1], 8)
        if len(buffer) < size:
            return None
        frame = bytes(buffer[:size])
        del buffer[:size]
        if crc(frame[:-2]) != frame[-2:]:
            buffer.clear()
            return None
        return frame, frame[:-2], 0

    def lie_for(self, unit):
        how, left = self.lies.get(unit, ("honest", 0))
        if how == "honest":
            return how
        if left is not None:
            self.lies[unit] = (how, left - 1) if left > 1 else ("honest", 0)
        return how

    def serve(self, buffer, wire):
        while (request := self.take(buffer)) is not None:
            frame, body, tid = request
            if self.streaming:
                continue
            if self.lies.get(body[0], ("",))[0] == "deaf":
                self.requests.append([body[0], body[1], *struct.unpack(">HH", body[2:6])])
                self.lie_for(body[0])
                continue
            answer = self.honest(body)
            if answer is not None:
                self.tell(frame, answer, tid, wire)

    def tell(self, request, body, tid, wire):
        how, _, argument = self.lie_for(body[0]).partition(":")
        good = self.frame(body, tid)
        if how == "late":
            asyncio.get_running_loop().call_later(float(argument), wire.write, good)
        elif how == "shift":
            before, self.held[body[0]] = self.held.get(body[0]), good
            if before:
                wire.write(before)
        elif how == "exception":
            wire.write(self.frame(bytes([body[0], body[1] | 0x80, int(argument)]), tid))
        elif how == "dribble":
            wire.dribble(good)
        elif how == "gap":
            wire.write(good[:4])
            asyncio.get_running_loop().call_later(float(argument), wire.write, good[4:])
        elif how == "reset":
            wire.write(good[:len(good) // 2])
            wire.reset()
        else:
            for part in self.lie(how, argument, request, body, tid, good):
                wire.write(part)

    def lie(self, how, argument, request, body, tid, good):
        if how == "honest":
            return [good]
        if how == "silent":
            return []
        if how == "half":
            return [good[:len(good) // 2]]
        if how == "noise":
            return [bytes(random.randrange(256) for _ in range(5)) + good]
        if how == "echo":
            return [request, good]
        if how == "twice":
            return [good + good]
        if how == "wrongecho":
            return [self.frame(body[:3] + bytes([body[3] ^ 1]) + body[4:], tid)]
        if how == "second":
            other = bytes([int(argument)]) + body[1:3] + bytes(byte ^ 0x55 for byte in body[3:])
            return [good + self.frame(other, (tid + 1) & 0xFFFF)]
        # From here on the values are wrong as well, so that it shows when such a frame is believed.
        if body[1] <= 4:
            body = body[:3] + bytes(byte ^ 0x55 for byte in body[3:])
        changed, good = bytearray(body), self.frame(body, tid)
        if how == "tid":
            return [self.frame(body, (tid + 1) & 0xFFFF)]
        if how == "protocol":
            return [self.frame(body, tid, protocol=int(argument or 1))]
        if how == "unit":
            changed[0] = changed[0] % 247 + 1
            return [self.frame(bytes(changed), tid)]
        if how == "function":
            changed[1] = 4 if changed[1] == 3 else 3
            return [self.frame(bytes(changed), tid)]
        if how == "length":
            return [self.frame(body, tid, delta=int(argument))]
        if how == "count":
            changed[2] = (changed[2] + int(argument)) & 0xFF
            return [self.frame(bytes(changed), tid)]
        if how == "odd":
            return [self.frame(body[:2] + bytes([body[2] - 1]) + body[3:-1], tid)]
        if how == "short":
            return [self.frame(body[:2] + bytes([0]), tid)]
        if how == "crc":
            return [good[:-1] + bytes([good[-1] ^ 0x10])]
        if how == "swapped":
            return [good[:-2] + good[-1:] + good[-2:-1]]
        if how == "nocrc":
            return [good[:-2]]
        if how == "flood":
            return [self.frame(body, (tid + 1 + i) & 0xFFFF) for i in range(300)]
        raise ValueError("unknown lie " + how)

    # --- levers -------------------------------------------------------------------------------

    def set_lie(self, unit, how, times=None):
        self.lies[int(unit)] = (how, int(times) if times else None)
        self.held.pop(int(unit), None)

    def left(self, unit):
        how, left = self.lies.get(int(unit), ("honest", 0))
        return {"left": 0 if how == "honest" else left if left is not None else -1}

    def put(self, unit, address, value):
        self.written[int(unit), int(address)] = int(value)

    def hole(self, first, last):
        self.holes.append((int(first), int(last)))

    def drop(self):
        for transport in self.open:
            transport.close()

    def stream(self, which):
        self.streaming = which == "on"
        if self.streaming:
            self.pour()

    def pour(self):
        """About 100 KB a second, of bytes that are no frame; TCP: of frames that nobody asked for."""
        if not self.streaming:
            return
        noise = self.frame(bytes([1, 3, 4, 0, 0, 0, 0]), 0xFFFF) * 80 if self.tcp else bytes(range(5, 250)) * 4
        for wire in self.wires:
            if wire.can_take():
                wire.write(noise)
        asyncio.get_running_loop().call_later(0.01, self.pour)

    def commands(self):
        return {"drop": self.drop, "stream": self.stream, "lie": self.set_lie, "left": self.left, "hole": self.hole, "put": self.put,
                "log": lambda: {"log": self.requests}, "connections": lambda: {"connections": self.connections}}


class Connection(asyncio.Protocol):
    def __init__(self, liar):
        self.liar, self.buffer, self.transport = liar, bytearray(), None

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.liar.connections += 1
        self.liar.open.add(transport)
        self.liar.wires.add(self)

    def connection_lost(self, _):
        self.liar.open.discard(self.transport)
        self.liar.wires.discard(self)

    def data_received(self, data):
        self.buffer += data
        self.liar.serve(self.buffer, self)

    def write(self, data):
        if not self.transport.is_closing():
            self.transport.write(data)

    def can_take(self):
        return self.transport.get_write_buffer_size() < 1 << 16

    def dribble(self, data):
        self.write(data[:1])
        if data[1:]:
            asyncio.get_running_loop().call_later(0.002, self.dribble, data[1:])

    def reset(self):
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                                           struct.pack("ii", 1, 0))
        self.transport.abort()


class SerialWire:
    def __init__(self, liar, link):
        self.liar, self.buffer = liar, bytearray()
        self.port = control.Port(self.received, link)
        liar.wires.add(self)

    def can_take(self):
        return len(self.port.waiting) < 4096

    def received(self, data):
        self.buffer += data
        self.liar.serve(self.buffer, self)

    def write(self, data):
        self.port.write(data)

    dribble = Connection.dribble

    def reset(self):
        pass


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    transport = parser.add_mutually_exclusive_group(required=True)
    for name in ("--tcp", "--rtu", "--rtu-over-tcp"):
        transport.add_argument(name, action="store_true")
    parser.add_argument("--link", help="with --rtu: a symbolic link to the port, so that its name stays")
    arguments = parser.parse_args()
    liar = Liar(arguments.tcp)
    commands = liar.commands()
    if arguments.rtu:
        wire = SerialWire(liar, arguments.link)
        commands.update(unplug=wire.port.unplug, plug=wire.port.plug)
        await control.serve({"path": wire.port.path}, commands)
        return
    server = await asyncio.get_running_loop().create_server(lambda: Connection(liar), "127.0.0.1", 0)
    await control.serve({"port": server.sockets[0].getsockname()[1]}, commands)
    server.close()


if __name__ == "__main__":
    control.die_with_parent()
    sys.exit(asyncio.run(main()))
