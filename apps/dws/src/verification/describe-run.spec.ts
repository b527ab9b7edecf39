import { describe, expect, it } from '@jest/globals';
import { type RunRecord, type RunScope, type RunTable, type TableHold } from '#verification';
import { describeRun, summarizeRun } from './describe-run.ts';

const RUN: RunRecord = {
  ...{ id: 'r', source: 'eu', scope: { kind: 'source' }, sinks: ['mongo'], trigger: 'request', actor: 'alice' },
  ...{ rowsPerSecond: null, secondWayShare: 0.01, createdAtMs: 0, state: 'running', error: null, endedAtMs: null },
};
const HOLD: TableHold = { state: 'waiting', reason: 'no checkpoint', sinceMs: 5 };

function table(name: string, more: Partial<RunTable> = {}, rows = 0, mismatches = 0): RunTable {
  return {
    ...{ runId: 'r', database: 'shop', table: name, sink: 'mongo', phase: 'rows', keySignature: null },
    counts: { rows, equal: rows - mismatches, mismatches, ignored: 0, unsettled: 0, quarantined: 0 },
    secondWay: { rows: 0, equal: 0, mismatches: 0, ignored: 0, unsettled: 0, quarantined: 0 },
    ...{ listed: 0, estimatedRows: 1000, hold: null, startedAtMs: 0, endedAtMs: null },
    ...more,
  };
}

describe('describeRun', () => {
  it('adds up the tables, and estimates what is left from the rate of rows and listed keys', () => {
    const tables = [table('a', {}, 500), table('b', { phase: 'done', listed: 1000 }, 1000)];
    expect(describeRun(RUN, tables, 10_000)).toMatchObject({
      ...{ state: 'running', tables: 2, doneTables: 1, rows: 1500, estimatedRows: 2000 },
      // 500 rows are to be read and 1,000 keys to be looked up
      ...{ rate: 250, remainingMs: 6000, notJudged: 0 },
    });
  });

  it('waits only while every open table does', () => {
    const held = table('a', { hold: HOLD });
    expect(describeRun(RUN, [held, table('b')], 1).state).toBe('running');
    expect(describeRun(RUN, [held, table('b', { phase: 'done' })], 1).state).toBe('waiting');
    expect(describeRun({ ...RUN, state: 'paused' }, [held], 1).state).toBe('paused');
  });

  it('counts tables that ended without being judged, and shows what needs a look first', () => {
    const tables = [
      table('equal', { phase: 'done' }, 10),
      table('open'),
      table('differs', { phase: 'done' }, 10, 1),
      table('held', { phase: 'done', hold: HOLD }),
    ];
    const run = describeRun({ ...RUN, state: 'done', endedAtMs: 5000 }, tables, 99_000);
    expect(run).toMatchObject({ state: 'done', notJudged: 1, mismatches: 1, rate: 4, remainingMs: null });
    expect(run.details.map((shown) => shown.table)).toEqual(['held', 'differs', 'open', 'equal']);
  });
});

describe('summarizeRun', () => {
  const orders = { database: 'shop', table: 'a.b' };
  const nothing = { table: null, tables: null, keys: null, conditions: null };
  const where = [{ column: 'id', op: '>', value: 5 }] as const;
  it.each<[RunScope, object]>([
    [{ kind: 'source' }, {}],
    [{ kind: 'tables', tables: [orders] }, { tables: 1 }],
    [
      { kind: 'keys', keys: ['[1]', '[2]'], ...orders },
      { table: 'shop.`a.b`', keys: 2 },
    ],
    [{ kind: 'range', from: '[1]', to: null, ...orders }, { table: 'shop.`a.b`' }],
    [
      { kind: 'filter', where, ...orders },
      { table: 'shop.`a.b`', conditions: 1 },
    ],
  ])('has no keys and values of the scope: %j', (scope, summary) => {
    const shown = summarizeRun({ ...RUN, scope }, [], 1).scope;
    expect(shown).toEqual({ ...nothing, kind: scope.kind, ...summary });
    expect(describeRun({ ...RUN, scope }, [], 1).scope).toEqual(scope);
  });
});
