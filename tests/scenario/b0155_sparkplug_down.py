#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A device that falls silent now and then dies and is born with each silence; its neighbour does not notice, and nothing is lost."""
from field import simulated
from gateway import Gateway, configuration
from harness import Stage, wait_until
from sparkplug import Plant

DEVICES = ("moody", "steady")

with Stage() as stage:
    plant = Plant(stage, DEVICES)
    gateway = Gateway(stage, configuration(stage, [plant.cloud], [
        simulated("rehearsal", {"steady": (["broker"], None)}),
        simulated("trouble", {"moody": (["broker"], None)}, fault="silent", fault_every="2s", fault_for="700ms")]))
    wait_until(plant.all_born, 30, "births")
    wait_until(lambda: plant.node()["devices"]["moody"]["deaths"] >= 2, 40, "two deaths of the moody one")
    deaths = plant.node()["devices"]["moody"]["deaths"]
    wait_until(lambda: plant.node()["devices"]["moody"]["births"] > deaths and plant.all_born(), 30, "its birth after each")
    node = plant.node()
    assert node["births"] == 1 and node["devices"]["steady"] == {**node["devices"]["steady"], "births": 1, "deaths": 0}, node
    accounts = gateway.accounts()
    plant.await_everything(accounts)
    assert gateway.stop() == 0
    plant.assert_clean()
    plant.close()
