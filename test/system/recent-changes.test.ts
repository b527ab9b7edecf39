import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { type Connection } from 'mysql2/promise';
import { type Stack, startStack } from '#stack';
import { topicOf } from '../oracle/topic-messages.ts';
import { TopicSaboteur } from '../saboteur/topic-saboteur.ts';
import { Random } from '../types/random.ts';
import { createTables, fill, workloadTables } from './workload.ts';
import { type ServiceInstance, World } from './world.ts';

/** Rows 1 to 100 are written all the time, others only where a test says so. */
const HOT_ROWS = 100;
const QUIET = 1000;
const QUIET_ROWS = 20;
/**
 * From the change of a row until its damage is found: 5 s, or as much more as this machine takes longer for what is part of
 * it. One row is read and compared twice, which a run of one row does once, in less than half a second.
 */
const FOUND_WITHIN_MS = 5_000;
const NOTICED_WITHIN_MS = 3_000;
const READS = 4;

interface MismatchView {
  readonly key: string;
  readonly sink: string;
  readonly kind: string;
  readonly state: string;
  readonly firstSeenMs: number;
}

interface RecentView {
  readonly sink: string;
  readonly workers: number;
  readonly verified: number;
  readonly leftOut: number;
  readonly behindMs: number;
  readonly holdingBecause: string | null;
}

type OrderDocument = Readonly<Record<string, unknown>> & { readonly _id: number };

let world: World;
let mysql: Connection;
let dss: ServiceInstance;
let workers: ServiceInstance[] = [];
let client: mongo.MongoClient | undefined;
let load: HotLoad | undefined;
let kafka: Stack | null = null;
let saboteur: TopicSaboteur | null = null;

class HotLoad {
  statements = 0;
  readonly #stop = new AbortController();
  readonly #work: Promise<void>;

  constructor(connection: Connection) {
    this.#work = this.#run(connection);
    this.#work.catch(() => undefined); // reported by stop()
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #run(connection: Connection): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await connection.query('UPDATE orders SET total = total + 1, placed = NOW(6) WHERE id <= ?', [HOT_ROWS]);
      this.statements++;
      await sleep(50);
    }
  }
}

afterEach(async () => {
  await load?.stop().catch(() => undefined);
  await saboteur?.close();
  await client?.close();
  await world.close();
  await kafka?.down();
  if (kafka !== null) await rm(kafka.folder, { recursive: true, force: true });
  saboteur = kafka = null;
  client = load = undefined;
});

/** A source that is copied, two workers that verify only what changes, and rows that are written all the time. */
async function begin(sinks: readonly string[], kafkaBrokers: string | null): Promise<void> {
  world = await World.create({
    tables: workloadTables,
    source: { sinks },
    configuration: {
      verification: { recent: { enabled: true } },
      dws: { repairIntervalMs: 500 },
      ...(kafkaBrokers !== null && {
        kafka: { brokers: kafkaBrokers.split(','), topics: { partitions: 6, replicationFactor: 1 } },
      }),
    },
  });
  mysql = await world.connect();
  await createTables(world, mysql);
  await fill(mysql, HOT_ROWS);
  await fill(mysql, QUIET_ROWS, QUIET);
  client = await new mongo.MongoClient(world.stack.url('mongo')).connect();
  await world.start('dcs');
  dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
  workers = [await world.start('dws'), await world.start('dws')];
  const writing = await world.connect();
  await writing.query(`USE ${world.database}`);
  load = new HotLoad(writing);
}

function orders(): mongo.Collection<OrderDocument> {
  if (client === undefined) throw new Error('there is no connection to MongoDB');
  return client.db(`ditto_${world.name}`).collection(`${world.database}.orders`);
}

async function ask<Answer>(path: string): Promise<Answer> {
  const answer = await fetch(`${workers[0]?.url}${path}`);
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Answer;
}

async function listMismatches(): Promise<readonly MismatchView[]> {
  return (await ask<{ mismatches: MismatchView[] }>(`/mismatches?source=${world.name}&limit=1000`)).mismatches;
}

async function readRecent(): Promise<readonly RecentView[]> {
  const { sources } = await ask<{ sources: { recent: RecentView[] | null }[] }>(`/coverage?source=${world.name}`);
  return sources[0]?.recent ?? [];
}

/** Of one worker. */
async function countVerified({ url }: ServiceInstance): Promise<number> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n');
  return lines
    .filter((line) => line.startsWith('ditto_dws_verified_rows_total{') && line.includes('phase="recent"'))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Both workers take part, and look at what changes. */
async function waitUntilFollowed(): Promise<void> {
  let seen: unknown = null;
  let id = QUIET;
  await world.waitFor(
    'both workers to verify what changes',
    async () => {
      await mysql.query('UPDATE orders SET customer = customer + 1 WHERE id = ?', [(id = QUIET + ((id + 1) % 10))]);
      const recent = await readRecent().catch(() => []);
      const counts = await Promise.all(workers.map(countVerified));
      seen = { recent, counts };
      return recent.length > 0 && recent.every((one) => one.workers === 2) && counts.every((count) => count > 0);
    },
    { watch: workers[0] as ServiceInstance, withinMs: 40_000, describe: () => JSON.stringify(seen) },
  );
}

/** Changes a row, and damages its document as soon as it has the change; gives when it was changed. */
async function changeAndDamage(id: number): Promise<number> {
  const changedMs = Date.now();
  await mysql.query('UPDATE orders SET note = ? WHERE id = ?', [`changed ${changedMs}`, id]);
  await waitForDocument(id, ({ row }) => (row as { note?: unknown } | undefined)?.note === `changed ${changedMs}`);
  await orders().updateOne({ _id: id }, { $set: { 'row.note': 'someone was here' } });
  return changedMs;
}

