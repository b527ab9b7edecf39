import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Connection } from 'mysql2/promise';
import { type Stack } from '#stack';
import { createTables, fill, workloadTables, Writer } from './workload.ts';
import { type ServiceInstance, World } from './world.ts';

const tables = [...workloadTables, 'everything', 'emptied', 'widened', 'replaced', 'hashed'];

/** What MariaDB stores and Ditto takes, once in each form. */
const EVERYTHING = `CREATE TABLE everything (
  id INT UNSIGNED, part VARCHAR(10), i8 TINYINT, u64 BIGINT UNSIGNED, d DECIMAL(30,6), wide DECIMAL(60,20), f FLOAT, g DOUBLE,
  b1 BIT(1), b9 BIT(9), y YEAR, day DATE, t TIME(3), dt DATETIME(6), ts TIMESTAMP(2) NULL,
  c CHAR(5) CHARACTER SET latin1, v VARCHAR(50) COLLATE utf8mb4_uca1400_ai_ci, tx LONGTEXT CHARACTER SET utf8mb4, u16 VARCHAR(20) CHARACTER SET utf16,
  bn BINARY(4), vb VARBINARY(20), bl MEDIUMBLOB, e ENUM('a','b') CHARACTER SET utf8mb4, s SET('x','y') CHARACTER SET utf8mb4, p POINT, gc GEOMETRYCOLLECTION,
  vir INT AS (i8 + 1) VIRTUAL, sto VARCHAR(20) AS (CONCAT(part, '!')) STORED, hid INT INVISIBLE DEFAULT 3, j JSON,
  PRIMARY KEY (part, id))`;
const VALUES = `-5, 18446744073709551615, -0.000001, 1.00000000000000000001, 0.1, 5e-324,
  b'1', b'100000001', 2155, '0000-00-00', '-838:59:59.000', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.99',
  'é', 'ß🐬', REPEAT('long ', 5000), 'ж', 'ab', X'00ff00', REPEAT(X'00', 300), 'b', 'x,y', POINT(1, -2),
  ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))'), '{"b": [1, 2.50]}'`;
const COLUMNS =
  'id, part, i8, u64, d, wide, f, g, b1, b9, y, day, t, dt, ts, c, v, tx, u16, bn, vb, bl, e, s, p, gc, j';

let world: World;
let mariaDb: Connection;

beforeAll(async () => {
  world = await World.create({ tables, mariaDb: true, source: { snapshot: { chunkRows: 500 } } });
  mariaDb = await world.connect();
}, 300_000);

afterAll(() => world.close());

async function run(...statements: readonly string[]): Promise<void> {
  for (const statement of statements) await mariaDb.query(statement);
}

async function startWriter(): Promise<Writer> {
  const connection = await world.connect();
  await connection.query(`USE ${world.database}`);
  return new Writer(connection, { keys: 2000, pauseMs: 2 });
}

async function waitForChanges(dss: ServiceInstance, count: number): Promise<void> {
  await world.waitForStatus(dss, 'changes', ({ pipeline }) => (pipeline?.changes ?? 0) > count);
}

describe('a source on MariaDB', () => {
  it('I1, I2, I3, I4: is copied and followed through kills of DSS and of the server, and through DDL', async () => {
    await run("SET sql_mode = ''");
    await createTables(world, mariaDb);
    await fill(mariaDb, 1500);
    await run(
      EVERYTHING,
      `INSERT INTO everything (${COLUMNS}) VALUES (1, 'read', ${VALUES})`,
      'CREATE TABLE emptied (id INT PRIMARY KEY)',
      'INSERT INTO emptied VALUES (1), (2), (3)',
      'CREATE TABLE widened (id INT PRIMARY KEY, v VARCHAR(10))',
      "INSERT INTO widened VALUES (1, 'a'), (2, 'b')",
      'CREATE TABLE replaced (id INT PRIMARY KEY)',
      'INSERT INTO replaced VALUES (1), (2)',
      'CREATE TABLE dropped (id INT PRIMARY KEY)',
      'INSERT INTO dropped VALUES (1)',
      'CREATE SEQUENCE numbers',
      'CREATE TABLE hashed (id INT PRIMARY KEY, body TEXT NOT NULL, n INT, UNIQUE (body), UNIQUE (n) USING HASH)',
      "INSERT INTO hashed VALUES (1, 'a', 1), (2, 'b', NULL), (3, 'c', 3)",
    );
    await world.start('dcs');
    let dss = await world.start('dss');
    let writer = await startWriter();
    await waitForChanges(dss, 600);
    await world.signal(dss, 'SIGKILL');
    dss = await world.start('dss');
    await waitForChanges(dss, 200);
    await writer.stop();

    const broken = await startWriter();
    await waitForChanges(dss, 400);
    const server = world.mariaDb as Stack;
    await server.kill('mariadb');
    await broken.stop().catch(() => undefined); // its connection is gone, unless it was just waiting
    await server.start('mariadb');
    mariaDb = await world.connect();
    await run(`USE ${world.database}`, "SET sql_mode = ''", 'SET GLOBAL log_bin_compress = 1');

    writer = await startWriter();
    await run(
      `INSERT INTO everything (${COLUMNS}) VALUES (1, 'streamed', ${VALUES})`,
      "UPDATE everything SET tx = 'short', i8 = NULL, p = NULL, t = '00:00:01.5' WHERE part = 'read'",
      'SELECT NEXTVAL(numbers)',
      "INSERT INTO hashed VALUES (4, 'd', 4)",
      'UPDATE hashed SET n = 5 WHERE id < 2',
      'DELETE FROM hashed WHERE id = 3',
      'TRUNCATE TABLE emptied',
      'INSERT INTO emptied VALUES (2), (9)',
      "ALTER TABLE widened ADD COLUMN w INT NOT NULL DEFAULT 7, MODIFY v VARCHAR(30) CHARACTER SET utf8mb4 DEFAULT 'x'",
      "UPDATE widened SET v = '🐬' WHERE id = 1",
      'INSERT INTO widened (id) VALUES (3)',
      'CREATE OR REPLACE TABLE replaced (id INT PRIMARY KEY, n INT DEFAULT 1)',
      'INSERT INTO replaced (id) VALUES (2), (3)',
      'DROP TABLE dropped',
      'SET GLOBAL log_bin_compress = 0',
    );
    await waitForChanges(dss, 300);
    await writer.stop();

    const status = await world.waitUntilCaughtUp(dss);
    const comparison = await world.compare();
    expect(comparison.samples).toEqual([]);
    expect(comparison.differences).toBe(0);
    expect(Object.fromEntries(comparison.tables.map(({ table, rows }) => [table, rows]))).toMatchObject({
      everything: 2,
      emptied: 2,
      widened: 3,
      replaced: 2,
      hashed: 3,
    });
    expect(status.checkpoint?.position.gtidSet).toMatch(/^0-4-\d+$/);
    expect(status.checkpoint?.position.serverUuid).toMatch(/^mariadb-4-/);
    expect(status.sinks['mongo']?.counters['rejectedOutsideReplay']).toBe(0);

    // I6: what the start refuses is refused when a statement brings it, before its rows are given to anybody
    await run('ALTER TABLE widened MODIFY v UUID', 'INSERT INTO widened (id) VALUES (9)');
    const failed = await world.waitForStatus(dss, 'the stop', ({ state }) => state === 'failed');
    expect(failed.error).toMatchObject({ code: 'DITTO_SOURCE_COLUMN_UNSUPPORTED' });
  }, 120_000);
});
