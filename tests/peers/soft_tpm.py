# SPDX-License-Identifier: GPL-2.0-or-later
"""soft_tpm - a software TPM 2.0 (swtpm) with a PKCS#11 token in it (tpm2-pkcs11), as Debian packages them.

    if SoftTpm.missing(): …                    # the packages that are not installed
    tpm = SoftTpm(stage, "site-tpm", pin="1234")
    tpm.key("meter-1", "ecc256")               # or rsa2048
    os.environ.update(tpm.environment)         # how the module finds it

There is no resource manager between the tools and the TPM, which has room for three loaded objects: so each tool is followed by
a flush, through small programs of the same names that stand before the real ones in the path.
"""
import glob
import os
import shutil
import stat
import subprocess
import tempfile

from harness import Process, wait_until

MODULE = next(iter(glob.glob("/usr/lib/*/pkcs11/libtpm2_pkcs11.so")), None)
NEEDS = (("swtpm", "swtpm"), ("tpm2_ptool", "libtpm2-pkcs11-tools"), ("tpm2_flushcontext", "tpm2-tools"))
WRAPPER = """#!/bin/sh
REAL/"$(basename "$0")" "$@"; code=$?
REAL/tpm2_flushcontext -t > /dev/null 2>&1
exit $code
"""


class SoftTpm:
    @staticmethod
    def missing():
        absent = [package for program, package in NEEDS if not shutil.which(program)]
        return absent + ([] if MODULE else ["libtpm2-pkcs11-1"])

    def __init__(self, stage, label, pin):
        self.stage, self.label, self.pin = stage, label, pin
        self.store = stage.path("tpm-store")
        for folder in ("tpm-state", "tpm-store", "tpm-tools"):
            os.makedirs(stage.path(folder), mode=0o700, exist_ok=True)
        self.folder = tempfile.TemporaryDirectory(prefix="tidegate-tpm-")  # the stage's own has a blank, which the TPM's library does not take
        socket = os.path.join(self.folder.name, "sock")
        tcti = f"swtpm:path={socket}"
        self.environment = {"TPM2_PKCS11_STORE": self.store, "TPM2_PKCS11_TCTI": tcti, "TPM2TOOLS_TCTI": tcti,
                            "TSS2_LOG": "all+none"}
        self.process = Process(stage, "swtpm", ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={stage.path('tpm-state')}",
                                                "--server", f"type=unixio,path={socket}", "--ctrl",
                                                f"type=unixio,path={socket}.ctrl", "--flags", "startup-clear"])
        wait_until(lambda: os.path.exists(socket), 30, "the software TPM to listen")
        self.wrap_tools()
        self.tool("init", "--path", self.store)
        self.tool("addtoken", "--pid", "1", "--label", label, "--sopin", "567890", "--userpin", pin, "--path", self.store)

    def wrap_tools(self):
        real = os.path.dirname(shutil.which("tpm2_flushcontext"))
        wrapper = self.stage.path("tpm-tools", "wrapper")
        with open(wrapper, "w", encoding="ascii") as file:
            file.write(WRAPPER.replace("REAL", real))
        os.chmod(wrapper, stat.S_IRWXU)
        for name in os.listdir(real):
            if name.startswith("tpm2_") and name not in ("tpm2_ptool", "tpm2_flushcontext"):
                os.symlink("wrapper", self.stage.path("tpm-tools", name))

    def tool(self, *arguments):
        env = {**os.environ, **self.environment, "PATH": self.stage.path("tpm-tools") + ":" + os.environ["PATH"]}
        done = subprocess.run(["tpm2_ptool", *arguments], env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"tpm2_ptool {' '.join(arguments)}: {done.stdout}{done.stderr}"

    def key(self, name, algorithm):
        self.tool("addkey", "--algorithm", algorithm, "--label", self.label, "--key-label", name, "--userpin", self.pin, "--path", self.store)
