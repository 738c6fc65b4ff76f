// SPDX-License-Identifier: GPL-2.0-or-later
//
// aedes on a free port of 127.0.0.1, led by lines on standard input; what it sees goes to standard output, one JSON
// object a line. Ends with its input. With a certificate and a key (PEM files) it speaks TLS:
//
//     aedes_broker.js [CERTIFICATE KEY]
//
//     users NAME PASSWORD …   from now on nobody else may connect
//     hold | release      keep back | give the PUBACKs of messages that arrive from now on
//     cut                 destroy every client's connection
//     send TOPIC TEXT     publish at QoS 1
'use strict'

const fs = require('fs')
const net = require('net')
const readline = require('readline')
const tls = require('tls')
const aedes = require('aedes')()

const tell = (object) => process.stdout.write(JSON.stringify(object) + '\n')
const connections = new Set()
let holding = false
let users = null

// Called before a client's PUBLISH is taken in: a call that is never answered is a PUBACK that never comes.
aedes.authorizePublish = (client, packet, done) => {
  tell({ cmd: 'publish', messageId: packet.messageId, dup: packet.dup, qos: packet.qos, topic: packet.topic, payload: packet.payload.toString() })
  if (!holding) done(null)
}

aedes.authorizeSubscribe = (client, subscription, done) => {
  done(null, subscription.topic.startsWith('forbidden/') ? null : subscription)
}

aedes.authenticate = (client, name, password, done) => {
  if (!users || (password && users.get(name) === password.toString())) return done(null, true)
  const refusal = new Error('wrong name or password')
  refusal.returnCode = 5
  done(refusal, false)
}

const accept = (connection) => {
  connections.add(connection)
  connection.on('close', () => connections.delete(connection))
  connection.on('error', () => {})
  aedes.handle(connection)
}
const [certificate, key] = process.argv.slice(2)
const server = certificate
  ? tls.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, accept)
  : net.createServer(accept)

server.listen(0, '127.0.0.1', () => tell({ port: server.address().port }))

const input = readline.createInterface({ input: process.stdin })

input.on('line', (line) => {
  const [command, topic, text] = line.split(' ')
  if (command === 'hold') holding = true
  if (command === 'release') holding = false
  if (command === 'cut') for (const connection of connections) connection.destroy()
  if (command === 'users') {
    const words = line.split(' ').slice(1)
    users = new Map()
    for (let i = 0; i + 1 < words.length; i += 2) users.set(words[i], words[i + 1])
  }
  if (command === 'send') aedes.publish({ cmd: 'publish', qos: 1, retain: false, topic, payload: text }, () => {})
})

input.on('close', () => {
  for (const connection of connections) connection.destroy()
  server.close()
  aedes.close(() => process.exit(0))
})
