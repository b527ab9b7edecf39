import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type StateDatabase, StateMismatchStore, StateRepairStore } from '#state';
import { uniqueName } from '#testing';
import { type MismatchRecord, type NewMismatch, POLICY_ACTOR, type RepairRecord } from '#verification';
import { openStateDatabase } from './state-server.ts';

const table = { database: 'shop', table: 'orders' };
const details = {
  way: 'first',
  differences: [],
  damage: 'x',
  storedVersion: 'v',
  fingerprint: 'f',
  shown: null,
} as const;

describe('repairs', () => {
  let database: StateDatabase;
  let mismatches: StateMismatchStore;
  let repairs: StateRepairStore;

  beforeAll(async () => {
    database = await openStateDatabase();
    mismatches = new StateMismatchStore(database);
    repairs = new StateRepairStore(database, () => 77);
  });
  afterAll(() => database.close());

  async function find(count: number, source = uniqueName('shop'), seenAtMs = 5): Promise<readonly MismatchRecord[]> {
    const found = Array.from({ length: count }, (_, i): NewMismatch => {
      const where = { source, ...table, sink: 'mongo', key: `[${i}]`, isKey: true };
      return { ...where, kind: 'damaged', details, runId: null, seenAtMs };
    });
    await mismatches.record(found);
    return mismatches.list({ source }, { after: null, limit: 1000 });
  }

  const listOf = (source: string): Promise<readonly RepairRecord[]> =>
    repairs.list({ source }, { after: null, limit: 1000 });

  test('are one for each mismatch, until it has ended, and a person takes over one that waits', async () => {
    const found = await find(120);
    const { source = '' } = found[0] ?? {};
    await Promise.all([repairs.plan(found, POLICY_ACTOR, 10), repairs.plan(found.toReversed(), POLICY_ACTOR, 11)]);
    const planned = await listOf(source);
    expect(planned).toHaveLength(120);
    const [first] = planned;
    expect(first).toMatchObject({
      ...{
        source,
        ...table,
        sink: 'mongo',
        key: found[0]?.key,
        isKey: true,
        mismatchId: found[0]?.id,
        kind: 'damaged',
      },
      ...{ state: 'planned', attempts: 0, readId: null, before: details, after: null, actor: 'dws', reason: null },
      endedAtMs: null,
    });
    const [mismatch] = found;
    if (first === undefined || mismatch === undefined) throw new Error('nothing was planned');
    await repairs.plan([mismatch], 'alice', 12);
    expect(await repairs.find(first.id)).toMatchObject({ actor: 'alice' });
    await repairs.plan([mismatch], POLICY_ACTOR, 13);
    expect(await repairs.find(first.id)).toMatchObject({ actor: 'alice' });
    const after = { version: 'w', isDeleted: false };
    expect(await repairs.change([first.id], ['planned'], { to: 'repaired', after })).toBe(1);
    expect(await repairs.find(first.id)).toMatchObject({ state: 'repaired', after, endedAtMs: 77 });
    await repairs.plan([mismatch], 'bob', 14);
    expect(await repairs.list({ mismatchId: mismatch.id }, { after: null, limit: 9 })).toHaveLength(2);
    expect(await repairs.find('no number')).toBeNull();
  });

  test('begin a read together, and once', async () => {
    const found = await find(5);
    const { source = '' } = found[0] ?? {};
    await repairs.plan(found, POLICY_ACTOR, 10);
    const ids = (await listOf(source)).map(({ id }) => id);
    await Promise.all([repairs.beginRead(ids, `${source} a`), repairs.beginRead(ids, `${source} b`)]);
    const reading = [...(await repairs.listByRead(`${source} a`)), ...(await repairs.listByRead(`${source} b`))];
    expect(reading.map(({ attempts, state }) => [attempts, state])).toEqual(ids.map(() => [1, 'reading']));
    expect(new Set(reading.map(({ readId }) => readId)).size).toBe(1);
  });

  test('change only from the states that are named, and are due at their time', async () => {
    const found = await find(3);
    const { source = '' } = found[0] ?? {};
    await repairs.plan(found, POLICY_ACTOR, 10);
    const [first, second, third] = (await listOf(source)).map(({ id }) => id);
    const ids = [first ?? '', second ?? ''];
    expect(await repairs.change(ids, ['reading'], { to: 'failed' })).toBe(0);
    expect(await repairs.change(ids, ['planned'], { to: 'failed', reason: 'why', nextAtMs: 50 })).toBe(2);
    const due = async (nowMs: number): Promise<string[]> =>
      (await repairs.listDue(source, ['planned', 'failed'], nowMs, 9)).map(({ id }) => id);
    expect([await due(9), await due(49), await due(50)]).toEqual([[], [third], [first, second, third]]);
    expect(await repairs.listWaitingTables(source, POLICY_ACTOR)).toEqual([table]);
    const states = ['planned', 'failed'] as const;
    expect(await repairs.listDue(source, states, 50, 9, { actor: POLICY_ACTOR, tables: [table] })).toEqual([]);
    expect(await repairs.listDue(source, states, 50, 9, { actor: 'another', tables: [table] })).toHaveLength(3);
    expect(await repairs.list({ source, states: ['failed'] }, { after: first ?? '', limit: 9 })).toMatchObject([
      { id: second, reason: 'why' },
    ]);
  });

  test('are counted by table, as mismatches are', async () => {
    const found = await find(4);
    const { source = '' } = found[0] ?? {};
    expect(await repairs.listOpenTables(source)).toEqual([{ ...table, open: 4 }]);
    expect(await repairs.countFound(source, table, 4)).toBe(4);
    expect(await repairs.countFound(source, table, 5)).toBe(0);
    await repairs.plan(found.slice(1), POLICY_ACTOR, 10);
    await repairs.plan(found.slice(0, 1), 'alice', 10);
    expect(await repairs.countPlanned(source, table, POLICY_ACTOR, 9)).toBe(3);
    expect(await repairs.countPlanned(source, table, POLICY_ACTOR, 10)).toBe(0);
    for (const { id } of found) await mismatches.changeState(id, ['open'], { to: 'repairing' });
    expect(await repairs.listOpenTables(source)).toEqual([]);
  });

  test('of a table are stopped and resumed once', async () => {
    const source = uniqueName('shop');
    const opened = await Promise.all([1, 2, 3].map((found) => repairs.openBreaker(source, table, found, 5)));
    expect(opened.filter(Boolean)).toHaveLength(1);
    expect(await repairs.listBreakers(source)).toMatchObject([{ source, ...table, openedAtMs: 5, closedAtMs: null }]);
    expect(await repairs.closeBreaker(source, table, 'alice', 6)).toBe(true);
    expect(await repairs.closeBreaker(source, table, 'bob', 7)).toBe(false);
    expect(await repairs.listBreakers(source)).toMatchObject([{ openedAtMs: null, closedAtMs: 6, closedBy: 'alice' }]);
    expect(await repairs.openBreaker(source, table, 9, 8)).toBe(true);
  });

  test('a mismatch whose repair was given up stays one, and is not taken up again', async () => {
    const [found] = await find(1);
    if (found === undefined) throw new Error('nothing was found');
    await mismatches.changeState(found.id, ['open'], { to: 'repairing' });
    expect(await mismatches.changeState(found.id, ['repairing'], { to: 'given up', reason: 'no' })).toBe(true);
    await find(1, found.source, 9);
    expect(await mismatches.list({ source: found.source }, { after: null, limit: 9 })).toMatchObject([
      { id: found.id, state: 'given up', lastSeenMs: 9 },
    ]);
    expect(await repairs.listOpenTables(found.source)).toEqual([]);
  });
});
