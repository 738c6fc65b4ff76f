# SPDX-License-Identifier: GPL-2.0-or-later
"""debian_packages - programs of Debian packages that must not be installed on a developer's machine, for their installation would start
a service: downloaded and unpacked into a cache, run from there.

    root = unpacked("modemmanager", "libmm-glib0", …)      # a folder with usr/sbin/…; NotToBeHad says why not
    environment(root)                                      # PATH and LD_LIBRARY_PATH for programs in it
"""
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess

SOURCE = os.environ.get("TIDEGATE_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class NotToBeHad(Exception):
    """No mirror, no such package, no apt."""


def unpacked(*packages):
    cache = os.environ.get("TIDEGATE_PACKAGE_CACHE") or os.path.join(SOURCE, ".cache", "packages")
    name = packages[0] + "-" + hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    root = os.path.join(cache, name)
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, name + ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(root):
            build(packages, root)
    return root


def build(packages, root):
    fresh = root + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(os.path.join(fresh, "deb"))
    sandbox = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    try:
        subprocess.run(["apt-get", *sandbox, "-qq", "download", *packages], cwd=os.path.join(fresh, "deb"), check=True, timeout=120,
                       capture_output=True)
        for package in glob.glob(os.path.join(fresh, "deb", "*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, fresh], check=True, timeout=60, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", b"") or b"").decode(errors="replace").strip()
        raise NotToBeHad(f"{packages[0]} cannot be downloaded: {error} {said}") from None
    shutil.rmtree(os.path.join(fresh, "deb"))
    os.rename(fresh, root)


def environment(root):
    libraries = glob.glob(os.path.join(root, "usr/lib/*-linux-gnu*")) + glob.glob(os.path.join(root, "lib/*-linux-gnu*"))
    return {"PATH": ":".join([os.path.join(root, "usr/sbin"), os.path.join(root, "usr/bin"), os.environ.get("PATH", "")]),
            "LD_LIBRARY_PATH": ":".join(libraries)}
