import { expect, it } from '@jest/globals';
import { parseConfig } from '#configuration';
import { makeTestCertificates } from '#testing';
import { checkSinks } from './check-servers.ts';

it.each(['platformatic', 'kafkajs'])(
  'a certificate for Kafka that can not be used any more is a finding (%s)',
  async (client) => {
    const { expiredClient } = await makeTestCertificates();
    const config = parseConfig(`
sources:
  shop:
    endpoints: [{ host: db, user: ditto, password: secret }]
    include: ['shop.*']
kafka: { brokers: ['a:1'], client: ${client}, tls: ${JSON.stringify(expiredClient)} }
redis: { url: 'redis://localhost' }
state: { host: db2, user: ditto, password: secret }
`);
    const [source] = Object.values(config.sources);
    const [checked] = checkSinks(config, [{ source, tables: [], serverUuids: [], checked: [] } as never]);
    expect((await checked)?.findings).toMatchObject([
      {
        code: 'DITTO_KAFKA_TLS',
        severity: 'error',
        message: expect.stringMatching(/^Kafka is not connected to: kafka\.tls\.cert has expired/),
        remedy: 'Renew it.',
      },
    ]);
  },
);
