// SPDX-License-Identifier: GPL-2.0-or-later
// Many devices in one program by the official SDK, a client for each, as its documentation has it: `./dev bench --peers` compares
// memory, CPU and behaviour. argv[2] is JSON: {ca, connections: [connection string …], rate, count, from}.
//
//   rate   samples a second of each device; 0: a hundred of each on their way, always
//   count  of each device; 0: for ever.  from: the number that was given last
//
// It says {"ready":true} when all are connected; then each line on stdin gets {"ok":true, "online", "accepted", "acked", "failed"};
// "rate N" sets the rate. Accepted is what sendEvent() was given: the SDK keeps it in memory until the hub has it.
'use strict';
const fs = require('fs');
const readline = require('readline');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const WINDOW = 100;
const job = JSON.parse(process.argv[2]);
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const counts = { online: 0, accepted: 0, acked: 0, failed: 0 };
const devices = job.connections.map((connection) => ({ connection, made: job.from || 0, since: 0, pending: 0 }));
let rate = job.rate;
let since = Date.now();

function text(number) {
  const a = (number * 2654435761) % 4294967296;
  const values = {};
  [997, 991, 983, 977, 971, 967, 953, 947].forEach((prime, i) => {
    values['point' + i] = 100 + a % (899 - 12 * i) + (a % prime) / 1000;
  });
  return JSON.stringify({ ts: new Date().toISOString(), seq: number, values });
}

function send(device) {
  const message = new Message(text(++device.made));
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  device.pending++;
  counts.accepted++;
  device.client.sendEvent(message, (error) => {
    device.pending--;
    counts[error ? 'failed' : 'acked']++;
    if (rate === 0 && wanted(device)) {
      send(device);
    }
  });
}

const wanted = (device) => !job.count || device.made < job.count;

function tick() {
  const owed = (Date.now() - since) * rate / 1000;
  devices.forEach((device, i) => {
    const due = Math.floor(owed + i / devices.length) - device.since; // spread over the period
    for (let n = 0; n < due && wanted(device); n++) {
      device.since++;
      send(device);
    }
  });
}

function run() {
  since = Date.now();
  devices.forEach((device) => {
    device.since = 0;
    for (let n = 0; rate === 0 && n < WINDOW && wanted(device); n++) {
      send(device);
    }
  });
}

async function main() {
  const ca = fs.readFileSync(job.ca, 'utf8');
  for (let i = 0; i < devices.length; i += 20) {
    await Promise.all(devices.slice(i, i + 20).map(async (device) => {
      device.client = Client.fromConnectionString(device.connection, Mqtt);
      device.client.on('error', () => {});
      await device.client.setOptions({ ca });
      await device.client.open();
      counts.online++;
    }));
  }
  say({ ready: true });
  if (rate !== null) {
    run();
  }
  setInterval(() => {
    if (rate > 0) {
      tick();
    }
  }, 10);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const [word, value] = line.split(' ');
    if (word === 'rate') {
      rate = Number(value);
      run();
    }
    say({ ok: true, ...counts });
  });
  lines.on('close', () => process.exit(0));
}

main().catch((error) => {
  process.stderr.write(error.stack + '\n');
  process.exit(1);
});
