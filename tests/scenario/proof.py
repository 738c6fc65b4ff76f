# SPDX-License-Identifier: GPL-2.0-or-later
"""proof - how a scenario takes part in `./dev prove` (tests/prove/README.md): how often it does what it does, and what came out.

    KILLS = count("TIDEGATE_KILLS", 8)                                    # 8 in the suite, 200 in a proof
    report("C4", "kill_loop", trials=KILLS, failures=lost, figures={"accepted": n, "duplicates": d}, note="what was done, in a sentence")
"""
import json
import os


def count(name, usual):
    """The number in the environment variable, or the usual one."""
    return int(os.environ.get(name) or usual)


def report(clause, test, trials, failures, figures=None, note=""):
    """One line in the file that TIDEGATE_PROOF names; nothing without it."""
    path = os.environ.get("TIDEGATE_PROOF")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"clause": clause, "test": test, "trials": trials, "failures": failures, "note": note,
                                   "figures": figures or {}}) + "\n")
