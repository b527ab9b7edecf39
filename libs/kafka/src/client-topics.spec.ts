import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { ClientTopics, type TopicPartition, type TopicRequests } from './client-topics.ts';

const spec = { topic: 't', partitions: 2, replicationFactor: 3, config: {} };
const led: TopicPartition = { hasLeader: true, replicas: 3 };

/** As a library words what a broker answers. */
const answer = (apiId: string): Error => Object.assign(new Error(apiId), { apiId, code: 'PLT_KFK_RESPONSE' });

/** Brokers that show these partitions, one answer after another; the last for good. */
function topics(answers: (readonly TopicPartition[] | Error)[], more: Partial<TopicRequests> = {}, timeoutMs = 5_000) {
  const asked = { partitions: 0, created: 0 };
  const requests: TopicRequests = {
    create: () => Promise.resolve(asked.created++),
    listPartitions: () => {
      const next = answers[Math.min(asked.partitions++, answers.length - 1)] ?? [];
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
    readSettings: () => Promise.resolve(new Map([['min.insync.replicas', '2']])),
    ...more,
  };
  return { topics: new ClientTopics(requests, timeoutMs), asked };
}

it('creates a missing topic and waits until every partition has a leader and is known', async () => {
  const missing = answer('UNKNOWN_TOPIC_OR_PARTITION');
  const made = topics([missing, [led, { ...led, hasLeader: false }], missing, [led, led], missing, [led, led]]);
  expect(await made.topics.ensure(spec)).toEqual({
    partitions: 2,
    replicationFactor: 3,
    cleanupPolicy: null,
    minInSyncReplicas: 2,
    maxMessageBytes: null,
  });
  expect(made.asked).toEqual({ created: 1, partitions: 6 });
});

it('leaves an existing topic as it is, also one that another process creates at the same time', async () => {
  const existing = topics([[led]]);
  expect(await existing.topics.ensure(spec)).toMatchObject({ partitions: 1 });
  expect(existing.asked.created).toBe(0);
  const create = (): Promise<never> => Promise.reject(answer('TOPIC_ALREADY_EXISTS'));
  expect(await topics([[], [led]], { create }).topics.ensure(spec)).toMatchObject({ partitions: 1 });
});

it('describes a topic whose settings it may not see', async () => {
  const readSettings = (): Promise<never> => Promise.reject(answer('TOPIC_AUTHORIZATION_FAILED'));
  expect(await topics([[led]], { readSettings }).topics.ensure(spec)).toMatchObject({ minInSyncReplicas: null });
});

it('gives up a topic without leaders after its time, and asks no more', async () => {
  const { topics: made, asked } = topics([[], [{ ...led, hasLeader: false }]], {}, 100);
  await expect(made.ensure(spec)).rejects.toMatchObject({ code: 'DITTO_KAFKA_UNAVAILABLE', retriable: true });
  const { partitions } = asked;
  await pause(60);
  expect(asked.partitions).toBe(partitions);
});
