import { afterEach, describe, expect, it } from '@jest/globals';
import { isDeepStrictEqual } from 'node:util';
import kafkajs from 'kafkajs';
import { mongo } from 'mongoose';
import { type Connection, type RowDataPacket } from 'mysql2/promise';
import { topicOf, TopicMessages } from '../oracle/topic-messages.ts';
import { type ServiceInstance, World } from './world.ts';

let world: World;
let mysql: Connection;
let dss: ServiceInstance;

afterEach(() => world.close());

const COLUMNS = 'a INT NOT NULL, b INT NOT NULL, v VARCHAR(20)';
const ROWS = "(1, 101, 'x'), (2, 102, 'y'), (3, 103, 'z'), (4, 104, 'untouched')";
const TABLES: Readonly<Record<string, string>> = {
  t: `${COLUMNS}, UNIQUE KEY ua (a), UNIQUE KEY ub (b)`,
  u: `${COLUMNS}, UNIQUE KEY k1 (a), UNIQUE KEY k2 (b, a)`,
  w: `${COLUMNS}, UNIQUE KEY k1 (a)`,
  gaining: COLUMNS,
  later: COLUMNS,
  '*': `${COLUMNS}, PRIMARY KEY (a)`,
};

async function run(...statements: readonly string[]): Promise<void> {
  for (const statement of statements) await mysql.query(statement);
}

async function prepare(mariaDb: boolean): Promise<void> {
  world = await World.create({ tables: Object.keys(TABLES), mariaDb });
  mysql = await world.connect();
  await run(`USE ${world.database}`);
  for (const [table, definition] of Object.entries(TABLES))
    await run(`CREATE TABLE \`${table}\` (${definition})`, `INSERT INTO \`${table}\` VALUES ${ROWS}`);
  await world.start('dcs');
  dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
}

async function stopDss(): Promise<void> {
  await world.signal(dss, 'SIGTERM');
  await dss.exited;
}

type Values = Readonly<Record<string, unknown>>;

async function sourceRows(table: string, key: readonly string[]): Promise<Values> {
  const [rows] = await mysql.query<RowDataPacket[]>(`SELECT * FROM \`${table}\``);
  return Object.fromEntries(rows.map((row) => [JSON.stringify(key.map((name) => row[name] as number)), row['v']]));
}

async function mirrorRows(client: mongo.MongoClient, table: string, key: readonly string[]): Promise<Values> {
  const documents = client
    .db(`ditto_${world.name}`)
    .collection<{ _id: unknown; row: { v: string } }>(`${world.database}.${table}`);
  const live = await documents.find({ deletedAt: { $exists: false } }).toArray();
  return Object.fromEntries(
    live.map(({ _id, row }) => {
      const id = key.length === 1 ? [_id] : key.map((name) => (_id as Record<string, unknown>)[name]);
      return [JSON.stringify(id), row.v];
    }),
  );
}

/** What a consumer holds that reads the topic from its start. */
async function topicRows(topics: TopicMessages, table: string, key: readonly string[]): Promise<Values> {
  const rows = new Map<string, { readonly partition: number; readonly v: unknown }>();
  await topics.read(topicOf(world.name, world.database, table), ({ partition, key: bytes, value }) => {
    const text = String(bytes);
    const message = value && (JSON.parse(String(value)) as { op: string; after: { v: unknown } | null });
    if (message?.op === 't') {
      for (const [held, row] of rows) if (row.partition === partition) rows.delete(held);
    } else if (bytes === null) return;
    else if (message?.after == null) rows.delete(text);
    else rows.set(text, { partition, v: message.after.v });
  });
  const idOf = (text: string): string => {
    const fields = JSON.parse(text) as Record<string, unknown>;
    return JSON.stringify(key.map((name) => fields[name]));
  };
  return Object.fromEntries([...rows].map(([text, { v }]) => [idOf(text), v]));
}

/** Waits until mirror and topics have exactly the rows of the source, under these keys. */
async function expectKeys(keys: Readonly<Record<string, readonly string[]>>): Promise<void> {
  const client = await mongo.MongoClient.connect(world.stack.url('mongo'));
  const topics = new TopicMessages(world.stack.url('kafka').split(','));
  let last: readonly Values[] = [];
  try {
    for (const [table, key] of Object.entries(keys))
      await world.waitFor(
        `the sinks to have ${table} by ${key.join()}`,
        async () => {
          const rows = await sourceRows(table, key);
          last = [rows, await mirrorRows(client, table, key)];
          if (!isDeepStrictEqual(last[0], last[1])) return false;
          last = [rows, await topicRows(topics, table, key)];
          return isDeepStrictEqual(last[0], last[1]);
        },
        { watch: dss, describe: () => JSON.stringify(last) },
      );
  } finally {
    await client.close();
    await topics.close();
  }
}

async function readTopic(topic: string, onMessage: Parameters<TopicMessages['read']>[1]): Promise<void> {
  const topics = new TopicMessages(world.stack.url('kafka').split(','));
  try {
    await topics.read(topic, onMessage);
  } finally {
    await topics.close();
  }
}

