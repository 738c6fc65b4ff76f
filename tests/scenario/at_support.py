# SPDX-License-Identifier: GPL-2.0-or-later
"""at_support - the real AT plugin in a host with one source (tests/support/at_probe.c), as scenarios see it."""
import json
import os
import threading

from harness import BUILD, Process, wait_until

PROBE = os.path.join(BUILD, "tests", "at_probe")
PLUGIN = os.path.join(BUILD, "plugins", "at.so")
OK, SUSPECT, DOWN = 1, 2, 3


def point(name, every_ms, **options):
    words = ["--point", name, str(every_ms)]
    for key, value in options.items():
        words += [f"{key}={item}" for item in (value if isinstance(value, list) else [value])]
    return words


class Probe(Process):
    """Everything that the plugin told is in `said`, in order."""

    def __init__(self, stage, port, *words, env=None, **settings):
        options = [f"{key}={item}" for key, value in settings.items()
                   for item in (value if isinstance(value, list) else [value])]
        super().__init__(stage, "at_probe", [PROBE, PLUGIN, f"port={port}", *options, *words], pipes=True,
                         env=env)
        self.said = []
        self.requests = 0
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.child.stdout:
            self.said.append(json.loads(line))

    def tell(self, line):
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()

    def ask(self, words, seconds=60):
        """Sends a request and returns its one answer."""
        self.requests += 1
        number = self.requests
        kind, _, rest = words.partition(" ")
        self.tell(f"{kind} {number} {rest}")
        wait_until(lambda: self.answers(number), seconds, f"the answer to {words}")
        answers = self.answers(number)
        assert len(answers) == 1, answers
        return answers[0]["status"], answers[0]["json"]

    def answers(self, number):
        return [item for item in list(self.said) if item.get("answer") == number]

    def samples(self, since=0, until=None):
        return [item for item in list(self.said)[since:until] if "sample" in item]

    def values(self, name, since=0):
        return [item["values"][name] for item in self.samples(since) if name in item["values"]]

    def qualities(self, name, since=0, until=None):
        return [item["quality"][name] for item in self.samples(since, until) if name in item["quality"]]

    def states(self, since=0):
        return [item["state"] for item in list(self.said)[since:] if "state" in item]

    def logs(self, since=0):
        return [item["text"] for item in list(self.said)[since:] if "log" in item]

    def wait_value(self, name, accept=lambda value: True, since=0, seconds=60):
        return wait_until(lambda: [v for v in self.values(name, since) if accept(v)], seconds, f"a value of {name}")[0]

    def wait_quality(self, name, quality, since=0, seconds=60):
        wait_until(lambda: quality in self.qualities(name, since), seconds, f"{name} to be {quality}")

    def wait_state(self, state, since=0, seconds=60):
        wait_until(lambda: state in self.states(since), seconds, f"state {state}")

    def wait_log(self, part, since=0, seconds=60):
        wait_until(lambda: any(part in text for text in self.logs(since)), seconds, f"a log line with {part!r}")

    def finish(self):
        """Closes the source; all must have been given back (AddressSanitizer says so with its exit code)."""
        self.child.stdin.close()
        code = self.wait()
        self.reader.join(10)
        assert code == 0, self.report()
        return self.said
