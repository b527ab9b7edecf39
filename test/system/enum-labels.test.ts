import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from '@jest/globals';
import { type Connection } from 'mysql2/promise';
import { World } from './world.ts';

/** More than one chunk, so that windows are open while rows change. */
const ROWS = 3000;

let world: World;
let stopped = false;

afterEach(() => world.close());

/** Changes a row every few milliseconds: no window is without one. */
async function keepWriting(connection: Connection): Promise<void> {
  for (let id = 1; !stopped; id = (id % ROWS) + 1) {
    await connection.query('UPDATE moods SET n = n + 1, mood = ? WHERE id = ?', [id % 2 === 0 ? '😀' : 'plain', id]);
    await sleep(2);
  }
}

it('a table whose ENUM and SET have labels of four-byte characters is copied, and read again, while its rows change', async () => {
  world = await World.create({ tables: ['moods'], source: { snapshot: { chunkRows: 100 } } });
  const mysql = await world.connect();
  await mysql.query(`USE ${world.database};
    CREATE TABLE moods (id INT PRIMARY KEY, n INT NOT NULL, mood ENUM('plain', '😀', '?') NOT NULL, many SET('🎉', 'b'));
    SET SESSION cte_max_recursion_depth = ${ROWS};
    INSERT INTO moods WITH RECURSIVE ids AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM ids WHERE id < ${ROWS})
      SELECT id, 0, ELT(1 + id % 3, 'plain', '😀', '?'), IF(id % 2, '🎉,b', NULL) FROM ids`);
  const writing = await world.connect();
  await writing.query(`USE ${world.database}`);
  const load = keepWriting(writing);
  try {
    await world.start('dcs');
    const dss = await world.start('dss');
    const isCopied = ({ snapshot }: { snapshot: readonly { state: string }[] }): boolean =>
      snapshot.length === 1 && snapshot.every(({ state }) => state === 'done');
    await world.waitForStatus(dss, 'the copy', isCopied, 40_000);
    await mysql.query('ALTER TABLE moods ADD COLUMN later INT NOT NULL DEFAULT 5');
    await world.waitForStatus(dss, 'the table to be read again', (status) => !isCopied(status), 40_000);
    await world.waitForStatus(dss, 'the second copy', isCopied, 40_000);
    stopped = true;
    await load;
    await world.waitUntilCaughtUp(dss);
  } finally {
    stopped = true;
    await load;
  }
  const { samples, tables } = await world.compare();
  expect([samples, tables.map(({ rows }) => rows)]).toEqual([[], [ROWS]]);
}, 180_000);
