// SPDX-License-Identifier: GPL-2.0-or-later
// A device of IoT Core by MQTT.js and jsonwebtoken. argv[2] is JSON: {port, ca, clientId, key, algorithm, claims, steps};
// claims: {iat, exp, aud}; `tokens`: {name: {key, algorithm, claims}} may stand as "$name" in a payload.
// steps, one after the other: ["sub", topic, qos], ["pub", topic, payload, qos, retain], ["send", topic, payload, qos] (does not wait for the
// acknowledgement), ["hear", n messages in all],
// ["closed"]; a payload that is a number is so many bytes. Prints JSON lines: {"connected": true} or {"refused": code}, {"granted": [qos]}, {"acked": topic},
// {"topic", "payload"} of every message, {"closed": true}; then ends. A list of such jobs is done one after the other, and {"end": true} printed after each.
'use strict';
const fs = require('fs');
const jwt = require('jsonwebtoken');
const mqtt = require('mqtt');

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const sign = ({ key, algorithm, claims }) => jwt.sign(claims, fs.readFileSync(key), { algorithm });

function device(job) {
  let heard = 0;
  let closed = false;
  const waiting = new Set();
  const wake = () => waiting.forEach((check) => check());
  const until = (condition) => new Promise((resolve) => {
    const check = () => {
      if (condition() || closed) {
        waiting.delete(check);
        resolve();
      }
    };
    waiting.add(check);
    check();
  });

  function fill(payload) {
    if (typeof payload === 'number') return 'x'.repeat(payload);
    return Object.entries(job.tokens || {}).reduce((text, [name, token]) => text.replace('$' + name, sign(token)), payload);
  }

  const actions = {
    sub: (client, topic, qos) => new Promise((resolve) => {
      client.subscribe(topic, { qos }, (error, granted) => {
        if (!error) say({ granted: granted.map((one) => one.qos) });
        resolve();
      });
      until(() => closed).then(resolve);
    }),
    pub: (client, topic, payload, qos, retain) => new Promise((resolve) => {
      client.publish(topic, fill(payload), { qos, retain: !!retain }, (error) => {
        if (!error && qos) say({ acked: topic });
        resolve();
      });
      until(() => closed).then(resolve);
    }),
    send: (client, topic, payload, qos) => {
      client.publish(topic, fill(payload), { qos }, (error) => {
        if (!error) say({ acked: topic });
      });
    },
    hear: (client, count) => until(() => heard >= count),
    closed: () => until(() => closed),
  };

  return new Promise((resolve) => {
    const client = mqtt.connect({
      host: 'localhost', port: job.port, protocol: 'mqtts', ca: fs.readFileSync(job.ca), clientId: job.clientId,
      username: 'unused', password: sign(job), clean: true, reconnectPeriod: 0, protocolVersion: 4,
    });
    client.on('message', (topic, payload) => {
      heard += 1;
      say({ topic, payload: payload.toString() });
      wake();
    });
    client.on('error', (error) => {
      say({ refused: error.code });
      client.end(true, {}, () => resolve(1));
    });
    client.on('close', () => {
      closed = true;
      wake();
    });
    client.on('connect', async () => {
      say({ connected: true });
      for (const [what, ...how] of job.steps) {
        if (!closed) await actions[what](client, ...how);
      }
      if (closed) say({ closed: true });
      client.end(true, {}, () => resolve(0));
    });
  });
}

(async () => {
  const jobs = JSON.parse(process.argv[2]);
  if (!Array.isArray(jobs)) process.exit(await device(jobs));
  for (const job of jobs) {
    await device(job);
    say({ end: true });
  }
  process.exit(0);
})();
