import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import kafkajs, { type Admin, type Kafka } from 'kafkajs';
import { type Connection } from 'mysql2/promise';
import { topicOf, TopicMessages } from '../oracle/topic-messages.ts';
import { type ServiceInstance, World } from './world.ts';

const tables = ['orders', 'events', 'counters', 'plain'] as const;

interface Message {
  readonly partition: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

interface GapView {
  readonly id: string;
  readonly table: string;
  readonly sink: string;
  readonly key: string;
  readonly kind: string;
  readonly state: string;
  readonly details: { readonly change: Readonly<Record<string, unknown>> | null };
}

/** Of the whole file: the second test ends DSS. */
let world: World;
let stored: TopicMessages;
let mysql: Connection;
let kafka: Kafka;
let admin: Admin;
let dss: ServiceInstance;
let dws: ServiceInstance;
/** Of the metrics that were read last: why parts of the log were not looked at. */
let notRead: readonly string[] = [];

beforeAll(async () => {
  world = await World.create({
    tables,
    source: { excludeColumns: ['*.orders.secret'], repair: { mode: 'report' } },
    configuration: { verification: { gaps: { intervalMs: 500 } } },
  });
  const brokers = world.stack.url('kafka').split(',');
  kafka = new kafkajs.Kafka({ clientId: 'lost', brokers, logLevel: kafkajs.logLevel.NOTHING });
  stored = new TopicMessages(brokers);
  admin = kafka.admin();
  await admin.connect();
  mysql = await world.connect();
  await mysql.query(`USE ${world.database};
    CREATE TABLE orders (id INT PRIMARY KEY, v VARCHAR(20), secret INT);
    CREATE TABLE events (id INT PRIMARY KEY, v VARCHAR(20));
    CREATE TABLE counters (id INT PRIMARY KEY, v INT);
    CREATE TABLE plain (v INT);
    INSERT INTO orders VALUES (1, 'a', 1), (2, 'a', 1), (3, 'a', 1);
    INSERT INTO events VALUES (1, 'a');
    INSERT INTO counters VALUES (1, 0), (2, 0)`);
  await world.start('dcs');
  dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
}, 120_000);

afterAll(async () => {
  await Promise.all([admin.disconnect(), stored.close()]);
  await world.close();
});

async function ask<Answer>(path: string, body?: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  const sent = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
  const answer = await fetch(dws.url + path, sent);
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Answer;
}

async function listMismatches(): Promise<readonly GapView[]> {
  return (await ask<{ mismatches: GapView[] }>(`/mismatches?source=${world.name}&limit=1000`)).mismatches;
}

/** By outcome, of the worker that runs. */
async function readOutcomes(): Promise<Readonly<Record<string, number>>> {
  const lines = (await (await fetch(`${dws.url}/metrics`)).text()).split('\n');
  notRead = lines.filter((line) => /^ditto_dws_(?:log_parts_left_out|failed_jobs)_total/.test(line));
  const counters = lines.filter((line) => line.startsWith('ditto_dws_logged_messages_total{'));
  return Object.fromEntries(
    counters.map((line): [string, number] => [
      /outcome="([^"]*)"/.exec(line)?.[1] ?? '',
      Number(line.slice(line.lastIndexOf(' '))),
    ]),
  );
}

async function waitForOutcomes(what: string, holds: (outcomes: Record<string, number>) => boolean): Promise<void> {
  let seen: Readonly<Record<string, number>> = {};
  await world.waitFor(what, async () => holds((seen = await readOutcomes())), {
    watch: dws,
    describe: () => JSON.stringify({ seen, notRead }),
  });
}

/** A worker that knows where to begin: what is written from here on is judged. */
async function startAtPresent(): Promise<void> {
  dws = await world.start('dws');
  let id = 1000;
  await world.waitFor(
    'messages to be found',
    async () => {
      await mysql.query('REPLACE INTO events VALUES (?, "probe")', [id++]);
      return ((await readOutcomes())['found'] ?? 0) > 0;
    },
    { watch: dws },
  );
  await world.waitUntilCaughtUp(dss);
}

/** Its turn of the check ends first: that of a worker that was killed is taken over only after half a minute. */
async function stopWorker(): Promise<void> {
  dws.signal('SIGTERM');
  await dws.exited;
}

/** Partition by partition, in their order. */
async function readMessages(topic: string): Promise<readonly Message[]> {
  const messages: Message[] = [];
  await stored.read(topic, ({ partition, key, value, headers }) => {
    const texts = headers.map(([name, header]) => [String(name), String(header)] as const);
    const text = (bytes: Buffer | null): string | null => bytes?.toString() ?? null;
    messages.push({ partition, key: text(key), value: text(value), headers: Object.fromEntries(texts) });
  });
  return messages;
}

/** Deletes the topic and makes it anew, with the same messages in the same places but for those that are lost. */
async function rewrite(topic: string, isLost: (message: Message) => boolean): Promise<readonly Message[]> {
  const messages = await readMessages(topic);
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  const numPartitions = topics[0]?.partitions.length ?? 0;
  await admin.deleteTopics({ topics: [topic] });
  await world.waitFor('the topic to go', async () => !(await admin.listTopics()).includes(topic));
  const configEntries = [{ name: 'cleanup.policy', value: 'compact' }];
  await world.waitFor('the topic to be made', async () => {
    await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] }).catch(() => undefined);
    return (await readMessages(topic).catch(() => null)) !== null;
  });
  const producer = kafka.producer();
  await producer.connect();
  const kept = messages.filter((message) => !isLost(message));
  await producer.send({ topic, acks: -1, messages: [...kept] });
  await producer.disconnect();
  return messages.filter(isLost);
}

