import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import kafkajs, { type Admin, type Kafka } from 'kafkajs';
import { type Connection } from 'mysql2/promise';
import { type Stack, startStack } from '#stack';
import { compareAll } from '../oracle/compare-all.ts';
import { World, type ServiceInstance } from './world.ts';

/** Three brokers of its own: two replicas of a partition die one after the other, and the one that lacks messages leads. */
let stack: Stack;
let world: World;
let mysql: Connection;
let kafka: Kafka;
let admin: Admin;
let dss: ServiceInstance;
let topic = '';

beforeAll(async () => {
  stack = await startStack({
    folder: await mkdtemp(join(tmpdir(), 'ditto-loss-')),
    servers: ['kafka'],
    kafkaBrokers: 3,
  });
  const brokers = stack.url('kafka').split(',');
  world = await World.create({ tables: ['orders'], configuration: { kafka: { brokers } } });
  kafka = new kafkajs.Kafka({ clientId: 'loss', brokers, logLevel: kafkajs.logLevel.NOTHING });
  admin = kafka.admin();
  await admin.connect();
  topic = `${world.name}.${world.database}.orders`;
  mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
  await mysql.query('CREATE TABLE orders (id INT PRIMARY KEY, v VARCHAR(20))');
}, 240_000);

afterAll(async () => {
  await admin.disconnect();
  await world.close();
  await stack.down();
  await rm(stack.folder, { recursive: true, force: true });
}, 120_000);

/** Partition 0 is on brokers 2 and 3; partition 1 is on broker 1 too, which stays. */
async function createTopic(): Promise<void> {
  const replicaAssignment = [
    { partition: 0, replicas: [2, 3] },
    { partition: 1, replicas: [1, 2] },
  ];
  const settings = {
    'min.insync.replicas': '1',
    'unclean.leader.election.enable': 'true',
    'cleanup.policy': 'compact',
  };
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
  await admin.createTopics({ topics: [{ topic, replicaAssignment, configEntries }], waitForLeaders: true });
}

/** One transaction for each row. */
async function write(statement: string, ids: readonly number[]): Promise<void> {
  for (const id of ids) await mysql.query(statement, [id]);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

async function leaderOf(partition: number): Promise<number> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] }).catch(() => ({ topics: [] }));
  return topics[0]?.partitions.find(({ partitionId }) => partitionId === partition)?.leader ?? -1;
}

interface Message {
  readonly key: string;
  readonly op: string | null;
}

async function readAll(): Promise<Message[]> {
  const ends = new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, Number(high)]));
  for (const [partition, end] of ends) if (end === 0) ends.delete(partition);
  const consumer = kafka.consumer({ groupId: `${topic}-${Date.now()}` });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const messages: Message[] = [];
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachMessage: ({ partition, message }) => {
          const value = message.value === null ? null : (JSON.parse(message.value.toString()) as { op: string });
          messages.push({ key: String(message.key), op: value?.op ?? null });
          if (Number(message.offset) + 1 >= (ends.get(partition) ?? 0)) ends.delete(partition);
          if (ends.size === 0) resolve();
          return Promise.resolve();
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
  return messages;
}

function runCommand(command: string): string {
  const file = readdirSync(world.folder).find((name) => name.startsWith('dss-') && name.endsWith('.yaml')) ?? '';
  const cli = join(import.meta.dirname, '../../dist/ditto.mjs');
  const args = [cli, command, '--source', world.name, '--config', join(world.folder, file)];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  return stdout + stderr;
}

/** Source, mirror and topic have the same rows. */
async function expectEqual(): Promise<void> {
  const { samples, tables } = await compareAll({
    mysql: { url: world.sourceUrl },
    mongo: { url: world.stack.url('mongo'), database: `ditto_${world.name}` },
    kafka: { brokers: stack.url('kafka').split(','), prefix: world.name },
    tables: [{ database: world.database, table: 'orders', excludedColumns: [] }],
  });
  expect([samples, tables.map(({ rows }) => rows)]).toEqual([[], [80]]);
}

it('I1: confirmed messages that an unclean leader election took are a stop that no restart passes, and a rewind brings them back', async () => {
  await createTopic();
  await write('INSERT INTO orders VALUES (?, "copied")', range(1, 20));
  await world.start('dcs');
  dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
  await write('INSERT INTO orders VALUES (?, "before")', range(21, 40));
  await world.waitUntilCaughtUp(dss);

  await stack.kill('kafka-3');
  await write('INSERT INTO orders VALUES (?, "lost")', range(41, 80));
  await write('UPDATE orders SET v = "changed" WHERE id = ?', range(1, 40));
  await write('DELETE FROM orders WHERE id = ?', range(31, 50));
  await world.waitUntilCaughtUp(dss);
  await stack.kill('kafka-2');
  await stack.start('kafka-3');
  await world.waitFor('broker 3 to lead', async () => (await leaderOf(0)) === 3);
  await write('INSERT INTO orders VALUES (?, "after")', range(81, 100));

  const isLost = ({ state, error }: { state: string; error: { code: string } | null }): boolean =>
    state === 'failed' && error?.code === 'DITTO_KAFKA_CONFIRMED_LOST';
  const { token } = await world.waitForStatus(dss, 'the stop', isLost);
  expect((await readAll()).filter(({ op }) => op === 'd').length).toBeLessThan(20);
  expect((await fetch(`${dss.url}/sources/${world.name}/restart`, { method: 'POST' })).status).toBe(200);
  await world.waitForStatus(
    dss,
    'the stop after the restart',
    (status) => isLost(status) && (status.token ?? 0) > (token ?? 0),
  );

  expect(runCommand('rewind')).toContain(`${world.name} is being rewound by`);
  await world.waitForStatus(dss, 'the rewind', ({ state }) => state === 'streaming');
  const status = await world.waitUntilCaughtUp(dss);
  expect(status.lineage).toBe(1);
  expect(status.sinks['mongo']?.counters['rejectedOutsideReplay']).toBe(0);
  const messages = await readAll();
  const keysOf = (wanted: string): Set<string> =>
    new Set(messages.filter(({ op }) => op === wanted).map(({ key }) => key));
  expect(keysOf('d')).toEqual(new Set(range(31, 50).map((id) => `{"id":${id}}`)));
  expect(keysOf('u')).toEqual(new Set(range(1, 40).map((id) => `{"id":${id}}`)));
  expect(keysOf('c')).toEqual(new Set(range(21, 100).map((id) => `{"id":${id}}`)));
  await expectEqual();
  const again = await fetch(`${dss.url}/sources/${world.name}/rewind`, { method: 'POST' });
  expect([again.status, await again.json()]).toMatchObject([409, { code: 'DITTO_SOURCE_NOTHING_LOST' }]);
}, 240_000);

it('I1: a topic that was deleted is a loss that no rewind brings back; a resync leads out', async () => {
  await admin.deleteTopics({ topics: [topic] });
  await write('UPDATE orders SET v = "deleted" WHERE id = ?', range(81, 90));
  await world.waitForStatus(
    dss,
    'the stop',
    ({ state, error }) => state === 'failed' && error?.code === 'DITTO_KAFKA_CONFIRMED_LOST',
  );
  runCommand('rewind');
  await world.waitForStatus(dss, 'the refusal', ({ error }) => error?.code === 'DITTO_SOURCE_REWIND_IMPOSSIBLE');
  runCommand('resync');
  await world.waitForStatus(dss, 'the resync', ({ state, lineage }) => state === 'streaming' && lineage === 2);
  await world.waitUntilCaughtUp(dss);
  await expectEqual();
}, 120_000);
