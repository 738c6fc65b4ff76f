#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""faults - docs/faults.md cannot rot: the fixed text of each line that it quotes is in the sources, each metric is one, each test exists; and every row has them."""
import glob
import os
import re
import sys

source = os.path.abspath(sys.argv[1])


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


# Adjacent literals are one text; what printf fills in ends a piece of it.
program = "".join(re.sub(r'"\s*(?:PRI\w+\s*)?"', "", read(path)) for folder in ("core", "store", "northbound", "southbound", "plugins")
                  for path in glob.glob(os.path.join(source, folder, "**", "*.c"), recursive=True))
metrics = set(re.findall(r'"(tidegate_[a-z_]+)"', read(os.path.join(source, "core/gateway/metrics.c"))))
areas = "".join(read(path) for path in [*glob.glob(os.path.join(source, "tests/areas/*.cmake")), os.path.join(source, "tests/CMakeLists.txt")])
scenarios = {re.sub(r"^b\d+_", "scenario_", os.path.basename(path)[:-3]) for path in glob.glob(os.path.join(source, "tests/scenario/b[0-9]*.py"))}
programs = {os.path.basename(path)[:-2] for path in glob.glob(os.path.join(source, "tests/*/test_*.c"))}


def there(test):
    return (test in scenarios or test in programs) and re.search(rf"\b(?:{test}|{test.removeprefix('test_')}|b\d+_{test.removeprefix('scenario_')})\b", areas)


wrong, rows = [], 0
for number, line in enumerate(read(os.path.join(source, "docs/faults.md")).splitlines(), 1):
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if not line.startswith("|") or cells[0] in ("fault", "---"):
        continue
    rows += 1
    if len(cells) != 6 or not all(cells):
        wrong.append(f"line {number}: a row has six cells, none of them empty")
        continue
    for text in re.findall(r"`([^`]+)`", cells[1] + cells[3]):
        wrong += [f"line {number}: no source says \"{piece.strip()}\"" for piece in text.split("…")
                  if len(piece.strip()) > 3 and piece.strip() not in program and "tidegate status" not in text and "systemctl" not in text]
    named, tests = re.findall(r"`([^`]+)`", cells[4]), re.findall(r"`([^`]+)`", cells[5])
    wrong += [f"line {number}: there is no metric {name}" for name in named if name not in metrics]
    wrong += [f"line {number}: there is no test {test}" for test in tests if not there(test)]
    if not named or not tests:
        wrong.append(f"line {number}: a fault has a metric and a test")
print("\n".join(wrong) or f"{rows} faults")
sys.exit(bool(wrong or rows < 30))
