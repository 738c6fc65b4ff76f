// SPDX-License-Identifier: GPL-2.0-or-later
//
// aedes on a free port of 127.0.0.1, led by lines on standard input; what it sees goes to standard output, one JSON
// object a line. Ends with its input.
//
//     hold | release      keep back | give the PUBACKs of messages that arrive from now on
//     cut                 destroy every client's connection
//     send TOPIC TEXT     publish at QoS 1
'use strict'

const net = require('net')
const readline = require('readline')
const aedes = require('aedes')()

const tell = (object) => process.stdout.write(JSON.stringify(object) + '\n')
const connections = new Set()
let holding = false

// Called before a client's PUBLISH is taken in: a call that is never answered is a PUBACK that never comes.
aedes.authorizePublish = (client, packet, done) => {
  tell({ cmd: 'publish', messageId: packet.messageId, dup: packet.dup, qos: packet.qos })
  if (!holding) done(null)
}

aedes.authorizeSubscribe = (client, subscription, done) => {
  done(null, subscription.topic.startsWith('forbidden/') ? null : subscription)
}

const server = net.createServer((connection) => {
  connections.add(connection)
  connection.on('close', () => connections.delete(connection))
  aedes.handle(connection)
})

server.listen(0, '127.0.0.1', () => tell({ port: server.address().port }))

const input = readline.createInterface({ input: process.stdin })

input.on('line', (line) => {
  const [command, topic, text] = line.split(' ')
  if (command === 'hold') holding = true
  if (command === 'release') holding = false
  if (command === 'cut') for (const connection of connections) connection.destroy()
  if (command === 'send') aedes.publish({ cmd: 'publish', qos: 1, retain: false, topic, payload: text }, () => {})
})

input.on('close', () => {
  for (const connection of connections) connection.destroy()
  server.close()
  aedes.close(() => process.exit(0))
})
