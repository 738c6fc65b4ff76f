#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The process of a plugin has nothing of the gateway but standard error and two sockets, and may do only what the plugin declares
and its options name."""
import errno
import os
import socket

from field import broker_cloud
from gateway import Gateway, configuration, run
from harness import Stage, free_port, wait_until
from isolated import GATEWAY, ask, open_files, pid_of, source, troubled

SECRET = "TIDEGATE_TEST_SECRET"


def capabilities(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return {line.split(":")[0]: line.split()[1] for line in file if line.startswith(("Cap", "NoNewPrivs", "Seccomp:"))}


with Stage() as stage:
    named, other = stage.write("named.txt", "for the plugin\n"), stage.write("key.txt", "not for the plugin\n")
    secret, folder, reads = stage.write("plugin.key", "its own\n"), stage.path("notes"), stage.path("reads")
    os.chmod(secret, 0o600)
    for made in folder, reads:
        os.mkdir(made)
        stage.write(f"{os.path.basename(made)}/there", "")
    config = configuration(stage, [broker_cloud(free_port())], [
        troubled("bare", "quiet", ["broker"], every="1s", settings={"path": named, "folder": folder, "reads": reads, "secret": secret}),
        troubled("net", "talker", ["broker"], plugin="trouble-loop", every="1s"),
        troubled("shell", "starter", ["broker"], plugin="trouble-programs", every="1s")], gateway=GATEWAY)
    listed = run("plugin", "list", "-c", config).stdout
    assert "needs, with isolation: process: programs" in listed and "process: nothing" in listed, listed
    gateway = Gateway(stage, config, env={SECRET: "do not inherit"})
    wait_until(lambda: all(source(gateway, name)["open"] for name in ("bare", "net", "shell")), 30, "all to be open")
    confined = source(gateway, "bare")["process"]["confined"]
    assert confined["capabilities"] and confined["system_calls"], f"this build lacks a library: {confined}"

    # Nothing is inherited.
    pid = pid_of(gateway, "bare")
    with open(f"/proc/{pid}/environ", "rb") as file:
        assert SECRET.encode() not in file.read()
    files = open_files(pid)
    assert sum(name.startswith("socket:") for name in files) == 2, files
    assert not [name for name in files if name.startswith("/") and not name.startswith(("/dev/null", stage.folder + "/tidegate."))], files
    rights = capabilities(pid)
    assert rights["CapEff"] == rights["CapPrm"] == "0" * 16 and rights["NoNewPrivs"] == "1" and rights["Seccomp"] == "2", rights

    def refused(device, what, number=None):
        answer = ask(gateway, device, f"try:{what}")
        assert answer["rc"] == -1 and (number is None or answer["errno"] == number), f"{device} may {what}: {answer}"

    def granted(device, what):
        answer = ask(gateway, device, f"try:{what}")
        assert answer["rc"] == 0, f"{device} may not {what}: {answer}"

    for device in ("quiet", "talker", "starter"):
        for what in ("ptrace", "kill", "kill group", "limits", "type", "mount", "keyctl", "io_uring"):
            refused(device, what, errno.EPERM)
        refused(device, "core")
        refused(device, f"socket:{int(socket.AF_PACKET)}", errno.EACCES)
        refused(device, f"socket:{int(socket.AF_BLUETOOTH)}", errno.EACCES)
        refused(device, f"raw:{int(socket.AF_INET)}")
    refused("quiet", f"socket:{int(socket.AF_INET)}", errno.EACCES)
    refused("quiet", f"socket:{int(socket.AF_INET6)}", errno.EACCES)
    refused("quiet", f"socket:{int(socket.AF_UNIX)}", errno.EACCES)  # the gateway's control socket is one
    refused("talker", f"socket:{int(socket.AF_UNIX)}", errno.EACCES)
    granted("starter", f"socket:{int(socket.AF_UNIX)}")
    granted("talker", f"socket:{int(socket.AF_INET)}")
    for device, may in (("quiet", False), ("talker", False), ("starter", True)):
        assert (ask(gateway, device, "fork")["rc"] == 0) == may, f"{device} forks"

    if confined["files"]:
        for device in ("quiet", "talker"):
            for path in ("/etc/shadow", "/etc/passwd", "/dev/mem", other, config, stage.path("state"), "/root", "/"):
                refused(device, f"open:{path}", errno.EACCES if os.path.exists(path) else None)
            refused(device, f"write:{named}" if device == "talker" else "write:/etc/hosts", errno.EACCES)
            granted(device, "open:/dev/urandom")
            granted(device, "write:/dev/null")
        refused("quiet", "open:/etc/hosts", errno.EACCES)
        granted("talker", "open:/etc/hosts")
        granted("quiet", f"open:{named}")
        granted("quiet", f"write:{named}")
        for what in f"write:{folder}/there", f"make:{folder}/new", f"open:{folder}/new", f"remove:{folder}/new", f"open:{reads}/there", f"open:{secret}":
            granted("quiet", what)
        for what in f"write:{reads}/there", f"make:{reads}/new", f"remove:{reads}/there", f"write:{secret}":
            refused("quiet", what, errno.EACCES)
        for what in f"make:{folder}/new", f"open:{folder}/there", f"open:{reads}/there", f"open:{secret}":
            refused("talker", what, errno.EACCES)
        refused("starter", "open:/etc/shadow", errno.EACCES)
    assert all(source(gateway, name)["process"]["restarts"] == 0 for name in ("bare", "net", "shell")), gateway.errors()
    shown = run("status", "-c", config, check=0).stdout
    assert "capabilities dropped, system calls filtered" in shown, shown
    assert gateway.stop() == 0
