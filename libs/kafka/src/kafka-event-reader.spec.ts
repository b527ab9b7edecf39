import { expect, it } from '@jest/globals';

import { silentLogger } from '#kernel';

import { KafkaEventReader } from './kafka-event-reader.ts';

const run = { groupId: 'g', topics: ['t'], maxEventsPerSecond: 1, read: () => null, onEvents: () => Promise.resolve() };

function createReader(tls: { readonly ca: string } | null): { reader: KafkaEventReader; warnings: string[] } {
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
  const connection = { brokers: ['127.0.0.1:1'], clientId: 'c', connectTimeoutMs: 100 };
  return { reader: new KafkaEventReader({ ...connection, tls, logger }), warnings };
}

it('throws an error that waiting does not heal, and does not say that it is tried again', async () => {
  const { reader, warnings } = createReader({ ca: 'none' });
  await expect(reader.run(run, AbortSignal.timeout(10_000))).rejects.toMatchObject({ code: 'DITTO_KAFKA_TLS' });
  expect(reader.status().holdingBecause).toMatch(/^DITTO_KAFKA_TLS: /);
  expect(warnings).toEqual([]);
});

it('reports once an error that is tried again', async () => {
  const { reader, warnings } = createReader(null);
  await reader.run(run, AbortSignal.timeout(1_500));
  expect(reader.status().holdingBecause).toMatch(/^DITTO_KAFKA_UNAVAILABLE: /);
  expect(warnings).toEqual(['holding: reading events failed, trying again']);
});
