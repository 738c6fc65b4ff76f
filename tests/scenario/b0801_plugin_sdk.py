#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The installed SDK: the header's own example compiles without a warning and runs, as C in three ages and as C++; pkg-config and CMake say
where things are, also after the tree was moved and under DESTDIR; on Debian plugins are in the multiarch folder."""
import os
import re
import shutil
import subprocess

from harness import BUILD, SOURCE, Stage
from kit import Kit, events

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def example(header):
    """The example in the header's comment, as a file."""
    comment = header[:header.index("*/")]
    lines = comment[comment.index("EXAMPLE (whole)"):].splitlines()[1:]
    return "\n".join(line.removeprefix(" *").removeprefix("     ") for line in lines).strip() + "\n"


with Stage() as stage:
    kit = Kit(stage)
    include = os.path.join(kit.prefix, "include")
    with open(os.path.join(include, "tidegate", "plugin.h"), encoding="utf-8") as file:
        header = file.read()
    api = re.search(r"#define TG_PLUGIN_API_VERSION (\d+)", header)[1]

    # --- the example, as it stands there
    source = stage.write("dice.c", example(header))
    assert "TG_PLUGIN_EXPORT(dice)" in example(header)
    for standard in ("c11", "gnu11", "c17"):
        kit.run("gcc", f"-std={standard}", *WARNINGS, "-O2", f"-I{include}", "-fPIC", "-shared", "-o", stage.path("dice.so"), source, check=0)
    config = stage.write("dice.yaml", "sources:\n  - name: table\n    plugin: dice\n    devices:\n      - {id: die, points: [{name: eyes}]}\n")
    done = kit.tidegate("plugin", "test", "dice.so", "-c", config, "--samples", 2, "--json", check=0)
    assert all(1 <= sample["values"]["eyes"] <= 6 for sample in events(done)["sample"]), done.stdout
    described = kit.tidegate("plugin", "describe", "dice", "--plugin-dir", stage.folder, check=0).stdout
    assert "throws a die" in described and "needs nothing but the files and ports that its options name" in described, described
    for standard in ("c++11", "c++17", "c++20"):
        user = stage.write("user.cpp", "#include <tidegate/plugin.h>\nint main() { return tg_value_int(7).as.integer == 7 ? 0 : 1; }\n")
        kit.run("g++", f"-std={standard}", *WARNINGS, f"-I{include}", "-o", stage.path("user"), user, check=0)
        kit.run(stage.path("user"), check=0)

    # --- the service starts the program that was installed with it
    with open(os.path.join(kit.prefix, "lib/systemd/system/tidegate.service"), encoding="utf-8") as file:
        unit, program = file.read(), os.path.join(kit.prefix, "bin/tidegate")
    start = re.search(r"^ExecStart=(.*) run -c /etc/tidegate/tidegate.yaml$", unit, re.M)[1]
    assert os.path.exists(program) and start == (f'"{program}"' if " " in program else program), start
    with open(os.path.join(SOURCE, "packaging", "tidegate.service"), encoding="utf-8") as file:
        assert unit.replace(start, "/usr/bin/tidegate") == file.read()

    # --- pkg-config
    assert kit.variable("api_version") == api
    assert os.path.samefile(kit.variable("plugindir"), os.path.dirname(next(
        os.path.join(folder, "simulator.so") for folder, _, names in os.walk(kit.prefix) if "simulator.so" in names)))
    flags = kit.run("pkg-config", "--cflags", "tidegate-plugin", check=0).stdout.replace("\\ ", " ").strip()
    assert os.path.samefile(flags.removeprefix("-I"), include), flags
    kit.run("pkg-config", "--exists", f"tidegate-plugin >= {api}", check=0)
    kit.run("pkg-config", "--exists", f"tidegate-plugin >= {int(api) + 1}", check=1)

    # --- CMake: another API is refused, a wrong name too; the tree may move
    os.rename(kit.prefix, stage.path("moved"))
    kit.prefix = stage.path("moved")
    kit.find()
    os.mkdir(stage.path("consumer"))
    shutil.copy(source, stage.path("consumer", "dice.c"))

    def consume(body, check):
        stage.write("consumer/CMakeLists.txt", f"cmake_minimum_required(VERSION 3.25)\nproject(dice C)\n{body}\n")
        shutil.rmtree(stage.path("consumer", "build"), ignore_errors=True)
        return kit.run("cmake", "-S", stage.path("consumer"), "-B", stage.path("consumer", "build"), check=check)
    assert "tidegate-plugin" in consume(f"find_package(tidegate-plugin {int(api) + 1} REQUIRED)", 1).stderr
    assert "is no plugin name" in consume("find_package(tidegate-plugin REQUIRED)\ntidegate_add_plugin(Dice SOURCES dice.c)", 1).stderr
    consume(f"find_package(tidegate-plugin {api} REQUIRED)\ntidegate_add_plugin(dice SOURCES dice.c)\nmessage(STATUS \"at ${{TIDEGATE_PLUGIN_DIR}}\")", 0)
    kit.run("cmake", "--build", stage.path("consumer", "build"), check=0)
    symbols = kit.run("nm", "-D", "--defined-only", stage.path("consumer", "build", "dice.so"), check=0).stdout.split()
    assert [name for name in symbols if name.isidentifier() and len(name) > 1] == ["tidegate_plugin"], symbols
    # What it installs, the moved gateway finds by itself.
    kit.run("cmake", "--install", stage.path("consumer", "build"), check=0)
    assert '"dice"' in kit.tidegate("plugin", "list", "--json", check=0).stdout
    assert kit.variable("plugindir").startswith(stage.path("moved"))

    # --- DESTDIR, by the prefix that the build was configured with; a plugin's own DESTDIR too
    kit.run("cmake", "--install", BUILD, check=0, env={"DESTDIR": stage.path("root")})
    with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as file:
        configured = re.search(r"CMAKE_INSTALL_PREFIX:PATH=(.*)", file.read())[1]
    assert os.path.exists(stage.path("root") + configured + "/include/tidegate/plugin.h")
    kit.run("cmake", "--install", stage.path("consumer", "build"), check=0, env={"DESTDIR": stage.path("package")})
    assert os.path.exists(stage.path("package") + os.path.realpath(kit.variable("plugindir")) + "/dice.so")

    # --- configured for /usr, as a Debian package is
    if os.path.exists("/etc/debian_version"):
        multiarch = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
        kit.run("cmake", "-S", SOURCE, "-B", stage.path("debian"), "-G", "Ninja", "-DCMAKE_INSTALL_PREFIX=/usr", "-DTG_TESTS=OFF", check=0)
        with open(stage.path("debian", "build.ninja"), encoding="utf-8") as file:
            assert f'TG_PLUGIN_INSTALL_DIR=\\"/usr/lib/{multiarch}/tidegate\\"' in file.read()
        with open(stage.path("debian", "plugins", "tidegate-plugin.pc"), encoding="utf-8") as file:
            assert f"plugindir=${{prefix}}/lib/{multiarch}/tidegate" in file.read()
print("the example runs; C, C++, pkg-config and CMake agree")
