#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/clouds/mqtt.md leads to the first message: its files and commands, as they stand there, against Debian's mosquitto, without and with TLS;
only names, ports and folders are the test's."""
import os
import re
import shutil
import subprocess

from gateway import Gateway, run
from harness import SOURCE, Stage, accepts, free_port, wait_until

with open(os.path.join(SOURCE, "docs", "clouds", "mqtt.md"), encoding="utf-8") as file:
    PAGE = file.read()
SECTIONS = dict(re.findall(r"(?ms)^### ([^\n]+)\n(.*?)(?=^##)", PAGE))
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def block(section):
    return re.search(r"```yaml\n(.*?)```", SECTIONS[section], re.DOTALL).group(1)


def commands(section, beginning):
    return re.findall(rf"(?m)^    ({beginning}.*)$", SECTIONS[section])


def mosquitto(stage, name, *arguments):
    return stage.process(name, shutil.which("mosquitto", path=PATH), *arguments)


def first_message(stage, config, *reader):
    """The gateway runs, and a subscriber sees what the page promises."""
    assert "is good: 1 cloud, 1 source, 1 device" in run("check", "-c", config, check=0).stdout
    gateway = Gateway(stage, config)
    done = subprocess.run(["mosquitto_sub", *map(str, reader), "-t", "tidegate/#", "-v", "-C", "3", "-W", "30"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + gateway.errors()
    for line in done.stdout.splitlines():
        assert re.fullmatch(r'tidegate/meter-1/data \{"ts":"20..-..-..T..:..:..\....Z","seq":\d+,"values":\{"voltage":2[0-9.]+\}\}', line), line
    assert gateway.stop() == 0


with Stage() as stage:
    os.mkdir(stage.path("state"))
    port = free_port()
    mosquitto(stage, "plain", "-p", port)
    wait_until(lambda: accepts(port), 30, "mosquitto to listen")
    assert commands("On this machine", "mosquitto -p 1884") and "port: 1884" in block("On this machine")
    config = stage.write("tidegate.yaml", block("On this machine").replace("1884", str(port)))
    first_message(stage, config, "-p", port)

    for line in commands("mosquitto", "(?:openssl|echo) "):
        subprocess.run(line.replace("broker.example.com", "localhost"), shell=True, cwd=stage.folder, check=True, capture_output=True)
    listener = re.search(r"# /etc/mosquitto/conf.d/tidegate.conf\n(.*?)\n\n", SECTIONS["mosquitto"], re.DOTALL).group(1)
    port = free_port()
    passwords = stage.path("passwd")
    for name, flags in (("meter-1", ["-c"]), ("reader", [])):
        subprocess.run(["mosquitto_passwd", *flags, "-b", passwords, name, "the password"], check=True, capture_output=True)
    text = re.sub(r"(?m)\s+#.*$", "", listener).replace("listener 8883", f"listener {port} 127.0.0.1").replace("/etc/mosquitto/certs/", stage.folder + "/")
    if os.geteuid() == 0:
        text = "user root\n" + text  # or it gives up the right to read the test's folder
    conf = stage.write("broker.conf", text.replace("/etc/mosquitto/passwd", passwords) + "\n")
    mosquitto(stage, "broker", "-c", conf)
    wait_until(lambda: accepts(port), 30, "mosquitto with TLS to listen")
    subprocess.run("\n".join(commands("mosquitto", "(?:umask|printf) ")), shell=True, cwd=stage.folder, check=True)
    config = stage.write("tidegate.yaml", block("mosquitto").replace("host: broker.example.com", f"host: localhost\n    port: {port}"))
    first_message(stage, config, "-h", "localhost", "-p", port, "--cafile", stage.path("ca.crt"), "-u", "reader", "-P", "the password")
