import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { type DittoError, sleep } from '#kernel';
import { type TestCertificates, uniqueName } from '#testing';

import {
  batchOf,
  checkKafka,
  type KafkaClient,
  type KafkaConnectionOptions,
  type KafkaSaslOptions,
  type RecordBatch,
} from '../src/index.ts';
import { Attempts, complete } from './attempts.ts';
import { clients, listWays, refusal, withClient } from './connecting-ways.ts';
import { type Listener, SecureBroker } from './secure-broker.ts';

type Mechanism = KafkaSaslOptions['mechanism'];

let broker: SecureBroker;
let made: TestCertificates;
let attempts: Attempts;
const topic = uniqueName('secure');
const mechanisms: readonly Mechanism[] = ['plain', 'scram-sha-256', 'scram-sha-512'];

beforeAll(async () => {
  broker = await SecureBroker.start();
  made = broker.certificates;
  attempts = new Attempts(broker, topic);
  const value = JSON.stringify({ op: 'c', source: { name: 's', db: 'd', table: 't' }, after: { id: 1 } });
  await withEach({ brokers: [broker.openAddress] }, async (client) => {
    await client.ensureTopic({ topic, partitions: 1, replicationFactor: 1, config: {} });
    await client.produce(topic, 0, batchOf([{ key: 'k', value, headers: {} }]));
  });
}, 180_000);
afterAll(() => broker.end(), 60_000);

async function withEach(
  options: Partial<KafkaConnectionOptions>,
  work: Parameters<typeof withClient>[2],
): Promise<void> {
  await Promise.all(Object.values(clients).map((create) => withClient(create, complete(options), work)));
}

function makeBatch(): RecordBatch {
  return batchOf([{ key: 'k', value: 'v', headers: {} }]);
}

async function produce(client: KafkaClient): Promise<void> {
  expect(await client.produce(topic, 0, makeBatch())).toEqual(expect.any(Number));
}

function login(mechanism: Mechanism, wrong: Partial<KafkaSaslOptions> = {}): KafkaSaslOptions {
  return { mechanism, ...broker.login, ...wrong };
}

