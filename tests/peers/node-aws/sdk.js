// SPDX-License-Identifier: GPL-2.0-or-later
// A device by the vendor's SDK that is led by lines: each line on stdin is JSON {do: …}, each is answered with one line,
// {"ok": true, …} or {"ok": false, "error": name, "message": …}. What happens by itself comes between as {"event": …}.
//
//   {do: "open", kind: "shadow" | "jobs", host, port, client, ca, cert, key}     {event: "connect" | "close" | "error"}
//   {do: "register", thing}
//   {do: "get" | "update" | "delete", thing, state?}      {event: "status", thing, stat, state}: accepted or rejected
//                                                         {event: "delta", thing, state}, {event: "foreign", …}
//   {do: "jobs", thing}                                   {event: "job", id, document, status}
//   {do: "finish", id, how: "succeeded" | "failed" | "inProgress", details}
//   {do: "publish", topic, body, qos}
//   {do: "close"}
'use strict';
const readline = require('readline');
const awsIot = require('aws-iot-device-sdk');

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
let client = null;
const jobs = {};

const requested = (verb, ...more) => {
  const token = client[verb](...more);
  if (token === null) {
    throw new Error('another operation is under way');
  }
  return { token };
};

const commands = {
  async open({ kind, host, port, client: clientId, ca, cert, key }) {
    const options = { host, port, clientId, caPath: ca, certPath: cert, keyPath: key, protocol: 'mqtts' };
    client = kind === 'jobs' ? awsIot.jobs(options) : awsIot.thingShadow(options, { operationTimeout: 20000 });
    client.on('connect', () => say({ event: 'connect' }));
    client.on('close', () => say({ event: 'close' }));
    client.on('error', (error) => say({ event: 'error', message: error.message }));
    client.on('timeout', (thing, token) => say({ event: 'timeout', thing, token }));
    client.on('status', (thing, stat, token, state) => say({ event: 'status', thing, stat, token, state }));
    client.on('delta', (thing, state) => say({ event: 'delta', thing, state }));
    client.on('foreignStateChange', (thing, operation, state) => say({ event: 'foreign', thing, operation, state }));
  },
  register: ({ thing }) => new Promise((resolve, reject) => {
    client.register(thing, { ignoreDeltas: false }, (error, failed) => error || (failed || []).length > 0
      ? reject(error || new Error('a subscription is denied')) : resolve({}));
  }),
  async get({ thing }) {
    return requested('get', thing);
  },
  async update({ thing, state }) {
    return requested('update', thing, { state });
  },
  async delete({ thing }) {
    return requested('delete', thing);
  },
  async jobs({ thing }) {
    client.subscribeToJobs(thing, (error, job) => {
      if (job) {
        jobs[job.id] = job;
      }
      say(error ? { event: 'error', message: error.message }
        : { event: 'job', id: job.id, document: job.document, status: job.status });
    });
    await new Promise((resolve) => client.startJobNotifications(thing, resolve));
  },
  finish: ({ id, how, details }) => new Promise((resolve, reject) => {
    jobs[id][how](details, (error) => error ? reject(error) : resolve({}));
  }),
  publish: ({ topic, body, qos }) => new Promise((resolve, reject) => {
    client.publish(topic, body, { qos }, (error) => error ? reject(error) : resolve({}));
  }),
  close: () => new Promise((resolve) => client.end(false, () => resolve({}))),
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { do: what, ...job } = JSON.parse(line);
  try {
    say({ ok: true, ...(await commands[what](job) || {}) });
  } catch (error) {
    say({ ok: false, error: error.name, message: error.message });
  }
}).on('close', () => process.exit(0));
