import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeKeyValues, type Row, rowOfKey, type TableLayout, type TableName } from '#change-events';
import { DittoError } from '#kernel';
import { layout } from '../../test/verification-model.ts';
import { type RecordedTable } from '../ports/recorded-stream.ts';
import { type NotJudged, type Verdict } from '../row-verifier.ts';
import { RecentKeys } from './recent-keys.ts';
import { RecentVerifier, type RecentVerifierOptions } from './recent-verifier.ts';

const copied: RecordedTable = { generation: 1, copied: 'yes', layout };
const equal = (rows: readonly Row[]): Verdict => ({
  ...{ state: 'judged', mismatches: [], unsettled: [], quarantined: [] },
  equal: rows.length,
});

let keys: RecentKeys;
let stop: AbortController;
let running: Promise<void>;
let calls: { readonly table: string; readonly keys: unknown[] }[];
let givenUp: (readonly [number, string])[];
let troubles: unknown[];
let verdicts: Verdict[];
let verdictOf: (rows: readonly Row[], table: TableName) => Promise<Verdict | NotJudged>;
let verifier: RecentVerifier;

beforeEach(() => {
  [calls, givenUp, troubles, verdicts] = [[], [], [], []];
  keys = new RecentKeys({ keysPerSecond: 1000, settleMs: 100, onLeftOut: () => undefined });
  stop = new AbortController();
  verdictOf = (rows) => Promise.resolve(equal(rows));
});

afterEach(async () => {
  stop.abort();
  await running;
});

function start(options: Partial<RecentVerifierOptions> = {}): void {
  const verifyKeys = (table: TableName, _: TableLayout, rows: readonly Row[]): Promise<Verdict | NotJudged> => {
    calls.push({ table: table.table, keys: rows.map(([key]) => key) });
    return verdictOf(rows, table);
  };
  verifier = new RecentVerifier({
    keys,
    decodeKey: (of, key) => (key === 'foreign' ? null : rowOfKey(of, decodeKeyValues(of, key))),
    readTable: () => Promise.resolve(copied),
    openVerifier: () => Promise.resolve({ verifyKeys }),
    batchKeys: 100,
    onJudged: (_, verdict) => Promise.resolve(void verdicts.push(verdict)),
    onGivenUp: (count, reason) => void givenUp.push([count, reason]),
    onTrouble: (error) => void troubles.push(error),
    ...options,
  });
  running = verifier.run(stop.signal);
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    if (i > 500) throw new Error(`it was not reached: ${JSON.stringify({ calls, givenUp })}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('keys that changed recently', () => {
  it('are verified, one batch of a table; what is no key is left', async () => {
    for (const key of ['[1]', '[2]', 'foreign']) keys.note(layout, key);
    start();
    await until(() => verdicts.length === 1);
    expect(calls).toEqual([{ table: layout.table, keys: expect.arrayContaining([1, 2]) }]);
    expect(verdicts).toMatchObject([{ equal: 2 }]);
    expect(givenUp).toEqual([]);
  });

  it('of a table that takes long hold up no other, and wait for it once it has two batches', async () => {
    const release: (() => void)[] = [];
    verdictOf = (rows, { table }) =>
      table === 'slow'
        ? new Promise((resolve) => release.push(() => resolve(equal(rows))))
        : Promise.resolve(equal(rows));
    const slow = { database: 'd', table: 'slow' };
    start();
    for (const key of [1, 2]) {
      keys.note(slow, `[${key}]`);
      await until(() => calls.length === key);
    }
    keys.note(slow, '[3]');
    keys.note({ database: 'd', table: 'other' }, '[4]');
    await until(() => verdicts.length === 1);
    expect(calls.map(({ table }) => table)).toEqual(['slow', 'slow', 'other']);
    release[0]?.();
    await until(() => calls.length === 4);
    expect(calls[3]).toEqual({ table: 'slow', keys: [3] });
    for (const resolve of release) resolve();
  });

  it('and change again meanwhile are verified again', async () => {
    verdictOf = (rows) =>
      Promise.resolve(calls.length === 1 ? { ...equal([]), equal: 1, unsettled: rows.slice(1) } : equal(rows));
    for (const key of ['[1]', '[2]']) keys.note(layout, key);
    start();
    await until(() => verdicts.length === 2);
    expect(calls[1]?.keys).toEqual(calls[0]?.keys.slice(1));
  });

  it('are tried again while nothing can be judged, and when a server is away; that is reported once', async () => {
    const away = new DittoError('DITTO_KAFKA_UNAVAILABLE', 'no broker answers', { retriable: true });
    verdictOf = (rows) => {
      if (calls.length === 1) return Promise.resolve({ state: 'waiting', reason: 'not yet' });
      return calls.length < 4 ? Promise.reject(away) : Promise.resolve(equal(rows));
    };
    keys.note(layout, '[1]');
    start();
    await until(() => calls.length === 3);
    await until(() => verifier.holdingBecause !== null);
    expect(verifier.holdingBecause).toBe('DITTO_KAFKA_UNAVAILABLE: no broker answers');
    await until(() => verdicts.length === 1);
    expect(troubles).toEqual([away]);
    expect(verifier.holdingBecause).toBeNull();
    expect(givenUp).toEqual([]);
  });

  it('are left out with the reason where waiting does not help', async () => {
    const tables: Record<string, RecordedTable | null> = {
      unknown: null,
      copying: { ...copied, copied: 'no' },
      elsewhere: { ...copied, copied: 'never' },
    };
    verdictOf = (_, { table }) =>
      table === 'broken'
        ? Promise.reject(new Error('broken'))
        : Promise.resolve({ state: 'not verifiable', reason: 'the topic forgets' });
    start({ readTable: ({ table }) => Promise.resolve(table in tables ? (tables[table] ?? null) : copied) });
    for (const table of ['unknown', 'copying', 'elsewhere', 'forgetting', 'broken'])
      keys.note({ database: 'd', table }, '[1]');
    await until(() => givenUp.length === 5);
    expect(givenUp.map(([, reason]) => reason).sort()).toEqual([
      'being re-read',
      'failed',
      'not verifiable',
      'not verifiable',
      'not verifiable',
    ]);
    expect(calls).toHaveLength(2);
  });
});
