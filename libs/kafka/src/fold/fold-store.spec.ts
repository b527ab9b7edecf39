import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { type FoldedMessage, FoldStore } from './fold-store.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ditto-fold-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const message: FoldedMessage = {
  ...{ partition: 1, offset: 7, version: '0'.repeat(44), id: 'u:1/0', op: 'c', order: null, outrankedBy: null },
  value: Buffer.from('{}'),
};

describe('FoldStore', () => {
  it('lists keys in the order of their bytes, page by page, without deleted ones', () => {
    const store = new FoldStore(join(folder, 'store'));
    const keys = ['b', 'a', '\u{1f600}', 'ab', 'é'];
    for (const key of keys) store.put(Buffer.from(key), message);
    store.put(Buffer.from('aa'), { ...message, op: 'd' });
    store.put(Buffer.from('ac'), { ...message, op: null, value: null });
    const pages: string[][] = [];
    for (let page = store.list(null, 2); page.length > 0; page = store.list(page.at(-1) as Buffer, 2))
      pages.push(page.map(String));
    expect(pages).toEqual([['a', 'ab'], ['b', 'é'], ['\u{1f600}']]);
    store.close();
  });

  it('keeps each value to the last byte, whether it is text or not', () => {
    const store = new FoldStore(join(folder, 'store'));
    const fixed = ['', '{"a":"é😀"}', '\ufeff{}', '\ufffd', 'a\0b', '\0'].map((text) => Buffer.from(text));
    const broken = [[0xff], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0x61, 0xe2, 0x82]].map((bytes) => Buffer.from(bytes));
    const keep = (value: Buffer): void => {
      store.put(Buffer.from('k'), { ...message, value });
      expect(store.find(Buffer.from('k'))?.value).toEqual(value);
    };
    for (const value of [...fixed, ...broken]) keep(value);
    const anyBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    const anyText = fc.string({ unit: 'binary', maxLength: 300 }).map((text) => Buffer.from(text));
    fc.assert(fc.property(fc.oneof(anyBytes, anyText), keep));
    store.close();
  });

  it('keeps no lock when it can not be opened', () => {
    const path = join(folder, 'store');
    writeFileSync(path, 'no database, though it is a file that is long enough to be read as one'.repeat(100));
    const code = 'DITTO_KAFKA_FOLD_FOLDER';
    expect(() => new FoldStore(path)).toThrow(expect.objectContaining({ code }));
    const locked = new FoldStore(join(folder, 'other'));
    locked.put(Buffer.from('k'), message);
    expect(() => new FoldStore(join(folder, 'other'))).toThrow(expect.objectContaining({ code }));
    locked.close();
    new FoldStore(join(folder, 'other')).close();
  });

  it('gives back what was put last, also from the file, and is of no use after a write that was cut', () => {
    const path = join(folder, 'store');
    const first = new FoldStore(path);
    const last = { ...message, offset: 8, value: null, order: { newest: 'a', highest: 'b' }, outrankedBy: 'c' };
    const end = { version: 'v', gtid: null };
    first.write(() => {
      first.put(Buffer.from('k'), message);
      first.put(Buffer.from('k'), last);
      first.savePartition(1, { start: 2, position: 9, end });
    });
    first.saveTopic('topic-1', 1_770_000_000_000);
    expect(first.isBroken).toBe(false);
    first.close();
    const second = new FoldStore(path);
    expect(second.find(Buffer.from('k'))).toEqual(last);
    expect(second.find(Buffer.from('K'))).toBeNull();
    expect(second.partitions[1]).toEqual({ start: 2, position: 9, end });
    expect(second.readTopic()).toEqual({ id: 'topic-1', asOfMs: 1_770_000_000_000 });
    const cut = (): void =>
      second.write(() => {
        throw new Error('cut');
      });
    expect(cut).toThrow('cut');
    expect(second.isBroken).toBe(true);
    second.close();
  });
});