async function waitForDocument(id: number, holds: (document: OrderDocument) => boolean): Promise<OrderDocument> {
  let found: OrderDocument | null = null;
  await world.waitFor(
    `the change of order ${id}`,
    async () => (found = await orders().findOne({ _id: id })) !== null && holds(found),
    { watch: dss, describe: () => JSON.stringify(found) },
  );
  return found as unknown as OrderDocument;
}

/** How long a run of one row takes. */
async function measureRow(): Promise<number> {
  const headers = { 'content-type': 'application/json' };
  const scope = { source: world.name, tables: [`${world.database}.orders`], keys: [[QUIET]], sinks: ['mongo'] };
  const sent = { method: 'POST', headers, body: JSON.stringify(scope) };
  const beganMs = Date.now();
  const { id } = (await (await fetch(`${workers[0]?.url}/verifications`, sent)).json()) as { id: string };
  await world.waitFor('a run', async () => (await ask<{ state: string }>(`/verifications/${id}`)).state === 'done', {
    watch: workers[0] as ServiceInstance,
  });
  return Date.now() - beganMs;
}

/** Each of these, and nothing else, is found and then repaired; the hot rows raise no alarm. */
async function expectFoundAndRepaired(
  expected: ReadonlyMap<string, { readonly sinceMs: number; readonly withinMs?: number }>,
): Promise<void> {
  const before = await measureRow();
  let seen: readonly MismatchView[] = [];
  const name = ({ sink, key }: MismatchView): string => `${sink} ${key}`;
  await world.waitFor(
    'the damages to be found and repaired',
    async () => {
      seen = await listMismatches();
      return seen.length >= expected.size && seen.every(({ state }) => state === 'repaired' || state === 'gone');
    },
    { watch: workers[0] as ServiceInstance, withinMs: 60_000, describe: () => JSON.stringify(seen) },
  );
  expect(new Set(seen.map(name))).toEqual(new Set(expected.keys()));
  const ownMs = NOTICED_WITHIN_MS + READS * Math.max(before, await measureRow());
  for (const mismatch of seen) {
    const { sinceMs = 0, withinMs = Math.max(FOUND_WITHIN_MS, ownMs) } = expected.get(name(mismatch)) ?? {};
    expect(mismatch.firstSeenMs - sinceMs).toBeLessThanOrEqual(withinMs);
  }
}

async function expectEqualInTheEnd(): Promise<void> {
  expect(load?.statements).toBeGreaterThan(20);
  await load?.stop();
  await world.waitUntilCaughtUp(dss);
  const { tables } = await world.compare();
  for (const { mongo: mirror } of tables) expect(mirror).toMatchObject({ missing: 0, extra: 0, different: 0 });
}

it('I8: a document that is damaged just after its row has changed is found within 5 s without Kafka; two workers share that, hot rows raise no alarm', async () => {
  await begin(['mongo'], null);
  await waitUntilFollowed();
  const expected = new Map<string, { sinceMs: number }>();
  for (let id = QUIET + 10; id < QUIET + 15; id++)
    expected.set(`mongo [${id}]`, { sinceMs: await changeAndDamage(id) });
  const deletedId = QUIET + 15;
  const before = await waitForDocument(deletedId, () => true);
  expected.set(`mongo [${deletedId}]`, { sinceMs: Date.now() });
  await mysql.query('DELETE FROM orders WHERE id = ?', [deletedId]);
  const { v, gtid } = await waitForDocument(deletedId, ({ deletedAt }) => deletedAt !== undefined);
  await orders().replaceOne({ _id: deletedId }, { ...before, v, gtid });
  await expectFoundAndRepaired(expected);
  expect(await readRecent()).toMatchObject([{ sink: 'mongo', workers: 2, holdingBecause: null }]);
  await expectEqualInTheEnd();
}, 150_000);

it('I8: what is damaged in the mirror or a topic just after a change is found within 5 s by the topics, and also after Kafka was down', async () => {
  kafka = await startStack({ folder: await mkdtemp(join(tmpdir(), 'ditto-recent-')), servers: ['kafka'] });
  const brokers = kafka.url('kafka');
  await begin(['kafka', 'mongo'], brokers);
  saboteur = new TopicSaboteur(brokers.split(','), new Random(7));
  await waitUntilFollowed();
  const expected = new Map<string, { sinceMs: number; withinMs?: number }>();
  for (let id = QUIET + 10; id < QUIET + 14; id++)
    expected.set(`mongo [${id}]`, { sinceMs: await changeAndDamage(id) });
  const isQuiet = (key: string): boolean => [14, 15, 16].some((i) => key === `{"id":${QUIET + i}}`);
  await mysql.query('UPDATE orders SET note = CONCAT("again ", id) WHERE id >= ?', [QUIET + 14]);
  const topic = topicOf(world.name, world.database, 'orders');
  const kinds = ['one letter', 'lost row', 'no version'] as const;
  for (const { key } of await saboteur.damage(topic, 3, kinds, isQuiet))
    expected.set(`kafka [${(JSON.parse(key) as { id: number }).id}]`, { sinceMs: Date.now() });
  expect(expected.size).toBe(7);
  await expectFoundAndRepaired(expected);

  await kafka.kill('kafka');
  await world.waitFor(
    'the workers to say that they hold',
    async () => (await readRecent()).some(({ holdingBecause }) => holdingBecause !== null),
    { watch: workers[0] as ServiceInstance },
  );
  const changing = changeAndDamage(QUIET + 17);
  await kafka.start('kafka');
  const sinceMs = await changing;
  expected.set(`mongo [${QUIET + 17}]`, { sinceMs, withinMs: 60_000 });
  await expectFoundAndRepaired(expected);
  await expectEqualInTheEnd();
}, 240_000);
