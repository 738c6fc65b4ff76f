#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""fake_pppd - stands where pppd would, to show how it is started and supervised. It does no PPP.

Beside it, in its own folder, it leaves `started` (a JSON line: arguments, environment, what came through descriptor 3, other open descriptors)
and reads `plan`: a JSON object with `exit` (the exit code), `lines` (said on stdout at once) and `stay` (true: until SIGTERM, then exit
code 5, or until the file `end` appears, then `exit`).
"""
import json
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(sys.argv[0]))


def main():
    with open(os.path.join(HERE, "plan"), encoding="utf-8") as file:
        plan = json.load(file)
    descriptors = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    words = sys.argv[1:]
    secret = os.read(3, 4096).decode() if "passwordfd" in words else None
    others = [fd for fd in descriptors if fd > 3 and os.path.exists(f"/proc/self/fd/{fd}")]
    with open(os.path.join(HERE, "started"), "a", encoding="utf-8") as file:
        file.write(json.dumps({"arguments": words, "environment": sorted(os.environ), "secret": secret, "descriptors": others,
                               "pid": os.getpid(), "readable": os.access(words[0], os.R_OK)}) + "\n")
    signal.signal(signal.SIGTERM, (lambda *unused: None) if plan.get("stubborn") else (lambda *unused: os._exit(5)))
    for line in plan.get("lines", ()):
        print(line, flush=True)
    while plan.get("stay") and not os.path.exists(os.path.join(HERE, "end")):
        time.sleep(0.05)
    return plan.get("exit", 0)


if __name__ == "__main__":
    sys.exit(main())