async function stopCompaction(topic: string): Promise<void> {
  const kafka = new kafkajs.Kafka({ brokers: world.stack.url('kafka').split(','), logLevel: kafkajs.logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const configEntries = [{ name: 'cleanup.policy', value: 'delete' }];
  const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries };
  await admin.alterConfigs({ validateOnly: false, resources: [resource] });
  await admin.disconnect();
}

async function stateOf(table: string): Promise<string | undefined> {
  return (await world.status(dss))?.snapshot.find((one) => one.table === table)?.state;
}

describe.each([
  ['MySQL', false],
  ['MariaDB', true],
])('keys that change, on %s', (_, mariaDb) => {
  it('I4: another unique key serves: nothing under the old one lives on, while DSS runs or is stopped', async () => {
    await prepare(mariaDb);
    await run(
      'ALTER TABLE t DROP INDEX ua',
      "UPDATE t SET v = 'changed' WHERE b = 102",
      'DELETE FROM t WHERE b = 103',
      "INSERT INTO t VALUES (1, 105, 'same a as 101')",
      'DROP INDEX k1 ON u',
      "UPDATE u SET v = 'changed' WHERE b = 102",
      'DELETE FROM u WHERE b = 103',
      'ALTER TABLE w DROP INDEX k1, ADD UNIQUE KEY k1 (b)', // no row changes
      'ALTER TABLE gaining ADD UNIQUE (b)',
      'TRUNCATE TABLE `*`',
    );
    await expectKeys({ t: ['b'], u: ['b', 'a'], w: ['b'], gaining: ['b'], '*': ['a'] });
    await world.waitFor('the table to count as copied', async () => (await stateOf('gaining')) === 'done');
    expect(await stateOf('later')).toBe('unavailable');
    await stopDss();
    await run(
      'ALTER TABLE w ADD UNIQUE KEY k0 (a), DROP INDEX k1',
      'ALTER TABLE u ADD CONSTRAINT k3 UNIQUE (a, b), DROP INDEX k2',
      'DELETE FROM u WHERE b = 101',
      'ALTER TABLE later ADD CONSTRAINT named UNIQUE (a, b)',
      'DROP TABLE `*`',
    );
    dss = await world.start('dss');
    await expectKeys({ t: ['b'], u: ['a', 'b'], w: ['a'], later: ['a', 'b'] });
    await run("UPDATE w SET v = 'changed again' WHERE a = 2", "INSERT INTO later VALUES (9, 9, 'nine')");
    await expectKeys({ t: ['b'], u: ['a', 'b'], w: ['a'], later: ['a', 'b'], gaining: ['b'] });
    expect((await world.status(dss))?.error).toBeNull();
  }, 120_000);
});

describe('a key that is lost', () => {
  it('I6: stops with the rows as they are, whatever restarts; columns named under keys lead out', async () => {
    await prepare(false);
    await run('ALTER TABLE w DROP INDEX k1', "UPDATE w SET v = 'changed' WHERE a = 2");
    const failed = await world.waitForStatus(dss, 'the stop', ({ state }) => state === 'failed');
    expect([failed.error?.code, failed.error?.remedy]).toEqual([
      'DITTO_PIPELINE_KEY_LOST',
      expect.stringContaining('`keys`'),
    ]);
    const client = await mongo.MongoClient.connect(world.stack.url('mongo'));
    try {
      const rows = { '[1]': 'x', '[2]': 'y', '[3]': 'z', '[4]': 'untouched' };
      expect(await mirrorRows(client, 'w', ['a'])).toEqual(rows);
    } finally {
      await client.close();
    }
    await stopDss();
    dss = await world.start('dss');
    await world.waitForStatus(dss, 'the same stop', ({ error }) => error?.code === 'DITTO_PIPELINE_KEY_LOST');
    await stopDss();
    dss = await world.start('dss', { source: { keys: { [`${world.database}.w`]: ['b', 'a'] } } });
    await expectKeys({ w: ['b', 'a'], t: ['a'] });
    await stopDss();
    // other columns are named: no statement shows it
    dss = await world.start('dss', { source: { keys: { [`${world.database}.w`]: ['b'] } } });
    await expectKeys({ w: ['b'], t: ['a'] });
  }, 120_000);

  it('I6: a resync without a key lets the table continue, published and not mirrored, once its topic is not compacted', async () => {
    await prepare(false);
    await run('ALTER TABLE w DROP INDEX k1', "UPDATE w SET v = 'changed' WHERE a = 2");
    const ask = async (action: string): Promise<number> =>
      (await fetch(`${dss.url}/sources/${world.name}/${action}`, { method: 'POST' })).status;
    const stopsWith = (code: string) =>
      world.waitForStatus(
        dss,
        `the stop with ${code}`,
        ({ state, error }) => state === 'failed' && error?.code === code,
      );
    await stopsWith('DITTO_PIPELINE_KEY_LOST');
    expect(await ask('resync')).toBe(202);
    await world.waitForStatus(dss, 'the resync', ({ state, lineage }) => state === 'streaming' && lineage === 2);
    await run("INSERT INTO w VALUES (2, 102, 'the same twice')", "UPDATE t SET v = 'changed' WHERE a = 2");
    await stopsWith('DITTO_KAFKA_COMPACTED_WITHOUT_KEY');
    const topic = topicOf(world.name, world.database, 'w');
    await stopCompaction(topic);
    expect(await ask('restart')).toBe(200);
    await world.waitForStatus(dss, 'the stream', ({ state }) => state === 'streaming');
    await world.waitUntilCaughtUp(dss);
    await expectKeys({ t: ['a'] });
    const published: unknown[] = [];
    await readTopic(topic, ({ key, value }) => {
      if (key === null && value !== null) published.push((JSON.parse(String(value)) as { after: unknown }).after);
    });
    expect(published).toContainEqual({ a: 2, b: 102, v: 'the same twice' });
    const client = await mongo.MongoClient.connect(world.stack.url('mongo'));
    try {
      expect(await mirrorRows(client, 'w', ['a'])).toEqual({});
    } finally {
      await client.close();
    }
    expect((await world.status(dss))?.error).toBeNull();
  }, 120_000);
});
