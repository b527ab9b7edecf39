import { describe, expect, it } from '@jest/globals';

import { DittoError, silentLogger } from '#kernel';
import { openSink } from '#testing';

import { createLayout } from '../test/changes.ts';
import { FakeBrokers } from '../test/fake-brokers.ts';
import { MemoryPartitionCounts } from '../test/memory-partition-counts.ts';
import { KAFKA_ERROR_CODES } from './kafka-errors.ts';
import { KafkaPublisher } from './kafka-publisher.ts';
import { retryBriefly } from './retry-briefly.ts';

const never = new AbortController().signal;
const { unavailable, untrusted } = KAFKA_ERROR_CODES;

/** Works from the third time on. */
function failTwice<T>(code: string, work: () => Promise<T>): () => Promise<T> {
  let attempts = 0;
  return () =>
    ++attempts < 3 ? Promise.reject(new DittoError(code, `attempt ${attempts}`, { retriable: true })) : work();
}

const ok = (): Promise<string> => Promise.resolve('ok');

function open(client: FakeBrokers): { readonly publisher: KafkaPublisher; readonly opening: Promise<void> } {
  const publisher = new KafkaPublisher({
    client,
    source: 's',
    version: '1',
    logger: silentLogger,
    counts: new MemoryPartitionCounts(),
    topics: { partitions: 1, replicationFactor: 1 },
    backoff: { initialMs: 0, maxMs: 0 },
  });
  return { publisher, opening: openSink(publisher) };
}

describe('brokers are waited for', () => {
  it('at a start while nothing answers', async () => {
    const client = new FakeBrokers(1);
    client.connect = failTwice(unavailable, () => Promise.resolve());
    await expect(open(client).opening).resolves.toBeUndefined();
    expect(await retryBriefly(never, failTwice(unavailable, ok))).toBe('ok');
  });

  it('not at a start when TLS is refused', async () => {
    const refused = { code: untrusted, message: 'attempt 1' };
    const client = new FakeBrokers(1);
    client.connect = failTwice(untrusted, () => Promise.resolve());
    await expect(open(client).opening).rejects.toMatchObject(refused);
    await expect(retryBriefly(never, failTwice(untrusted, ok))).rejects.toMatchObject(refused);
  });

  it('when TLS is refused in the middle of a run, and the reason is known meanwhile', async () => {
    const client = new FakeBrokers(1);
    const { publisher, opening } = open(client);
    await opening;
    const reasons: (string | null)[] = [];
    const create = client.ensureTopic.bind(client);
    let attempts = 0;
    client.ensureTopic = (spec) => {
      reasons.push(publisher.status().holdingBecause);
      if (++attempts > 2) return create(spec);
      return Promise.reject(new DittoError(untrusted, `attempt ${attempts}`, { retriable: true }));
    };
    await publisher.prepareTable(createLayout('orders'));
    expect(reasons).toEqual([null, 'DITTO_KAFKA_TLS: attempt 1', 'DITTO_KAFKA_TLS: attempt 2']);
    expect(publisher.status().holdingBecause).toBeNull();
  });
});
