import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Connection, type RowDataPacket } from 'mysql2/promise';
import { TopicMessages } from '../oracle/topic-messages.ts';
import { World, type ServiceInstance } from './world.ts';

interface TableState {
  readonly table: string;
  readonly state: string;
  readonly rowsRead: number;
}

let world: World;
let mysql: Connection;
let dss: ServiceInstance;

beforeEach(async () => {
  world = await World.create({ tables: ['wide'] });
  mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
  for (const statement of TABLES) await mysql.query(statement);
  await world.start('dcs');
}, 60_000);

afterEach(() => world.close());

const numbers = Array.from({ length: 300 }, (_, index) => index + 1);

const TABLES: readonly string[] = [
  'CREATE TABLE wide (id INT PRIMARY KEY, a INT, b VARCHAR(20) CHARACTER SET latin1, c DECIMAL(8,2))',
  `INSERT INTO wide VALUES ${numbers.map((n) => `(${n}, ${n}, 'ä${n}', ${n}.5)`).join(',')}`,
  'CREATE TABLE keyed (id INT PRIMARY KEY, other INT NOT NULL, name VARCHAR(20) CHARACTER SET latin1 NOT NULL)',
  `INSERT INTO keyed VALUES ${numbers.map((n) => `(${n}, ${n + 1000}, 'ö${n}')`).join(',')}`,
  `CREATE TABLE parted (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id)
     (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN (200), PARTITION p2 VALUES LESS THAN (300), PARTITION p3 VALUES LESS THAN MAXVALUE)`,
  `INSERT INTO parted VALUES ${numbers.map((n) => `(${n}, ${n})`).join(',')}`,
  'CREATE TABLE partner (id INT PRIMARY KEY, v INT)',
  'INSERT INTO partner VALUES (7, 70), (8, 80)',
  'CREATE TABLE swapped (id INT PRIMARY KEY, v INT)',
  `INSERT INTO swapped VALUES ${numbers.map((n) => `(${n}, ${n})`).join(',')}`,
  'CREATE TABLE again (id INT PRIMARY KEY, v INT)',
  'INSERT INTO again VALUES (1, 1), (2, 2)',
];

/** Each statement that changes rows without row events comes before, between and after changes of rows. */
const STORY: readonly string[] = [
  // columns
  'UPDATE wide SET a = a + 1 WHERE id % 3 = 0',
  "ALTER TABLE wide ADD COLUMN d VARCHAR(10) NOT NULL DEFAULT 'new' FIRST",
  'DELETE FROM wide WHERE id % 10 = 1',
  'ALTER TABLE wide MODIFY c DOUBLE, MODIFY a BIGINT UNSIGNED AFTER c',
  "INSERT INTO wide (id, b) VALUES (1001, 'x')",
  'ALTER TABLE wide CONVERT TO CHARACTER SET utf8mb4',
  "UPDATE wide SET b = '🐬' WHERE id = 2",
  'ALTER TABLE wide RENAME COLUMN a TO aa, DROP COLUMN c',
  'ALTER TABLE wide ADD COLUMN twice INT AS (id * 2) VIRTUAL, ADD COLUMN hidden INT INVISIBLE DEFAULT 4',
  'ALTER TABLE wide ADD INDEX (aa), COMMENT = "neutral", ALTER COLUMN aa SET DEFAULT 9',
  'INSERT INTO wide (id) VALUES (1002)',
  // keys
  'UPDATE keyed SET name = "x" WHERE id = 5',
  'ALTER TABLE keyed MODIFY id BIGINT',
  'DELETE FROM keyed WHERE id = 6',
  'ALTER TABLE keyed DROP PRIMARY KEY, ADD PRIMARY KEY (other)',
  'UPDATE keyed SET id = 0 WHERE other < 1010',
  'ALTER TABLE keyed CHANGE other second VARCHAR(10), ADD INDEX (id)',
  'INSERT INTO keyed (id, second, name) VALUES (3000, "s", "t")',
  'ALTER TABLE keyed DROP PRIMARY KEY, ADD PRIMARY KEY (name, second)',
  'ALTER TABLE keyed CONVERT TO CHARACTER SET utf8mb4',
  'DELETE FROM keyed WHERE id % 10 = 3',
  // partitions
  'ALTER TABLE parted TRUNCATE PARTITION p1',
  'INSERT INTO parted VALUES (150, -150)',
  'ALTER TABLE parted DROP PARTITION p2',
  'ALTER TABLE parted EXCHANGE PARTITION p0 WITH TABLE partner',
  'UPDATE partner SET v = v + 1 WHERE id < 10',
  'UPDATE parted SET v = v + 1 WHERE id < 10',
  'ALTER TABLE parted REORGANIZE PARTITION p0, p1 INTO (PARTITION q VALUES LESS THAN (200))',
  'ALTER TABLE parted REMOVE PARTITIONING',
  // swaps
  'CREATE TABLE _swapped_new LIKE swapped',
  'ALTER TABLE _swapped_new ADD COLUMN w INT DEFAULT 3',
  'INSERT INTO _swapped_new (id, v) SELECT id, v FROM swapped',
  'UPDATE swapped SET v = -1 WHERE id = 1',
  'REPLACE INTO _swapped_new (id, v) SELECT id, v FROM swapped WHERE id = 1',
  'RENAME TABLE swapped TO _swapped_old, _swapped_new TO swapped',
  'DELETE FROM swapped WHERE id = 2',
  'DROP TABLE _swapped_old',
  // made and ended
  'DROP TABLE again',
  'CREATE TABLE again (code VARCHAR(5) PRIMARY KEY, v JSON)',
  'INSERT INTO again VALUES ("a", "[1]")',
  'CREATE TABLE chosen (PRIMARY KEY (id)) AS SELECT id, aa FROM wide WHERE id < 50',
  'UPDATE chosen SET aa = 0 WHERE id < 5',
  'RENAME TABLE again TO tmp, chosen TO again, tmp TO chosen',
  'INSERT INTO chosen VALUES ("b", "{}")',
];

