#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person reads who gives the gateway a wrong file, or starts it where it cannot run: where it is, what it is, what is allowed;
and the exit code."""
import os
import subprocess

from gateway import Gateway, run
from harness import BUILD, Stage

GOOD = """\
gateway:
  name: site
  state_dir: state
  control_socket: control.sock
  http: off
clouds:
  - name: hub
    type: azure-iot-hub
    host: localhost
    ca_file: ca.pem
  - name: local
    type: mqtt
    host: 127.0.0.1
    port: 1
    tls: off
sources:
  - name: rehearsal
    plugin: simulator
    devices:
      - id: pump-1
        clouds: [hub]
        identity: {sas_key_file: pump-1.key}
        points: [{name: value}]
      - id: pump-2
        clouds: [local]
        settings: {every: 1s}
        points: [{name: value}]
"""

# What is changed in GOOD, and what is said of it: every place that is named, in these words.
WRONG = (
    ("  name: site", "\tname: site", ["2:1: a tab as indentation: YAML takes spaces only"]),
    ("[local]", "[local", ["27:9: not valid YAML: "]),
    ("    host: localhost", "    hst: localhost", ['7:5: missing "host" in the cloud', '9:5: unknown key "hst" in a cloud: did you mean "host"?']),
    ("clouds:\n  - name: hub", "cluods:\n  - name: hub", [
        '6:1: unknown key "cluods" in the file: did you mean "clouds"?', '21:18: unknown cloud "hub"', '25:18: unknown cloud "local"']),
    ("azure-iot-hub", "azure-iothub", [
        '8:11: type: unknown cloud type "azure-iothub" (did you mean "azure-iot-hub"?); known are azure-iot-hub, gcp-iot-core, gcp-pubsub, aws-iot-core, mqtt, module']),
    ("plugin: simulator", "plugin: simulater", ['18:13: plugin: unknown plugin "simulater" (did you mean "simulator"?); searched ']),
    ("{every: 1s}", "{evry: 1s}", ['26:20: unknown key "evry" in a device\'s settings: did you mean "every"?']),
    ("{every: 1s}", "{every: 1}", ['26:27: every: "1" has no unit: write a duration such as 1s (units: ms, s, m, h, d)']),
    ("pump-1.key", "pump-9.key", ["22:19: sas_key_file: FOLDER/pump-9.key does not exist"]),
    ("pump-1.key", "open.key", [
        "22:19: sas_key_file: FOLDER/open.key can be read or written by others (mode 0644); run: chmod 600 'FOLDER/open.key'"]),
    ("        identity: {sas_key_file: pump-1.key}\n", "", [
        '21:18: device "pump-1" has no identity for cloud "hub": give sas_key_file, derive_from_group, certificate and key, or pkcs12 and password_file']),
    ("id: pump-1", "id: pump/1", ['20:9: device id "pump/1": letters, digits and - _ . : @ are allowed, the first a letter, a digit or _',
                                  '21:18: device id "pump/1" has the character "/", which IoT Hub does not take in an MQTT topic']),
    ("id: pump-2", "id: pump-1", ['24:9: device id "pump-1" is given twice: the first is in line 20; an id is unique in the whole gateway']),
    ("[{name: value}]\n      - id", "[{name: value}, {name: value}]\n      - id", [
        '23:33: point name "value" is given twice: the first is in line 23 of the same device']),
    ("clouds: [local]", "clouds: [lokal]", ['25:18: unknown cloud "lokal": did you mean "local"?']),
    ("host: 127.0.0.1", "host: example.org", ["15:10: tls: off would send credentials in the clear"]),
    ("ca.pem", "no.pem", ["10:14: ca_file: FOLDER/no.pem cannot be read: No such file or directory"]),
    ("port: 1\n", "port: 70000\n", ["14:11: port: 70000 is out of range: 1 to 65535 is allowed"]),
    ("plugin: simulator", "plugin: nextabi", [
        "18:13: plugin: FIXTURES/nextabi.so is built for plugin API 2, this tidegate has 1; install a newer tidegate, or build the plugin again against this one's plugin.h"]),
    ("plugin: simulator", "plugin: nosymbol", ["18:13: plugin: FIXTURES/nosymbol.so does not export tidegate_plugin: not a tidegate plugin"]),
    ("plugin: simulator", "plugin: stunted", ["18:13: plugin: FIXTURES/stunted.so describes itself in 16 bytes, at least "]),
    ("plugin: simulator", "plugin: misnamed", ['18:13: plugin: FIXTURES/misnamed.so calls itself "other": file and name must agree']),
)
FIXTURES = os.path.join(BUILD, "tests", "fixtures")


def complaint(path, done, says):
    """Every line of it is FILE:LINE:COL: text, and there are no others than `says`."""
    lines = done.stderr.splitlines()
    places = {text[:text.index(": ")] for text in says if text[0].isdigit()}
    assert {line[len(path) + 1:].split(": ")[0] for line in lines} == places, done.stderr
    for text in says:
        text = text.replace("FOLDER", os.path.dirname(path)).replace("FIXTURES", FIXTURES)
        assert any(line.startswith(path + ":") and text in line for line in lines), f"{text}\n{done.stderr}"


with Stage() as stage:
    stage.write("pump-1.key", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA==\n")
    stage.write("open.key", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA==\n", mode=0o644)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=ca", "-days",
                    "10", "-keyout", "/dev/null", "-out", stage.path("ca.pem")], check=True, capture_output=True)
    good = stage.write("good.yaml", GOOD)
    done = run("check", "-c", good, check=0)
    assert f"{good} is good: 2 clouds, 1 source, 2 devices" in done.stdout and "memory: at most" in done.stdout and not done.stderr
    assert sorted(os.listdir(stage.folder)) == ["ca.pem", "good.yaml", "open.key", "pump-1.key"], "check left something behind"
    for was, now, says in WRONG:
        assert GOOD.count(was) >= 1, was
        wrong = stage.write("wrong.yaml", GOOD.replace(was, now, 1))
        complaint(wrong, run("check", "-c", wrong, "--plugin-dir", FIXTURES, check=1), says)
    complaint(wrong, run("run", "-c", wrong, "--plugin-dir", FIXTURES, check=2), says)
    for verb, code in (("check", 1), ("run", 2)):
        assert run(verb, "-c", stage.path("nowhere.yaml"), check=code).stderr == \
            f"{stage.path('nowhere.yaml')}: cannot be read: No such file or directory\n"

    def cannot_start(path, *says, code=1):
        done = run("run", "-c", path, check=code)
        for text in ("tidegate: cannot start: ", *says):
            assert text in done.stderr, f"{text}\n{done.stderr}"
        assert len(done.stderr.splitlines()) == 1, done.stderr

    def other(was, now):
        return stage.write("other.yaml", GOOD.replace(was, now))
    cannot_start(good, f"state_dir {stage.path('state')}: No such file or directory; create it for the user that runs the gateway, mode 0700")
    cannot_start(other("state_dir: state", "state_dir: ca.pem"), f"state_dir {stage.path('ca.pem')} is not a folder")
    os.mkdir(stage.path("state"), 0o700)
    os.mkdir(stage.path("second"), 0o700)
    cannot_start(other("control.sock", "no/control.sock"), f"control_socket {stage.path('no/control.sock')}: ", "is its folder there and writable?")
    cannot_start(other("control.sock", "ca.pem"), f"control_socket {stage.path('ca.pem')}: there is something that is not a socket, and it stays")
    assert f"cannot reach the running gateway at {stage.path('control.sock')}" in run("status", "-c", good, check=3).stderr
    for arguments, says in ((("nonsense",), 'unknown verb "nonsense"'), ((), "usage: tidegate VERB"), (("run", "--nope"), "unknown option --nope"),
                            (("run", "-c"), "-c needs a value")):
        assert says in run(*arguments, check=2).stderr

    gateway = Gateway(stage, good)
    run("status", "-c", good, check=0)
    cannot_start(good, f"in use by process {gateway.process.child.pid}; a second writer is refused and changed nothing")
    cannot_start(other("control.sock", "other.sock"), f"in use by process {gateway.process.child.pid}")
    cannot_start(other("state_dir: state", "state_dir: second"), f"control_socket {stage.path('control.sock')}: another gateway answers there")
    run("status", "-c", good, check=0)  # it was not disturbed
    gateway.kill()
    gateway.start()  # the socket and the lock that a killed one leaves are in nobody's way
    assert gateway.stop() == 0
    assert not os.path.exists(stage.path("control.sock"))
