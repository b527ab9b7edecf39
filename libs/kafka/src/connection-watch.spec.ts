import { once } from 'node:events';
import { type AddressInfo } from 'node:net';
import { createServer, type Server, type TlsOptions } from 'node:tls';

import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ConnectionPool, initProducerIdV4 } from '@platformatic/kafka';

import { silentLogger } from '#kernel';
import { makeTestCertificates, type TestCertificates } from '#testing';

import { ConnectionWatch } from './connection-watch.ts';
import { toKafkaError } from './kafka-errors.ts';

const servers: Server[] = [];
let made: TestCertificates;

beforeAll(async () => {
  made = await makeTestCertificates(['127.0.0.1']);
});
afterAll(() => servers.forEach((server) => server.close()));

/** Ends each connection when something is asked. */
async function listen(options: TlsOptions): Promise<number> {
  const server = createServer({ ...made.server, ...options }, (socket) => socket.once('data', () => socket.destroy()));
  servers.push(server.on('tlsClientError', () => undefined));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

it('gives the reason for which a broker ended a connection to those who wait on this very connection', async () => {
  const refusing = await listen({ requestCert: true, ca: made.ca });
  const ending = await listen({});
  const tls = { ca: made.ca };
  const watch = new ConnectionWatch({ brokers: [], clientId: 'c', logger: silentLogger, tls });
  const pool = new ConnectionPool('c', watch.base);
  watch.over(pool);
  const ask = async (port: number): Promise<string> => {
    const connection = await pool.get({ host: '127.0.0.1', port });
    const failed = initProducerIdV4.api.async(connection, null, 60_000).catch((error: unknown) => error);
    return toKafkaError(await failed, 'asking').code;
  };
  const [lost, untrusted] = ['DITTO_KAFKA_UNAVAILABLE', 'DITTO_KAFKA_TLS'];
  expect([await ask(ending), await ask(refusing), await ask(ending)]).toEqual([lost, untrusted, lost]);
  expect(await Promise.all([refusing, ending].map(ask))).toEqual([untrusted, lost]);
  await pool.close();
});
