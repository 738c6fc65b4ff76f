#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`tidegate plugin test` runs one plugin alone: whole files and files with nothing but sources, what it prints, how it ends (enough samples,
time, Ctrl-C, a plugin that does not come back), and each of its reasons to say no."""
import json
import os
import signal
import subprocess

from gateway import PROGRAM, run
from harness import BUILD, SOURCE, Stage, wait_until
from kit import events

# Says what `mood` says: talks, refuses to open, gives values that are none, goes down, or blocks for good.
PROBE = r"""
#include <tidegate/plugin.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static const struct tg_option options[] = {{.name = "mood", .type = TG_OPTION_TEXT, .default_text = "fine", .doc = "What it does."}, {0}};
static const struct tg_host *h;
static const struct tg_source *s;
static const char *mood;
static int n;
static int probe_open(const struct tg_host *host, const struct tg_source *source, void **ret, char *error, size_t size)
{
    h = host, s = source, *ret = &n;
    mood = h->get_text(s->settings, "mood");
    if (strcmp(mood, "shut") == 0)
        return snprintf(error, size, "the door is shut"), TG_PLUGIN_EIO;
    return 0;
}
static int32_t probe_poll(void *self, int64_t now)
{
    static const struct tg_value model = {TG_VALUE_TEXT, 7, {.text = "X\x1b[2J\"\x80"}};
    struct tg_point_value v[2] = {{.point = 0, .value = tg_value_int(++n)}, {.point = 1, .quality = TG_QUALITY_SENSOR}};
    (void)self, (void)now;
    if (strcmp(mood, "stuck") == 0)
        for (;;)
            pause();
    if (n == 1) {
        h->log(h->source, TG_LOG_WARN, "the probe says %s", mood);
        h->device_fact(h->source, 0, "model", &model);
        h->device_state(h->source, 0, TG_DEVICE_OK, "answers\r\nat once");
        h->uplink(h->source, true, "registered");
        h->offer_time(h->source, 1000, 20);
        h->discovered(h->source, "another-1", NULL);
    }
    if (strcmp(mood, "down") == 0 && n == 2)
        h->device_state(h->source, 0, TG_DEVICE_DOWN, "it fell off the wall");
    if (strcmp(mood, "dumb") == 0)
        return TG_POLL_IDLE;
    h->emit(h->source, 0, 1700000000000, strcmp(mood, "empty") == 0 ? v + 1 : v, strcmp(mood, "empty") == 0 ? 1 : 2);
    return 10;
}
static void probe_close(void *self) { (void)self; h->log(h->source, TG_LOG_INFO, "the probe is closed after %d", n); }
static void probe_write(void *self, uint64_t request, uint32_t d, uint32_t p, const struct tg_value *v)
{
    (void)self, (void)d, (void)p;
    h->answer(h->source, request, v->type == TG_VALUE_INT ? 0 : TG_PLUGIN_EDEVICE, v->type == TG_VALUE_INT ? "{\"was\":1}" : NULL);
}
static void probe_command(void *self, uint64_t request, uint32_t d, const char *name, const char *json)
{
    (void)self, (void)d, (void)json;
    if (strcmp(name, "silence") != 0)
        h->answer(h->source, request, strcmp(name, "twice") == 0 ? 0 : TG_PLUGIN_EUNSUPPORTED, NULL);
    if (strcmp(name, "twice") == 0)
        h->answer(h->source, request, 0, NULL);
}
static const struct tg_plugin probe = {TG_PLUGIN_INIT(TG_THREAD_OWN), .name = "probe", .version = "1", .summary = "for a test",
    .source_options = options, .open = probe_open, .poll = probe_poll, .close = probe_close, .write = probe_write, .command = probe_command};
