import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Producer } from '@platformatic/kafka';
import mongoose from 'mongoose';
import { type Connection } from 'mysql2/promise';
import { collectionName } from '#change-events';
import { mirrorDatabase } from '#mongo';
import { type TopicMessage, topicOf, TopicMessages } from '../oracle/topic-messages.ts';
import { damageOneBit, type Fields } from '../saboteur/bson-damage.ts';
import { damageMember } from '../saboteur/json-damage.ts';
import { TABLES } from '../types/matrix.ts';
import { Random } from '../types/random.ts';
import { TypedTables } from '../types/typed-tables.ts';
import { type ServiceInstance, World } from './world.ts';

const { BSON, MongoClient } = mongoose.mongo;
/** Of each of two copies of each table: every bound, and more rows than columns. */
const ROWS = 130;
const names = TABLES.map(({ name }) => name);

interface Run {
  readonly id: string;
  readonly state: string;
  readonly notJudged: number;
  readonly unsettled: number;
  readonly mismatches: number;
  readonly secondWay: { readonly rows: number; readonly mismatches: number; readonly unsettled: number };
  readonly details: readonly {
    readonly table: string;
    readonly sink: string;
    readonly rows: number;
    readonly equal: number;
    readonly mismatches: number;
    readonly secondWay: { readonly rows: number; readonly equal: number; readonly mismatches: number };
  }[];
}

interface MismatchView {
  readonly table: string;
  readonly kind: string;
  readonly details: {
    readonly way: string;
    readonly differences: readonly { readonly column: string }[];
    readonly fingerprint: string;
  };
}

/** The column whose value was changed, by the fingerprint of what is stored now. */
type Damaged = ReadonlyMap<string, { readonly table: string; readonly column: string }>;

let world: World;
let mysql: Connection;
let dws: ServiceInstance;
let mongo: mongoose.mongo.MongoClient;
let messages: TopicMessages;
let producer: Producer;

beforeAll(async () => {
  world = await World.create({
    tables: names,
    source: { repair: { mode: 'report' } },
    configuration: { verification: { chunkRows: 300 }, dss: { lease: { ttlMs: 30_000, renewMs: 2000 } } },
  });
  const brokers = world.stack.url('kafka').split(',');
  mongo = new MongoClient(world.stack.url('mongo'));
  messages = new TopicMessages(brokers);
  producer = new Producer({ clientId: 'saboteur', bootstrapBrokers: brokers, retries: 5, acks: -1 });
  mysql = await world.connect();
  await mysql.query(`USE ${world.database}`);
  const tables = new TypedTables({ connection: mysql, tables: TABLES, rows: ROWS, seed: 8 });
  await tables.create();
  await tables.insertFirstCopy();
  await world.start('dcs');
  const dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
  await tables.insertSecondCopy();
  await world.waitUntilCaughtUp(dss);
  dws = await world.start('dws');
  await world.waitFor('the state database', async () => (await fetch(`${dws.url}/mismatches`)).ok, { watch: dws });
}, 180_000);
afterAll(async () => {
  await mongo.close();
  await messages.close();
  await producer.close();
  await world.close();
});

async function ask<Answer>(path: string, body?: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  const sent = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
  const answer = await fetch(dws.url + path, sent);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
  return JSON.parse(text) as Answer;
}

async function verify(): Promise<Run> {
  let run = await ask<Run>('/verifications', { source: world.name, secondWayShare: 1 });
  const { id } = run;
  await world.waitFor(
    'the run',
    async () => ['done', 'failed', 'cancelled'].includes((run = await ask<Run>(`/verifications/${id}`)).state),
    { watch: dws, withinMs: 120_000, describe: () => JSON.stringify(run) },
  );
  return run;
}

async function listMismatches(sink: string): Promise<readonly MismatchView[]> {
  const found: MismatchView[] = [];
  for (let next: string | null = ''; next !== null;) {
    const path = `/mismatches?source=${world.name}&sink=${sink}&limit=1000${next && `&after=${next}`}`;
    const page: { mismatches: MismatchView[]; next: string | null } = await ask(path);
    found.push(...page.mismatches);
    next = page.next;
  }
  return found;
}

