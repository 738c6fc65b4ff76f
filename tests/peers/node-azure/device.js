// SPDX-License-Identifier: GPL-2.0-or-later
// A device by the official SDK. argv[2] is JSON: {connection, ca, cert?, key?, messages: [{body, properties}], c2d: bool}.
// Prints JSON lines: {"connected": true} or {"error": name}, {"sent": n}, {"c2d": …}; then ends.
'use strict';
const fs = require('fs');
const { Client, Message } = require('azure-iot-device');
const { NoRetry } = require('azure-iot-common');
const { Mqtt } = require('azure-iot-device-mqtt');

const job = JSON.parse(process.argv[2]);
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');

async function main() {
  const client = Client.fromConnectionString(job.connection, Mqtt);
  const options = { ca: fs.readFileSync(job.ca, 'utf8') };
  if (job.cert) {
    options.cert = fs.readFileSync(job.cert, 'utf8');
    options.key = fs.readFileSync(job.key, 'utf8');
  }
  client.setRetryPolicy(new NoRetry());
  await client.setOptions(options);
  client.on('error', (error) => say({ error: error.name }));
  await client.open();
  say({ connected: true });
  for (const { body, properties } of job.messages || []) {
    const message = new Message(body);
    message.contentType = 'application/json';
    message.contentEncoding = 'utf-8';
    Object.entries(properties || {}).forEach(([key, value]) => message.properties.add(key, value));
    await client.sendEvent(message);
  }
  say({ sent: (job.messages || []).length });
  if (job.c2d) {
    await new Promise((resolve) => {
      client.on('message', (message) => {
        say({ c2d: message.getData().toString(), id: message.messageId });
        client.complete(message, resolve);
      });
    });
  }
  await client.close();
}

main().then(() => process.exit(0), (error) => {
  say({ error: error.name });
  process.exit(1);
});
