import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Checkpoint } from '#change-events';
import { type Grant, type NewFailedEvent, newRecord, type TableRecord } from '#replication';
import {
  StateAuditLog,
  StateCheckpointStore,
  StateColumnStore,
  StateDatabase,
  type StateDatabaseOptions,
  StateFailedEventStore,
  StateFencing,
  StateLineageStore,
  StateResyncStore,
  StateTableStore,
  TopicPartitionStore,
} from '#state';
import { eventually, FaultProxy, uniqueName } from '#testing';
import { createStateOptions } from './state-server.ts';

const unavailable = { code: 'DITTO_STATE_UNAVAILABLE', retriable: true };
const orders = { database: 'shop', table: 'orders' };
const done: TableRecord = { ...newRecord(orders), copy: { state: 'done', rowsRead: 7 } };
const pending: TableRecord = { ...done, copy: { state: 'pending', endsGone: false } };

let options: StateDatabaseOptions;
let proxy: FaultProxy;
/** Through the proxy. */
let database: StateDatabase;
/** Not through the proxy. */
let direct: StateDatabase;
let grant: Grant;
let topic: string;

beforeAll(async () => {
  options = await createStateOptions();
  proxy = await FaultProxy.open(options);
  direct = new StateDatabase(options);
  await direct.open(AbortSignal.timeout(20_000));
  database = new StateDatabase({ ...options, host: proxy.host, port: proxy.port, workTimeoutMs: 250 });
  await database.open(AbortSignal.timeout(20_000));
});

afterAll(async () => {
  await database.close();
  await direct.close();
  proxy.close();
});

beforeEach(async () => {
  const source = uniqueName('shop');
  topic = uniqueName('topic');
  grant = { source, owner: 'a', token: await new StateFencing(direct).grant(source, 'a') };
});

function createCheckpoint(dispatched: number): Checkpoint {
  const gtidSet = '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5';
  return {
    source: grant.source,
    lineage: 1,
    position: { gtidSet, file: 'binlog.000001', offset: 4, serverUuid: 'u-1' },
    dispatchedSet: `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-${dispatched}`,
    undecidedSet: '',
    version: `${'0'.repeat(27)}1${'f'.repeat(16)}`,
    commitMicros: 1,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: dispatched,
  };
}

function refused(version: string): NewFailedEvent {
  return {
    ...{ table: orders, key: '[1]', sink: 'kafka', code: 'DITTO_TEST', message: 'no', id: `u:${version}/0` },
    ...{ version, gtid: 'u:1', file: 'binlog.000001', offset: 4, payload: null },
  };
}

function delivered(version: string): Parameters<StateFailedEventStore['settle']>[1] {
  return { held: [], delivered: [{ ...orders, key: '[1]', sink: 'kafka', version }], endedTables: [] };
}

/** As it is before the writes. */
async function refuseOne(): Promise<string> {
  await new StateFailedEventStore(direct).record(grant, refused('1'), 5);
  return (await readFailedEvent(direct)).id;
}

async function readFailedEvent(
  database: StateDatabase,
): Promise<Awaited<ReturnType<StateFailedEventStore['list']>>[number]> {
  const store = new StateFailedEventStore(database);
  const [event] = await store.list({ source: grant.source }, { after: null, limit: 2 });
  if (event === undefined) throw new Error('no failed event');
  return event;
}

