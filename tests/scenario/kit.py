# SPDX-License-Identifier: GPL-2.0-or-later
"""kit - the installed tree as somebody who writes plugins has it: installed into a folder of its own, and used from there alone.

    kit = Kit(stage)                                     # cmake --install --prefix STAGE/usr
    kit.build(folder)                                    # cmake -B build, build; the build folder
    kit.tidegate("plugin", "test", "x.so", "-c", "x.yaml", check=0)

Nothing here may find a header of the source tree: the compiler's and CMake's search paths are the installed ones.
"""
import json
import os
import subprocess

from harness import BUILD, SOURCE


class Kit:
    def __init__(self, stage, prefix="usr", **install):
        self.stage, self.prefix = stage, stage.path(prefix)
        self.run("cmake", "--install", BUILD, "--prefix", self.prefix, check=0, **install)
        self.find()

    def find(self):
        self.program = os.path.join(self.prefix, "bin", "tidegate")
        self.library = next(folder for folder, _, names in os.walk(self.prefix) if "tidegate-plugin.pc" in names)
        self.env = {"PKG_CONFIG_PATH": self.library, "CMAKE_PREFIX_PATH": self.prefix,
                    "PATH": os.path.join(self.prefix, "bin") + ":" + os.environ["PATH"]}

    def run(self, *words, check=None, cwd=None, env=None, seconds=120):
        done = subprocess.run(list(map(str, words)), cwd=cwd or self.stage.folder, env={**os.environ, **getattr(self, "env", {}), **(env or {})},
                              capture_output=True, text=True, timeout=seconds, check=False)
        if check is not None and done.returncode != check:
            raise AssertionError(f"{' '.join(map(str, words))}: exit code {done.returncode}, expected {check}\n{done.stdout}{done.stderr}")
        return done

    def tidegate(self, *words, check=None, **more):
        return self.run(self.program, *words, check=check, **more)

    def variable(self, name):
        return self.run("pkg-config", f"--variable={name}", "tidegate-plugin", check=0).stdout.strip().replace("\\ ", " ")

    def build(self, folder, *definitions, flags="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"):
        """Configures and builds; the source tree of tidegate must not have been looked into."""
        build = os.path.join(folder, "build")
        self.run("cmake", "-S", folder, "-B", build, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", f"-DCMAKE_C_FLAGS={flags}", *definitions, check=0)
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
            for entry in json.load(file):
                assert f"-I{SOURCE}" not in entry["command"] and f"-isystem {SOURCE}" not in entry["command"], entry
        self.run("cmake", "--build", build, check=0)
        return build


def events(done):
    """The lines of `plugin test --json`, by kind."""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {kind: [line for line in lines if line["event"] == kind] for kind in {line["event"] for line in lines}}