describe('TLS to a broker', () => {
  it('is taken with the certificate of a trusted authority for its address, its name, or the configured one', async () => {
    const { ca, client } = made;
    await attempts.expectWorks({
      address: { to: 'byaddress', tls: { ca } },
      'name, then address': { to: { address: broker.address('trusted', 'localhost') }, tls: { ca } },
      'configured name': { to: 'byname', tls: { ca, servername: 'kafka.test' } },
      'client certificate': { to: 'mutual', tls: { ca, ...client } },
      'another authority': { to: 'foreign', tls: { ca: made.foreignCa } },
      'certificates are not checked': { to: 'foreign', tls: { rejectUnauthorized: false } },
    });
  }, 60_000);

  it('is refused with its remedy for every other certificate', async () => {
    const { ca, foreignClient } = made;
    await attempts.expectRefused('DITTO_KAFKA_TLS', {
      expired: { to: 'expired', tls: { ca }, remedy: /Renew the certificate of the server/ },
      'not yet valid': { to: 'notyetvalid', tls: { ca }, remedy: /clocks/ },
      'of another host': { to: 'otherhost', tls: { ca }, remedy: /kafka\.tls\.servername/ },
      'of another authority': { to: 'foreign', tls: { ca }, remedy: /kafka\.tls\.ca/ },
      'of no authority of the system': { to: 'trusted', tls: {}, remedy: /kafka\.tls\.ca/ },
      'for a name only': { to: 'byname', tls: { ca }, remedy: /kafka\.tls\.servername/ },
      'for an address only': {
        to: { address: broker.address('byaddress', 'localhost') },
        tls: { ca },
        remedy: /kafka\.tls\.servername/,
      },
      'another name is configured': {
        to: 'trusted',
        tls: { ca, servername: 'no.test' },
        remedy: /kafka\.tls\.servername/,
      },
      'another address is configured': {
        to: 'trusted',
        tls: { ca, servername: '10.0.0.1' },
        remedy: /kafka\.tls\.servername/,
      },
      'no client certificate': { to: 'mutual', tls: { ca }, remedy: /kafka\.tls\.cert and kafka\.tls\.key/ },
      'foreign client certificate': { to: 'mutual', tls: { ca, ...foreignClient }, remedy: /kafka\.tls\.cert/ },
    });
  }, 60_000);

  it('is asked for where only one side has it', async () => {
    await attempts.expectRefused('DITTO_KAFKA_TLS', {
      'only the broker': { to: 'trusted', remedy: /set kafka\.tls/ },
    });
    // which ends the connection without an answer, as one that goes down does
    await attempts.expectRefused('DITTO_KAFKA_UNAVAILABLE', {
      'only Ditto': { to: { address: broker.openAddress }, tls: { ca: made.ca }, remedy: /listener without TLS/ },
    });
  }, 60_000);

  it('with texts that can not be used is refused before anything is sent', async () => {
    const { ca, client, expiredClient, foreignClient } = made;
    const { acceptedConnections } = broker.proxy('mutual');
    await attempts.expectRefused('DITTO_KAFKA_TLS', {
      'no authority': { to: 'mutual', tls: { ca: 'none' }, remedy: /PEM/ },
      'no key': { to: 'mutual', tls: { ca, cert: client.cert }, remedy: /both, or neither/ },
      'another key': { to: 'mutual', tls: { ca, ...client, key: foreignClient.key }, remedy: /PEM/ },
      'expired client certificate': { to: 'mutual', tls: { ca, ...expiredClient }, remedy: /Renew/ },
    });
    expect(broker.proxy('mutual').acceptedConnections).toBe(acceptedConnections);
  }, 60_000);

  it.each(['127.0.0.1', 'localhost'])(
    'never sends plain text, and announces names only: %s',
    async (host) => {
      const received: Buffer[] = [];
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', (bytes: Buffer) => {
          received.push(bytes);
          socket.destroy();
        });
      });
      await once(server.listen(0, host), 'listening');
      const address = `${host}:${(server.address() as AddressInfo).port}`;
      const outcomes = await attempts.attempt({ to: { address }, tls: { ca: made.ca }, sasl: login('plain') });
      server.close();
      expect(Object.values(outcomes)).not.toContain(null);
      expect(received.length).toBeGreaterThanOrEqual(attempts.count);
      const isHello = (bytes: Buffer): boolean => bytes[0] === 22 && bytes[1] === 3 && bytes[5] === 1;
      expect(received.every(isHello)).toBe(true);
      for (const secret of [broker.login.username, broker.login.password, '127.0.0.1'])
        expect(received.some((bytes) => bytes.includes(secret))).toBe(false);
      expect(received.every((bytes) => bytes.includes('localhost'))).toBe(host === 'localhost');
    },
    60_000,
  );

  it.each(Object.entries(clients))(
    '%s: a certificate that goes bad during the run is waited for',
    async (_, create) => {
      const options = complete({ brokers: [broker.address('renewed')], tls: { ca: made.ca } });
      const refused = { code: 'DITTO_KAFKA_TLS', retriable: true, remedy: expect.stringMatching(/Renew/) };
      await withClient(create, options, async (client) => {
        await produce(client);
        await broker.present('renewed', made.expired);
        let batch = makeBatch();
        let error: unknown = null;
        // a broker takes a moment to use another certificate
        while ((error as DittoError | null)?.code !== 'DITTO_KAFKA_TLS') {
          if (error === null) batch = makeBatch();
          broker.proxy('renewed').cutConnections();
          error = await refusal(() => client.produce(topic, 0, batch));
        }
        expect(error).toMatchObject(refused);
        await broker.present('renewed', made.server);
        while ((error = await refusal(() => client.produce(topic, 0, batch))) !== null)
          expect(error).toMatchObject(refused);
      });
    },
    60_000,
  );
});