TG_PLUGIN_EXPORT(probe)
"""


def sources(mood="fine", plugin="probe"):
    return (f"sources:\n  - name: one\n    plugin: {plugin}\n    settings: {{mood: {mood}, discover: {{allow: [\"another-*\"]}}}}\n    devices:\n"
            "      - id: d1\n        points: [{name: count, writable: true, every: 1s, deadband: 1000, scale: 10}, {name: other}]\n")


with Stage() as stage:
    plugin = stage.path("probe.so")
    subprocess.run(["gcc", "-std=gnu11", "-Wall", "-Werror", f"-I{SOURCE}/plugins/sdk", "-fPIC", "-shared", "-o", plugin, "-x", "c", "-"],
                   input=PROBE, text=True, check=True)
    config = stage.write("probe.yaml", sources())

    def trial(*more, mood="fine", check=0, file=None, seconds=40):
        return run("plugin", "test", plugin, "-c", file or stage.write(f"{mood}.yaml", sources(mood)), *more, check=check, seconds=seconds)

    # --- everything that a plugin can say, for programs and for people; values as the plugin gives them (no scale, no deadband)
    done = trial("--samples", 3, "--json")
    seen = events(done)
    assert [sample["values"] for sample in seen["sample"]] == [{"count": 1}, {"count": 2}, {"count": 3}], seen["sample"]
    assert seen["sample"][0]["ts"] == "2023-11-14T22:13:20.000Z" and seen["sample"][0]["quality"] == {"other": "sensor"}
    assert seen["open"][0]["source"] == "one" and seen["fact"][0]["name"] == "model" and seen["fact"][0]["value"].startswith("X\x1b[2J\"")
    assert seen["state"][0] | {"ts": ""} == {"event": "state", "ts": "", "device": "d1", "state": "ok", "text": "answers\r\nat once"}
    assert seen["uplink"][0]["uplink"] == "up" and seen["time"][0]["time"].startswith("1970") and seen["discovered"][0]["id"] == "another-1"
    assert seen["end"] == [{"event": "end", "samples": 3, "devices": {"d1": {"state": "ok", "samples": 3}}, "wrong": [], "ok": True}], seen["end"]
    logged = [json.loads(line) for line in done.stderr.splitlines()]
    assert any("the probe says fine" in str(line) for line in logged) and any("the probe is closed after" in str(line) for line in logged), logged
    done = trial("--samples", 2)
    assert "sample   d1  count=1  other=(sensor)" in done.stdout and "yes: 2 samples, no device down" in done.stdout, done.stdout
    assert "\x1b" not in done.stdout + done.stderr and "the probe says fine" in done.stderr

    # --- the default is ten samples; time alone has no count
    assert trial().stdout.count(" sample ") == 10
    assert trial("--for", "1500ms").stdout.count(" sample ") > 10

    # --- a gateway's whole file: clouds, keys that are not here and other plugins' sources are passed over; by name, as the gateway finds it
    whole = stage.write("whole.yaml", "gateway: {name: site, state_dir: nowhere, plugin_dirs: [.], log: {format: json}}\n"
                        "outbox: {limit: 1MiB}\nclouds:\n  - {name: hub, type: not-in-this-version, host: nowhere}\n" + sources().replace(
                            "      - id: d1\n", "      - id: d1\n        clouds: [hub, other]\n        identity: {sas_key_file: missing.key}\n") +
                        "  - {name: two, plugin: of-somebody-else, settings: {odd: 1}, devices: [{id: d2}]}\n")
    run("plugin", "test", "probe", "-c", whole, "--samples", 1, check=0)
    trial("--samples", 1, file=whole)
    run("check", "-c", whole, check=1)  # for the gateway it is wrong all the same
    run("plugin", "test", "simulator", "-c", f"{SOURCE}/config/tidegate.yaml", "--samples", 1, check=2)  # it has none

    # --- each reason for a no
    for mood, says in (("shut", "no: not open: source one: the door is shut"), ("dumb", "no: no sample came"), ("empty", "no: no sample had a value"),
                       ("down", "no: down: device d1: it fell off the wall")):
        done = trial("--for", "800ms", mood=mood, check=1)
        assert says in done.stdout, done.stdout
    assert "no: too few samples: " in trial("--samples", 100000, "--for", "100ms", check=1).stdout
    assert events(trial("--for", "800ms", "--json", mood="down", check=1))["end"][0]["wrong"] == ["down: device d1: it fell off the wall"]

    # --- commands
    answers = events(trial("--json", "--samples", 1, "--send", "d1", "set", '{"count": 7}'))["answer"]
    assert [(answer["status"], answer["result"]) for answer in answers] == [("ok", '{"was":1}')], answers
    assert "set device" in trial("--send", "d1", "set", '{"count": 7.5}', check=1).stdout
    assert "the device has no such point" in trial("--send", "d1", "set", '{"cuont": 7}', check=1).stdout
    assert "is not writable" in trial("--send", "d1", "set", '{"other": 7}', check=1).stdout
    assert "dance unsupported" in trial("--send", "d1", "dance", check=1).stdout
    assert "no: no answer to silence" in trial("--for", "800ms", "--send", "d1", "silence", check=1).stdout
    assert "has answered request 0, which nobody made" in trial("--for", "800ms", "--send", "d1", "twice").stderr
    assert "none of the sources has a device d9" in trial("--send", "d9", "dance", check=2).stderr
    assert "--send: the arguments" in trial("--send", "d1", "set", "{count: 7}", check=2).stderr
    assert "needs a device and a command" in trial("--send", "d1", check=2).stderr

    # --- wrong usage, wrong files
    for words, code, says in ((["--samples", "0"], 2, "more than 0"), (["--samples", "many"], 2, "--samples"), (["--for", "10"], 2, "--for"), (["more"], 2, "usage"),
                              (["--colour"], 2, "unknown option")):
        done = trial(*words, check=code)
        assert says in done.stderr, done.stderr
    assert "usage" in run("plugin", "test", plugin, check=2).stderr
    assert "there is no such file" in run("plugin", "test", stage.path("none.so"), "-c", config, check=1).stderr
    assert "a plugin is a file NAME.so" in run("plugin", "test", stage.path("probe"), "-c", config, check=2).stderr
    assert "no entry of sources has plugin: probe" in trial(file=stage.write("other.yaml", sources(plugin="simulator")), check=2).stderr
    assert "the file is empty" in trial(file=stage.write("empty.yaml", ""), check=2).stderr
    assert ":4:16: unknown key" in trial(file=stage.write("odd.yaml", sources().replace("mood:", "moody: x, mood:")), check=2).stderr
    os.chmod(plugin, 0o775)
    assert "run: chmod go-w" in trial(check=1).stderr
    os.chmod(plugin, 0o755)

    # --- Ctrl-C ends in good order, with the verdict; a plugin that does not come back is named and left; a second Ctrl-C does not wait
    def begin(mood):
        process = subprocess.Popen([PROGRAM, "plugin", "test", plugin, "-c", stage.write(f"{mood}.yaml", sources(mood)), "--for", "1h"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=stage.folder)
        return process
    with begin("fine") as process:
        assert " open " in process.stdout.readline() and process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
        assert process.returncode == 0 and "yes: " in out and "the probe is closed" in errors, (process.returncode, out, errors)
    assert "the plugin has not come back 5 s after the end" in trial("--for", "100ms", mood="stuck", check=1).stderr
    with begin("stuck") as process:
        assert " open " in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        wait_until(lambda: process.poll() is not None or process.send_signal(signal.SIGINT), 30, "the second Ctrl-C to end it")
        assert process.wait() == 1 and "not come back" not in process.stderr.read()
assert os.path.exists(os.path.join(BUILD, "tidegate"))