it('I8: what compaction has removed is no gap', async () => {
  const topic = topicOf(world.name, world.database, 'counters');
  const settings = {
    'segment.ms': '100',
    'segment.bytes': '1048576',
    'min.cleanable.dirty.ratio': '0.001',
    'min.compaction.lag.ms': '0',
    'max.compaction.lag.ms': '1000',
  };
  const configEntries = Object.entries({ ...settings, 'cleanup.policy': 'compact' }).map(([name, value]) => ({
    name,
    value,
  }));
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries }],
  });
  await startAtPresent();
  await stopWorker();
  let written = 0;
  let left = 0;
  await world.waitFor(
    'compaction',
    async () => {
      await mysql.query('UPDATE counters SET v = v + 1 WHERE id = 1');
      written++;
      await sleep(150);
      if (written % 10 !== 0) return false;
      await world.waitUntilCaughtUp(dss);
      const messages = await readMessages(topic);
      left = messages.filter(({ value }) => value?.includes('"op":"u"') === true).length;
      return left < written;
    },
    { watch: dss, withinMs: 90_000, describe: () => `${left} of ${written} are left` },
  );
  dws = await world.start('dws');
  await waitForOutcomes('messages that compaction took', ({ compacted = 0 }) => compacted > 0);
  expect((await readOutcomes())['missing']).toBeUndefined();
  expect(await listMismatches()).toEqual([]);
  await stopWorker();
}, 180_000);

it('I8: a change of the log that a topic has no message of is found, with its place and key; everything else raises no alarm', async () => {
  await startAtPresent();
  await mysql.query(`INSERT INTO orders VALUES (10, 'b', 1), (11, 'b', 1);
    UPDATE orders SET v = 'c' WHERE id <= 3;
    UPDATE orders SET secret = secret + 1;
    UPDATE orders SET id = 12 WHERE id = 11;
    DELETE FROM orders WHERE id = 3;
    INSERT INTO plain VALUES (1), (2);
    UPDATE events SET v = 'b';
    TRUNCATE TABLE events;
    INSERT INTO events VALUES (1, 'after')`);
  await world.waitUntilCaughtUp(dss);
  await waitForOutcomes('all to be found', ({ found = 0, 'no key': keyless = 0 }) => found >= 20 && keyless === 2);
  // how much of that is left out depends on how far the reading of the table is that the statement asks for
  const sum = (outcomes: Readonly<Record<string, number>>): number =>
    Object.values(outcomes).reduce((a, b) => a + b, 0);
  const known = sum(await readOutcomes());
  await mysql.query('ALTER TABLE orders ADD COLUMN w INT NOT NULL DEFAULT 7; UPDATE orders SET v = "d"');
  await world.waitUntilCaughtUp(dss);
  await mysql.query('UPDATE events SET v = "last"');
  await world.waitUntilCaughtUp(dss);
  await waitForOutcomes('all of that to be judged', (now) => sum(now) >= known + 5);
  expect((await readOutcomes())['missing']).toBeUndefined();
  expect(await listMismatches()).toEqual([]);

  for (const round of [1, 2, 3]) {
    const { found: before = 0 } = await readOutcomes();
    await mysql.query('UPDATE events SET v = ?', [`round ${round}`]);
    await world.waitUntilCaughtUp(dss);
    await waitForOutcomes('the place to be behind all that', ({ found = 0 }) => found > before);
  }
  await stopWorker();
  await mysql.query(`UPDATE orders SET v = 'lost' WHERE id = 1;
    UPDATE orders SET v = 'newer' WHERE id = 1;
    UPDATE orders SET id = 20 WHERE id = 12;
    INSERT INTO orders VALUES (30, 'last', 1, 1);
    UPDATE orders SET v = 'kept' WHERE id = 2`);
  await world.waitUntilCaughtUp(dss);
  // in order, so that its last checkpoint is kept
  dss.signal('SIGTERM');
  await dss.exited;
  // the delete of a key that was changed goes with its tombstone, which has the same identity
  const isLost = ({ key, headers, value }: Message): boolean =>
    value?.includes('"after":{"id":1,"v":"lost"') === true ||
    (key === '{"id":12}' && headers['ditto.id']?.endsWith('/d') === true) ||
    key === '{"id":30}';
  const taken = await rewrite(topicOf(world.name, world.database, 'orders'), isLost);
  const lost = new Set(taken.map(({ headers }) => headers['ditto.id'] ?? ''));
  expect([taken.length, lost.size]).toEqual([4, 3]);
  dws = await world.start('dws');
  const gaps = async (): Promise<readonly GapView[]> => (await listMismatches()).filter(({ kind }) => kind === 'gap');
  await waitForOutcomes('what is lost to be found', ({ missing = 0 }) => missing > 0);
  const seen = await gaps();
  expect(seen.map(({ key }) => key).sort()).toEqual([...lost].sort());
  expect(seen.find(({ details }) => details.change?.['key'] === '{"id":1}')).toMatchObject({
    ...{ table: 'orders', sink: 'kafka', state: 'open' },
    details: { change: { op: 'update', gtid: expect.stringMatching(/^[0-9a-f-]{36}:\d+$/), file: expect.any(String) } },
  });
  expect((await readOutcomes())['missing']).toBe(3);

  const [gap] = seen;
  const refused = await fetch(`${dws.url}/mismatches/${gap?.id}/repair`, { method: 'POST' });
  expect([refused.status, await refused.json()]).toMatchObject([409, { code: 'DITTO_MISMATCH_LASTS' }]);
  await ask(`/mismatches/${gap?.id}/ignore`, { reason: 'its readers know' });
  expect((await gaps()).map(({ state }) => state).sort()).toEqual(['ignored', 'open', 'open']);
}, 180_000);