describe('a login', () => {
  it('works with each mechanism, over TLS and, where that is configured, without', async () => {
    const { ca } = made;
    await attempts.expectWorks({
      ...Object.fromEntries(
        mechanisms.map((mechanism) => [mechanism, { to: 'login', tls: { ca }, sasl: login(mechanism) }]),
      ),
      'plain without TLS': { to: 'openlogin', sasl: login('plain') },
      'scram-sha-512 without TLS': { to: 'openlogin', sasl: login('scram-sha-512') },
    });
  }, 60_000);

  it('that is refused says what to do', async () => {
    const { ca } = made;
    const password = { password: 'wrong' };
    await attempts.expectRefused('DITTO_KAFKA_AUTHENTICATION', {
      ...Object.fromEntries(
        mechanisms.map((mechanism) => [
          `wrong password, ${mechanism}`,
          { to: 'login', tls: { ca }, sasl: login(mechanism, password), remedy: /username, password/ },
        ]),
      ),
      'unknown user': {
        to: 'login',
        tls: { ca },
        sasl: login('scram-sha-512', { username: 'unknown' }),
        remedy: /username, password/,
      },
      'a mechanism that is not offered': {
        to: 'openlogin',
        sasl: login('scram-sha-256'),
        remedy: /kafka\.sasl\.mechanism .* offer/,
      },
      'a listener without logins': { to: 'trusted', tls: { ca }, sasl: login('plain'), remedy: /ask for no login/ },
    });
  }, 60_000);

  it('that is missing is named among the reasons for a closed connection', async () => {
    await attempts.expectRefused('DITTO_KAFKA_UNAVAILABLE', {
      'over TLS': { to: 'login', tls: { ca: made.ca }, remedy: /kafka\.sasl/ },
      'without TLS': { to: 'openlogin', remedy: /kafka\.sasl/ },
    });
  }, 60_000);

  // a client that is stopped by that would need a person after each failover
  it.each([
    ['scram-sha-512', 'SCRAM-SHA-512', 'silence'],
    ['scram-sha-512', 'c=biws', 'silence'],
    ['scram-sha-512', 'c=biws', 'the end of the connection'],
    ['plain', '\0ditto\0', 'the end of the connection'],
  ] as const)(
    'by %s that meets, after "%s", %s, is tried again',
    async (mechanism, from, met) => {
      const proxy = broker.proxy('openlogin');
      proxy.silence({ direction: 'toClient', from });
      const options = complete({
        brokers: [broker.address('openlogin')],
        sasl: login(mechanism),
        connectTimeoutMs: 5_000,
        requestTimeoutMs: 500,
        deliveryTimeoutMs: 10_000,
      });
      const ended = Promise.all(
        Object.values(clients).map((create) => refusal(() => withClient(create, options, () => Promise.resolve()))),
      );
      const cutting = setInterval(() => {
        if (met === 'the end of the connection') proxy.cutConnections();
      }, 200);
      const outcomes = await ended;
      clearInterval(cutting);
      proxy.restore();
      const expected = { code: 'DITTO_KAFKA_UNAVAILABLE', retriable: true };
      expect(outcomes).toEqual(Object.keys(clients).map(() => expect.objectContaining(expected)));
    },
    60_000,
  );

  it('is repeated on the same connection when its time is over', async () => {
    const repeat = async (name: string, listener: Listener): Promise<void> => {
      const proxy = broker.proxy(listener);
      const brokers = [broker.address(listener)];
      const options = complete({ brokers, tls: { ca: made.ca }, sasl: login('scram-sha-512') });
      await withClient(clients[name] as never, options, async (client) => {
        await produce(client);
        const { acceptedConnections } = proxy;
        const end = performance.now() + 3_000;
        while (performance.now() < end) {
          await produce(client);
          await sleep(20);
        }
        expect(proxy.acceptedConnections).toBe(acceptedConnections);
      });
    };
    // kafkajs begins 10 s before the end
    await Promise.all([repeat('PlatformaticKafkaClient', 'login2s'), repeat('KafkaJsClient', 'login12s')]);
  }, 60_000);
});

describe('a user without the rights', () => {
  it('names the rights that are missing, for creating and for publishing', async () => {
    const sasl = login('plain', { username: 'nobody' });
    const options = { brokers: [broker.address('openlogin')], sasl };
    const missing = uniqueName('secure');
    const create = { topic: missing, partitions: 1, replicationFactor: 1, config: {} };
    const refused = { code: 'DITTO_KAFKA_AUTHORIZATION', retriable: false, remedy: expect.stringMatching(/Create/) };
    for (const make of Object.values(clients)) {
      const error = await refusal(() => withClient(make, complete(options), (client) => client.ensureTopic(create)));
      expect(error).toMatchObject(refused);
    }
    expect(await refusal(async () => listWays(missing)['checkKafka']?.(complete(options)))).toMatchObject({
      code: 'DITTO_KAFKA_AUTHORIZATION',
    });
    await broker.allowDescribing('nobody');
    for (const make of Object.values(clients)) {
      const error = await refusal(() =>
        withClient(make, complete(options), async (client) => {
          expect(await client.partitionCount(topic)).toBe(1);
          await produce(client);
        }),
      );
      expect(error).toMatchObject(refused);
    }
    const findings = await checkKafka({
      connection: complete(options),
      topics: { create: false, partitions: 1, replicationFactor: 1 },
      wanted: [{ topic, keyed: true }],
      maxBatchBytes: 1_000,
    });
    const missingRights = findings.filter(({ code }) => code === 'DITTO_KAFKA_AUTHORIZATION');
    expect(missingRights.map(({ severity, message }) => [severity, message])).toEqual([
      ['warning', expect.stringContaining(`no right Read on ${topic}: `)],
      ['warning', expect.stringContaining(`no right DescribeConfigs on ${topic}: `)],
    ]);
  }, 60_000);
});
