#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""readme - every test that the README names as a proof exists in this build, and every file that it links to is there."""
import os
import re
import subprocess
import sys

source, build = sys.argv[1:3]
with open(os.path.join(source, "README.md"), encoding="utf-8") as file:
    text = file.read()
listing = subprocess.run(["ctest", "-N", "--test-dir", build], capture_output=True, text=True, check=True).stdout
known = set(re.findall(r"Test\s+#\d+: (\S+)", listing))
named = set(re.findall(r"`((?:test|scenario|tls|vector|fault|crash)_[a-z0-9_]+\*?)`", text))
missing = [name for name in named if not any(re.fullmatch(name.replace("*", ".*"), test) for test in known)]
links = [link for link in re.findall(r"\]\(([^)#:]+)\)", text) if not os.path.exists(os.path.join(source, link))]
for name in missing:
    print(f"README.md names {name}, which is no test")
for link in links:
    print(f"README.md links to {link}, which is not there")
print(f"{len(named)} tests named, {len(known)} known")
sys.exit(bool(missing or links or not named))
