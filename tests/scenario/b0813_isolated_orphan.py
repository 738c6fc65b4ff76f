#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of the gateway: the processes of its plugins end with it, whatever they are at, also one that hangs."""
from field import broker_cloud, simulated
from gateway import PROGRAM, Gateway, configuration
from harness import Stage, free_port, wait_until
from isolated import GATEWAY, alive, pid_of, source, troubled



def stands_still(gateway, device):
    """While another one has taken twenty more, this one has taken none."""
    before = gateway.accounts()
    wait_until(lambda: gateway.accounts()["working"] >= before["working"] + 20, 30, "samples of another")
    return gateway.accounts()[device] == before[device]


with Stage() as stage:
    config = configuration(stage, [broker_cloud(free_port())], [
        troubled("stuck", "hanging", ["broker"], hang_timeout="1h"),
        troubled("busy", "working", ["broker"], plugin="trouble-loop"),
        {**simulated("rehearsal", {"simulated": (["broker"], None)}), "isolation": "process"}], gateway=GATEWAY)
    gateway = Gateway(stage, config)
    names = ("stuck", "busy", "rehearsal")
    for _ in range(2):
        wait_until(lambda: all(source(gateway, name)["open"] for name in names), 30, "all to be open")
        pids = [pid_of(gateway, name) for name in names]
        assert all(alive(pid) for pid in pids)
        hanging = stage.process("send", PROGRAM, "send", "-c", config, "hanging", "hang", "{}")
        wait_until(lambda: stands_still(gateway, "hanging"), 30, "the plugin to hang")
        gateway.kill()
        wait_until(lambda: not any(alive(pid) for pid in pids), 30, "the plugins' processes to end")
        hanging.wait(30)
        gateway.start()
    wait_until(lambda: source(gateway, "stuck")["open"], 30, "the next run")
    assert gateway.stop() == 0
