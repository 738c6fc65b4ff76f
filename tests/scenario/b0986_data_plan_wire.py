#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A meter's values in full, deflated messages cost at most 0.15 of what they cost each by itself, says an independent relay, resumption included."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from wire import measure  # noqa: E402
from harness import Stage  # noqa: E402

with Stage() as stage:
    found = measure(stage, "20ms", 240, 40)
    print(f"{found['together']:.1f} B a value together, {found['apart']:.0f} B apart")
    assert found["together"] <= 0.15 * found["apart"], found
