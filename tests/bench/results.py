# SPDX-License-Identifier: GPL-2.0-or-later
"""results - what a benchmark run found: printed as it goes, kept as JSON, compared with an earlier run, set into the manual.

    line("draining it", ">= 50,000 /s", f"{rate:,.0f} samples/s", rate >= 50000)          # one line of the table
    line("the same / bare", ">= 0.8", f"{ratio:.2f}", ratio >= 0.8, ratio=ratio)          # one that can be compared
    save(path); differences(load(path), document()); write_page(load(path))

Seconds of two runs say little about the product, since machines and their load differ. So only `ratio` (measured against a
yardstick in the same run) and `count` (lost messages, instructions …) are compared, and whether a line was reached.
"""
import datetime
import json
import os
import re
import subprocess

SOURCE = os.environ.get("TIDEGATE_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(SOURCE, "docs", "benchmarks.md")
RATIO_SPREAD = 0.10  # two runs of the same build differ by as much

lines = []
peers = {}   # what peers.py found, as its table says it
current = ""  # the benchmark that is running


def begin(name):
    global current
    current = name


def line(what, reach, got, ok, ratio=None, count=None):
    lines.append({"key": key_of(what), "what": what, "reach": reach, "got": got, "ok": bool(ok),
                  **({} if ratio is None else {"ratio": round(ratio, 4)}), **({} if count is None else {"count": count})})
    print(f"{'ok ' if ok else 'NOT'}  {what:<74} {reach:<22} {got}", flush=True)


def key_of(what):
    """The same for the same line of another run, although a text may hold measured numbers."""
    key = current + ": " + re.sub(r"\d[\d,.]*", "N", what)
    return key + f" #{same + 1}" if (same := sum(row["key"].split(" #")[0] == key for row in lines)) else key


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((text.split(":", 1)[1].strip() for text in file if text.startswith("model name")), "?")
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) / 1048576
    kernel = ".".join(os.uname().release.split(".")[:2])
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GB, {os.uname().sysname} {kernel}"


def commit():
    done = subprocess.run(["git", "-C", SOURCE, "describe", "--always", "--dirty", "--match", "v[0-9]*"], capture_output=True,
                          text=True, check=False)
    return done.stdout.strip() or "no commit"


def document(load=None):
    """Everything of this run. `load`: how many others wanted the processors when it began."""
    return {"date": datetime.date.today().isoformat(), "commit": commit(), "machine": machine(), "load": load,
            "lines": lines, **({"peers": peers} if peers else {})}


def save(path, found):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1, ensure_ascii=False)
        file.write("\n")


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


# --- compared with an earlier run


def differences(before, after):
    """What changed, a text a line, worst first: lines no longer reached, ratios beyond their spread, counts."""
    old, new = ({row["key"]: row for row in found["lines"]} for found in (before, after))
    worse, other = [], []
    for key, row in new.items():
        if key not in old:
            other.append(f"new       {row['what']}: {row['got']}")
            continue
        was = old[key]
        if was["ok"] != row["ok"]:
            (other if row["ok"] else worse).append(f"{'reached ' if row['ok'] else 'MISSED  '}  {row['what']} ({row['reach']}): "
                                                   f"{was['got']} -> {row['got']}")
        elif beyond(was.get("ratio"), row.get("ratio")):
            other.append(f"ratio     {row['what']}: {was['ratio']:.2f} -> {row['ratio']:.2f} ({row['ratio'] / was['ratio'] - 1:+.0%})")
        elif was.get("count") != row.get("count"):
            other.append(f"count     {row['what']}: {was.get('count')} -> {row.get('count')}")
    ran = {key.split(":")[0] for key in new}
    gone = [f"gone      {row['what']}" for key, row in old.items() if key not in new and key.split(":")[0] in ran]
    return worse + other + gone


def beyond(was, now):
    return bool(was and now) and abs(now / was - 1) > RATIO_SPREAD


# --- the manual's tables: between markers, so that a run can set them


def setting(found):
    busy = f"; {found['load']:.1f} processes of others wanted the cores when it began" if (found.get("load") or 0) >= 0.5 else ""
    return f"One run on {found['date']} of {found['commit']}: {found['machine']}, Debian 12{busy}."


def pretty(text):
    return text.replace(">=", "≥").replace("<=", "≤").replace("->", "→").replace(" x ", " × ").replace("|", "\\|")


def bold(text):
    """The figure itself; what is in brackets stays plain."""
    figure, bracket, rest = text.partition(" (")
    return f"**{figure.strip()}**" + (f" ({rest}" if bracket else "")


def table(found):
    rows = [f"| {pretty(row['what'])} | {pretty(row['reach'])} | {bold(pretty(row['got']))}{'' if row['ok'] else ', not reached'} |"
            for row in found["lines"]]
    return [setting(found), "", "| what | reach | reached |", "|---|---|---|", *rows]


def write_block(page, name, text):
    """Replaces what is between the markers; a page without them is left alone and named."""
    with open(page, encoding="utf-8") as file:
        old = file.read()
    begin_mark, end_mark = f"<!-- {name}: written by ./dev bench -->", f"<!-- /{name} -->"
    at, end = old.find(begin_mark), old.find(end_mark)
    if at < 0 or end < at:
        raise ValueError(f"{page}: the markers {begin_mark} and {end_mark} are not there, the page stays as it was")
    new = old[:at] + begin_mark + "\n" + "\n".join(text) + "\n" + old[end:]
    with open(page + ".new", "w", encoding="utf-8") as file:
        file.write(new)
    os.replace(page + ".new", page)


def write_page(found, page=PAGE):
    """The blocks that this run has figures for: `measured`, `peers`, or both."""
    if [row for row in found["lines"] if not row["key"].startswith("peers")]:
        write_block(page, "measured", table({**found, "lines": [row for row in found["lines"] if not row["key"].startswith("peers")]}))
    if found.get("peers"):
        from peers_table import peers_table  # only where there are any
        write_block(page, "peers", [setting(found), "", *peers_table(found["peers"])])
