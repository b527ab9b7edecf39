import { zstdCompressSync } from 'node:zlib';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { anonymous, event, gtid, insert, nested, query, rotate, tableMap } from '../../test/log-events.ts';
import { columnRules } from '../layout/column-choice.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { BatchQueue } from './batch-queue.ts';
import { EventType } from './event-header.ts';
import { EventFeed } from './event-feed.ts';
import { EventReader } from './event-reader.ts';
import { PlaceProof } from './place-proof.ts';
import { TableCache } from './table-cache.ts';

const facts: CharacterSetFacts = {
  charsetOfCollation: new Map(),
  maxLength: new Map(),
  singleByte: new Map(),
} as unknown as CharacterSetFacts;
const COMMIT = event(EventType.xid, Buffer.alloc(8), 0);

let queue: BatchQueue;
let feed: EventFeed;
let calls: string[];
let failed: Promise<unknown>;

beforeEach(() => {
  start(null);
});

function start(place: PlaceProof | null): void {
  calls = [];
  queue = new BatchQueue({
    maxBytes: 64 * 1024,
    onFull: () => calls.push('full'),
    onRoom: () => {
      feed.onRoom();
    },
  });
  const includes = (): boolean => true;
  const reader = new EventReader({
    tables: new TableCache({ includes, facts, kind: 'mysql', rules: columnRules({}) }),
    characterSets: facts,
    includes,
    serverUuid: 'server',
    emit: (item) => {
      queue.push(item);
    },
    place,
  });
  failed = new Promise((resolve) => {
    feed = new EventFeed({
      reader,
      queue,
      pause: () => calls.push('pause'),
      resume: () => calls.push('resume'),
      onError: (error) => {
        resolve(error);
        queue.finish(error as Error);
      },
    });
  });
  feed.start(true);
  take(rotate('binlog.000009', 4));
}

function take(...events: readonly Buffer[]): void {
  for (const bytes of events) feed.take(bytes, 0, bytes.length);
}

function payload(
  events: readonly Buffer[],
  change: (compressed: Buffer) => Buffer = (compressed) => compressed,
): Buffer {
  const content = Buffer.concat(events.map(nested));
  const compressed = change(zstdCompressSync(content));
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(4, 0xfd);
    bytes.writeUIntLE(value, 1, 3);
    return bytes;
  };
  const fields = [2, 1, 0, 3, 4, ...number(content.length), 1, 4, ...number(compressed.length), 0];
  return event(EventType.transactionPayload, Buffer.concat([Buffer.from(fields), compressed]), 5_000);
}

/** Takes batches until they have had so many rows, or end. */
async function takeRows(wanted: number): Promise<number> {
  let rows = 0;
  while (rows < wanted) {
    const batch = await queue.next();
    if (batch === null) break;
    for (const item of batch.items) if (item.type === 'rows') rows += item.after?.count ?? 0;
  }
  return rows;
}

const small = [query('BEGIN', 0), tableMap('t', 0), insert('t', 1, 0), insert('t', 2, 0), COMMIT];
const large = [
  query('BEGIN', 0),
  tableMap('t', 0),
  ...Array.from({ length: 20_000 }, (_, i) => insert('t', i % 100, 0)),
  COMMIT,
];

describe('a payload', () => {
  test('that is small is read at once, the dump continues', async () => {
    take(gtid(5, 300), payload(small), gtid(6, 5_300));
    expect(calls).toEqual([]);
    expect(await takeRows(2)).toBe(2);
  });

  test('that is large holds the dump, and is read as far as there is room', async () => {
    take(gtid(5, 300), payload(large));
    expect(calls).toEqual(['pause']);
    expect(feed.isReadingNested).toBe(true);
    const first = await takeRows(1);
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(feed.isReadingNested).toBe(true);
    expect(calls).not.toContain('resume');
    expect(first + (await takeRows(20_000 - first))).toBe(20_000);
    for (let turn = 0; turn < 2000 && feed.isReadingNested; turn++)
      await new Promise((resolve) => setTimeout(resolve, 1));
    expect(feed.isReadingNested).toBe(false);
    expect(calls.at(-1)).toBe('resume');
  });

  const place = { file: 'binlog.000009', offset: 5_000 };
  test.each<[string, Buffer]>([
    ['that is cut off', payload(large, (compressed) => compressed.subarray(0, -10))],
    ['that is damaged', payload(large, (compressed) => Buffer.from(compressed).fill(0x5a, 40, 60))],
    ['that is damaged and small', payload(small, (compressed) => Buffer.from(compressed).fill(0x5a, 20, 40))],
    ['with a payload inside', payload([payload(small)])],
    ['with a file change inside', payload([...small.slice(0, 2), rotate('binlog.000001', 4)])],
    ['with another transaction after', payload([...small, gtid(7, 0)])],
    ['with rows after its commit', payload([...small, insert('t', 3, 0)])],
  ])('%s stops the stream with its place', async (_name, bytes) => {
    const attempt = (async (): Promise<never> => {
      take(gtid(5, 300), bytes);
      void takeRows(Infinity).catch(() => undefined);
      throw await failed;
    })();
    await expect(attempt).rejects.toMatchObject({
      code: 'DITTO_SOURCE_EVENT_MALFORMED',
      retriable: false,
      context: place,
    });
    expect(calls).not.toContain('resume');
  });

  test('outside a transaction stops the stream', () => {
    expect(() => {
      take(payload(small));
    }).toThrow(expect.objectContaining({ code: 'DITTO_SOURCE_EVENT_MALFORMED' }));
  });

  test('that is being read when all is closed ends without an error', async () => {
    take(gtid(5, 300), payload(large));
    feed.close();
    queue.discard();
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toEqual(['pause']);
    expect(await Promise.race([failed, Promise.resolve('quiet')])).toBe('quiet');
  });
});

test('I9: what waited for the end of its transaction counts when it is given', () => {
  start(new PlaceProof({ file: 'binlog.000009', offset: 4 }));
  const rows = Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0xff]), Buffer.alloc(300 * 1024)]);
  take(anonymous(0), query('BEGIN', 0), tableMap('t', 0), event(EventType.writeRows, rows, 0));
  expect(calls).toEqual([]);
  take(COMMIT);
  expect(calls).toEqual(['full']);
});
