// SPDX-License-Identifier: GPL-2.0-or-later
// A device by the official SDK that is led by lines: each line on stdin is JSON {do: …}, each is answered with one line,
// {"ok": true, …} or {"ok": false, "error": name, "message": …}. What happens by itself comes between as {"event": …}.
//
//   {do: "open", connection, ca, cert?, key?}      {do: "close"}
//   {do: "telemetry", body, properties?}
//   {do: "twin"}                                   {ok, desired, reported}: from now on, and as it is
//   {do: "refresh"}                                the same, asked for again
//   {do: "watch"}                                  {event: "desired", patch}: each patch, the first one the whole document
//   {do: "report", patch}
//   {do: "method", name, status, payload}          {event: "method", name, payload}: each call, answered so
//   {do: "c2d"}                                    {event: "c2d", body, id, properties}
//   {do: "provision", host, idScope, registration, secret? | cert?, key?, payload?}    {ok, hub, device, payload}
'use strict';
const fs = require('fs');
const readline = require('readline');
const { Client, Message } = require('azure-iot-device');
const { NoRetry } = require('azure-iot-common');
const { Mqtt } = require('azure-iot-device-mqtt');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Mqtt: ProvisioningMqtt } = require('azure-iot-provisioning-device-mqtt');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { X509Security } = require('azure-iot-security-x509');

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const read = (path) => fs.readFileSync(path, 'utf8');
const promised = (start) => new Promise((resolve, reject) => {
  start((error, result) => error ? reject(error) : resolve(result));
});
let client = null;
let twin = null;

const documents = () => {
  const { desired, reported } = JSON.parse(JSON.stringify(twin.properties));
  return { desired, reported };
};

const commands = {
  async open({ connection, ca, cert, key }) {
    client = Client.fromConnectionString(connection, Mqtt);
    client.setRetryPolicy(new NoRetry());
    await client.setOptions({ ca: read(ca), ...(cert ? { cert: read(cert), key: read(key) } : {}) });
    client.on('error', (error) => say({ event: 'error', error: error.name }));
    client.on('disconnect', () => say({ event: 'disconnect' }));
    await client.open();
  },
  async close() {
    await client.close();
  },
  async telemetry({ body, properties }) {
    const message = new Message(body);
    Object.entries(properties || {}).forEach(([key, value]) => message.properties.add(key, value));
    await client.sendEvent(message);
  },
  async twin() {
    twin = await client.getTwin();
    return documents();
  },
  async refresh() {
    await twin.get();
    return documents();
  },
  async watch() {
    twin.on('properties.desired', (patch) => say({ event: 'desired', patch }));
  },
  async report({ patch }) {
    await promised((done) => twin.properties.reported.update(patch, done));
    return documents();
  },
  async method({ name, status, payload }) {
    client.onDeviceMethod(name, (request, response) => {
      say({ event: 'method', name: request.methodName, payload: request.payload });
      response.send(status, payload, (error) => error && say({ event: 'error', error: error.name }));
    });
  },
  async c2d() {
    client.on('message', (message) => {
      const properties = Object.fromEntries(message.properties.propertyList.map(({ key, value }) => [key, value]));
      say({ event: 'c2d', body: message.getData().toString(), id: message.messageId, properties });
      client.complete(message, () => {});
    });
  },
  async provision({ host, idScope, registration, secret, cert, key, payload }) {
    const security = secret ? new SymmetricKeySecurityClient(registration, secret)
      : new X509Security(registration, { cert: read(cert), key: read(key) });
    const transport = new ProvisioningMqtt();
    const registrar = ProvisioningDeviceClient.create(host, idScope, transport, security);
    if (payload !== undefined) {
      registrar.setProvisioningPayload(payload);
    }
    const result = await promised((done) => registrar.register(done));
    return { hub: result.assignedHub, device: result.deviceId, payload: result.payload };
  },
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const job = JSON.parse(line);
  try {
    say({ ok: true, ...(await commands[job.do](job)) });
  } catch (error) {
    const { errorCode, message: said } = error.result || {};
    say({ ok: false, error: error.name, message: error.message, errorCode, said });
  }
}).on('close', () => process.exit(0));
