#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""prove - runs the proofs of the contract and writes docs/proof.md (tests/prove/README.md).

    prove.py [NAME…]           runs these proofs, or all, and updates their lines of docs/proof.json and docs/proof.md
    prove.py --quick [NAME…]   the same in seconds each; the documents stay as they are
    prove.py --list            what there is
    prove.py --render          writes docs/proof.md from docs/proof.json again
    prove.py --check           whether the page is in step with the file, and every clause has a proof (a lint test)

Status 0: all that ran hold. A proof that cannot run here is named with the reason and keeps its last result.
"""
import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

import page

SOURCE = os.environ.get("TIDEGATE_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TIDEGATE_BUILD") or os.path.join(SOURCE, "build", "release")
RESULTS = os.path.join(SOURCE, "docs", "proof.json")
PAGE = os.path.join(SOURCE, "docs", "proof.md")
SKIP = 77


def git(*words):
    done = subprocess.run(["git", "-C", SOURCE, *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def commit():
    """What was proven: a commit, and whether there was more than it. The results themselves do not count."""
    changed = git("status", "--porcelain", "--", ":!docs/proof.json", ":!docs/proof.md")
    return (git("rev-parse", "--short=12", "HEAD") or "no commit") + (" with uncommitted changes" if changed else "")


def machine():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        model = re.search(r"^model name\s*:\s*(.*)$", file.read(), re.MULTILINE)
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(re.search(r"^MemTotal:\s*(\d+)", file.read(), re.MULTILINE).group(1)) / (1 << 20)
    return f"{os.cpu_count()} × {model.group(1) if model else platform.machine()}, {memory:.0f} GiB, Linux {platform.release()}"


def command(proof):
    """`run` of a proof: a scenario of tests/scenario, another program of the tree (with a slash), or a test program of the build."""
    first, *rest = proof["run"]
    if "/" in first:
        first = os.path.join(SOURCE, first)
    elif first.endswith(".py"):
        first = os.path.join(SOURCE, "tests", "scenario", first)
    else:
        first = os.path.join(BUILD, "tests", first)
    return [*(["/usr/bin/python3", "-B"] if first.endswith(".py") else []), first, *map(str, rest)]


def read_lines(path, proof):
    lines = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
    for line in lines:
        if line["clause"] not in proof["clauses"]:
            raise SystemExit(f"prove: {line['test']} reports for {line['clause']}, which its file in tests/prove/proofs does not name")
    return lines


def tail(path, size=6000):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()[-size:]


def run(name, proof, quick, proven):
    """One proof: its entry for the results."""
    counts = proof.get("quick" if quick else "counts") or {}
    limit = proof.get("limit_s", 600)
    with tempfile.TemporaryDirectory(prefix="tidegate-prove-") as folder:
        lines_path = os.path.join(folder, "lines")
        log_path = os.path.join(BUILD, "prove", f"{name}.log")
        os.makedirs(os.path.dirname(log_path), exist_ok=True)
        environment = {**os.environ, "TIDEGATE_SOURCE": SOURCE, "TIDEGATE_BUILD": BUILD, "TIDEGATE_PROOF": lines_path,
                       **{key: str(value) for key, value in counts.items()}}
        begin = time.monotonic()
        with open(log_path, "wb") as log:
            try:
                child = subprocess.Popen(command(proof), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment,  # pylint: disable=consider-using-with
                                         cwd=folder)
            except OSError as error:
                return {"failed": f"could not be started: {error}", "lines": []}
            try:
                code = child.wait(limit)
            except subprocess.TimeoutExpired:
                child.terminate()
                try:
                    child.wait(30)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
                code = f"not done in {limit} s"
        entry = {"date": datetime.date.today().isoformat(), "commit": proven, "machine": machine(), "seconds": round(time.monotonic() - begin),
                 "lines": read_lines(lines_path, proof)}
        text = tail(log_path)
    if code == SKIP:
        reason = re.findall(r"SKIPPED:? *(.*)", text)
        entry["skipped"] = reason[-1] if reason else "it says no reason"
    elif code != 0:
        entry["failed"] = f"exit status {code}" if isinstance(code, int) else code
        print(text)
    elif not entry["lines"]:
        entry["failed"] = "it reported nothing"
    return entry


def holds(entry):
    return "failed" not in entry and all(line["failures"] == 0 for line in entry["lines"])


def say(name, entry):
    verdict = f"CANNOT RUN HERE: {entry['skipped']}" if "skipped" in entry else "holds" if holds(entry) else f"FAILED {entry.get('failed', '')}"
    print(f"{name}: {verdict} ({entry.get('seconds', 0)} s)")
    for line in entry["lines"]:
        print(f"    {line['clause']:<4} {line['test']}: {line['trials']} trials, {line['failures']} failures; {page.figures(line)}")
    sys.stdout.flush()


def load():
    if not os.path.exists(RESULTS):
        return {}
    with open(RESULTS, encoding="utf-8") as file:
        return json.load(file)


def save(results, clauses, proofs):
    """Entries of proofs that are gone go too."""
    results = {name: results[name] for name in sorted(results) if name in proofs}
    for path, text in ((RESULTS, json.dumps(results, indent=1, ensure_ascii=False) + "\n"), (PAGE, page.render(clauses, proofs, results))):
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".new", path)


def check(clauses, proofs):
    wrong = [f"{clause} has no proof in tests/prove/proofs" for clause in clauses
             if not any(clause in proof["clauses"] for proof in proofs.values())]
    for name, proof in proofs.items():
        wrong += [f"tests/prove/proofs/{name}.yaml names {clause}, which is no clause" for clause in proof["clauses"] if clause not in clauses]
        wrong += [f"tests/prove/proofs/{name}.yaml: `{key}` is missing" for key in ("what", "run", "suite") if not proof.get(key)]
        program = command(proof)[-len(proof["run"])]
        if program.startswith(SOURCE + "/tests/") and not os.path.exists(program):
            wrong.append(f"tests/prove/proofs/{name}.yaml: there is no {program}")
    shown = ""
    if os.path.exists(PAGE):
        with open(PAGE, encoding="utf-8") as file:
            shown = file.read()
    if shown != page.render(clauses, proofs, load()):
        wrong.append("docs/proof.md is not what docs/proof.json and tests/prove say: ./dev prove --render writes it anew")
    print("\n".join(wrong) or f"{len(clauses)} clauses, {len(proofs)} proofs")
    return bool(wrong)


def main():
    clauses, proofs = page.read_clauses(SOURCE), page.read_proofs(SOURCE)
    parser = argparse.ArgumentParser(prog="./dev prove", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="proofs, all without one: " + " ".join(proofs))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--render", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in proofs]
    if unknown:
        parser.error(f"no such proof: {' '.join(unknown)}; there are {' '.join(proofs)}")
    if arguments.check:
        return check(clauses, proofs)
    if arguments.list:
        for name, proof in proofs.items():
            print(f"{name:<22} {' '.join(proof['clauses']):<12} {' '.join(proof['what'].split())}")
        return 0
    if arguments.render:
        save(load(), clauses, proofs)
        return 0
    if not shutil.which("git"):
        print("prove: git is not there: the results will name no commit")
    good, skipped, proven = True, [], commit()  # as built
    for name in arguments.names or proofs:
        entry = run(name, proofs[name], arguments.quick, proven)
        say(name, entry)
        good = good and ("skipped" in entry or holds(entry))
        if "skipped" in entry:
            skipped.append(name)
        if not arguments.quick:
            results = load()  # read anew: others may run other proofs meanwhile
            if "skipped" not in entry or "lines" not in results.get(name, {}) or "skipped" in results[name]:
                results[name] = entry
            save(results, clauses, proofs)
    print(f"{'all that ran hold' if good else 'NOT ALL HOLD'}" + (f"; could not run here: {' '.join(skipped)}" if skipped else ""))
    if not arguments.quick:
        print(f"written: {os.path.relpath(PAGE)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
