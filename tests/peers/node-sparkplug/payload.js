// SPDX-License-Identifier: GPL-2.0-or-later
// Sparkplug payloads by Eclipse Tahu. argv[2] is JSON: {decode: [hex…], encode: [payload…]}; prints {decoded: […], encoded: [hex…]}.
'use strict';
const payloads = require('sparkplug-payload').get('spBv1.0');

const job = JSON.parse(process.argv[2]);
const plain = (_, value) => (typeof value === 'bigint' || (value && value.constructor && value.constructor.name === 'Long')
  ? value.toString() : value);
const decoded = (job.decode || []).map((hex) => {
  const payload = payloads.decodePayload(Buffer.from(hex, 'hex'));
  const text = (v) => (v && typeof v === 'object' && typeof v.toSigned === 'function' ? v.toString() : v);
  return {
    timestamp: text(payload.timestamp),
    seq: text(payload.seq),
    metrics: payload.metrics.map((metric) => Object.fromEntries(Object.entries(metric).map(([key, v]) => [key, text(v)]))),
  };
});
const encoded = (job.encode || []).map((payload) => Buffer.from(payloads.encodePayload(payload)).toString('hex'));
process.stdout.write(`${JSON.stringify({ decoded, encoded }, plain)}\n`);