async function tablesOfSource(): Promise<string[]> {
  const [rows] = await mysql.query<RowDataPacket[]>(
    'SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?',
    [world.database],
  );
  return rows.map(({ name }) => name as string);
}

/** What is in the topic of statements. */
async function readStatements(): Promise<string[]> {
  const topics = new TopicMessages(world.stack.url('kafka').split(','));
  const statements: string[] = [];
  try {
    await topics.read(world.name, ({ value }) => {
      statements.push((JSON.parse(String(value)) as { ddl: string }).ddl);
    });
  } finally {
    await topics.close();
  }
  return statements;
}

async function expectEqual(): Promise<void> {
  await world.waitUntilCaughtUp(dss);
  const comparison = await world.compare(await tablesOfSource());
  expect(comparison.samples).toEqual([]);
  expect(comparison.differences).toBe(0);
  expect(comparison.tables.map(({ table, rows }) => [table, rows > 0])).toEqual(
    comparison.tables.map(({ table }) => [table, true]),
  );
  expect((await world.status(dss))?.error).toBeNull();
}

describe('DDL in the log', () => {
  it('I4: rows that change without row events are read again while the log continues', async () => {
    dss = await world.start('dss');
    await world.waitUntilCaughtUp(dss);
    for (const statement of STORY) await mysql.query(statement);
    await expectEqual();
    // the server writes some statements in its own words: what is done to what stays
    const ofLog = (text: string): string => text.replaceAll('`', '').split(/\s+/, 3).join(' ');
    expect((await readStatements()).map(ofLog)).toEqual(
      STORY.filter((statement) => /^(ALTER|CREATE|DROP|RENAME)/.test(statement)).map(ofLog),
    );
  }, 90_000);

  it('I4: a table that is made is copied from its first row on, also over a crash, and is never read', async () => {
    dss = await world.start('dss');
    await world.waitUntilCaughtUp(dss);
    for (const statement of [
      'CREATE TABLE made (id INT PRIMARY KEY, v INT)',
      'INSERT INTO made VALUES (1, 1), (2, 2)',
      'CREATE TABLE IF NOT EXISTS alike LIKE made',
      'CREATE TABLE IF NOT EXISTS wide (id INT PRIMARY KEY)',
      'CREATE TABLE filled (PRIMARY KEY (id)) AS SELECT id, v FROM made',
      'CREATE TABLE keyless (v INT)',
      'INSERT INTO keyless VALUES (1)',
    ])
      await mysql.query(statement);
    const made = ['made', 'alike', 'filled', 'keyless'];
    const copiesOf = ({ snapshot }: { readonly snapshot: readonly TableState[] }): unknown[] =>
      made.map((name) => {
        const found = snapshot.find(({ table }) => table === name);
        return [found?.state, found?.rowsRead];
      });
    const [done, never] = [
      ['done', 0],
      ['unavailable', 0],
    ];
    expect(copiesOf(await world.waitUntilCaughtUp(dss))).toEqual([done, done, done, never]);
    await world.signal(dss, 'SIGKILL');
    await mysql.query('INSERT INTO alike VALUES (3, 3)');
    await mysql.query('UPDATE filled SET v = 7 WHERE id = 1');
    dss = await world.start('dss');
    expect(copiesOf(await world.waitUntilCaughtUp(dss))).toEqual([done, done, done, never]);
    await mysql.query('DROP TABLE keyless');
    await expectEqual();
  }, 90_000);

  it('I4: a reader that comes to all of it later ends up with the same', async () => {
    dss = await world.start('dss');
    await world.waitUntilCaughtUp(dss);
    await world.signal(dss, 'SIGTERM');
    await dss.exited;
    for (const statement of STORY) await mysql.query(statement);
    dss = await world.start('dss');
    await expectEqual();
  }, 90_000);
});
