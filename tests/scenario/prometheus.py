# SPDX-License-Identifier: GPL-2.0-or-later
"""prometheus - a strict reader of the text format 0.0.4, and a small HTTP client without manners of its own.

https://prometheus.io/docs/instrumenting/exposition_formats/ says what is allowed; what a scraper forgives is an error here:
lines of a family that do not stand together, a family without HELP or TYPE, a series that is there twice.
"""
import http.client
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (-?[0-9]+(?:\.[0-9]+)?)$")
UNESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def get(port, path, method="GET", headers=None, seconds=20, address="127.0.0.1"):
    """(status, headers, body)"""
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def labels_of(text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match, f"labels {text!r} at {at}"
        assert match[1] not in labels, f"label {match[1]} twice in {text!r}"
        labels[match[1]] = re.sub(r'\\[\\"n]', lambda escape: UNESCAPED[escape[0]], match[2])
        at = match.end()
    assert not text.endswith(","), text
    return labels


def base_of(name, kinds):
    for suffix in ("_sum", "_count"):
        if name.endswith(suffix) and kinds.get(name[:-len(suffix)]) == "summary":
            return name[:-len(suffix)]
    return name


class Metrics:
    def __init__(self, text):
        assert text.endswith("\n") and "\r" not in text
        self.kinds, self.help, self.series = {}, {}, {}
        present = None
        for line in text[:-1].split("\n"):
            if line.startswith("# "):
                what, name, rest = line[2:].split(" ", 2)
                if what == "HELP":
                    assert name not in self.help, f"HELP of {name} twice"
                    self.help[name], present = rest, name
                else:
                    assert what == "TYPE" and name == present and name not in self.kinds, line
                    assert rest in ("counter", "gauge", "summary"), line
                    self.kinds[name] = rest
                continue
            match = SAMPLE.fullmatch(line)
            assert match, f"not a sample: {line!r}"
            name, labels = match[1], labels_of(match[2] or "")
            assert base_of(name, self.kinds) == present and present in self.kinds, f"{line!r} stands within {present}"
            key = (name, frozenset(labels.items()))
            assert key not in self.series, f"{line!r} twice"
            self.series[key] = float(match[3])
            assert self.kinds[present] != "counter" or self.series[key] >= 0, line

    def get(self, name, **labels):
        """The one value with exactly these labels, None when there is none."""
        return self.series.get((name, frozenset(labels.items())))

    def labels(self, name, **some):
        """The labels of all lines of that name that have these among them."""
        return [dict(key[1]) for key in self.series if key[0] == name and some.items() <= dict(key[1]).items()]


def scrape(port):
    status, headers, body = get(port, "/metrics")
    assert status == 200, (status, body)
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", headers
    return Metrics(body.decode())
