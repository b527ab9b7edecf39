import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  changeVersion,
  encodeKeyValues,
  READ_ROW_INDEX,
  type Row,
  type RowChange,
  versionPrefix,
} from '#change-events';
import { DittoError } from '#kernel';
import { acceptChanges, MEMORY_REFUSED, MemorySink, openSink } from '#testing';
import { layout, SERVER } from '../../test/windowed-read-model.ts';
import { QuarantinedKeys } from '../ports/quarantined-keys.ts';

const LARGE = 1000;
const KEYS = 3;

type Step =
  | { readonly type: 'write'; readonly key: number; readonly isLarge: boolean }
  | { readonly type: 'delete'; readonly key: number }
  | { readonly type: 'read'; readonly key: number }
  | { readonly type: 'mark'; readonly key: number }
  | { readonly type: 'rest' };

const key = fc.integer({ min: 1, max: KEYS });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('write' as const), key, isLarge: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('read' as const), key }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('mark' as const), key }) },
  { weight: 2, arbitrary: fc.constant({ type: 'rest' as const }) },
);

/** A table whose rows change, are refused, held back and read in any order, and the sink that is given all of it. */
async function run(steps: readonly Step[]): Promise<void> {
  const rows = new Map<number, number>();
  const quarantined = new QuarantinedKeys();
  const delivered = new Map<string, string[]>();
  const sink = new MemorySink();
  let acknowledged = 0;
  let given = 0;
  let number = 0;
  let reads = 0;
  sink.answer = (change) => {
    if (Number(change.after?.[1] ?? 0) >= LARGE) return Promise.reject(new DittoError(MEMORY_REFUSED, 'too large'));
    const name = encodeKeyValues(layout, (change.after ?? change.before) as Row);
    delivered.set(name, [...(delivered.get(name) ?? []), changeVersion(change)]);
    return Promise.resolve();
  };
  await openSink(sink, {
    quarantined,
    refuse: async ({ table, key: refused, version }) => {
      await new Promise((resolve) => setImmediate(resolve));
      quarantined.add({ ...table, key: refused }, version);
    },
  });
  await sink.prepareTable(layout);
  const give = (change: Pick<RowChange, 'op' | 'before' | 'after'>, isRead: boolean): void => {
    const offset = 100 * number;
    const transaction = {
      ...{ gtid: `${SERVER}:${number}`, serverId: 1, serverUuid: SERVER, file: 'b.000001', offset, commitMicros: 0 },
      versionPrefix: versionPrefix(1, 'b.000001', offset),
    };
    const place = isRead
      ? { rowIndex: READ_ROW_INDEX, readSequence: ++reads, windowId: `w/${reads}` }
      : { rowIndex: 0, readSequence: 0, windowId: null };
    given++;
    acceptChanges(sink, [{ ...change, layout, transaction, ...place }], {
      acknowledge: (count) => (acknowledged += count),
    });
  };
  const read = (one: number): void => {
    const value = rows.get(one);
    if (value === undefined) give({ op: 'delete', before: [one, null], after: null }, true);
    else give({ op: 'read', before: null, after: [one, value] }, true);
  };
  for (const next of steps) {
    if (next.type === 'rest') await new Promise((resolve) => setImmediate(resolve));
    else if (next.type === 'read') read(next.key);
    else if (next.type === 'mark')
      quarantined.tryNext({ database: layout.database, table: layout.table, key: `[${next.key}]` });
    else if (next.type === 'delete') {
      const before = rows.get(next.key);
      if (before === undefined) continue;
      number++;
      rows.delete(next.key);
      give({ op: 'delete', before: [next.key, before], after: null }, false);
    } else {
      number++;
      const before = rows.get(next.key);
      const value = next.isLarge ? LARGE + number : number % LARGE;
      rows.set(next.key, value);
      const op = before === undefined ? 'create' : 'update';
      give({ op, before: before === undefined ? null : [next.key, before], after: [next.key, value] }, false);
    }
  }
  await sink.drain(AbortSignal.timeout(5000));
  // what is not in the quarantine is as the source has it
  const inSink = new Map(sink.rows(layout).map((row) => [Number(row[0]), Number(row[1])]));
  for (let one = 1; one <= KEYS; one++)
    if (!quarantined.has({ database: layout.database, table: layout.table, key: `[${one}]` }))
      expect([one, inSink.get(one)]).toEqual([one, rows.get(one)]);
  // rows that are small by now are led out by a read
  for (let one = 1; one <= KEYS; one++) {
    number++;
    rows.set(one, number % LARGE);
    give({ op: 'update', before: [one, 0], after: [one, number % LARGE] }, false);
    read(one);
  }
  await sink.drain(AbortSignal.timeout(5000));
  expect(quarantined.isEmpty).toBe(true);
  expect(acknowledged).toBe(given);
  expect(new Map(sink.rows(layout).map((row) => [Number(row[0]), Number(row[1])]))).toEqual(rows);
  for (const versions of delivered.values()) expect(versions).toEqual(versions.toSorted());
}

it('I2, I4, I6: whatever is refused, held back and read, nothing older follows, and a read leads each row out', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), run), { numRuns: 500 });
});
