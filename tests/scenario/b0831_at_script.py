#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A script of the integrator's own: final results of the device, words, several lines, raw bytes in three forms, and data behind
prompts, counted and as blocks; initial commands with their own time, sent again after a restart."""
import unittest

from at_support import OK, Probe, point
from harness import Stage, wait_until

POINTS = [
    *point("state", 100, command="AT+STATE?", match=r"^\+STATE: (\w+)$", map=["OPEN=1", "SHUT=0"], type="int"),
    *point("last", 100, command="AT+LEVELS?", match=r"\+LEVEL: 3,(\d+)$", span="answer", type="int"),
    *point("first", 100, command="AT+LEVELS?", match=r"^\+LEVEL: 1,(\d+)$", type="int"),
    *point("heat", 100, command="MEASURE", match=r"^(\d+\.\d)$", type="real"),
    *point("line", 100, command="AT+READ=0", match=r"^\+READ: ", payload="line", type="bytes"),
    *point("quoted", 100, command="AT+USORD=0,64", match=r"^\+USORD: 0,", payload="quoted", payload_field=1, type="bytes"),
    *point("block", 100, command="AT+USORB=0", match=r"^\+USORB:0,", payload="block", type="bytes"),
    *point("part", 100, command="AT+READ=1", match=r"^\+READ: ", payload="line", payload_match=r"H(\w)L", type="text"),
    *point("sms", 0, write='AT+CMGS="+49151"', prompt="> ", data="T={value}"),
    *point("counted", 0, write="AT+USOWR=0,{length}", prompt="@", data_end="none", data_format="hex"),
    *point("sent", 0, write="AT+USOWB=0", write_block="true", data_format="hex"),
]
SMS, COUNTED, SENT = 8, 9, 10


class Script(unittest.TestCase):
    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)
        self.device = self.stage.peer("at_device.py", "--link", self.stage.path("port"))

    def probe(self, **more):
        options = {"pause": "2ms", "timeout": "500ms", "init": ["ATE0", "AT+MODE=1"], "urc_reboot": ["+BOOT:"],
                   "final_ok": "^DONE$", "final_error": r"^FAIL (\d+)$", **more}
        return Probe(self.stage, self.stage.path("port"), *POINTS, **options)

    def test_reading(self):
        probe = self.probe()
        for name, value in (("state", 1), ("last", 30), ("first", 10), ("heat", 21.5), ("line", "48454c4c4f"),
                            ("quoted", "48454c4c4f"), ("block", "48454c4c4f"), ("part", "E")):
            self.assertEqual(probe.wait_value(name), value, name)
        nasty = b'\r\nOK\r\n"\x00\x1a\xff+STATE: SHUT\r\n\x01\x00'.hex()
        self.device.command(f"data {nasty}")
        since = len(probe.said)
        for name in ("line", "quoted", "block"):
            probe.wait_value(name, lambda value: value == nasty, since)
        self.device.command("state SHUT")
        probe.wait_value("state", lambda value: value == 0, since)
        self.device.command("state AJAR")
        probe.wait_quality("state", "sensor", since)
        self.device.command("fail on")
        probe.wait_quality("heat", "device", since)
        probe.wait_log('MEASURE was answered "FAIL 7"', since)
        self.assertLessEqual(set(probe.values("state")), {0, 1})
        self.assertEqual(set(probe.values("last")) | set(probe.values("first")), {10, 30})
        probe.finish()

    def test_writing(self):
        probe = self.probe()
        probe.wait_state(OK)
        self.assertEqual(probe.ask(f'write 0 {SMS} "a,b"')[0], 0)
        self.assertEqual(probe.ask(f'write 0 {COUNTED} "000d1a1bff"')[0], 0)
        self.assertEqual(probe.ask(f'write 0 {SENT} "0d011a"')[0], 0)
        want = [b"T=a,b\x1a".hex(), "000d1a1bff", "0d011a"]
        self.assertEqual(self.device.command("stats")["data"], want)
        for value in (r'"a\r"', r'"a\n"', r'"a\u0000"', r'"a\u001a"', r'"a\u001b"'):
            status, answer = probe.ask(f"write 0 {SMS} {value}")
            self.assertIn("control character", answer["error"])
            self.assertLess(status, 0)
        self.assertIn("hexadecimal", probe.ask(f'write 0 {COUNTED} "abc"')[1]["error"])
        self.assertEqual(self.device.command("stats")["data"], want)  # nothing of it was sent
        probe.wait_value("state", since=len(probe.said))
        probe.finish()

    def test_initial_commands(self):
        self.device.command("slow 1.2")
        probe = self.probe(init=["ATE0", "AT+SLOW"], init_timeouts=["AT+SLOW=10s"])  # longer than `timeout`
        probe.wait_state(OK)
        self.assertEqual(probe.values("state")[:1], [1])
        self.assertNotIn("timeout", probe.qualities("state"))
        before = self.device.command("stats")["commands"]["ATE"]
        self.device.command("slow 0.4")  # there is time to look whether it takes too long
        self.device.command("boot")
        wait_until(lambda: self.device.command("stats")["commands"]["ATE"] > before, 30, "ATE0 after the restart")
        wait_until(lambda: not self.device.command("stats")["echo"], 30, "the echo to be off again")
        probe.wait_value("state", since=len(probe.said))
        self.assertFalse([text for text in probe.logs() if "took longer" in str(text)])
        probe.finish()
        probe = self.probe(init=["AT+SLOW"] * 4, init_limit="1s")  # each in time, all together not
        probe.wait_log("took longer than 1 s; opening the port anew")
        self.assertFalse(probe.values("state"))
        probe.finish()


if __name__ == "__main__":
    unittest.main()
