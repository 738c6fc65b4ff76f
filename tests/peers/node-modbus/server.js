// SPDX-License-Identifier: GPL-2.0-or-later
// A Modbus server by jsmodbus, over TCP (argv: tcp) or RTU frames through TCP (argv: rtu). Says {"ready": true, "port": N}, then answers
// lines on stdin: "holding N" and "coil N" with {"ok": true, "value": V}, "set N V" writes input register N. Ends with its stdin.
'use strict';
const net = require('net');
const readline = require('readline');
const { server } = require('jsmodbus');

const registers = () => {
  const buffer = Buffer.alloc(2048);
  for (let i = 0; i < 1024; i += 1) buffer.writeUInt16BE(1000 + i, 2 * i);
  return buffer;
};
const tables = { coils: Buffer.alloc(128, 0xAA), discrete: Buffer.alloc(128, 0x55), holding: registers(), input: registers() };
const listener = new net.Server();
if (process.argv[2] === 'rtu') listener.on('connection', (socket) => new server.RTU(socket, tables));
else new server.TCP(listener, tables); // eslint-disable-line no-new
listener.on('connection', (socket) => socket.on('error', () => {}).setNoDelay(true));
listener.listen(0, '127.0.0.1', () => process.stdout.write(`${JSON.stringify({ ready: true, port: listener.address().port })}\n`));

const answer = (word, at, value) => {
  if (word === 'holding') return { value: tables.holding.readUInt16BE(2 * at) };
  if (word === 'coil') return { value: (tables.coils[at >> 3] >> (at & 7)) & 1 };
  if (word === 'set') tables.input.writeUInt16BE(value, 2 * at);
  return {};
};
readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [word, at, value] = line.split(' ');
    process.stdout.write(`${JSON.stringify({ ok: true, ...answer(word, Number(at), Number(value)) })}\n`);
  })
  .on('close', () => process.exit(0));
