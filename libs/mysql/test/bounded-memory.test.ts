import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RowImages } from '#change-events';
import { MySqlRowReader } from '#mysql';
import { position, TestSource } from './test-source.ts';

const ROWS = 200_000;
const MEBIBYTE = 1024 * 1024;
/** What the reader may hold of a transaction of any size: a few of its batches, decoded. */
const MOST_GROWTH_BYTES = 24 * MEBIBYTE;
const BYTES_BETWEEN_LOOKS = 2 * MEBIBYTE;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What is alive, on the heap and in buffers. */
function liveBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

let source: TestSource;
beforeAll(async () => {
  source = await TestSource.open('memory');
});
afterAll(async () => {
  await source.close();
});

const scratch = Buffer.alloc(MEBIBYTE);

function encodeAll(images: RowImages): void {
  for (let i = 0; i < images.count; i++) images.writeJson(i, scratch, 0, 'number');
}

describe('I9: flat memory', () => {
  test('a slow consumer of a transaction of 200,000 rows holds no more than a few batches', async () => {
    await source.run('CREATE TABLE large (id INT PRIMARY KEY, a VARCHAR(200), b BIGINT, c DATETIME(6))');
    const from = await source.executedSet();
    await source.run(
      `SET SESSION cte_max_recursion_depth = ${ROWS}`,
      `INSERT INTO large WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
         SELECT i, RPAD(i, 200, 'abcdefgh'), i * 1000000007, '2026-02-03 04:05:06.000007' FROM n`,
    );
    const before = liveBytes();
    let most = 0;
    let rows = 0;
    let bytes = 0;
    let nextLook = 0;
    const { signal } = new AbortController();
    const stream = source.source().stream({ from: position(from), includes: source.includes, signal });
    for await (const batch of stream) {
      for (const item of batch.items) {
        if (item.type !== 'rows' || item.after === null) continue;
        encodeAll(item.after);
        rows += item.after.count;
      }
      bytes += batch.bytes;
      if (bytes >= nextLook) {
        // long enough for everything that the server has ready to arrive
        await sleep(nextLook === 0 ? 500 : 20);
        most = Math.max(most, liveBytes() - before);
        nextLook = bytes + BYTES_BETWEEN_LOOKS;
      }
      if (rows === ROWS) break;
    }
    expect(rows).toBe(ROWS);
    expect(bytes).toBeGreaterThan(40 * MEBIBYTE);
    expect(most).toBeLessThan(MOST_GROWTH_BYTES);
  }, 60_000);

  test('the chunks that one connection has read are not held until it is closed', async () => {
    await source.run('CREATE TABLE chunks (id INT PRIMARY KEY, v LONGTEXT)');
    await source.run(`INSERT INTO chunks VALUES (1, REPEAT('x', ${MEBIBYTE}))`);
    const { signal } = new AbortController();
    const reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
    try {
      const layout = await reader.readLayout({ database: source.database, table: 'chunks' }, signal);
      if (layout === null) throw new Error('no table');
      const read = async (): Promise<number> =>
        (await reader.readChunk({ layout, after: null, limit: 10, dispatchedSet: '', signal })).rows.length;
      await read();
      const before = liveBytes();
      for (let i = 0; i < 40; i++) expect(await read()).toBe(1);
      // what the last promises hold is released in turns of their own, on a busy machine later
      for (let turn = 0; turn < 25 && liveBytes() - before >= 10 * MEBIBYTE; turn++) await sleep(200);
      expect(liveBytes() - before).toBeLessThan(10 * MEBIBYTE);
    } finally {
      reader.close();
    }
  });
});
