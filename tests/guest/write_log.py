# SPDX-License-Identifier: GPL-2.0-or-later
"""write_log - what a disk holds when its power goes, from the log of all writes that qemu kept (blklogwrites; the format is that of the kernel's
dm-log-writes, Documentation/admin-guide/device-mapper/log-writes.rst).

Everything up to the last flush that was answered is there. Of what came later any part may be: a disk writes its cache in an order of its own.
"""
import os
import shutil
import struct

MAGIC = 0x6A736677736872
SECTOR = 512
SUPER = struct.Struct("<QQQI")  # magic, version, entries, sector size
ENTRY = struct.Struct("<QQQQ")  # sector, sectors, flags, length of a mark
FLUSH, FUA, DISCARD = 1, 2, 4


class Torn(Exception):
    """The log ends before what its head says: qemu died between two writes of it, and what was answered cannot be known."""


def entries(log):
    """[(offset of the data, sector, sectors, flags)] in the order in which they were given to the disk."""
    head = os.pread(log, SUPER.size, 0)
    magic, _, count, sector_size = SUPER.unpack(head)
    if magic not in (0, MAGIC) or (magic and sector_size != SECTOR):
        raise ValueError("this is no log of writes with sectors of 512 bytes")
    found, at = [], SECTOR
    while True:
        raw = os.pread(log, ENTRY.size, at)
        if len(raw) < ENTRY.size:
            break
        sector, sectors, flags, length = ENTRY.unpack(raw)
        if not (sector or sectors or flags or length):
            break
        found.append((at + SECTOR, sector, sectors, flags))
        at += SECTOR + (0 if flags & DISCARD else sectors * SECTOR)
    if len(found) < count:
        raise Torn(f"{len(found)} of {count} entries")
    return found


class Tail:
    """A log that is being written."""

    def __init__(self, path):
        self.log, self.at, self.last = os.open(path, os.O_RDONLY), SECTOR, FLUSH

    def unflushed(self):
        """Whether the newest entry is a write that no flush has followed yet."""
        while True:
            raw = os.pread(self.log, ENTRY.size, self.at)
            sector, sectors, flags, length = ENTRY.unpack(raw) if len(raw) == ENTRY.size else (0, 0, 0, 0)
            if not (sector or sectors or flags or length):
                return not self.last & FLUSH
            self.last = flags
            self.at += SECTOR + (0 if flags & DISCARD else sectors * SECTOR)

    def close(self):
        os.close(self.log)


def after_power_cut(base, log_path, image, random):
    """Makes `image` from `base`: {"writes", "flushes", "after_flush", "survived": sectors of these}."""
    shutil.copyfile(base, image)
    log = os.open(log_path, os.O_RDONLY)
    disk = os.open(image, os.O_RDWR)
    try:
        found = entries(log)
        last = max((number for number, entry in enumerate(found) if entry[3] & FLUSH), default=-1)
        share = random.choice((0, 0.1, 0.5, 0.9, 1))  # of the sectors after the last flush
        survived = 0
        for number, (at, sector, sectors, flags) in enumerate(found):
            if not sectors or flags & DISCARD:
                continue
            data = os.pread(log, sectors * SECTOR, at)
            if number <= last or flags & FUA:
                os.pwrite(disk, data, sector * SECTOR)
                continue
            for one in range(sectors):
                if random.random() < share:
                    os.pwrite(disk, data[one * SECTOR:(one + 1) * SECTOR], (sector + one) * SECTOR)
                    survived += 1
        return {"writes": len(found), "flushes": sum(bool(entry[3] & FLUSH) for entry in found),
                "after_flush": sum(entry[2] for entry in found[last + 1:]), "survived": survived}
    finally:
        os.close(log)
        os.close(disk)
