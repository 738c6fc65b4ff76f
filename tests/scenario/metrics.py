# SPDX-License-Identifier: GPL-2.0-or-later
"""metrics - what /metrics says while a fault is there: docs/faults.md promises a metric beside each line.

    web = free_port()                                       # harness.py
    configuration(…, gateway={"http": f"127.0.0.1:{web}"})
    metric(web, "tidegate_outbox_state", state="full") == 1
"""
import re
import urllib.request


def metric(port, name, **labels):
    """The sum of the samples of that name that have these labels; a name that is not on the page is a mistake."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    found = re.findall(rf"^{name}(?:{{([^}}]*)}})? (\S+)$", page, re.M)
    assert found, f"no metric {name}"
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(float(value) for has, value in found if all(text in has for text in wanted))
