import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { type Connection } from 'mysql2/promise';
import { TopicMessages, topicOf } from '../oracle/topic-messages.ts';
import { World, type ServiceInstance } from './world.ts';

/** Stands in every value of an excluded column, in every form that it could take. */
const SECRET = 'sEcReT';

let world: World;
let mysql: Connection;
let dss: ServiceInstance;

beforeEach(async () => {
  world = await World.create({ tables: ['people', 'untouched'] });
  mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
  await mysql.query(
    `CREATE TABLE people (ssn VARCHAR(200) CHARACTER SET latin1, tenant INT, name VARCHAR(30), secret_note JSON, id INT, profile JSON,
       PRIMARY KEY (id, tenant))`,
  );
  await mysql.query('CREATE TABLE untouched (id INT PRIMARY KEY, ssn INT)');
  await mysql.query('INSERT INTO untouched VALUES (1, 10), (2, 20)');
  await insertPeople(1, 200);
  await world.start('dcs');
}, 60_000);

afterEach(() => world.close());

const DOCUMENT = `CAST(CONCAT('{"a": {"b": ["${SECRET}", 2]}, "pad": "', REPEAT('p', 200), '"}') AS JSON)`;

async function insertPeople(first: number, count: number): Promise<void> {
  const rows = Array.from({ length: count }, (_, i) => {
    const id = first + i;
    return `('${SECRET}${id}', 3, 'name ${id}', ${DOCUMENT}, ${id}, '{"likes": {"list": [${id}, "x"]}}')`;
  });
  await mysql.query(`INSERT INTO people (ssn, tenant, name, secret_note, id, profile) VALUES ${rows.join(', ')}`);
}

async function startWithout(...columns: readonly string[]): Promise<void> {
  dss = await world.start('dss', {
    source: { excludeColumns: columns.map((column) => `${world.database}.${column}`) },
  });
  await world.waitUntilCaughtUp(dss);
}

async function restartWithout(...columns: readonly string[]): Promise<void> {
  await world.signal(dss, 'SIGTERM');
  await dss.exited;
  await startWithout(...columns);
}

async function expectEqual(people: readonly string[], rows: number): Promise<void> {
  await world.waitUntilCaughtUp(dss);
  const comparison = await world.compare(['people', 'untouched'], { people });
  expect(comparison.samples).toEqual([]);
  expect(comparison.differences).toBe(0);
  expect(comparison.tables.map((table) => table.rows)).toEqual([rows, 2]);
}

interface Delivered {
  /** All bytes of all messages of the rows. */
  readonly messages: string;
  readonly operations: Readonly<Record<string, number>>;
  /** All documents of the mirror. */
  readonly documents: string;
}

async function readSinks(): Promise<Delivered> {
  const topics = new TopicMessages(world.stack.url('kafka').split(','));
  const client = new mongoose.mongo.MongoClient(world.stack.url('mongo'));
  try {
    const messages: string[] = [];
    const operations: Record<string, number> = {};
    await topics.read(topicOf(world.name, world.database, 'people'), ({ key, value, headers }) => {
      messages.push([key, value, ...headers.flat()].map(String).join(' '));
      if (value === null) return;
      const { op } = JSON.parse(String(value)) as { op: string };
      operations[op] = (operations[op] ?? 0) + 1;
    });
    const collection = client.db(`ditto_${world.name}`).collection(`${world.database}.people`);
    const documents = JSON.stringify(await collection.find().toArray());
    return { messages: messages.join('\n'), operations, documents };
  } finally {
    await topics.close();
    await client.close();
  }
}

describe('excluded columns', () => {
  it('I4: are nowhere: rows that are copied, changed, and altered on the way have all other columns', async () => {
    await startWithout('people.SSN', 'people.secret_*');
    await insertPeople(1001, 100);
    await mysql.query("SET SESSION binlog_row_value_options = 'PARTIAL_JSON'");
    await mysql.query(
      "UPDATE people SET secret_note = JSON_SET(secret_note, '$.a.b[1]', 'new'), name = 'n' WHERE id < 50",
    );
    await mysql.query("UPDATE people SET profile = JSON_SET(profile, '$.likes.list[0]', -1) WHERE id % 3 = 0");
    await mysql.query("UPDATE people SET ssn = CONCAT(ssn, 'x') WHERE id < 20");
    await mysql.query('DELETE FROM people WHERE id BETWEEN 60 AND 69');
    await mysql.query(`ALTER TABLE people ADD COLUMN secret_2 VARCHAR(20) NOT NULL DEFAULT '${SECRET}' FIRST`);
    await insertPeople(2001, 10);
    await mysql.query('ALTER TABLE people DROP COLUMN secret_note, RENAME COLUMN secret_2 TO secret_3');
    await mysql.query('UPDATE people SET name = secret_3 IS NOT NULL WHERE id > 2000');
    await expectEqual(['ssn', 'secret_3'], 300);
    const { messages, operations, documents } = await readSinks();
    for (const sink of [messages, documents]) expect(sink).not.toMatch(new RegExp(`${SECRET}|ssn|secret_`, 'i'));
    // the statements on excluded columns had nothing read again
    expect(operations['r']).toBe(200);
  }, 120_000);

  it('I4: another selection has its tables read again: what is new is in every row, what is excluded in none', async () => {
    await startWithout('people.ssn', 'people.secret_note');
    await expectEqual(['ssn', 'secret_note'], 200);
    await restartWithout('people.name', 'people.secret_note');
    await mysql.query("UPDATE people SET name = 'changed' WHERE id < 10");
    await expectEqual(['name', 'secret_note'], 200);
    const { documents, operations } = await readSinks();
    expect(documents).toContain(`${SECRET}200`);
    expect(documents).not.toContain('name 200');
    expect(operations['r']).toBe(400);
    await restartWithout('people.secret_note', 'people.name', 'people.name');
    await expectEqual(['name', 'secret_note'], 200);
    expect((await readSinks()).operations['r']).toBe(400);
    // the column goes while nobody reads: its trace goes with the selection
    await world.signal(dss, 'SIGTERM');
    await dss.exited;
    await mysql.query('ALTER TABLE people DROP COLUMN ssn');
    await startWithout('people.secret_note', 'people.name', 'people.ssn');
    await expectEqual(['name', 'secret_note'], 200);
    expect((await readSinks()).documents).not.toContain(SECRET);
  }, 120_000);

  it('I6: one that becomes part of the key stops the source with a code, and the source continues when it is included', async () => {
    await startWithout('people.ssn', 'people.secret_note');
    await mysql.query('ALTER TABLE people DROP PRIMARY KEY, ADD PRIMARY KEY (id, ssn)');
    await mysql.query("UPDATE people SET name = 'later' WHERE id = 1");
    const stopped = await world.waitForStatus(dss, 'the stop', ({ state }) => state === 'failed');
    expect(stopped.error).toMatchObject({
      code: 'DITTO_SOURCE_COLUMN_NEEDED',
      message: expect.stringContaining(`${world.database}.people.ssn`),
    });
    await restartWithout('people.secret_note');
    await expectEqual(['secret_note'], 200);
  }, 120_000);
});
