#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""size - a file has at most 600 lines and a function 80: what is longer does two things. Says which are longer; EXCEPTIONS names those that may be,
and why, and none that is not."""
import ast
import glob
import os
import re
import sys

source = os.path.abspath(sys.argv[1])
FILE_LINES, FUNCTION_LINES = 600, 80
FOLDERS = ("core", "config", "store", "southbound", "northbound", "plugins", "tests", "cmake")
EXCEPTIONS = {
    "tests/peers/tls_matrix.py cells": "a table",
}


def c_functions(lines):
    """(first line, last line, name); clang-format has put the braces of functions into the first column."""
    begin = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            begin = number
        elif line == "}" and begin:
            head = begin - 1
            while head > 1 and lines[head - 2] and not re.search(r"[;}/]$|^#", lines[head - 2]):
                head -= 1
            named = re.search(r"(\w+)\(", "".join(lines[head - 1:begin]))
            yield head, number, named.group(1) if named else "?"
            begin = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno, node.name


def shell_functions(lines):
    begin = None
    for number, line in enumerate(lines, 1):
        if re.match(r"\w+\(\) \{$", line):
            begin = number
        elif line == "}" and begin:
            yield begin, number, lines[begin - 1].split("(")[0]
            begin = None


def functions(name, text):
    lines = text.split("\n")
    if name.endswith((".c", ".h")):
        return c_functions(lines)
    if name.endswith(".py"):
        return python_functions(text)
    if name == "dev" or name.endswith(".sh"):
        return shell_functions(lines)
    return ()


names = ["dev"] + [os.path.relpath(path, source) for folder in FOLDERS for ending in ("c", "h", "py", "sh", "cmake")
                   for path in glob.glob(os.path.join(source, folder, "**", "*." + ending), recursive=True)]
longer, seen = {}, 0
for name in sorted(names):
    with open(os.path.join(source, name), encoding="utf-8") as file:
        text = file.read()
    lines = text.count("\n")
    if lines > FILE_LINES:
        longer[name] = f"{name}: {lines} lines; {FILE_LINES} are enough for one thing"
    for first, last, function in functions(name, text):
        seen += 1
        if last - first + 1 > FUNCTION_LINES:
            longer[f"{name} {function}"] = f"{name}:{first}: {function} has {last - first + 1} lines; at most {FUNCTION_LINES}"

wrong = [text for what, text in longer.items() if what not in EXCEPTIONS]
wrong += [f"EXCEPTIONS: {what} is not longer any more" for what in EXCEPTIONS if what not in longer]
if seen < 5000:
    wrong.append(f"{seen} functions were looked at in {source}: is it the source tree?")
print("\n".join(wrong) or f"{len(names)} files, {seen} functions: none is too long")
sys.exit(bool(wrong))
