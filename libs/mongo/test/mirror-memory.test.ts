import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Row, type RowChange, READ_ROW_INDEX, transactionEndVersion, type TransactionInfo } from '#change-events';
import { silentLogger } from '#kernel';
import { acceptChanges, testStack } from '#testing';
import { MirrorLineage, MirrorMemory } from '../src/index.ts';
import { makeChange, makeColumn, makeLayout, makeTransaction } from './make-changes.ts';
import { MirrorFixture } from './mirror-fixture.ts';

const never = new AbortController().signal;
const columns = [makeColumn('id', 'integer', 'int'), makeColumn('note', 'text', 'varchar')];
const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

let url: string;
let mirror: MirrorFixture;
let isOpen = false;
let memory: MirrorMemory;
beforeAll(async () => {
  url = (await testStack()).url('mongo');
});
afterAll(() => mirror.close());

async function openMirror(): Promise<void> {
  if (isOpen) await mirror.close();
  isOpen = true;
  mirror = await MirrorFixture.open(url);
  const { connection, source } = mirror;
  memory = new MirrorMemory({ connection, source, logger: silentLogger });
}

type Change = readonly [transaction: TransactionInfo, before: Row | null, after: Row | null, readSequence?: number];

async function write(table: string, ...changes: readonly Change[]): Promise<void> {
  const layout = makeLayout(columns, [0], table);
  const writer = await mirror.openWriter();
  await writer.prepareTable(layout);
  const made = changes.map(([transaction, before, after, readSequence], rowIndex): RowChange => {
    const change = makeChange(before, after, { layout, transaction, rowIndex });
    return readSequence === undefined ? change : { ...change, op: 'read', rowIndex: READ_ROW_INDEX, readSequence };
  });
  acceptChanges(writer, made, mirror.acknowledgement);
  await writer.drain(never);
}

const at = (number: number, more: Partial<TransactionInfo> = {}): TransactionInfo => ({
  ...makeTransaction(number),
  ...more,
});
const behind = (number: number): string => transactionEndVersion(makeTransaction(number).versionPrefix);
const gtidsAbove = async (version: string): Promise<string[]> => [...(await memory.gtidsAbove(version, never))].sort();

describe('what the mirror remembers', () => {
  it('I7: is nothing before anything was written', async () => {
    await openMirror();
    expect(await memory.newestLineage(never)).toBe(0);
    expect(await memory.gtidsAbove('', never)).toEqual([]);
  });

  it('I7: the greatest GTID of each server and tag above a version, in documents and in tombstones', async () => {
    await openMirror();
    await write(
      'a',
      [at(1), null, [1, 'a']],
      [at(2, { gtid: `${UUID}:tag:9` }), null, [2, 'b']],
      [at(3, { gtid: `${UUID}:tag:10` }), null, [3, 'c']],
      [at(4), null, [4, 'd']],
      [at(5), [4, 'd'], null],
    );
    await write(
      'b',
      [at(6, { gtid: '00000000-71ca-11e1-9e33-c80aa9429562:7' }), [1, ''], null],
      [at(7, { gtid: '0-1-5' }), null, [2, 'b']],
      [at(8, { gtid: '0-2-5' }), null, [3, 'b']],
      [at(9, { gtid: null }), null, [4, 'b']],
    );
    const all = ['0-1-5', '0-2-5', '00000000-71ca-11e1-9e33-c80aa9429562:7', `${UUID}:5`, `${UUID}:tag:10`];
    expect(await gtidsAbove('')).toEqual(all);
    expect(await gtidsAbove(behind(2))).toEqual(all);
    expect(await gtidsAbove(behind(3))).toEqual(all.slice(0, 4));
    expect(await gtidsAbove(behind(7))).toEqual(['0-2-5']);
    expect(await gtidsAbove(behind(9))).toEqual([]);
  });

  it('I7: not the GTID that a read carries: it comes after that transaction and says nothing of it', async () => {
    await openMirror();
    await write('reads', [at(3), null, [1, 'a'], 7], [at(2), null, [2, 'b']]);
    expect(await gtidsAbove('')).toEqual([`${UUID}:2`]);
  });

  it('I7: passes a transaction of any size by its first page', async () => {
    await openMirror();
    await write('large', ...Array.from({ length: 5500 }, (_, id): Change => [at(1), null, [id, '']]), [
      at(2),
      null,
      [9000, ''],
    ]);
    expect(await gtidsAbove('')).toEqual([`${UUID}:2`]);
  });

  it('I7: the newest lineage of all collections and of the record', async () => {
    await openMirror();
    const lineage = new MirrorLineage(mirror);
    await write('old', [makeTransaction(1, 2), null, [1, 'a']]);
    expect(await memory.newestLineage(never)).toBe(2);
    await write('newer', [makeTransaction(1, 5), [1, 'a'], null], [makeTransaction(1, 3), null, [2, 'a']]);
    expect(await memory.newestLineage(never)).toBe(5);
    await lineage.raise(6);
    expect(await memory.newestLineage(never)).toBe(6);
    await lineage.raise(4);
    expect(await memory.newestLineage(never)).toBe(6);
  });

  it('I7: a mirror of an older Ditto, without the indexes, is asked all the same', async () => {
    await openMirror();
    await mirror.db.collection<{ _id: number }>('shop.old').insertOne({
      _id: 1,
      row: { id: 1 },
      v: `${makeTransaction(4, 3).versionPrefix}0000000000000000`,
      gtid: `${UUID}:4`,
    } as never);
    expect(await memory.newestLineage(never)).toBe(3);
    expect(await gtidsAbove('')).toEqual([`${UUID}:4`]);
  });
});
