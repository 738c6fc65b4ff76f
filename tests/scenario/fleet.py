# SPDX-License-Identifier: GPL-2.0-or-later
"""fleet - what scenarios with hundreds of sessions share: room for descriptors, histograms, the pace of connects."""
import collections
import resource


def allow_descriptors(need):
    """For the brokers, which inherit it; the gateway raises its own limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= need, f"{need} descriptors are needed, at most {hard} are allowed here: raise the limit (ulimit -Hn)"
    if soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


def histogram(times_ms, step_ms=500):
    """{step: count} from the first one on, and a text of it for people."""
    begin = min(times_ms)
    counts = collections.Counter((at - begin) // step_ms for at in times_ms)
    return counts, " ".join(str(counts[step]) for step in range(max(counts) + 1))


def check_pace(times_ms, per_second, what, slack=2):
    """In any span of n seconds at most a full bucket and what flows in; `slack`: the broker notes a moment later."""
    times = sorted(times_ms)
    for step in (250, 500, 1000, 2000, 4000):
        first = 0
        for last, at in enumerate(times):
            while times[first] < at - step:
                first += 1
            allowed = per_second * (step / 1000 + 1) + slack + per_second * 0.05
            assert last - first + 1 <= allowed, f"{what}: {last - first + 1} connects within {step} ms, {allowed:.0f} allowed"


def rank_correlation(first, second):
    """Spearman's, of two orders of the same things: 1 the same order, 0 nothing to do with each other."""
    place = {name: at for at, name in enumerate(second)}
    n = len(first)
    return 1 - 6 * sum((at - place[name]) ** 2 for at, name in enumerate(first)) / (n * (n * n - 1))
