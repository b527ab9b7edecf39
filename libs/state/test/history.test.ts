import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type TableName } from '#change-events';
import {
  StateAuditLog,
  type StateDatabase,
  StateFencing,
  StateHistory,
  StateMismatchStore,
  StateRepairStore,
  StateRequestedReadStore,
  StateVerificationRunStore,
} from '#state';
import { uniqueName } from '#testing';
import { type NewRun, type RunChunk } from '#verification';
import { openStateDatabase } from './state-server.ts';

const ORDERS = { database: 'shop', table: 'orders' };
const CUSTOMERS = { database: 'shop', table: 'customers' };
const BEGIN_MS = 1_800_000_000_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const SOURCE = 'eu';

describe('what runs leave behind', () => {
  let database: StateDatabase;
  let store: StateVerificationRunStore;
  let history: StateHistory;
  let nowMs = BEGIN_MS;

  beforeEach(async () => {
    database = await openStateDatabase();
    nowMs = BEGIN_MS;
    store = new StateVerificationRunStore(database, () => nowMs);
    history = new StateHistory(database);
  });
  afterEach(() => database.close());

  /** Its chunks are those of the first phase. */
  async function begin(tables: readonly TableName[], more: Partial<NewRun> = {}): Promise<string> {
    const id = uniqueName('run').slice(-36);
    const run: NewRun = {
      ...{ id, source: SOURCE, scope: { kind: 'source' }, sinks: ['mongo'], trigger: 'request', actor: 'alice' },
      ...{ rowsPerSecond: null, secondWayShare: 0.5, createdAtMs: nowMs, ...more },
    };
    await store.create(run, tables);
    return id;
  }

  async function takeAll(runId: string): Promise<readonly RunChunk[]> {
    const taken = [];
    for (const { id } of await store.listDue(nowMs, 1000)) taken.push(await store.take(id, 'a', 0));
    return taken.flatMap((one) => (one?.run.id === runId ? [one.chunk] : []));
  }

  async function plan(runId: string, estimatedRows = 20): Promise<void> {
    for (const chunk of await takeAll(runId)) await store.plan(chunk, { estimatedRows, keySignature: 'id int' });
  }

  /** One chunk of the rows of each table, of which two rows are unsettled if that is asked for. */
  async function verifyRows(runId: string, rows: number, isLast: boolean, unsettled = 0): Promise<void> {
    for (const chunk of await takeAll(runId)) {
      await store.recordEnd(chunk, { until: isLast ? null : `[${rows}]`, isLast }, rows);
      const none = { rows: 0, equal: 0, mismatches: 0, ignored: 0, unsettled: 0, quarantined: 0 };
      await store.complete(chunk, { ...none, rows, equal: rows - unsettled, unsettled }, none);
    }
  }

  /** The phases after the rows. */
  async function end(runId: string): Promise<void> {
    for (let phases = 0; phases < 2; phases++) await verifyRows(runId, 0, true);
    expect(await store.find(runId)).toMatchObject({ state: 'done' });
  }

  async function pass(tables: readonly TableName[], more: Partial<NewRun> = {}): Promise<string> {
    const id = await begin(tables, more);
    await plan(id);
    await verifyRows(id, 10, true);
    await end(id);
    return id;
  }

  const count = async (table: string): Promise<number> => {
    const [found] = await database.run((manager) =>
      manager.query<{ count: string }[]>(`SELECT COUNT(*) AS count FROM ${table}`),
    );
    return Number(found?.count);
  };

  async function sweepAll(beforeMs: number): Promise<void> {
    await history.forgetTables(beforeMs);
    while ((await history.sweepChunks(beforeMs)) > 0);
    while ((await history.sweepRuns(beforeMs)) > 0);
  }

  const shares = async (): Promise<unknown> =>
    (await store.listCoverage(SOURCE)).map((covered) => [covered.table, covered.rows, covered.shares]);

  test('a pass covers its tables, and less of them as it gets older', async () => {
    expect(await shares()).toEqual([]);
    const id = await begin([ORDERS]);
    await plan(id);
    await verifyRows(id, 5, false);
    // by the estimate
    expect(await shares()).toEqual([['orders', 20, { hour: 0.25, day: 0.25, week: 0.25 }]]);
    nowMs += HOUR;
    await verifyRows(id, 5, true, 1);
    await end(id);
    expect(await store.listCoverage(SOURCE)).toEqual([
      { ...ORDERS, sink: 'mongo', rows: 10, shares: { hour: 0.9, day: 0.9, week: 0.9 }, oldestMs: BEGIN_MS },
    ]);
    nowMs += 1;
    expect(await shares()).toEqual([['orders', 10, { hour: 0.4, day: 0.9, week: 0.9 }]]);
    nowMs += 2 * DAY;
    expect(await shares()).toEqual([['orders', 10, { hour: 0, day: 0, week: 0.9 }]]);
  });

  test('the pass after it adds what it has compared until then', async () => {
    await pass([ORDERS]);
    nowMs += 2 * HOUR;
    const next = await begin([ORDERS]);
    await plan(next);
    await verifyRows(next, 4, false);
    expect(await shares()).toEqual([['orders', 10, { hour: 0.4, day: 1, week: 1 }]]);
    // what was cancelled no longer counts, nor does what was compared by keys
    await store.changeState(next, ['running'], 'cancelled');
    const keys = await begin([ORDERS], { scope: { kind: 'keys', ...ORDERS, keys: ['[1]'] } });
    await plan(keys);
    await verifyRows(keys, 10, true);
    expect(await store.find(keys)).toMatchObject({ state: 'done' });
    expect(await shares()).toEqual([['orders', 10, { hour: 0, day: 1, week: 1 }]]);
  });

  test('a pass that began earlier and ends later does not replace a newer one', async () => {
    const slow = await begin([ORDERS]);
    await plan(slow);
    await verifyRows(slow, 10, true);
    nowMs += 2 * HOUR;
    await pass([ORDERS]);
    await end(slow);
    expect(await shares()).toEqual([['orders', 10, { hour: 1, day: 1, week: 1 }]]);
  });

  test('chunks are removed in steps, and never those that coverage needs', async () => {
    const many = Array.from({ length: 300 }, (_, i) => ({ database: 'shop', table: `t${i}` }));
    const old = await begin(many);
    await store.changeState(old, ['running'], 'cancelled');
    const older = await begin(many);
    await store.changeState(older, ['running'], 'cancelled');
    await pass([ORDERS, CUSTOMERS]);
    nowMs += HOUR;
    await pass([ORDERS]);
    const open = await begin([ORDERS]);
    nowMs += 1;
    const before = await store.listCoverage(SOURCE);
    const chunks = await count('verification_chunks');
    expect(await history.sweepChunks(BEGIN_MS)).toBe(0);
    expect(await history.sweepChunks(nowMs)).toBe(500);
    expect(await count('verification_chunks')).toBe(chunks - 500);
    // the rest, and the four of the first pass over the orders
    expect(await history.sweepChunks(nowMs)).toBe(104);
    expect(await history.sweepChunks(nowMs)).toBe(0);
    expect(await store.listCoverage(SOURCE)).toEqual(before);
    // a run under way loses nothing
    expect(await takeAll(open)).toHaveLength(1);
  });

  test('runs are removed when they are old, except the last of each table', async () => {
    const first = await pass([ORDERS, CUSTOMERS]);
    nowMs += HOUR;
    const second = await pass([ORDERS], { scope: { kind: 'tables', tables: [ORDERS] } });
    nowMs += HOUR;
    const third = await pass([ORDERS], { scope: { kind: 'tables', tables: [ORDERS] } });
    nowMs += 40 * DAY;
    await sweepAll(nowMs - 30 * DAY);
    expect([await store.find(first), await store.find(second), await store.find(third)]).toMatchObject([
      { id: first },
      null,
      { id: third },
    ]);
    expect(await store.listTables(second)).toEqual([]);
    expect((await store.listCoverage(SOURCE)).map(({ table }) => table)).toEqual(['customers', 'orders']);
    // a whole run does not have the customers any more
    nowMs += 1;
    await pass([ORDERS]);
    await sweepAll(nowMs - 30 * DAY);
    expect(await store.find(first)).toBeNull();
    expect((await store.listCoverage(SOURCE)).map(({ table }) => table)).toEqual(['orders']);
  });

  test('repairs and reads are removed when they ended long ago', async () => {
    const mismatches = new StateMismatchStore(database);
    const repairs = new StateRepairStore(database, () => 77);
    const details = {
      way: 'first',
      differences: [],
      damage: 'x',
      storedVersion: 'v',
      fingerprint: 'f',
      shown: null,
    } as const;
    const found = (key: string) =>
      ({ ...ORDERS, source: SOURCE, sink: 'mongo', key, isKey: true, kind: 'damaged', details, runId: null }) as const;
    await mismatches.record([
      { ...found('[1]'), seenAtMs: 5 },
      { ...found('[2]'), seenAtMs: 5 },
    ]);
    await repairs.plan(await mismatches.list({}, { after: null, limit: 10 }), 'alice', 6);
    const [ended, open] = await repairs.list({}, { after: null, limit: 10 });
    await repairs.change([ended?.id ?? ''], ['planned'], { to: 'given up' });
    expect([await history.sweepRepairs(77), await history.sweepRepairs(78)]).toEqual([0, 1]);
    expect(await repairs.list({}, { after: null, limit: 10 })).toEqual([open]);

    const reads = new StateRequestedReadStore(database);
    await new StateFencing(database).grant(SOURCE, 'a');
    const read = { ...ORDERS, source: SOURCE, scope: { kind: 'table' }, reason: '', actor: 'alice' } as const;
    await reads.accept({ ...read, id: 'ended', acceptedAtMs: 5 });
    await reads.accept({ ...read, id: 'open', acceptedAtMs: 5 });
    const startMs = Date.now();
    await reads.cancel('ended');
    expect([await history.sweepReads(startMs - HOUR), await history.sweepReads(Date.now() + HOUR)]).toEqual([0, 1]);
    expect([await reads.find('ended'), await reads.find('open')]).toMatchObject([null, { id: 'open' }]);
  });

  test('entries of the audit log are removed by when they were done last', async () => {
    const audit = new StateAuditLog(database, () => nowMs);
    const grant = { actor: 'dcs', action: 'lease.grant', subject: SOURCE };
    await audit.record({ actor: 'alice', action: 'old', subject: SOURCE });
    await audit.recordRepeated(grant, 'again');
    nowMs += HOUR;
    await audit.recordRepeated(grant, 'again');
    await audit.record({ actor: 'alice', action: 'new', subject: SOURCE });
    expect(await history.sweepAudit(BEGIN_MS)).toBe(0);
    expect(await history.sweepAudit(BEGIN_MS + HOUR)).toBe(1);
    const kept = await audit.list({}, { after: null, limit: 10 });
    expect(kept.map(({ action }) => action).sort()).toEqual(['lease.grant', 'new']);
    expect(await history.sweepAudit(nowMs + 1)).toBe(2);
  });
});
