# SPDX-License-Identifier: GPL-2.0-or-later
"""image - the test guest's kernel and its first file system, from Debian packages, in a cache.

The newest 6.1 kernel that the package lists know is downloaded (nothing is installed), unpacked, and turned into an ELF file that
qemu boots without a boot loader: decompressing it under emulation would take seconds. The first file system has a static busybox
and the modules needed to reach the host's own file system; everything else comes from there (tests/guest/README.md).
"""
import fcntl
import glob
import lzma
import os
import re
import shutil
import subprocess
import tempfile

# What the guest needs before it sees the host's files; what these need in turn is found.
FIRST_MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay"]
BUSYBOX = "/bin/busybox"
KERNEL_NAME = re.compile(r"^linux-image-6\.1\.0-(\d+)-amd64$")


class NotToBeHad(Exception):
    """The guest cannot be built here; the text says why. The tests in it are skipped."""


def run(*command, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    except FileNotFoundError as error:
        raise NotToBeHad(f"{command[0]} is not installed") from error
    if done.returncode != 0:
        raise NotToBeHad(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def newest_kernel(options):
    """The package's name, or None when the lists have none."""
    names = run("apt-cache", *options, "pkgnames", "linux-image-6.1.0-").split()
    found = [(int(match.group(1)), match.group(0)) for match in map(KERNEL_NAME.match, names) if match]
    return max(found)[1] if found else None


def own_lists(cache):
    """apt's options for package lists of our own, fetched now: the system's have no kernel, and need root to be renewed."""
    options = []
    for key, folder in (("Dir::State::lists", "lists"), ("Dir::Cache", "apt")):
        os.makedirs(os.path.join(cache, folder, "partial"), exist_ok=True)
        options += ["-o", f"{key}={os.path.join(cache, folder)}"]
    run("apt-get", *options, "-qq", "update")
    return options


def download(cache, folder):
    """Puts the newest kernel's .deb into `folder`; its path."""
    options = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    name = newest_kernel(options)
    if name:
        try:
            run("apt-get", *options, "-qq", "download", name, cwd=folder)
        except NotToBeHad:
            name = None  # lists from before a point release name what the mirror no longer has
    if not name:
        options += own_lists(cache)
        name = newest_kernel(options)
        if not name:
            raise NotToBeHad("no linux-image-6.1.0-…-amd64 in the package lists")
        run("apt-get", *options, "-qq", "download", name, cwd=folder)
    return glob.glob(os.path.join(folder, "*.deb"))[0]


def extract_elf(compressed, path):
    """Debian's vmlinuz holds the kernel as XZ within a loader."""
    with open(compressed, "rb") as file:
        data = file.read()
    at = data.find(b"\xfd7zXZ\x00")
    while at >= 0:
        try:
            kernel = lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data[at:])
        except lzma.LZMAError:
            kernel = b""
        if kernel[:4] == b"\x7fELF":
            with open(path, "wb") as file:
                file.write(kernel)
            return
        at = data.find(b"\xfd7zXZ\x00", at + 1)
    raise NotToBeHad(f"{compressed} holds no XZ kernel")


def build_kernel(cache):
    """The folder with `vmlinux` and `lib/modules/VERSION`, built when it is not there yet."""
    ready = glob.glob(os.path.join(cache, "kernel-*", "vmlinux"))
    if ready:
        return os.path.dirname(sorted(ready)[-1])
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        package = download(cache, folder)
        unpacked = os.path.join(folder, "unpacked")
        run("dpkg-deb", "-x", package, unpacked)
        version = os.listdir(os.path.join(unpacked, "lib/modules"))[0]
        run(tool("depmod"), "-b", unpacked, version)
        extract_elf(os.path.join(unpacked, "boot", "vmlinuz-" + version), os.path.join(unpacked, "vmlinux"))
        shutil.rmtree(os.path.join(unpacked, "usr"), ignore_errors=True)
        os.chmod(unpacked, 0o755)
        place = os.path.join(cache, "kernel-" + version)
        os.rename(unpacked, place)
    return place


def tool(name):
    """kmod's programs are where a plain user's PATH does not look."""
    return shutil.which(name) or f"/usr/sbin/{name}"


def module_files(kernel, names):
    """Paths below the kernel's folder, each before those that need it."""
    version = os.listdir(os.path.join(kernel, "lib/modules"))[0]
    files = []
    for name in names:
        for line in run(tool("modprobe"), "-d", kernel, "-S", version, "--show-depends", name).splitlines():
            words = line.split()
            if words[0] == "insmod" and words[1] not in files:
                files.append(line[len("insmod "):].rstrip())
    return list(dict.fromkeys(files))


class Archive:
    """A cpio archive in the form that the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def __init__(self):
        self.parts = []
        self.inode = 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        fields = [self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def folder(self, name):
        self.add(name, 0o040755)

    def file(self, name, data, mode=0o755):
        self.add(name, 0o100000 | mode, data)

    def done(self):
        self.add("TRAILER!!!", 0)
        return b"".join(self.parts)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def first_files(kernel, init, environment):
    """The guest's first file system: busybox, first modules, init, and what it is to do (lines NAME='value')."""
    if not os.path.exists(BUSYBOX):
        raise NotToBeHad(f"{BUSYBOX} is missing: install busybox-static")
    archive = Archive()
    for name in ("bin", "dev", "proc", "sys", "modules", "lower", "upper", "host"):
        archive.folder(name)
    archive.add("dev/console", 0o020600, device=(5, 1))
    archive.file("bin/busybox", read(BUSYBOX))
    files = module_files(kernel, FIRST_MODULES)
    for path in files:
        archive.file("modules/" + os.path.basename(path), read(path), 0o644)
    archive.file("modules/order", "".join(os.path.basename(path) + "\n" for path in files).encode(), 0o644)
    archive.file("init", read(init))
    archive.file("environment", environment.encode(), 0o644)
    return archive.done()


def locked(cache):
    """A lock on the cache: two builds at once would download twice. Held until the file that it returns is closed."""
    os.makedirs(cache, exist_ok=True)
    lock = open(os.path.join(cache, "lock"), "w", encoding="ascii")  # pylint: disable=consider-using-with
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
