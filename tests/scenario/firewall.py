# SPDX-License-Identifier: GPL-2.0-or-later
"""firewall - a site's network, of this test's own: clouds have their real names and ports, and there is no way out but what is served.

    firewall.site({"plant.azure-devices.net": "127.0.0.3"})     # first of all: it runs the program again
    stage.peer("ws_gate.py", …, "--listen", "127.0.0.3:443")
"""
import os
import subprocess
import sys
import tempfile

from harness import PYTHON

SKIP = 77  # ctest's SKIP_RETURN_CODE


def site(names):
    """From here on this program and its children are in a network with a loopback only, where all ports are free and may be listened
    on, and where names (a dict) have these addresses. Where that is not allowed the test is skipped, visibly."""
    if os.environ.get("TIDEGATE_SITE") != "yes":
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        unshare = ["unshare", *user, "--net", "--mount", "--propagation", "private"]
        tried = subprocess.run([*unshare, "sh", "-c", "ip link set lo up && mount --bind /etc/hosts /etc/hosts"], capture_output=True,
                               text=True, check=False)
        if tried.returncode != 0:
            print(f"SKIPPED: it needs a network of its own: run it as root, or where user namespaces are allowed ({tried.stderr.strip()})")
            sys.exit(SKIP)
        os.environ["TIDEGATE_SITE"] = "yes"
        os.execvp(unshare[0], [*unshare, PYTHON, "-B", *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.NamedTemporaryFile("w", encoding="ascii") as hosts:
        hosts.write("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in names.items()))
        hosts.flush()
        os.chmod(hosts.name, 0o644)
        subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)
