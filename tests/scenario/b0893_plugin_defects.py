#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A plugin that crashes, calls exit(), emits what is not there or never comes back is told so by `tidegate plugin test`, and one that never comes
back does not keep the gateway from ending."""
import subprocess

from field import broker_cloud
from gateway import Gateway, configuration, run
from harness import SOURCE, Stage, free_port, wait_until

CODE = """
#include <tidegate/plugin.h>
#include <stdlib.h>
#include <unistd.h>
static int polls;
static int die_open(const struct tg_host *h, const struct tg_source *s, void **ret, char *e, size_t n)
{ (void)s; (void)e; (void)n; *ret = (void *)h; return 0; }
static int32_t die_poll(void *self, int64_t now_ms)
{
    const struct tg_host *h = self;
    struct tg_point_value v = {.point = POINT, .value = tg_value_int(1 + now_ms % 6)};
    if (++polls == 3) { DEFECT; }
    h->emit(h->source, 0, 0, &v, 1);
    return 50;
}
static void die_close(void *self) { (void)self; }
static const struct tg_plugin die = {TG_PLUGIN_INIT(TG_THREAD_OWN), .name = "die", .version = "1", .summary = "throws a die",
    .open = die_open, .poll = die_poll, .close = die_close, .needs = TG_NEEDS_STATED};
TG_PLUGIN_EXPORT(die)
"""

with Stage() as stage:
    source = stage.write("die.c", CODE)
    plugin = stage.path("die.so")
    config = configuration(stage, [broker_cloud(free_port())],
                           [{"name": "table", "plugin": "die", "devices": [{"id": "die-1", "clouds": ["broker"], "points": [{"name": "eye"}]}]}],
                           gateway={"plugin_dirs": [stage.path(".")]})

    def build(defect, point=0):
        subprocess.run(["cc", "-std=c11", f"-I{SOURCE}/plugins/sdk", f"-DDEFECT={defect}", f"-DPOINT={point}", "-fPIC", "-shared",
                        "-fvisibility=hidden", "-o", plugin, source], check=True)

    def trial(duration="30s"):
        return run("plugin", "test", plugin, "-c", config, "--samples", "20", "--for", duration)

    build("abort()")
    done = trial()
    assert done.returncode != 0 and "no: the plugin has crashed" in done.stderr, done
    build("exit(0)")
    done = trial()
    assert done.returncode == 1 and "no: the plugin has called exit()" in done.stderr, done
    build("(void)0", point=7)
    done = trial("2s")
    assert done.returncode == 1 and "it emits point 7, and device die-1 has 1" in done.stderr and "no: no sample came" in done.stdout + done.stderr, done

    build("h->device_state(h->source, 0, TG_DEVICE_OK, NULL); for (;;) sleep(1)")
    gateway = Gateway(stage, config)
    wait_until(lambda: gateway.device("die-1")["state"] == "ok", 30, "the plugin to lose itself")
    assert gateway.stop(60) == 1
    assert "source=table its plugin has not come back 10 s after the end was asked for" in gateway.errors(), gateway.errors()
