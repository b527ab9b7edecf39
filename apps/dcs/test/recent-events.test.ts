import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DcsClient } from '#dcs-client';
import { silentLogger } from '#kernel';
import { batchOf, type KafkaClient, PlatformaticKafkaClient } from '#kafka';
import { eventually, testStack } from '#testing';
import type { EventsDto } from '../src/http/event.dto.ts';
import { createDeployment, DcsInstance, type Deployment, READ_TOKEN } from './dcs-instance.ts';

type Answer = Pick<EventsDto, keyof EventsDto> & { readonly text: string };

describe('recent events', () => {
  let deployment: Deployment;
  let kafka: KafkaClient;
  let dcs: DcsInstance;

  beforeAll(async () => {
    const brokers = (await testStack()).url('kafka').split(',');
    deployment = await createDeployment({
      kafka: { brokers, recentEvents: { perTable: 500, maxEventsPerSecond: 40 } },
    });
    kafka = new PlatformaticKafkaClient({ brokers, clientId: 'test', logger: silentLogger });
    await kafka.connect();
    dcs = await DcsInstance.start(deployment);
  }, 60_000);

  afterAll(async () => {
    await dcs.close();
    await kafka.close();
  }, 30_000);

  async function publish(table: string, ids: readonly (number | string)[]): Promise<void> {
    const topic = `${deployment.source}.store.${table}`;
    await kafka.ensureTopic({ topic, partitions: 1, replicationFactor: 1, config: {} });
    const source = { name: deployment.source, db: 'store', table, gtid: 'u:1', ts_ms: 5 };
    const records = ids.map((id) => ({
      key: `{"id":${id}}`,
      value: `{"before":null,"after":{"id":${id}},"source":${JSON.stringify(source)},"op":"c","ts_ms":6}`,
      headers: { 'ditto.id': `u:1/${id}`, 'ditto.version': '0'.repeat(44) },
    }));
    await kafka.produce(topic, 0, batchOf(records));
  }

  async function find(query: string): Promise<Answer> {
    const { body, text } = await dcs.get(`/events?source=${deployment.source}&${query}`);
    return { ...(body as Omit<Answer, 'text'>), text };
  }

  test('are found by table and by key, with every digit', async () => {
    const largest = '18446744073709551615';
    await publish('orders', [1, 2, 3, largest]);
    await publish('lines', [1]);
    const all = await eventually(
      () => find(''),
      ({ events }) => events.length === 5,
    );
    expect(all).toMatchObject({ enabled: true, complete: true, skippedEvents: 0, gaps: [] });
    expect((await find('table=store.lines')).events).toMatchObject([
      { table: 'store.lines', key: { id: 1 }, op: 'c', id: 'u:1/1', gtid: 'u:1', commitMs: 5 },
    ]);
    for (const key of ['1', '{"id":1}', '{"id": 1}'])
      expect((await find(`key=${encodeURIComponent(key)}`)).events.map(({ table }) => table).sort()).toEqual([
        'store.lines',
        'store.orders',
      ]);
    const exact = await find(`table=store.orders&key=${largest}`);
    expect(exact.events).toHaveLength(1);
    expect(exact.text).toContain(`"after":{"id":${largest}}`);
    expect((await find('table=store.orders&limit=2')).events).toHaveLength(2);
    expect((await find('table=store.orders&key=77')).events).toEqual([]);
  }, 60_000);

  test('of one row are given to other services', async () => {
    await publish('rows', [1, 2, 1]);
    const client = new DcsClient({ endpoints: [dcs.rpc], token: READ_TOKEN, timeoutMs: 5000 });
    try {
      const { source } = deployment;
      const found = await eventually(
        () => client.findChanges({ source, table: 'store.rows', key: '{"id":1}', limit: 10 }),
        ({ changes }) => changes.length === 2,
      );
      expect(found).toMatchObject({ isKept: true, isComplete: true });
      expect(found.changes).toEqual(
        [2, 0].map((offset) => ({
          ...{ op: 'c', id: 'u:1/1', version: '0'.repeat(44), gtid: 'u:1', commitMs: 5, partition: 0, offset },
          ...{ topic: `${source}.store.rows`, publishedMs: expect.any(Number) },
        })),
      );
      const other = { source: 'nobody', table: 'store.rows', key: '{"id":1}', limit: 10 };
      expect(await client.findChanges(other)).toEqual({ isKept: false, isComplete: false, changes: [] });
    } finally {
      client.close();
    }
  }, 60_000);

  test('beyond the rate are left out, and the window reports it', async () => {
    await publish(
      'busy',
      Array.from({ length: 1_000 }, (_, i) => i),
    );
    const answer = await eventually(
      () => find('table=store.busy&limit=1000'),
      ({ gaps, events }) => gaps.length > 0 && events.some(({ offset }) => offset === 999),
    );
    expect(answer.complete).toBe(false);
    expect(answer.skippedEvents).toBe(1_000 - answer.events.length);
    expect(answer.gaps[0]).toMatchObject({ table: 'store.busy' });
    expect((await dcs.get('/metrics')).text).toMatch(/ditto_dcs_recent_events_skipped_total\{source="[^"]+"\} [1-9]/);
  }, 60_000);

  test('can be switched off', async () => {
    const brokers = (await testStack()).url('kafka').split(',');
    const offDeployment = await createDeployment({ kafka: { brokers, recentEvents: { enabled: false } } });
    const off = await DcsInstance.start(offDeployment);
    try {
      const { body } = await off.get(`/events?source=${offDeployment.source}`);
      expect(body).toMatchObject({ enabled: false, events: [] });
      for (const unknown of ['nobody', 'toString', '__proto__'])
        expect(await off.get(`/events?source=${unknown}`)).toMatchObject({
          status: 404,
          body: { code: 'DITTO_SOURCE_UNKNOWN', remedy: expect.stringContaining(offDeployment.source) },
        });
    } finally {
      await off.close();
    }
  }, 60_000);
});
