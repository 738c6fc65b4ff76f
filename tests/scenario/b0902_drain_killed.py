#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway that is killed while a backlog drains fairly, with fresh samples delivered ahead of it: the outbox is sound, nothing is missing
after the next start, and what comes twice is bounded by what was in flight and not yet stored."""
from drain import Rehearsal
from gateway import run
from harness import Stage, wait_until

DEVICES = [f"d{number}" for number in range(8)]
KILLS = 3
IN_FLIGHT = 5 * 20  # messages, samples in each

with Stage() as stage:
    case = Rehearsal(stage, {"fair": "fair"}, DEVICES, rate=200, count=2000)
    case.await_backlog(6400)
    case.link.command("restore broker")
    case.link.command("slow broker 20000")
    for kill in range(KILLS):
        def in_the_middle():
            case.collect()
            sessions = case.session("fair")
            return sum(session.get("acked_ahead", 0) > 10 and session["pending"] > 50 for session in sessions) >= len(DEVICES) / 2
        wait_until(in_the_middle, 60, "fresh samples acknowledged ahead of a backlog")
        case.gateway.kill()
        run("outbox", "verify", "-c", case.config, check=0)
        ahead = [line for line in run("outbox", "stats", "-c", case.config, check=0).stdout.splitlines() if "went ahead" in line]
        assert len(ahead) >= len(DEVICES) / 2, ahead
        case.gateway.start()
    case.link.command("restore broker")
    accounts = case.gateway.accounts()
    case.await_all("fair", accounts)
    assert case.gateway.stop() == 0
    run("outbox", "verify", "-c", case.config, check=0)
    case.collect()
    for device in DEVICES:
        came = case.of("fair", device)
        # Acknowledgements wait 200 ms for company: what the slow line carries in that time.
        bound = KILLS * (IN_FLIGHT + 150)
        print(device, len(came.seen), "samples", came.duplicates, "duplicates, at most", bound)
        assert came.duplicates <= bound
    case.close()
