# SPDX-License-Identifier: GPL-2.0-or-later
"""levers - what a service of a test cloud does wrong on demand: per device ("*": all), for the next N requests or always.

Used by twin_service.py, dps_service.py and their likes. A service asks `levers.take("meter-1", "fail", "get")` for each
request and gets the value that was set, or None; the levers of a device go before those of "*".
"""
FOREVER = -1


class Levers:
    def __init__(self):
        self.set_to = {}

    def set(self, device, what, value, count=FOREVER, kind="any"):
        """For the next `count` requests of that kind; 0 takes it back."""
        key = (device, what, kind)
        self.set_to.pop(key, None)
        if count != 0:
            self.set_to[key] = [value, count]

    def take(self, device, what, kind="any"):
        for key in ((device, what, kind), (device, what, "any"), ("*", what, kind), ("*", what, "any")):
            entry = self.set_to.get(key)
            if entry:
                entry[1] -= entry[1] > 0
                if entry[1] == 0:
                    del self.set_to[key]
                return entry[0]
        return None

    def clear(self):
        self.set_to.clear()
