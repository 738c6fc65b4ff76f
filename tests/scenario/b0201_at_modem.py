#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A modem's points are read, written and told unasked; what cannot be read says why, and no value is ever made up."""
import unittest

from at_support import OK, SUSPECT, Probe, point
from harness import Stage, wait_until

RSSI = {"command": "AT+CSQ", "match": r"^\+CSQ: (\d+),\d+$", "null": "99", "type": "int", "timeout": "300ms"}
POINTS = [
    *point("rssi", 50, **RSSI),
    *point("ber", 50, command="AT+CSQ", match=r"^\+CSQ: \d+,(\d+)$", null="99"),
    *point("temperature", 100, command="AT+TEMP?", match=r"^\+TEMP: (\S+)$", type="real"),
    *point("operator", 200, command="AT+COPS?", match=r'^\+COPS: \d,\d,"([^"]*)"', type="text"),
    *point("registration", 200, command="AT+CREG?", match=r"^\+CREG: \d,(\d+)", urc=r"^\+CREG: (\d+)$", type="int"),
    *point("message", 0, urc=r'^\+CMTI: "ME",(\d+)$', type="int"),
    *point("output", 60000, command="AT+UGPIOR=16", match=r"^\+UGPIOR: 16,(\d)$", type="bool", write="AT+UGPIOW=16,{value}",
           allow=["0", "1"]),
    *point("absent", 200, command="AT+NOPE?", match=r"^\+NOPE: (\d+)$"),
    *point("odd", 200, command="AT+CGMI", match=r"^\+CGMI: (\d+)$"),
]


class Modem(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)
        self.modem = self.stage.peer("at_modem.py", "--link", self.stage.path("port"), "--silence", 0, "--urcs", 0.3)
        self.probe = Probe(self.stage, self.stage.path("port"), *POINTS, script="cellular", pause="2ms")

    def test_modem(self):
        self.readings()
        self.writes()
        self.raw_commands()
        self.faults()
        said = self.probe.finish()
        for sample in (item for item in said if "sample" in item):
            values = sample["values"]
            self.assertTrue(10 <= values.get("rssi", 10) <= 22, sample)
            self.assertTrue(19.5 <= values.get("temperature", 20) <= 23.5, sample)
            self.assertIn(values.get("registration", 1), (1, 5), sample)
            self.assertTrue(1 <= values.get("message", 1) <= 20, sample)
            self.assertEqual(values.get("operator", "Tide Mobile"), "Tide Mobile")
            self.assertFalse({"absent", "odd", "ber"} & values.keys(), sample)
            both = sample["values"].keys() | sample["quality"].keys()
            self.assertFalse("rssi" in both and "ber" not in both, "points of one command are one sample")

    def readings(self):
        probe = self.probe
        for name in ("rssi", "temperature", "operator", "registration", "message", "output"):
            probe.wait_value(name)
        self.assertEqual(probe.values("output"), [False])
        probe.wait_quality("ber", "sensor")  # 99: the modem's "no value"
        probe.wait_quality("absent", "device")
        probe.wait_log('AT+NOPE? was answered "+CME ERROR: 4"')
        probe.wait_quality("odd", "sensor")
        probe.wait_log('no line of the answer to AT+CGMI fits its pattern; received "tidegate test works"')
        self.assertEqual(probe.states()[0], OK)
        wait_until(lambda: len(set(probe.values("rssi"))) > 1, 20, "the signal to move")

    def writes(self):
        status, answer = self.probe.ask("write 0 6 true")
        self.assertEqual((status, answer["status"]), (0, "ok"))
        self.assertEqual(self.modem.command("output 16"), {"value": 1})
        self.probe.wait_value("output", lambda value: value)  # read back long before its minute is over
        before = self.modem.command("stats")["commands"]
        for value in ("2", '"1\\r\\nAT+CFUN=0"', '"1;+CPWROFF"', '"1,1"', "null", "1.5"):
            status, answer = self.probe.ask("write 0 6 " + value)
            self.assertEqual(status, -1, answer)
            self.assertIn("nothing was sent", answer["error"])
        status, answer = self.probe.ask("write 0 0 1")
        self.assertEqual(status, -7)
        self.assertEqual(self.modem.command("output 16"), {"value": 1})
        self.assertGreater(self.modem.command("stats")["commands"], before - 1)

    def raw_commands(self):
        self.assertEqual(self.probe.ask('command {"command":"AT+COPS?"}'),
                         (0, {"lines": ['+COPS: 0,0,"Tide Mobile",7'], "status": "ok"}))
        status, answer = self.probe.ask('command {"command":"AT+WHAT"}')
        self.assertEqual((status, answer["status"], answer["code"]), (-6, "cme_error", 4))
        for wrong in ("{}", "[]", "nonsense", '{"command":""}', '{"command":"AT\\rAT"}', '{"command":"AT","timeout_ms":0}',
                      '{"command":7}'):
            self.assertEqual(self.probe.ask("command " + wrong)[0], -1, wrong)

    def faults(self):
        probe, modem = self.probe, self.modem
        since = len(probe.said)
        modem.command("silent 1")
        probe.wait_state(SUSPECT, since)
        probe.wait_state(OK, since)  # resynchronised without opening the port anew
        since = len(probe.said)
        modem.command("garbage on")
        for _ in range(5):
            probe.wait_value("rssi", since=since)
            probe.wait_value("temperature", since=since)
            since = len(probe.said)
        modem.command("garbage off")
        modem.command("refuse on")
        since = len(probe.said)
        probe.wait_quality("rssi", "device", since)
        modem.command("refuse off")
        probe.wait_value("rssi", since=len(probe.said))
        since = len(probe.said)
        modem.command("silent 1")
        status, answer = probe.ask('command {"command":"AT+COPS?","timeout_ms":100}')
        self.assertIn((status, answer["status"]), ((-5, "timeout"), (0, "ok")))  # a poll may have met the silence


if __name__ == "__main__":
    unittest.main()
