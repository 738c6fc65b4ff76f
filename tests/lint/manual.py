#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""manual - docs/README.md is the way into the manual: every page of docs/ stands in it, once; and no page links to a file or a heading
that is not there."""
import os
import re
import sys

source = os.path.abspath(sys.argv[1])
docs = os.path.join(source, "docs")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def read(path):
    with open(path, encoding="utf-8") as file:
        return re.sub(r"(?ms)^```.*?^```", "", file.read())


def anchors(path):
    """The headings as their anchors: lower case, punctuation gone, blanks as dashes."""
    headings = re.findall(r"(?m)^#+ (.*)$", read(path))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


pages = sorted(os.path.join(folder, name) for folder, _, names in os.walk(docs) for name in names if name.endswith(".md"))
index = os.path.join(docs, "README.md")
linked = [os.path.normpath(os.path.join(docs, link.split("#")[0])) for link in LINK.findall(read(index)) if "://" not in link]
wrong = [f"docs/README.md names {os.path.relpath(page, docs)} {linked.count(page)} times, not once"
         for page in pages if page != index and linked.count(page) != 1]
for page in [*pages, os.path.join(source, "README.md")]:
    for link in LINK.findall(read(page)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(page), name)) if name else page
        if not os.path.exists(target):
            wrong.append(f"{os.path.relpath(page, source)} links to {link}, which is not there")
        elif anchor and target.endswith(".md") and anchor not in anchors(target):
            wrong.append(f"{os.path.relpath(page, source)} links to {link}: there is no such heading")
print("\n".join(wrong) or f"{len(pages)} pages")
sys.exit(bool(wrong or len(pages) < 20))
