# SPDX-License-Identifier: GPL-2.0-or-later
"""twins - device twin documents as IoT Hub keeps them: merge patches, versions, limits. No I/O.

The limits are those of the hub's documentation: desired and reported properties 32 KB each (keys and values counted,
numbers as 8 bytes, booleans as 4), a string value 4 KB, ten levels of objects, keys 1 KB without control characters, `.`, `$` and
space, integers from -2^52 to 2^52-1. A null removes.
"""
import copy

SECTION_MAX, VALUE_MAX, KEY_MAX, DEPTH_MAX = 32 * 1024, 4 * 1024, 1024, 10
INTEGER_LEAST, INTEGER_MOST = -2 ** 52, 2 ** 52 - 1


class Refused(ValueError):
    """Why the hub answers 400."""


def merged(document, patch):
    result = dict(document)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, dict) else {}, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _check_key(key):
    if not key or len(key.encode()) > KEY_MAX or any(c in ".$ " or ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 for c in key):
        raise Refused(f"a key is empty, too long or has a character that keys must not have: {key[:40]!r}")


def size(value, depth=0):
    """What it counts for in the limit; raises Refused for what the hub does not take."""
    if isinstance(value, dict):
        if depth > DEPTH_MAX:
            raise Refused(f"more than {DEPTH_MAX} levels")
        for key in value:
            _check_key(key)
        return sum(len(key.encode()) + size(below, depth + 1) for key, below in value.items())
    if isinstance(value, list):
        return sum(size(item, depth + 1) for item in value)
    if isinstance(value, bool):
        return 4
    if isinstance(value, int) and not INTEGER_LEAST <= value <= INTEGER_MOST:
        raise Refused(f"an integer beyond 2^52: {value}")
    if isinstance(value, str):
        if len(value.encode()) > VALUE_MAX:
            raise Refused(f"a value of more than {VALUE_MAX} bytes")
        return len(value.encode())
    return 0 if value is None else 8


class Section:
    """The desired or the reported properties."""

    def __init__(self):
        self.properties, self.version = {}, 1

    def patch(self, patch):
        """Returns the new version."""
        if not isinstance(patch, dict):
            raise Refused("no JSON object")
        size(patch)
        after = merged(self.properties, patch)
        if size(after) > SECTION_MAX:
            raise Refused(f"more than {SECTION_MAX} bytes of properties")
        self.properties = after
        self.version += 1
        return self.version

    def document(self):
        return {**self.properties, "$version": self.version}


class Twin:
    def __init__(self):
        self.desired, self.reported = Section(), Section()

    def document(self):
        return {"desired": self.desired.document(), "reported": self.reported.document()}