/** Every write of the state database: one that is late, the text of its statement, the next one, what must hold then. */
const writes: readonly {
  readonly name: string;
  readonly held: string;
  readonly late: (database: StateDatabase) => Promise<unknown>;
  readonly next: (database: StateDatabase) => Promise<unknown>;
  readonly read: (database: StateDatabase) => Promise<unknown>;
  readonly expected: unknown;
}[] = [
  {
    name: 'records of tables, done before pending',
    held: 'UPDATE',
    late: (through) => new StateTableStore(through).save(grant, [done]),
    next: (through) => new StateTableStore(through).save(grant, [pending]),
    read: (through) => new StateTableStore(through).load(grant.source),
    expected: [pending],
  },
  {
    name: 'records of tables, started over before done',
    held: 'INSERT INTO `table_records`',
    late: async (through) => {
      await new StateTableStore(direct).save(grant, [pending]);
      await new StateResyncStore(through).startOver(grant, [orders]);
    },
    next: (through) => new StateTableStore(through).save(grant, [done]),
    read: (through) => new StateTableStore(through).load(grant.source),
    expected: [done],
  },
  {
    name: 'columns',
    held: 'INSERT INTO `table_records`',
    late: (through) => new StateColumnStore(through).adopt(grant, ['shop.orders.a'], [orders]),
    next: (through) => new StateColumnStore(through).adopt(grant, ['shop.orders.b'], []),
    read: async (through) => [
      await new StateColumnStore(through).excludedBy(grant.source),
      await new StateTableStore(through).load(grant.source),
    ],
    expected: [['shop.orders.b'], []],
  },
  {
    name: 'the mark of a resync, asked for before finished',
    held: 'UPDATE sources',
    late: (through) => new StateResyncStore(through).request(grant, 'alice'),
    next: (through) => new StateResyncStore(through).finish(grant),
    read: (through) => new StateResyncStore(through).pendingFor(grant.source),
    expected: null,
  },
  {
    name: 'the mark of a resync, finished before asked for',
    held: 'UPDATE sources',
    late: (through) => new StateResyncStore(through).finish(grant),
    next: (through) => new StateResyncStore(through).request(grant, 'alice'),
    read: (through) => new StateResyncStore(through).pendingFor(grant.source),
    expected: { askedBy: 'alice' },
  },
  {
    name: 'checkpoints, the same position with less that was dispatched',
    held: 'INSERT INTO checkpoints',
    late: (through) => new StateCheckpointStore(through).save(grant, createCheckpoint(6)),
    next: (through) => new StateCheckpointStore(through).save(grant, createCheckpoint(9)),
    read: async (through) => JSON.stringify(await new StateCheckpointStore(through).load(grant.source)),
    expected: expect.stringContaining(':1-9'),
  },
  {
    name: 'lineages',
    held: 'UPDATE sources',
    late: (through) => new StateLineageStore(through).raise(grant, 3, 'late'),
    next: (through) => new StateLineageStore(through).raise(grant, 4, 'next'),
    read: (through) => new StateLineageStore(through).history(grant.source),
    expected: [expect.objectContaining({ lineage: 4, reason: 'next' })],
  },
  {
    name: 'the partition count of a topic',
    held: 'INSERT INTO',
    late: (through) => new TopicPartitionStore(through).save(topic, 4),
    next: (through) => new TopicPartitionStore(through).save(topic, 6),
    read: (through) => new TopicPartitionStore(through).load(topic),
    expected: 6,
  },
  {
    name: 'fencing tokens',
    held: 'INSERT INTO sources',
    late: (through) => new StateFencing(through).grant(grant.source, 'late'),
    next: (through) => new StateFencing(through).grant(grant.source, 'next'),
    read: (through) => new StateFencing(through).currentToken(grant.source),
    expected: 2,
  },
  {
    name: 'the audit log',
    held: 'INSERT INTO audit_log',
    late: (through) => new StateAuditLog(through).record({ actor: 'late', action: 'a', subject: topic }),
    next: (through) => new StateAuditLog(through).record({ actor: 'next', action: 'a', subject: topic }),
    read: async (through) =>
      (await new StateAuditLog(through).list({}, { after: null, limit: 9 }))
        .filter(({ subject }) => subject === topic)
        .map((e) => e.actor),
    expected: ['next'],
  },
  {
    name: 'failed events, refused before refused again',
    held: 'INSERT INTO failed_events',
    late: (through) => new StateFailedEventStore(through).record(grant, refused('1'), 5),
    next: (through) => new StateFailedEventStore(through).record(grant, refused('2'), 6),
    read: async (through) => (await readFailedEvent(through)).version,
    expected: '2',
  },
  {
    name: 'failed events, refused before delivered',
    held: 'UPDATE failed_events',
    late: async (through) => {
      await refuseOne();
      await new StateFailedEventStore(through).record(grant, refused('2'), 5);
    },
    next: (through) => new StateFailedEventStore(through).settle(grant, delivered('3')),
    read: async (through) => (await readFailedEvent(through)).state,
    expected: 'delivered',
  },
  {
    name: 'failed events, delivered before refused again',
    held: 'UPDATE failed_events',
    late: async (through) => {
      await refuseOne();
      await new StateFailedEventStore(through).settle(grant, delivered('3'));
    },
    next: (through) => new StateFailedEventStore(through).record(grant, refused('4'), 6),
    read: async (through) => {
      const { state, version } = await readFailedEvent(through);
      return [state, version];
    },
    expected: ['open', '4'],
  },
  {
    name: 'failed events, retried before discarded',
    held: 'UPDATE failed_events',
    late: async (through) => {
      const id = await refuseOne();
      await new StateFailedEventStore(through).retried([id], 'late', 7, { initialMs: 1, maxMs: 1 });
    },
    next: async (through) =>
      new StateFailedEventStore(through).discard((await readFailedEvent(direct)).id, 'nobody reads it', 'alice'),
    read: async (through) => {
      const { state, readId, nextRetryMs } = await readFailedEvent(through);
      return [state, readId, nextRetryMs];
    },
    expected: ['discarded', null, null],
  },
  {
    name: 'failed events, discarded before delivered',
    held: 'UPDATE failed_events',
    late: async (through) => {
      const id = await refuseOne();
      await new StateFailedEventStore(through).discard(id, 'late', 'alice');
    },
    next: (through) => new StateFailedEventStore(through).settle(grant, delivered('3')),
    read: async (through) => {
      const { state, reason } = await readFailedEvent(through);
      return [state, reason];
    },
    expected: ['delivered', null],
  },
];

