import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Grant, type NewFailedEvent } from '#replication';
import {
  StateAuditLog,
  type StateDatabase,
  StateFailedEventStore,
  StateFencing,
  StateHistory,
  StateRequestedReadStore,
} from '#state';
import { uniqueName } from '#testing';
import { openStateDatabase } from './state-server.ts';

const table = { database: 'shop', table: 'orders' };
const NOTHING = { held: [], delivered: [], endedTables: [] };

function versionAt(offset: number): string {
  return `0000000100000001${offset.toString(16).padStart(12, '0')}0000000000000000`;
}

function refused(key: string, more: Partial<NewFailedEvent> = {}): NewFailedEvent {
  return {
    ...{ table, key, sink: 'kafka', code: 'DITTO_KAFKA_MESSAGE_TOO_LARGE', message: 'too large', id: 'u:1/0' },
    ...{ version: versionAt(100), gtid: 'u:1', file: 'binlog.000001', offset: 4 },
    ...{ payload: { text: '{"id":1', bytes: 2_000_000 } },
    ...more,
  };
}

describe('failed events', () => {
  let database: StateDatabase;
  let events: StateFailedEventStore;
  let nowMs = 1000;

  beforeAll(async () => {
    database = await openStateDatabase();
    events = new StateFailedEventStore(database, () => nowMs);
  });
  afterAll(() => database.close());

  async function own(): Promise<Grant> {
    const source = uniqueName('shop');
    return { source, owner: 'a', token: await new StateFencing(database).grant(source, 'a') };
  }

  async function listAll(source: string) {
    return events.list({ source }, { after: null, limit: 100 });
  }

  test('I6: a refused row has one record in each sink, with what was refused last', async () => {
    const grant = await own();
    nowMs = 1000;
    await events.record(grant, refused('[1]'), 6000);
    nowMs = 2000;
    await events.record(grant, refused('[1]', { version: versionAt(200), message: 'still' }), 7000);
    await events.record(grant, refused('[1]', { sink: 'mongo', payload: null }), 7000);
    const [kafka, mongo] = await listAll(grant.source);
    expect(kafka).toMatchObject({
      ...{ source: grant.source, sink: 'kafka', ...table, key: '[1]', state: 'open', attempts: 1, laterChanges: 0 },
      ...{ code: 'DITTO_KAFKA_MESSAGE_TOO_LARGE', message: 'still', version: versionAt(200), changeId: 'u:1/0' },
      ...{ gtid: 'u:1', file: 'binlog.000001', offset: 4, firstFailedMs: 1000, lastFailedMs: 2000 },
      ...{ nextRetryMs: 6000, readId: null, reason: null, endedAtMs: null },
    });
    expect(await events.find(kafka?.id ?? '')).toMatchObject({ payload: { text: '{"id":1', bytes: 2_000_000 } });
    expect(await events.find(mongo?.id ?? '')).toMatchObject({ sink: 'mongo', payload: null });
    expect(await events.load(grant.source)).toEqual([
      { ...table, key: '[1]', sink: 'kafka', version: versionAt(200), changeId: 'u:1/0', isDiscarded: false },
      { ...table, key: '[1]', sink: 'mongo', version: versionAt(100), changeId: 'u:1/0', isDiscarded: false },
    ]);
    expect(await events.find('x')).toBeNull();
  });

  test('I5: a former owner records nothing', async () => {
    const grant = await own();
    await new StateFencing(database).grant(grant.source, 'b');
    const fenced = { code: 'DITTO_LEASE_FENCED' };
    await expect(events.record(grant, refused('[1]'), 1)).rejects.toMatchObject(fenced);
    await expect(events.settle(grant, NOTHING)).rejects.toMatchObject(fenced);
    expect(await listAll(grant.source)).toEqual([]);
  });

  test('what was held back is counted; a row leaves with a newer change only, and may come back', async () => {
    const grant = await own();
    await events.record(grant, refused('[1]'), 1);
    const of = { ...table, sink: 'kafka', key: '[1]' };
    await events.settle(grant, { ...NOTHING, held: [{ ...of, count: 3, lastMs: 77 }] });
    await events.settle(grant, { ...NOTHING, delivered: [{ ...of, version: versionAt(50) }] });
    expect(await listAll(grant.source)).toMatchObject([{ state: 'open', laterChanges: 3, lastChangeMs: 77 }]);
    await events.settle(grant, { ...NOTHING, delivered: [{ ...of, version: versionAt(300) }] });
    const [left] = await listAll(grant.source);
    expect(left).toMatchObject({ state: 'delivered', endedAtMs: nowMs, nextRetryMs: null });
    expect(await events.load(grant.source)).toEqual([]);
    const audit = await new StateAuditLog(database).list({}, { after: null, limit: 50 });
    expect(
      audit
        .filter(({ subject }) => subject === grant.source)
        .map(({ action }) => action)
        .sort(),
    ).toEqual([...['quarantine.enter', 'quarantine.leave']]);
    await events.record(grant, refused('[1]', { version: versionAt(400) }), 1);
    expect(await listAll(grant.source)).toMatchObject([{ state: 'open', attempts: 1, laterChanges: 0 }]);
  });

  test('says which changes a sink lacks: from the first refusal until the row has left', async () => {
    const grant = await own();
    const { source } = grant;
    const lacks = (key: string, ...offsets: number[]) =>
      events.findLacking(
        source,
        'kafka',
        table,
        offsets.map((offset) => ({ key, version: versionAt(offset) })),
      );
    await events.record(grant, refused('[1]'), 1);
    expect(await lacks('[1]', 99, 100, 500)).toEqual([false, true, true]);
    expect(await lacks('[2]', 100)).toEqual([false]);
    const delivered = [{ ...table, sink: 'kafka', key: '[1]', version: versionAt(300) }];
    await events.settle(grant, { ...NOTHING, delivered });
    expect(await lacks('[1]', 99, 100, 299, 300)).toEqual([false, true, true, false]);
    expect(await events.findQuarantined(source, 'kafka', table, ['[1]', '[2]'])).toEqual([]);
    await events.record(grant, refused('[2]', { lackingSince: versionAt(60) }), 1);
    expect(await lacks('[2]', 59, 60, 100)).toEqual([false, true, true]);
    expect(await events.findQuarantined(source, 'kafka', table, ['[1]', '[2]'])).toEqual(['[2]']);
    expect(await events.findQuarantined(source, 'mongo', table, ['[2]'])).toEqual([]);
  });

  test('are due at their time, and later after each attempt', async () => {
    const grant = await own();
    const { source } = grant;
    await events.record(grant, refused('[1]'), 5000);
    await events.record(grant, refused('[2]'), 4000);
    expect(await events.listDue(source, 3999, 10)).toEqual([]);
    const due = await events.listDue(source, 5000, 10);
    expect(due.map(({ key }) => key)).toEqual(['[2]', '[1]']);
    const backoff = { initialMs: 100, maxMs: 350 };
    const [first] = due.map(({ id }) => id) as [string];
    await events.retried([first], 'read-1', 5000, backoff);
    expect(await events.find(first)).toMatchObject({ readId: 'read-1', nextRetryMs: 5200 });
    await events.record(grant, refused('[2]'), 1);
    await events.retried([first], 'read-2', 5200, backoff);
    expect(await events.find(first)).toMatchObject({ readId: 'read-2', nextRetryMs: 5550, attempts: 3 });
  });

  test('are not due while their last read has not ended, and keep no others from being due', async () => {
    const grant = await own();
    const { source } = grant;
    await events.record(grant, refused('[1]'), 1);
    await events.record(grant, refused('[2]'), 5000);
    const reads = new StateRequestedReadStore(database);
    const readId = uniqueName('read').slice(-36);
    const scope = { kind: 'keys', keys: ['[1]'] } as const;
    await reads.accept({ id: readId, source, ...table, scope, reason: 'r', actor: 'a', acceptedAtMs: 1 });
    const [first] = (await events.listDue(source, 5000, 1)).map(({ id }) => id) as [string];
    await events.retried([first], readId, 1, { initialMs: 1, maxMs: 1 });
    expect((await events.listDue(source, 5000, 1)).map(({ key }) => key)).toEqual(['[2]']);
    await reads.cancel(readId);
    expect((await events.listDue(source, 5000, 1)).map(({ key }) => key)).toEqual(['[1]']);
  });

  test('one that is discarded is not tried any more, and stays known until its next change', async () => {
    const grant = await own();
    const { source } = grant;
    await events.record(grant, refused('[1]'), 1);
    const id = (await listAll(source))[0]?.id ?? '';
    expect(await events.discard(id, 'nobody needs it', 'alice')).toBe(true);
    expect(await events.discard(id, 'again', 'bob')).toBe(false);
    expect(await events.find(id)).toMatchObject({ state: 'discarded', reason: 'nobody needs it', actor: 'alice' });
    expect(await events.listDue(source, 9_000_000_000_000, 10)).toEqual([]);
    await events.record(grant, refused('[2]'), 1);
    expect(await events.load(source, 'discarded')).toMatchObject([{ key: '[1]', isDiscarded: true }]);
    expect(await events.load(source, 'open')).toMatchObject([{ key: '[2]', isDiscarded: false }]);
    expect(await events.load(source)).toHaveLength(2);
    expect(await events.findQuarantined(source, 'kafka', table, ['[1]'])).toEqual(['[1]']);
    const counts = (await events.count()).filter((one) => one.source === source);
    expect(counts.toSorted((a, b) => a.state.localeCompare(b.state))).toEqual([
      { source, sink: 'kafka', ...table, state: 'discarded', count: 1 },
      { source, sink: 'kafka', ...table, state: 'open', count: 1 },
    ]);
  });

  test('I6: one that is discarded stays so when the log is repeated, also in the log of another server, and when it is only read again', async () => {
    const grant = await own();
    const { source } = grant;
    expect(await events.record(grant, refused('[1]'), 1)).toBe(true);
    const id = (await listAll(source))[0]?.id ?? '';
    await events.discard(id, 'nobody needs it', 'alice');
    expect(await events.record(grant, refused('[1]', { version: versionAt(60), id: 'u:0/0' }), 1)).toBe(false);
    expect(await events.record(grant, refused('[1]', { version: versionAt(900) }), 1)).toBe(false);
    const read = versionAt(900).replace(/0{8}$/, '00000001');
    expect(await events.record(grant, refused('[1]', { version: read, id: 'w:1/k' }), 1)).toBe(false);
    expect(await listAll(source)).toMatchObject([{ id, state: 'discarded', actor: 'alice', nextRetryMs: null }]);
    expect(await events.record(grant, refused('[1]', { version: versionAt(200), id: 'u:2/0' }), 1)).toBe(true);
    expect(await listAll(source)).toMatchObject([{ state: 'open', changeId: 'u:2/0', actor: null }]);
  });

  test('end with their table, are listed by what is asked, and removed when they are old', async () => {
    const grant = await own();
    const { source } = grant;
    await events.record(grant, refused('[1]'), 1);
    await events.record(grant, refused('[2]', { table: { database: 'shop', table: 'notes' } }), 1);
    nowMs = 5000;
    await events.settle(grant, { ...NOTHING, endedTables: [{ sink: 'kafka', ...table, version: versionAt(700) }] });
    const list = async (filter: object) =>
      (await events.list({ source, ...filter }, { after: null, limit: 10 })).map(({ key }) => key);
    expect(await list({ states: ['ended'] })).toEqual(['[1]']);
    expect(await list({ states: ['open'] })).toEqual(['[2]']);
    expect(await list({ table: 'notes' })).toEqual(['[2]']);
    expect(await list({ sink: 'mongo' })).toEqual([]);
    expect(await list({ key: '[1]' })).toEqual(['[1]']);
    const [first] = await listAll(source);
    expect(await events.list({ source }, { after: first?.id ?? null, limit: 10 })).toMatchObject([{ key: '[2]' }]);
    const history = new StateHistory(database);
    while ((await history.sweepFailedEvents(5001)) > 0);
    expect(await list({})).toEqual(['[2]']);
  });
});
