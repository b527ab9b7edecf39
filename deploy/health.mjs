// The image's health check: asks the service's own /health/live.
import { readFileSync } from 'node:fs';
import { get as getPlain } from 'node:http';
import { get as getTls } from 'node:https';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';

const defaults = { dss: 7401, dcs: 7402, dws: 7403 };
const service = process.env.DITTO_SERVICE;
const config = process.env.DITTO_CONFIG;
const { host, port, tls } = parse(readFileSync(config, 'utf8'))?.[service]?.http ?? {};
const variable = (name) => process.env[`DITTO_${service.toUpperCase()}_HTTP_${name}`] || undefined;
// a text of the configuration can be elsewhere, as { env: NAME } or { file: PATH }
const textOf = (value) =>
  value?.file === undefined
    ? (process.env[value?.env] ?? value)
    : readFileSync(resolve(dirname(config), value.file), 'utf8').replace(/\r?\n$/, '');
const listening = variable('HOST') ?? textOf(host) ?? '127.0.0.1';

let isEncrypted = false;
const request = (tls ? getTls : getPlain)(
  {
    host: ['0.0.0.0', '::'].includes(listening) ? '127.0.0.1' : listening,
    port: variable('PORT') ?? port ?? defaults[service],
    path: '/health/live',
    // it is this container; others check the certificate
    rejectUnauthorized: false,
  },
  (answer) => process.exit(answer.statusCode === 200 ? 0 : 1),
);
request.on('socket', (socket) => socket.once('secureConnect', () => (isEncrypted = true)));
// where clients need a certificate: a service that has answered the handshake is alive
request.on('error', () => process.exit(tls?.ca !== undefined && isEncrypted ? 0 : 1));
setTimeout(() => process.exit(1), 3000);
