import { describe, expect, it } from '@jest/globals';

import { DittoError, silentLogger } from '#kernel';

import { FakeBrokers } from '../test/fake-brokers.ts';
import { MemoryPartitionCounts } from '../test/memory-partition-counts.ts';
import { BrokerWait } from './broker-wait.ts';
import { KAFKA_ERROR_CODES } from './kafka-errors.ts';
import { KafkaPublisher } from './kafka-publisher.ts';
import { retryBriefly } from './retry-briefly.ts';

const never = new AbortController().signal;
const backoff = { initialMs: 0, maxMs: 0 };

/** Works from the third time on. */
function failTwice(code: string): () => Promise<string> {
  let attempts = 0;
  return () =>
    ++attempts < 3
      ? Promise.reject(new DittoError(code, `attempt ${attempts}`, { retriable: true }))
      : Promise.resolve('ok');
}

describe('brokers are waited for', () => {
  it('while nothing answers, whether it is a start or not', async () => {
    const { unavailable } = KAFKA_ERROR_CODES;
    const wait = new BrokerWait(backoff, silentLogger);
    expect(await wait.until('x', never, failTwice(unavailable))).toBe('ok');
    expect(await wait.atStart('x', never, failTwice(unavailable))).toBe('ok');
    expect(await retryBriefly(never, failTwice(unavailable))).toBe('ok');
  });

  it('when TLS is refused in the middle of a run, and the reason is known by then', async () => {
    const wait = new BrokerWait(backoff, silentLogger);
    const reasons: (string | null)[] = [];
    const work = failTwice(KAFKA_ERROR_CODES.untrusted);
    const result = await wait.until('x', never, () => {
      reasons.push(wait.because);
      return work();
    });
    expect(result).toBe('ok');
    expect(reasons).toEqual([null, 'DITTO_KAFKA_TLS: attempt 1', 'DITTO_KAFKA_TLS: attempt 2']);
    expect(wait.because).toBeNull();
  });

  it('not when TLS is refused at a start', async () => {
    const { untrusted } = KAFKA_ERROR_CODES;
    const refused = { code: untrusted, message: 'attempt 1' };
    const wait = new BrokerWait(backoff, silentLogger);
    await expect(wait.atStart('x', never, failTwice(untrusted))).rejects.toMatchObject(refused);
    await expect(retryBriefly(never, failTwice(untrusted))).rejects.toMatchObject(refused);
    const client = new FakeBrokers(1);
    client.connect = failTwice(untrusted) as () => Promise<never>;
    const publisher = new KafkaPublisher({
      client,
      source: 's',
      version: '1',
      logger: silentLogger,
      counts: new MemoryPartitionCounts(),
      topics: { partitions: 1, replicationFactor: 1 },
      backoff,
    });
    const opening = publisher.open({ onFatal: () => undefined, mayDeliver: () => true, signal: never });
    await expect(opening).rejects.toMatchObject(refused);
  });
});