/** Changes one bit of each column of each table, in another document for each. */
async function damageMirror(random: Random): Promise<Damaged> {
  const damaged = new Map<string, { table: string; column: string }>();
  for (const table of names) {
    const documents = mongo
      .db(mirrorDatabase({ source: world.name, databasePrefix: '' }))
      .collection(collectionName(world.database, table));
    const raw = (await documents.find({}, { raw: true }).toArray()) as unknown as Uint8Array[];
    const left = raw.map((bytes) => BSON.deserialize(bytes, { promoteValues: false, promoteBuffers: false }));
    for (const column of Object.keys(left[0]?.['row'] as Fields)) {
      const at = left.findIndex((document) => {
        const row = document['row'] as Fields;
        const value = { [column]: row[column] };
        const isDamaged = damageOneBit(value, random);
        Object.assign(row, value);
        return isDamaged;
      });
      const [document] = left.splice(at, at < 0 ? 0 : 1);
      if (document === undefined) throw new Error(`no value of ${table}.${column} can be damaged`);
      const { _id, ...fields } = document;
      await documents.replaceOne({ _id: { $eq: _id as never } }, fields);
      const [stored] = (await documents
        .find({ _id: { $eq: _id as never } }, { raw: true })
        .toArray()) as unknown as Uint8Array[];
      damaged.set(sha256(stored ?? ''), { table, column });
    }
  }
  return damaged;
}

/** Publishes messages in which one bit of each column of each table is changed, under another key for each. */
async function damageTopics(random: Random): Promise<Damaged> {
  const damaged = new Map<string, { table: string; column: string }>();
  for (const table of names) {
    const topic = topicOf(world.name, world.database, table);
    const left: TopicMessage[] = [];
    await messages.read(topic, (message) => void left.push(message));
    const { after } = JSON.parse(left[0]?.value?.toString() ?? '') as { after: object };
    for (const column of Object.keys(after)) {
      const changed = left.map(({ value: stored }) => {
        const json = stored?.toString() ?? '';
        return damageMember(json, json.indexOf('"after":{') + 8, column, random);
      });
      const at = changed.findIndex((json) => json !== null);
      const [message] = left.splice(at, at < 0 ? 0 : 1);
      if (message?.key == null) throw new Error(`no value of ${table}.${column} can be damaged`);
      const { key, partition } = message;
      const value = Buffer.from(changed[at] ?? '');
      const headers = new Map(message.headers.map(([name, of]) => [name as Buffer, of as Buffer]));
      await producer.send({ messages: [{ topic, partition, key, value, headers }] });
      const version = message.headers.find(([name]) => name?.toString() === 'ditto.version')?.[1]?.toString();
      damaged.set(`${version}/${sha256(value)}`, { table, column });
    }
  }
  return damaged;
}

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What is wrong with what was found of the damages. */
function listMissed(damaged: Damaged, found: readonly MismatchView[]): readonly string[] {
  const byFingerprint = new Map(found.map((mismatch) => [mismatch.details.fingerprint, mismatch]));
  return [...damaged].flatMap(([fingerprint, { table, column }]) => {
    const mismatch = byFingerprint.get(fingerprint);
    if (mismatch === undefined) return [`${table}.${column} was not found`];
    const { kind, details } = mismatch;
    if (kind !== 'different') return [];
    const columns = details.differences.map((difference) => difference.column);
    return columns.length === 1 && columns[0] === column ? [] : [`${table}.${column} was found as ${columns.join()}`];
  });
}

it('I4: every type, bound and character set is equal by both ways, in MongoDB and in Kafka', async () => {
  const run = await verify();
  expect(await listMismatches('mongo')).toEqual([]);
  expect(await listMismatches('kafka')).toEqual([]);
  expect(run).toMatchObject({ state: 'done', notJudged: 0, unsettled: 0, mismatches: 0 });
  const all = { rows: 2 * ROWS, equal: 2 * ROWS, mismatches: 0 };
  const expected = names.flatMap((table) =>
    ['kafka', 'mongo'].map((sink) => ({ table, sink, ...all, secondWay: { ...all, unsettled: 0, ignored: 0 } })),
  );
  expect(run.details).toHaveLength(expected.length);
  for (const table of expected) expect(run.details).toContainEqual(expect.objectContaining(table));
  const metrics = await (await fetch(`${dws.url}/metrics`)).text();
  for (const way of ['first', 'second'])
    expect(metrics).toMatch(
      new RegExp(`ditto_dws_verified_rows_total\\{[^}]*sink="kafka",phase="rows",way="${way}"[^}]*\\} \\d{4}`),
    );
}, 150_000);

it('one changed bit in each column of each type is found, by each of the two ways', async () => {
  const random = new Random(21);
  const inMirror = await damageMirror(random);
  const inTopics = await damageTopics(random);
  const run = await verify();
  expect(listMissed(inMirror, await listMismatches('mongo'))).toEqual([]);
  expect(listMissed(inTopics, await listMismatches('kafka'))).toEqual([]);
  for (const { table, sink, mismatches, secondWay } of run.details) {
    const damaged = sink === 'mongo' ? inMirror : inTopics;
    const count = [...damaged.values()].filter((one) => one.table === table).length;
    expect([table, sink, mismatches, secondWay.mismatches]).toEqual([table, sink, count, count]);
  }
  expect(run.mismatches).toBe(inMirror.size + inTopics.size);
}, 180_000);
