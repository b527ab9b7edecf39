import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type StateDatabase, StateVerificationRunStore } from '#state';
import { uniqueName } from '#testing';
import { type DueChunk, type NewRun, type RowCounts, type TakenChunk } from '#verification';
import { openStateDatabase } from './state-server.ts';

const ORDERS = { database: 'shop', table: 'orders' };
const PLAN = { estimatedRows: 20, keySignature: 'id int' };
const LEASE_MS = 100;

function counts(rows: number, more: Partial<RowCounts> = {}): RowCounts {
  return { rows, equal: rows, mismatches: 0, ignored: 0, unsettled: 0, quarantined: 0, ...more };
}

describe('runs of verification', () => {
  let database: StateDatabase;
  let store: StateVerificationRunStore;
  let nowMs = 1000;

  beforeAll(async () => {
    database = await openStateDatabase();
    store = new StateVerificationRunStore(database, () => nowMs);
  });
  afterAll(() => database.close());

  async function begin(more: Partial<NewRun> = {}): Promise<{ id: string; first: TakenChunk }> {
    const id = uniqueName('run').slice(-36);
    const run: NewRun = {
      ...{ id, source: 'eu', scope: { kind: 'source' }, sinks: ['mongo'], trigger: 'request', actor: 'alice' },
      ...{ rowsPerSecond: null, secondWayShare: 0.5, createdAtMs: nowMs },
      ...more,
    };
    const due = await store.create(run, [ORDERS]);
    expect(await store.create(run, [ORDERS])).toEqual([]);
    return { id, first: await take(due) };
  }

  async function take([due]: readonly DueChunk[], worker = 'a'): Promise<TakenChunk> {
    const taken = await store.take(due?.id ?? '', worker, LEASE_MS);
    if (taken === null) throw new Error('the chunk is not to be had');
    return taken;
  }

  /** The first chunk of the rows. */
  async function beginRows(more: Partial<NewRun> = {}): Promise<{ id: string; rows: TakenChunk }> {
    const { id, first } = await begin(more);
    return { id, rows: await take(await store.plan(first.chunk, PLAN)) };
  }

  test('go through their phases, chunk by chunk, and end', async () => {
    const { id, first } = await begin();
    expect(first).toMatchObject({ chunk: { phase: 'planning', number: 0, end: null }, run: { id, state: 'running' } });
    const rows = await take(await store.plan(first.chunk, PLAN));
    expect(rows).toMatchObject({ chunk: { phase: 'rows', after: null }, table: { ...PLAN, phase: 'rows' } });
    const { next } = await store.recordEnd(rows.chunk, { until: '[9]', isLast: false }, 10);
    const second = await take([next as DueChunk]);
    expect(second.chunk).toMatchObject({ phase: 'rows', number: 1, after: '[9]', end: null, attempts: 1 });
    await store.recordEnd(second.chunk, { until: null, isLast: true }, 3);
    expect(await store.complete(second.chunk, counts(3), counts(0))).toEqual([]);
    const found = counts(10, { equal: 9, mismatches: 1, ignored: 1 });
    const extras = await take(
      await store.complete(rows.chunk, found, counts(4, { equal: 2, mismatches: 2, ignored: 1 })),
    );
    expect(extras.chunk).toMatchObject({ phase: 'extras', after: null });
    await store.recordEnd(extras.chunk, { until: null, isLast: true }, 0);
    const rechecks = await take(
      await store.complete(extras.chunk, counts(14, { equal: 13, mismatches: 1 }), counts(1), 14),
    );
    expect(rechecks.chunk.phase).toBe('rechecks');
    expect(await store.complete(rechecks.chunk, counts(0), counts(0))).toEqual([]);
    expect(await store.find(id)).toMatchObject({ state: 'done', secondWayShare: 0.5, error: null, endedAtMs: 1000 });
    expect(await store.listTables(id)).toMatchObject([
      {
        ...{
          phase: 'done',
          counts: { rows: 13, equal: 12, mismatches: 2, ignored: 1 },
          listed: 14,
          hold: null,
          endedAtMs: 1000,
        },
        secondWay: { rows: 5, equal: 3, mismatches: 2, ignored: 1, unsettled: 0, quarantined: 0 },
      },
    ]);
  });

  test('count a chunk once, however often it is done', async () => {
    const { id, rows } = await beginRows();
    await store.recordEnd(rows.chunk, { until: null, isLast: true }, 10);
    nowMs += LEASE_MS;
    const again = await take([{ id: rows.chunk.id, attempts: 1, notBeforeMs: nowMs }], 'b');
    expect(again.chunk).toMatchObject({ end: { until: null, isLast: true }, attempts: 2 });
    const [first, second] = await Promise.all([
      store.complete(rows.chunk, counts(10), counts(0)),
      store.complete(again.chunk, counts(10), counts(0)),
    ]);
    expect([...first, ...second]).toHaveLength(1);
    expect(await store.listTables(id)).toMatchObject([{ counts: { rows: 10 } }]);
  });

  test('keep the end of a chunk that was recorded first, and one chunk after it', async () => {
    const { rows } = await beginRows();
    const end = { until: '[9]', isLast: false };
    expect(await store.recordEnd(rows.chunk, end, 10)).toMatchObject({ end, next: { notBeforeMs: nowMs } });
    expect(await store.recordEnd(rows.chunk, { until: '[5]', isLast: false }, 6)).toEqual({ end, next: null });
    expect(await store.recordEnd(rows.chunk, { until: null, isLast: true }, 6)).toEqual({ end, next: null });
  });

  test('cut a chunk that holds too much, and another one follows the last', async () => {
    const { id, rows } = await beginRows();
    const { next } = await store.recordEnd(rows.chunk, { until: '[9]', isLast: false }, 10);
    expect(await store.cut(rows.chunk, 'b', '[5]')).toEqual([]);
    const due = await store.cut(rows.chunk, 'a', '[5]');
    expect(due).toHaveLength(2);
    const first = await take(due);
    expect(first.chunk).toMatchObject({ id: rows.chunk.id, after: null, end: { until: '[5]', isLast: false } });
    const rest = await take(due.slice(1));
    expect(rest.chunk).toMatchObject({ phase: 'rows', after: '[5]', end: { until: '[9]', isLast: false } });
    const last = await take([next as DueChunk]);
    expect(last.chunk).toMatchObject({ after: '[9]', end: null });
    // its end is not known yet
    expect(await store.cut(last.chunk, 'a', '[11]')).toEqual([]);
    const { next: after } = await store.recordEnd(last.chunk, { until: '[19]', isLast: false }, 10);
    const end = await take([after as DueChunk]);
    await store.recordEnd(end.chunk, { until: null, isLast: true }, 0);
    const [, endOfAll] = await store.cut(end.chunk, 'a', '[30]');
    const more = await take([endOfAll as DueChunk]);
    expect(more.chunk).toMatchObject({ after: '[30]', end: { until: null, isLast: true } });
    for (const { chunk } of [first, rest, last, end])
      expect(await store.complete(chunk, counts(3), counts(0))).toEqual([]);
    expect(await store.complete(more.chunk, counts(3), counts(0))).toHaveLength(1);
    expect(await store.listTables(id)).toMatchObject([{ phase: 'extras', counts: { rows: 15 } }]);
  });

  test('let one worker have a chunk until its time is over', async () => {
    const { rows } = await beginRows();
    const { id } = rows.chunk;
    expect(await store.take(id, 'b', LEASE_MS)).toBeNull();
    nowMs += LEASE_MS / 2;
    expect(await store.prolong(id, 'a', LEASE_MS)).toBe(true);
    nowMs += LEASE_MS / 2;
    expect(await store.take(id, 'b', LEASE_MS)).toBeNull();
    expect((await store.listDue(nowMs, 1000)).map((due) => due.id)).not.toContain(id);
    nowMs += LEASE_MS / 2;
    expect((await store.listDue(nowMs, 1000)).map((due) => due.id)).toContain(id);
    expect(await store.take(id, 'b', LEASE_MS)).not.toBeNull();
    expect(await store.prolong(id, 'a', LEASE_MS)).toBe(false);
    await store.release(id, 'a');
    expect(await store.take(id, 'c', LEASE_MS)).toBeNull();
    await store.release(id, 'b');
    expect(await store.take(id, 'c', LEASE_MS)).not.toBeNull();
  });

  test('rest while they are paused, and do not go on once they are cancelled', async () => {
    const { id, rows } = await beginRows();
    await store.release(rows.chunk.id, 'a');
    expect(await store.changeState(id, ['running'], 'paused')).toBe(true);
    expect(await store.changeState(id, ['running'], 'paused')).toBe(false);
    expect(await store.take(rows.chunk.id, 'a', LEASE_MS)).toBeNull();
    expect(await store.changeState(id, ['paused'], 'running')).toBe(true);
    const again = await take([{ id: rows.chunk.id, attempts: 1, notBeforeMs: nowMs }]);
    expect(await store.changeState(id, ['running', 'paused'], 'cancelled')).toBe(true);
    expect(await store.prolong(again.chunk.id, 'a', LEASE_MS)).toBe(false);
    expect(await store.complete(again.chunk, counts(10), counts(0))).toEqual([]);
    expect(await store.listTables(id)).toMatchObject([{ counts: { rows: 0 } }]);
    expect(await store.find(id)).toMatchObject({ state: 'cancelled', endedAtMs: nowMs });
  });

  test('show what a table waits for, and since when; it ends when a chunk is judged', async () => {
    const { id, rows } = await beginRows();
    const since = nowMs;
    await store.postpone(rows.chunk, 'a', { state: 'waiting', reason: 'no checkpoint' }, nowMs + 50);
    nowMs += 50;
    const again = await take([{ id: rows.chunk.id, attempts: 1, notBeforeMs: nowMs }]);
    await store.postpone(again.chunk, 'a', { state: 'being re-read', reason: 'DDL' }, nowMs);
    expect(await store.listTables(id)).toMatchObject([
      { phase: 'rows', hold: { state: 'being re-read', reason: 'DDL', sinceMs: since } },
    ]);
    const third = await take([{ id: rows.chunk.id, attempts: 1, notBeforeMs: nowMs }]);
    await store.recordEnd(third.chunk, { until: null, isLast: true }, 1);
    await store.complete(third.chunk, counts(1), counts(0));
    expect(await store.listTables(id)).toMatchObject([{ phase: 'extras', hold: null }]);
  });

  test.each([
    ['waiting', 'done', null],
    ['failed', 'failed', { code: 'DITTO_X', message: 'DITTO_X: no' }],
  ] as const)('end with a table that can not be judged (%s)', async (state, ends, error) => {
    const { id, rows } = await beginRows();
    await store.giveUp(rows.chunk, 'a', { state, reason: 'DITTO_X: no' });
    expect(await store.find(id)).toMatchObject({ state: ends, error });
    expect(await store.listTables(id)).toMatchObject([{ phase: 'done', hold: { state, reason: 'DITTO_X: no' } }]);
  });

  test('are not held or ended by a worker that has lost its chunk', async () => {
    const { id, rows } = await beginRows();
    nowMs += LEASE_MS;
    await take([{ id: rows.chunk.id, attempts: 1, notBeforeMs: nowMs }], 'b');
    await store.postpone(rows.chunk, 'a', { state: 'waiting', reason: 'no checkpoint' }, nowMs);
    await store.giveUp(rows.chunk, 'a', { state: 'failed', reason: 'DITTO_X: no' });
    expect(await store.listTables(id)).toMatchObject([{ phase: 'rows', hold: null }]);
    expect(await store.prolong(rows.chunk.id, 'b', LEASE_MS)).toBe(true);
  });

  test('do not fail as long as one table was judged', async () => {
    const { id, rows } = await beginRows({ sinks: ['mongo', 'kafka'] });
    await store.giveUp(rows.chunk, 'a', { state: 'failed', reason: 'DITTO_X: no' });
    const due = (await store.listDue(nowMs, 1000)).map((chunk) => store.take(chunk.id, 'z', LEASE_MS));
    const other = (await Promise.all(due)).find((taken) => taken?.run.id === id);
    await store.giveUp(other?.chunk ?? rows.chunk, 'z', { state: 'not verifiable', reason: 'no key' });
    expect(await store.find(id)).toMatchObject({ state: 'done' });
  });

  test('begin a table again', async () => {
    const { id, rows } = await beginRows();
    const { next } = await store.recordEnd(rows.chunk, { until: '[9]', isLast: false }, 10);
    await store.complete(rows.chunk, counts(10), counts(0));
    const planning = await take(await store.restart((await take([next as DueChunk])).chunk));
    expect(planning.chunk).toMatchObject({ phase: 'planning', number: 0 });
    expect(await store.listTables(id)).toMatchObject([{ phase: 'planning', counts: { rows: 0 }, keySignature: null }]);
    // what is still under way of before changes nothing
    expect(await store.recordEnd(rows.chunk, { until: '[3]', isLast: false }, 3)).toMatchObject({ next: null });
    expect(await store.complete(rows.chunk, counts(10), counts(0))).toEqual([]);
  });

  test('keep their rate over all chunks', async () => {
    const { rows } = await beginRows({ rowsPerSecond: 100 });
    const { next } = await store.recordEnd(rows.chunk, { until: '[9]', isLast: false }, 10);
    expect(next?.notBeforeMs).toBe(nowMs + 100);
    expect(await store.take(next?.id ?? '', 'a', LEASE_MS)).toBeNull();
    nowMs += 100;
    const second = await take([next as DueChunk]);
    const third = await store.recordEnd(second.chunk, { until: '[99]', isLast: false }, 50);
    expect(third.next?.notBeforeMs).toBe(nowMs + 500);
  });

  test('are listed by source, state and trigger, the newest first', async () => {
    const source = uniqueName('shop');
    const { id: older } = await begin({ source });
    nowMs++;
    const { id: newer } = await begin({ source, trigger: 'continuous' });
    const ids = async (filter: object): Promise<string[]> =>
      (await store.list({ source, ...filter }, 10)).map(({ id }) => id);
    expect(await ids({})).toEqual([newer, older]);
    expect(await ids({ trigger: 'continuous' })).toEqual([newer]);
    await store.changeState(older, ['running'], 'cancelled');
    expect(await ids({ states: ['running', 'paused'] })).toEqual([newer]);
  });

  test('without tables are done at once', async () => {
    const id = uniqueName('run').slice(-36);
    const run = { id, source: 'eu', scope: { kind: 'source' }, sinks: ['mongo'], trigger: 'request' } as const;
    expect(
      await store.create({ ...run, actor: 'a', rowsPerSecond: null, secondWayShare: 0, createdAtMs: 7 }, []),
    ).toEqual([]);
    expect(await store.find(id)).toMatchObject({ state: 'done', endedAtMs: 7 });
  });
});
