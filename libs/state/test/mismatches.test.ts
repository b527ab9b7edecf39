import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type StateDatabase, StateMismatchStore, StateRepairStore } from '#state';
import { uniqueName } from '#testing';
import { type MismatchDetails, type NewMismatch } from '#verification';
import { explainReads } from './query-plan.ts';
import { openStateDatabase } from './state-server.ts';

const details: MismatchDetails = {
  way: 'second',
  differences: [{ column: 'total', source: '1.50', sink: '1.49' }],
  ...{ damage: null, storedVersion: 'v', fingerprint: 'f', shown: null },
};
const FIRST_PAGE = { after: null, limit: 100 };

describe('mismatches', () => {
  let database: StateDatabase;
  let store: StateMismatchStore;
  let nowMs = 1000;

  beforeAll(async () => {
    database = await openStateDatabase();
    store = new StateMismatchStore(database, () => nowMs);
  });
  afterAll(() => database.close());

  function found(source: string, key: string, more: Partial<NewMismatch> = {}): NewMismatch {
    const at = { source, database: 'shop', table: 'orders', sink: 'mongo', key, isKey: true };
    return { ...at, kind: 'different', details, runId: 'run 1', seenAtMs: 5, ...more };
  }

  test('have one record for each key while they last, and count each run once', async () => {
    const source = uniqueName('shop');
    const first = found(source, '[1]');
    expect(await store.record([first, found(source, '[2]')])).toHaveLength(2);
    expect(await store.record([first])).toEqual([]);
    const other = found(source, '[1]', { kind: 'missing', runId: 'run 2', seenAtMs: 9 });
    expect(await store.record([found(source, '[3]'), other])).toMatchObject([{ key: '[3]' }]);
    const listed = [...(await store.list({ source }, FIRST_PAGE))].sort((a, b) => (a.key < b.key ? -1 : 1));
    expect(listed.map(({ key }) => key)).toEqual(['[1]', '[2]', '[3]']);
    expect(listed[0]).toEqual({
      ...other,
      ...{ seenAtMs: undefined, id: listed[0]?.id, state: 'open', reason: null, actor: null },
      ...{ firstSeenMs: 5, lastSeenMs: 9, timesSeen: 2, changedAtMs: 1000 },
    });
    expect(await store.find(listed[0]?.id ?? '')).toEqual(listed[0]);
    expect(await store.list({ source, key: '[2]' }, FIRST_PAGE)).toMatchObject([{ key: '[2]' }]);
    expect(await store.find('x')).toBeNull();
  });

  test('a lost message is found by its kind, and no repair or breaker counts it', async () => {
    const source = uniqueName('shop');
    await store.record([found(source, 'u:1/0', { kind: 'gap', isKey: false, runId: null })]);
    const repairs = new StateRepairStore(database);
    expect(await repairs.listOpenTables(source)).toEqual([]);
    expect(await repairs.countFound(source, { database: 'shop', table: 'orders' }, 0)).toBe(0);
    expect(await store.list({ source, exceptKind: 'gap' }, FIRST_PAGE)).toEqual([]);
    await store.record([found(source, '[1]')]);
    expect(await repairs.listOpenTables(source)).toEqual([{ database: 'shop', table: 'orders', open: 1 }]);
    expect(await repairs.countFound(source, { database: 'shop', table: 'orders' }, 0)).toBe(1);
    expect(await store.list({ source, exceptKind: 'gap' }, FIRST_PAGE)).toMatchObject([{ key: '[1]' }]);
  });

  test('are counted as ignored while they are, whichever run has found them last', async () => {
    const source = uniqueName('shop');
    const all = [found(source, '[1]'), found(source, '[2]'), found(source, '[3]')];
    await store.record(all);
    expect(await store.countIgnored(all)).toBe(0);
    const [first, second] = await store.list({ source }, FIRST_PAGE);
    for (const one of [first, second]) await store.changeState(one?.id ?? '', ['open'], { to: 'ignored', reason: 'x' });
    await store.record([found(source, '[1]', { runId: 'run 2' })]);
    expect(await store.countIgnored(all)).toBe(2);
    expect(await store.countIgnored([])).toBe(0);
    await store.changeState(second?.id ?? '', ['ignored'], { to: 'gone' });
    expect(await store.countIgnored(all)).toBe(1);
  });

  test('stay those of the run that found them when they are found again outside of a run', async () => {
    const source = uniqueName('shop');
    await store.record([found(source, '[1]')]);
    const outside = found(source, '[1]', { kind: 'missing', runId: null, seenAtMs: 9 });
    for (const again of [outside, outside]) expect(await store.record([again])).toEqual([]);
    expect(await store.list({ source, runId: 'run 1' }, FIRST_PAGE)).toMatchObject([
      { key: '[1]', kind: 'missing', timesSeen: 1 },
    ]);
    await store.record([found(source, '[1]', { runId: 'run 2' })]);
    expect(await store.list({ source, runId: 'run 2' }, FIRST_PAGE)).toMatchObject([{ timesSeen: 2 }]);
  });

  test('were found by the first way where nothing is recorded of that', async () => {
    const source = uniqueName('shop');
    await store.record([found(source, '[1]')]);
    await database.transaction((manager) =>
      manager.query(`UPDATE mismatches SET details = JSON_REMOVE(details, '$.way') WHERE source = ?`, [source]),
    );
    expect(await store.list({ source }, FIRST_PAGE)).toMatchObject([{ details: { way: 'first', fingerprint: 'f' } }]);
  });

  test('hold halves of surrogate pairs as U+FFFD, and keys that are long', async () => {
    const source = uniqueName('shop');
    const key = 'k'.repeat(100_000);
    expect(await store.record([found(source, key, { details: { ...details, damage: 'a\ud83d' } })])).toHaveLength(1);
    expect(await store.list({ source }, FIRST_PAGE)).toMatchObject([{ key, details: { damage: 'a\ufffd' } }]);
  });

  test('are kept apart by sink, by place, and by names that hold separators', async () => {
    const source = uniqueName('shop');
    const variants = [
      found(source, '[1]'),
      found(source, '[1]', { sink: 'kafka' }),
      found(source, '[1]', { isKey: false }),
      found(source, '[1]', { database: 'shop.orders', table: '' }),
    ];
    expect(await store.record(variants)).toHaveLength(4);
  });

  test('change their state only from the one that is expected, and begin again after they ended', async () => {
    const source = uniqueName('shop');
    await store.record([found(source, '[1]')]);
    const [record] = await store.list({ source }, FIRST_PAGE);
    const id = record?.id ?? '';
    expect(await store.changeState(id, ['repairing'], { to: 'repaired' })).toBe(false);
    nowMs = 2000;
    expect(await store.changeState(id, ['open'], { to: 'ignored', reason: 'known', actor: 'alice' })).toBe(true);
    expect(await store.find(id)).toMatchObject({
      state: 'ignored',
      reason: 'known',
      actor: 'alice',
      changedAtMs: 2000,
    });
    // it is still the one of its key
    expect(await store.record([found(source, '[1]', { runId: 'run 2' })])).toEqual([]);
    expect(await store.changeState(id, ['open', 'ignored'], { to: 'gone' })).toBe(true);
    // what ended does not come back
    expect(await store.changeState(id, ['gone'], { to: 'open' })).toBe(false);
    expect(await store.record([found(source, '[1]', { runId: 'run 3' })])).toHaveLength(1);
    expect((await store.list({ source }, FIRST_PAGE)).map(({ state }) => state)).toEqual(['gone', 'open']);
  });

  test('are found by indexes: those of a run page by page, and how many of a table were seen lately', async () => {
    const source = uniqueName('shop');
    await store.record(Array.from({ length: 20 }, (_, i) => found(source, `[${i}]`, { table: `t${i % 5}` })));
    await database.transaction((manager) =>
      manager.query(
        `INSERT INTO mismatches (source, database_name, table_name, sink, key_text, is_key, kind, details, state, run_id,
           first_seen_ms, last_seen_ms, times_seen, changed_at_ms)
         SELECT one.source, one.database_name, one.table_name, one.sink, one.key_text, one.is_key, one.kind, one.details,
           'given up', CONCAT('run ', two.key_text), SUBSTRING_INDEX(SUBSTR(two.key_text, 2), ']', 1), 1, 1, 1
         FROM mismatches one JOIN mismatches two ON two.source = one.source JOIN mismatches three ON three.source = one.source
         WHERE one.source = ?`,
        [source],
      ),
    );
    await database.transaction((manager) => manager.query('ANALYZE TABLE mismatches'));
    const table = { database: 'shop', table: 't3' };
    const count = (): Promise<unknown> => new StateRepairStore(database).countFound(source, table, 18);
    expect(await explainReads(database, count)).toMatchObject([{ key: 'mismatches_by_first_seen', type: 'range' }]);
    const filter = { source, runId: 'run [7]' };
    for (const after of [null, '300']) {
      const plan = await explainReads(database, () => store.list(filter, { after, limit: 100 }));
      expect(plan).toMatchObject([{ key: 'mismatches_by_run' }]);
      expect(plan[0]?.Extra).not.toContain('filesort');
    }
  });

  test('are listed by filter and page, counted, and swept when they ended long ago', async () => {
    const source = uniqueName('shop');
    await store.record([
      found(source, '[1]', { seenAtMs: 10 }),
      found(source, '[2]', { kind: 'extra', seenAtMs: 20 }),
      found(source, '[3]', { table: 'customers', runId: null }),
    ]);
    const keys = async (filter: object, page = FIRST_PAGE): Promise<string[]> =>
      (await store.list({ source, ...filter }, page)).map(({ key }) => key).sort();
    expect(await keys({ kind: 'extra' })).toEqual(['[2]']);
    expect(await keys({ table: 'customers' })).toEqual(['[3]']);
    expect(await keys({ runId: 'run 1' })).toEqual(['[1]', '[2]']);
    expect(await keys({ table: 'orders', seenBeforeMs: 20 })).toEqual(['[1]']);
    expect(await keys({ states: ['ignored'] })).toEqual([]);
    expect(await keys({ states: [] })).toEqual([]);
    const [first, second] = await store.list({ source }, FIRST_PAGE);
    expect(await store.list({ source }, { after: first?.id ?? '', limit: 1 })).toEqual([second]);
    const counts = (await store.count()).filter((count) => count.source === source);
    expect(counts).toContainEqual({ source, sink: 'mongo', kind: 'different', state: 'open', count: 2 });
    nowMs = 3000;
    await store.changeState(first?.id ?? '', ['open'], { to: 'repaired' });
    await store.sweep(3000, 100);
    expect(await keys({})).toHaveLength(3);
    await store.sweep(3001, 100);
    expect(await keys({})).toEqual(['[1]', '[2]', '[3]'].filter((key) => key !== first?.key));
  });
});
