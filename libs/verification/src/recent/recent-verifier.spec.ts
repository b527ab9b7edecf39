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

  it('of a few tables that take long leave places for the others', async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    verdictOf = async (rows, { table }) => {
      if (table.startsWith('slow')) await released;
      return equal(rows);
    };
    start({ batchKeys: 1 });
    for (const table of ['slow1', 'slow2', 'slow3', 'slow4'])
      for (const key of [1, 2, 3]) keys.note({ database: 'd', table }, `[${key}]`);
    await until(() => calls.length === 6);
    keys.note({ database: 'd', table: 'other' }, '[4]');
    await until(() => verdicts.length === 1);
    expect(calls).toHaveLength(7);
    expect(new Set(calls.map(({ table }) => table)).size).toBe(5);
    release();
    await until(() => verdicts.length === 13);
  });

  it('are verified without the one among them that can not be read', async () => {
    verdictOf = (rows) =>
      rows.some(([key]) => key === 7) ? Promise.reject(new Error('row 7')) : Promise.resolve(equal(rows));
    for (let key = 1; key <= 20; key++) keys.note(layout, `[${key}]`);
    start();
    await until(() => verdicts.reduce((sum, verdict) => sum + verdict.equal, 0) === 19);
    await until(() => troubles.length === 1);
    expect(givenUp).toEqual([[1, 'failed']]);
    expect(verifier.holdingBecause).toBeNull();
  });

  it('are given up together when too many reads of them fail', async () => {
    verdictOf = () => Promise.reject(new Error('none can be read'));
    for (let key = 1; key <= 500; key++) keys.note(layout, `[${key}]`);
    start({ batchKeys: 500 });
    await until(() => givenUp.reduce((sum, [count]) => sum + count, 0) === 500);
    expect(calls.length).toBeLessThan(100);
    await until(() => verifier.holdingBecause !== null);
    expect(troubles).toHaveLength(1);
  });

  it('of one table do not hide that another one can not be verified', async () => {
    const denied = new DittoError('DITTO_KAFKA_UNAVAILABLE', 'no broker answers', { retriable: true });
    verdictOf = (rows, { table }) => (table === 'away' ? Promise.reject(denied) : Promise.resolve(equal(rows)));
    start();
    keys.note({ database: 'd', table: 'away' }, '[1]');
    await until(() => verifier.holdingBecause !== null);
    for (const key of [1, 2, 3]) {
      keys.note(layout, `[${key}]`);
      await until(() => verdicts.length === key);
      expect(verifier.holdingBecause).toBe('DITTO_KAFKA_UNAVAILABLE: no broker answers');
    }
    await until(() => calls.filter(({ table }) => table === 'away').length > 1);
    expect(troubles).toEqual([denied]);
    verdictOf = (rows) => Promise.resolve(equal(rows));
    await until(() => verifier.holdingBecause === null);
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
