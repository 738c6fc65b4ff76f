#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""boot - the test guest with all checks in it, or the verdict on one of them. Checks wait more than they work, so several guests share them.

    boot.py                     boots, runs every check of tests/guest/checks, leaves results and logs in BUILD/guest
    boot.py --only NAME…        these only, with their logs on the terminal: for work on a check
    boot.py --result NAME       what the last boot said of NAME: how ctest gives each check a test of its own

TIDEGATE_SOURCE and TIDEGATE_BUILD say where the tree and the build are. Status 77: skipped, with the reason.
"""
import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

import image

SKIP = 77
LIMIT_S = 2400       # the boots as a whole; a minute is usual, most of it waiting
GUESTS = 3           # at a time; they wait half of it
LONG = ("ppp", "ble_watchdog", "ble_isolated")  # first, so that nothing long is left when the others are done
CHECK_LIMIT_S = 900  # one check
LEAST_S = 300        # a wait in one: emulation is ten times slower, and a busy machine ten times more
LINE = re.compile(r"@@ check (\S+) (\d+) s (passed|skipped|failed.*)")

SOURCE = os.environ.get("TIDEGATE_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TIDEGATE_BUILD") or os.path.join(SOURCE, "build", "ci")
CACHE = os.environ.get("TIDEGATE_GUEST_CACHE") or os.path.join(SOURCE, ".cache", "guest")
CHECKS = os.path.join(SOURCE, "tests", "guest", "checks")
RESULTS = os.path.join(BUILD, "guest")
sys.path.insert(0, os.path.join(SOURCE, "tests", "peers"))

from control import die_with_parent  # noqa: E402  (found in tests/peers)


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def accelerator():
    """Hardware help only where the processor has it: a nested /dev/kvm opens and then hangs."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        able = re.search(r"^flags.*\b(vmx|svm)\b", file.read(), re.MULTILINE)
    return ("kvm", "host") if able and os.access("/dev/kvm", os.R_OK | os.W_OK) else ("tcg", "qemu64")


def all_checks():
    names = [name for name in os.listdir(CHECKS) if "." not in name and name != "__pycache__"]
    return sorted(names, key=lambda name: (name not in LONG, name))


def qemu_command(kernel, first, results):
    accel, processor = accelerator()
    share = "security_model=none,multidevs=remap"
    return ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-M", f"pc,accel={accel}",
            "-cpu", processor, "-m", "768", "-kernel", os.path.join(kernel, "vmlinux"), "-initrd", first,
            # cryptomgr.notests: a self-test of elliptic curves fails under emulation, and all others take seconds. no_timer_check: on a busy
            # machine the timer's own test comes too late, and the kernel panics.
            "-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on cryptomgr.notests no_timer_check rdinit=/init",
            "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
            "-virtfs", f"local,path=/,mount_tag=root,readonly=on,{share}",
            "-virtfs", f"local,path={results.replace(',', ',,')},mount_tag=results,{share}"]


def start(kernel, names, number):
    """A guest; its console is in a file."""
    environment = "".join(f"{name}={quoted(value)}\n" for name, value in {
        "TIDEGATE_SOURCE": os.path.abspath(SOURCE), "TIDEGATE_BUILD": os.path.abspath(BUILD), "GUEST_KERNEL": os.path.abspath(kernel),
        "GUEST_CHECKS": " ".join(names), "GUEST_LIMIT": str(CHECK_LIMIT_S), "TIDEGATE_LEAST_S": str(LEAST_S), "GUEST_NUMBER": str(number)}.items())
    first, console = tempfile.NamedTemporaryFile(), tempfile.TemporaryFile()  # pylint: disable=consider-using-with
    first.write(image.first_files(kernel, os.path.join(SOURCE, "tests", "guest", "init"), environment))
    first.flush()
    process = subprocess.Popen(qemu_command(kernel, first.name, RESULTS), stdin=subprocess.DEVNULL, stdout=console,  # pylint: disable=consider-using-with
                               stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
    return process, first, console


def end(guest, until):
    """What its console said, once it is done."""
    process, first, console = guest
    try:
        code = process.wait(max(0, until - time.monotonic()))
        ending = "" if code == 3 else f"\nqemu ended with status {code}\n"
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        ending = f"\nthe guest was not done in {LIMIT_S} s\n"
    console.seek(0)
    text = console.read().decode("utf-8", "replace").replace("\r", "") + ending
    first.close()
    console.close()
    return text


def boot(names):
    """Runs the checks; the consoles' text."""
    if platform.machine() != "x86_64":
        raise image.NotToBeHad(f"the guest is an x86_64 one and shares the host's programs, which are for {platform.machine()}")
    if not shutil.which("qemu-system-x86_64"):
        raise image.NotToBeHad("qemu-system-x86_64 is not installed (Debian: qemu-system-x86)")
    with image.locked(CACHE):
        kernel = image.build_kernel(CACHE)
    shutil.rmtree(RESULTS, ignore_errors=True)
    os.makedirs(RESULTS)
    until = time.monotonic() + LIMIT_S
    guests = [start(kernel, names, number) for number in range(min(GUESTS, len(names), (os.cpu_count() or 1) + 1))]
    text = "".join([end(guest, until) for guest in guests])
    with open(os.path.join(RESULTS, "console.log"), "w", encoding="utf-8") as file:
        file.write(text)
    return text


def show_log(name):
    try:
        with open(os.path.join(RESULTS, name + ".log"), encoding="utf-8", errors="replace") as file:
            print(file.read()[-8000:])
    except OSError:
        print(f"(no log of {name})")


def run(names, show):
    try:
        text = boot(names)
    except image.NotToBeHad as reason:
        os.makedirs(RESULTS, exist_ok=True)
        with open(os.path.join(RESULTS, "console.log"), "w", encoding="utf-8") as file:
            file.write(f"@@ skipped {reason}\n")
        print(f"SKIPPED: the test guest cannot be had here: {reason}")
        return SKIP
    print(text)
    verdicts = {match.group(1): match.group(3) for match in LINE.finditer(text)}
    if show:
        for name in names:
            show_log(name)
        return 0 if all(verdicts.get(name) == "passed" for name in names) else 1
    missing = [name for name in names if name not in verdicts]
    if missing:
        print("no verdict on: " + " ".join(missing))
    return 1 if missing else 0  # a check that failed fails the test of its own name


def result(name):
    try:
        with open(os.path.join(RESULTS, "console.log"), encoding="utf-8") as file:
            text = file.read()
    except OSError:
        print("there has been no boot: run tests/guest/boot.py first")
        return 1
    skipped = re.search(r"@@ skipped (.*)", text)
    if skipped:
        print(f"SKIPPED: the test guest cannot be had here: {skipped.group(1)}")
        return SKIP
    found = [match for match in LINE.finditer(text) if match.group(1) == name]
    show_log(name)
    if not found:
        print(f"the boot gave no verdict on {name}: see {RESULTS}/console.log")
        return 1
    print(f"{name}: {found[-1].group(3)} in {found[-1].group(2)} s")
    return {"passed": 0, "skipped": SKIP}.get(found[-1].group(3), 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=all_checks())
    parser.add_argument("--result", metavar="NAME")
    arguments = parser.parse_args()
    if arguments.result:
        return result(arguments.result)
    return run(arguments.only or all_checks(), bool(arguments.only))


if __name__ == "__main__":
    sys.exit(main())
