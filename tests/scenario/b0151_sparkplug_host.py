#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An edge node with a primary host says nothing until that host is online, dies when it goes, and loses nothing meanwhile; a gateway
that is killed is declared dead by the broker."""
from field import simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from sparkplug import Plant

DEVICES = ("d1", "d2")

with Stage() as stage:
    plant = Plant(stage, DEVICES, primary_host="tests")
    gateway = Gateway(stage, configuration(stage, [plant.cloud], [simulated("rehearsal", {device: (["broker"], None) for device in DEVICES})]))

    def waits():
        return all(gateway.session(device, "broker")["state"] == "attaching" for device in DEVICES)
    wait_until(waits, 30, "the sessions to wait for the host")
    plant.host.command("state offline 1000")
    plant.host.command("state online 999")  # of an earlier life of the host
    wait_until(lambda: all(seq > 50 for seq in gateway.accounts().values()) and "older than the last one" in gateway.errors(), 30, "data that waits")
    assert plant.node()["births"] == 0 and waits()
    plant.host.command("state online")
    wait_until(plant.all_born, 30, "births when the host is online")
    plant.await_everything(gateway.accounts())
    births = plant.node()

    plant.host.command("state offline")
    wait_until(lambda: not plant.node()["online"], 30, "the node's death when the host goes")
    wait_until(waits, 30, "a new connection that waits")
    assert "primary host tests is offline" in gateway.errors()
    accounts = gateway.accounts()
    wait_until(lambda: all(gateway.accounts()[device] > accounts[device] + 50 for device in DEVICES), 30, "a backlog")
    assert plant.node()["births"] == births["births"]
    plant.host.command("state online")
    wait_until(plant.all_born, 30, "births when the host is back")
    assert plant.node()["bdSeq"] == (births["bdSeq"] + 1) % 256, "a new connection has the next bdSeq"
    plant.await_everything(gateway.accounts())

    bd_seq = plant.node()["bdSeq"]
    gateway.kill()
    wait_until(lambda: not plant.node()["online"], 30, "the broker to declare the node dead")
    gateway.start()
    wait_until(plant.all_born, 30, "births after the kill")
    assert plant.node()["bdSeq"] == (bd_seq + 1) % 256, "bdSeq goes on after a kill"
    plant.await_everything(gateway.accounts())
    assert gateway.stop() == 0
    plant.assert_clean()
    plant.close()
