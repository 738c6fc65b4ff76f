#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The field peers answer as a meter and a modem do, and misbehave when told to."""
import json
import os
import select
import struct
import termios
import tty
import unittest

from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from harness import Stage, vectors, wait_until

PROFILES = vectors("southbound/modbus_profiles.json")


def floats(answer):
    return struct.unpack(f">{len(answer.registers) // 2}f", struct.pack(f">{len(answer.registers)}H", *answer.registers))


class Field(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)


class Meter(Field):
    def meter(self, *options):
        meter = self.stage.peer("meter_server.py", "--profiles", PROFILES, "--units", "1,2,3", "--dead", "3", *options)
        if "--rtu" in options:
            client = ModbusSerialClient(meter.ready["path"], baudrate=115200, timeout=1, retries=0)
        else:
            client = ModbusTcpClient("127.0.0.1", meter.ready["port"], timeout=1, retries=0)
        self.addCleanup(client.close)
        self.assertTrue(client.connect())
        return meter, client

    def read(self, client, unit, address=0, count=6):
        return client.read_input_registers(address, count, slave=unit)

    def check_map(self, client):
        with open(PROFILES, encoding="utf-8") as file:
            tags = json.load(file)["profiles"]["eastron_sdm630"]["tags"]
        for name, (address, _) in tags.items():
            value, = floats(self.read(client, 1, address, 2))
            if name.startswith("voltage"):
                self.assertTrue(220 < value < 240, (name, value))
            elif name == "frequency":
                self.assertTrue(49.9 < value < 50.1, value)
        first = self.read(client, 1).registers
        self.assertNotEqual(first, self.read(client, 2).registers)
        wait_until(lambda: self.read(client, 1).registers != first, 10, "the meter's values to move")

    def check_levers(self, meter, client):
        self.assertTrue(self.read(client, 3).isError())
        meter.command("alive 3")
        self.assertFalse(self.read(client, 3).isError())
        meter.command("except 2 6")
        self.assertEqual(self.read(client, 2).exception_code, 6)
        self.assertFalse(self.read(client, 1).isError())
        meter.command("except 2 0")
        meter.command("freeze 2 voltage_l1 231.5")
        self.assertEqual(floats(self.read(client, 2, 0, 2)), (231.5,))
        self.assertEqual(self.read(client, 1, 0, 82).exception_code, 2)
        self.assertEqual(self.read(client, 1, 400, 2).exception_code, 2)

    def check_writes(self, meter, client):
        client.write_coil(3, True, slave=1)
        client.write_registers(10, [7, 65535], slave=1)
        self.assertEqual(meter.command("coil 1 3"), {"value": 1})
        self.assertEqual(meter.command("holding 1 11"), {"value": 65535})
        self.assertEqual(client.read_holding_registers(10, 2, slave=1).registers, [7, 65535])
        self.assertTrue(client.read_discrete_inputs(3, 1, slave=1).bits[0])

    def test_tcp(self):
        meter, client = self.meter()
        self.check_map(client)
        self.check_levers(meter, client)
        self.check_writes(meter, client)
        self.assertEqual(meter.stop(), 0)

    def test_rtu(self):
        link = self.stage.path("serial port")
        meter, client = self.meter("--rtu", "--link", link)
        self.check_map(client)
        self.check_levers(meter, client)
        self.check_writes(meter, client)
        meter.command("damage")
        self.assertTrue(self.read(client, 1).isError())
        meter.command("unplug")
        self.assertFalse(os.path.exists(link))
        client.close()
        meter.command("plug")
        self.assertTrue(client.connect())
        self.assertFalse(self.read(client, 1).isError())
        self.assertEqual(meter.stop(), 0)


class Terminal:
    """The far simplest user of a modem: writes a line, collects what comes."""

    def __init__(self, path):
        self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.descriptor, termios.TCSANOW)
        self.text = ""

    def ask(self, command, until, seconds=5):
        self.text = ""
        os.write(self.descriptor, command.encode() + b"\r")
        wait_until(lambda: self.read() and until in self.text, seconds, f"{until!r} after {command}")
        return self.text

    def read(self, seconds=0.05):
        while select.select([self.descriptor], [], [], seconds)[0]:
            self.text += os.read(self.descriptor, 4096).decode("latin-1")
            seconds = 0
        return True

    def close(self):
        os.close(self.descriptor)


class Modem(Field):
    def modem(self, *options):
        modem = self.stage.peer("at_modem.py", *options)
        terminal = Terminal(modem.ready["path"])
        self.addCleanup(terminal.close)
        return modem, terminal

    def test_answers(self):
        modem, terminal = self.modem("--silence", "0", "--urcs", "0")
        self.assertEqual(terminal.ask("AT", "OK\r\n"), "AT\r\r\nOK\r\n")
        self.assertEqual(terminal.ask("ATE0", "OK\r\n"), "ATE0\r\r\nOK\r\n")
        self.assertEqual(terminal.ask("AT+CGMM", "OK\r\n"), "\r\nTM-1\r\n\r\nOK\r\n")
        for command, line in (("AT+CSQ", r"\+CSQ: \d+,99"), ("AT+CREG?", r"\+CREG: 0,1"),
                              ("AT+CEREG?", r"\+CEREG: 0,5"), ("AT+COPS?", r'\+COPS: 0,0,".+",7'),
                              ("AT+CCLK?", r'\+CCLK: "\d\d/\d\d/\d\d,\d\d:\d\d:\d\d\+00"'),
                              ("AT+TEMP?", r"\+TEMP: \d+\.\d"), ("AT+CIMI", r"\d{15}"), ("ATI", "TM-1")):
            self.assertRegex(terminal.ask(command, "OK\r\n"), line)
        first = terminal.ask("AT+CSQ", "OK\r\n")
        wait_until(lambda: terminal.ask("AT+CSQ", "OK\r\n") != first, 10, "the signal to move")
        self.assertEqual(terminal.ask("AT+NONSENSE", "ERROR"), "\r\nERROR\r\n")
        terminal.ask("AT+CMEE=1", "OK\r\n")
        self.assertIn("+CME ERROR: 4", terminal.ask("AT+NONSENSE", "ERROR: 4\r\n"))
        terminal.ask("AT+UGPIOW=16,1", "OK\r\n")
        self.assertIn("+UGPIOR: 16,1", terminal.ask("AT+UGPIOR=16", "OK\r\n"))
        self.assertEqual(modem.command("output 16"), {"value": 1})
        self.assertEqual(modem.stop(), 0)

    def test_bad_habits(self):
        link = self.stage.path("modem")
        modem, terminal = self.modem("--link", link, "--silence", "0.2", "--urcs", "0.05")
        wait_until(lambda: terminal.read() and "RING" in terminal.text and "+CMTI:" in terminal.text, 10, "URCs")

        def ask_once():
            os.write(terminal.descriptor, b"AT\r")
            return terminal.read() and modem.command("stats")["unanswered"] > 0

        wait_until(ask_once, 20, "a command without an answer")
        modem.command("silent -1")
        terminal.text = ""
        os.write(terminal.descriptor, b"AT+CGMM\r")
        wait_until(lambda: terminal.read() and "AT+CGMM" in terminal.text, 5, "the echo")
        modem.command("silent 0")
        modem.command("garbage on")
        wait_until(lambda: ask_once() and "x" * 3000 in terminal.text, 20, "garbage")
        modem.command("unplug")
        self.assertFalse(os.path.exists(link))
        self.assertTrue(os.path.exists(modem.command("plug")["path"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
