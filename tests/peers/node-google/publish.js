// SPDX-License-Identifier: GPL-2.0-or-later
// Google's own client against a server on this machine: PublisherClient over REST. argv[2] is JSON: {port, account, token?, topic,
// messages: [{data: base64, attributes, orderingKey}]}. With `token` it presents that text instead of signing with the account's key.
// Prints one JSON line: {"messageIds": […]} or {"code": …, "message": …}. NODE_EXTRA_CA_CERTS names the server's root.
'use strict';
const fs = require('fs');
const { v1 } = require('@google-cloud/pubsub');
const { GoogleAuth, OAuth2Client } = require('google-auth-library');

const job = JSON.parse(process.argv[2]);
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');

async function main() {
  const options = { fallback: true, apiEndpoint: 'localhost', port: job.port };
  if (job.token) {
    const client = new OAuth2Client();
    client.setCredentials({ access_token: job.token });
    options.auth = new GoogleAuth({ authClient: client });
  } else {
    options.credentials = JSON.parse(fs.readFileSync(job.account, 'utf8'));
    options.projectId = 'plant-one';
  }
  const publisher = new v1.PublisherClient(options);
  const messages = job.messages.map(({ data, ...rest }) => ({ ...(data ? { data: Buffer.from(data, 'base64') } : {}), ...rest }));
  const [answer] = await publisher.publish({ topic: job.topic, messages }, { retry: null, timeout: 20000 });
  say({ messageIds: answer.messageIds });
}

main().then(() => process.exit(0), (error) => {
  say({ code: error.code, message: String(error.message).slice(0, 200) });
  process.exit(1);
});
