# SPDX-License-Identifier: GPL-2.0-or-later
"""page - docs/proof.md, made from the clauses (clauses.yaml), the proofs (proofs/NAME.yaml) and the results (docs/proof.json)."""
import glob
import os

import yaml

HEAD = """<!-- Written by ./dev prove; by hand it would be out of step (lint_proof). -->
# How each promise was tested

From the moment a sample is accepted to the moment its clouds have acknowledged it, tidegate promises what the fifteen clauses below say. Under each clause stand the
tests that try to break it, how often they tried, how often it broke, and what was counted. `./dev prove` runs them all (`./dev prove --quick` in short, and in
shorter form they are part of `./dev test`), and writes this page; [tests/prove](../tests/prove/README.md) says how. A *failure* is a trial that did not keep
the promise; a negative control is a trial in which it *must* break (a disk that lies, a durability that promises less), to show that the test would notice.

"""


def _read(path):
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


def read_clauses(source):
    return _read(os.path.join(source, "tests", "prove", "clauses.yaml"))


def read_proofs(source):
    """{name: proof}, in the order of the first clause that each is for."""
    files = glob.glob(os.path.join(source, "tests", "prove", "proofs", "*.yaml"))
    proofs = {os.path.basename(path)[:-len(".yaml")]: _read(path) for path in files}
    return dict(sorted(proofs.items(), key=lambda item: (min(int(clause[1:]) for clause in item[1]["clauses"]), item[0])))


def figures(line):
    def text(value):
        return f"{value:,}" if isinstance(value, int) and abs(value) >= 10000 else str(value)
    return ", ".join(f"{name.replace('_', ' ')} {text(value)}" for name, value in line["figures"].items())


def cell(text):
    return " ".join(str(text).split()).replace("|", "\\|")


def rows_of(clause, proofs, results):
    for name, proof in proofs.items():
        if clause not in proof["clauses"]:
            continue
        entry = results.get(name)
        lines = [line for line in entry["lines"] if line["clause"] == clause] if entry else []
        for line in lines:
            yield name, proof, entry, line
        if not lines:
            yield name, proof, entry, None


def row(name, proof, entry, line):
    if line is None:
        state = "not run yet" if entry is None else f"could not run: {entry['skipped']}" if "skipped" in entry else f"**FAILED**: {entry['failed']}" \
            if "failed" in entry else "reported nothing for this clause"
        return f"| {name} | {cell(proof['what'])} | – | – | {cell(state)} |"
    broken = f"**{line['failures']}**" if line["failures"] else "0"
    if "failed" in entry:
        broken += f" **(ended badly: {cell(entry['failed'])})**"
    test = line["test"] if line["test"] == name else f"{name}: {line['test']}"
    return f"| {cell(test)} | {cell(line['note'] or proof['what'])} | {line['trials']:,} | {broken} | {cell(figures(line))} |"


def summary(clauses, proofs, results):
    """A line a clause: how many trials, whether it held."""
    text = ["| clause | promise, in short | trials | failures |", "|---|---|---|---|"]
    for clause, said in clauses.items():
        rows = list(rows_of(clause, proofs, results))
        lines = [line for _, _, _, line in rows if line]
        bad = sum(line["failures"] for line in lines)
        ended = [name for name, _, entry, _ in rows if entry and "failed" in entry]
        waiting = [name for name, _, entry, line in rows if not line and name not in ended]
        state = f"**{bad}**" if bad else "0" if lines else "–"
        state += f" **ended badly: {', '.join(dict.fromkeys(ended))}**" if ended else ""
        state += f"; not run: {', '.join(waiting)}" if waiting else ""
        if not rows:
            state = "**no proof**"
        text.append(f"| [{clause}](#{anchor(clause, said)}) | {said['title']} | {sum(line['trials'] for line in lines):,} | {state} |")
    return "\n".join(text) + "\n"


def anchor(clause, said):
    return f"{clause} {said['title']}".lower().replace(",", "").replace(" ", "-")


def render(clauses, proofs, results):
    text = [HEAD, summary(clauses, proofs, results)]
    for clause, said in clauses.items():
        text.append(f"\n## {clause} {said['title']}\n\n{' '.join(said['promise'].split())}\n")
        rows = list(rows_of(clause, proofs, results))
        if not rows:
            text.append("\n**There is no proof of this clause.**\n")
            continue
        text.append("\n| test | what is done | trials | failures | figures |\n|---|---|---|---|---|\n")
        text.append("".join(row(*entry) + "\n" for entry in rows))
    text.append("\n## When and where\n\nEach proof carries the commit that it was run on.\n\n| proof | in the suite as | date | commit | took | on |\n|---|---|---|---|---|---|\n")
    machines = list(dict.fromkeys(entry["machine"] for entry in results.values() if "machine" in entry))
    for name, proof in proofs.items():
        entry = results.get(name)
        suite = ", ".join(f"`{test}`" for test in proof["suite"].split())
        if entry and "machine" in entry:
            text.append(f"| {name} | {suite} | {entry['date']} | {entry['commit']} | {entry['seconds']} s | {machines.index(entry['machine']) + 1} |\n")
        else:
            text.append(f"| {name} | {suite} | not run | | | |\n")
    text += [f"\n{number}. {machine}" for number, machine in enumerate(machines, 1)]
    return "".join(text) + "\n" * bool(machines)