/** Until it is not refused as unavailable: what every caller does. */
async function persist(write: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await write();
      return;
    } catch (error) {
      expect(error).toMatchObject(unavailable);
      await wait(20);
    }
  }
}

/** What was held has reached the server, and its connections are closed. */
async function untilArrived(): Promise<void> {
  proxy.restore();
  while (proxy.deliveredBytes.toServer < proxy.receivedBytes.toServer) await wait(10);
  await persist(() => database.ping());
  while (proxy.openConnections > 1) await wait(10);
}

describe('I5: a write that timed out and arrives after the next one changes nothing', () => {
  test.each(writes)('$name', async ({ held, late, next, read, expected }) => {
    await persist(() => database.ping());
    proxy.silence({ direction: 'toServer', from: held });
    await expect(late(database)).rejects.toMatchObject(unavailable);
    proxy.silence({ newConnections: false });
    await persist(() => next(database));
    expect(await read(direct)).toEqual(expected);
    await untilArrived();
    expect(await read(direct)).toEqual(expected);
  });
});

describe('I5: while a COMMIT may still arrive, the next write waits for it', () => {
  test('it comes through', async () => {
    const store = new StateTableStore(database);
    await persist(() => database.ping());
    proxy.silence({ direction: 'toServer', from: 'COMMIT' });
    await expect(store.save(grant, [done])).rejects.toMatchObject(unavailable);
    proxy.silence({ newConnections: false });
    await expect(store.save(grant, [pending])).rejects.toMatchObject(unavailable);
    proxy.restore();
    await persist(() => store.save(grant, [pending]));
    await untilArrived();
    expect(await store.load(grant.source)).toEqual([pending]);
  });

  test('it never comes: the server ends the session within seconds', async () => {
    const store = new StateTableStore(database);
    await persist(() => database.ping());
    proxy.silence({ direction: 'toServer', from: 'COMMIT' });
    await expect(store.save(grant, [done])).rejects.toMatchObject(unavailable);
    proxy.silence({ newConnections: false });
    const startedAt = Date.now();
    await persist(() => store.save(grant, [pending]));
    expect(Date.now() - startedAt).toBeLessThan(5_000);
    await untilArrived();
    expect(await store.load(grant.source)).toEqual([pending]);
  });

  test('the next owner is granted its token before the lease of one that was frozen before its COMMIT has run out', async () => {
    const { host, port } = proxy;
    const frozen = new StateDatabase({ ...options, host, port });
    await frozen.open(AbortSignal.timeout(20_000));
    proxy.silence({ direction: 'toServer', from: 'COMMIT' });
    const saving = new StateTableStore(frozen).save(grant, [done]).catch(() => undefined);
    const startedAt = Date.now();
    await eventually(() => proxy.receivedBytes.toServer > proxy.deliveredBytes.toServer);
    await persist(() => new StateFencing(direct).grant(grant.source, 'b'));
    expect(Date.now() - startedAt).toBeLessThan(6_000);
    await saving;
    proxy.restore();
    await frozen.close();
  }, 30_000);
});
