#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""fresh_boot BOOT_ID_FILE OFFSET PROGRAM ARGUMENT… - becomes PROGRAM as on a machine that was started anew: its boot clock is OFFSET seconds (mostly
negative) from the real one (a time namespace), its boot id what the file says (a bind mount in a mount namespace of its own). For root, or within a
user namespace."""
import ctypes
import os
import sys

CLONE_NEWTIME, CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x80, 0x20000, 0x1000, 0x4000, 0x40000
libc = ctypes.CDLL(None, use_errno=True)


def must(what, result):
    if result != 0:
        sys.exit(f"fresh_boot: {what}: {os.strerror(ctypes.get_errno())}")


must("no mount namespace", libc.unshare(CLONE_NEWNS))
must("mounts stay shared", libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
must("the boot id cannot be covered", libc.mount(sys.argv[1].encode(), b"/proc/sys/kernel/random/boot_id", None, MS_BIND, None))
must("no time namespace", libc.unshare(CLONE_NEWTIME))
with open("/proc/self/timens_offsets", "w", encoding="ascii") as offsets:
    whole, rest = divmod(float(sys.argv[2]), 1)
    offsets.write(f"boottime {int(whole)} {int(rest * 1e9)}\n")
inner = os.open("/proc/self/ns/time_for_children", os.O_RDONLY | os.O_CLOEXEC)
must("the time namespace cannot be entered", libc.setns(inner, CLONE_NEWTIME))
os.execvp(sys.argv[3], sys.argv[3:])
