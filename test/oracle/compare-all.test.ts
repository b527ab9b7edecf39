import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import mongoose from 'mongoose';
import { type Connection, createConnection } from 'mysql2/promise';
import type { Stack } from '#stack';
import { testStack, uniqueName } from '#testing';
import { type Comparison, compareAll } from './compare-all.ts';
import {
  DEFINITION,
  type Fields,
  makeDocuments,
  makeMessages,
  type Message,
  publish,
  rows,
  versionAt,
} from './sinks-by-hand.ts';

const { Binary, Decimal128, Double, Int32, Long, MongoClient } = mongoose.mongo;

let stack: Stack;
let mysql: Connection;
let mongo: mongoose.mongo.MongoClient;
const database = uniqueName('oracle');

beforeAll(async () => {
  stack = await testStack();
  mysql = await createConnection({ uri: stack.url('mysql-primary'), charset: 'utf8mb4' });
  mongo = await new MongoClient(stack.url('mongo')).connect();
  await mysql.query("SET SESSION sql_mode = '', time_zone = '+00:00'");
  await mysql.query(`CREATE DATABASE ${database}`);
  await mysql.query(`CREATE TABLE ${database}.t (${DEFINITION})`);
  await mysql.query(`INSERT INTO ${database}.t VALUES ${rows.join(', ')}`);
});

afterAll(async () => {
  await mysql.query(`DROP DATABASE ${database}`);
  await mysql.end();
  await mongo.close();
});

interface Sinks {
  documents: Fields[];
  messages: Message[];
}

/** Fills sinks of their own with what `spoil` leaves of the right contents, and compares. */
async function compareWith(spoil: (sinks: Sinks) => unknown, keysAtOnce?: number): Promise<Comparison> {
  const name = uniqueName('oracle');
  const sinks = { documents: makeDocuments(), messages: makeMessages() };
  spoil(sinks);
  const brokers = stack.url('kafka').split(',');
  const mirror = mongo.db(name);
  await mirror.collection(`${database}.t`).insertMany(sinks.documents);
  await publish(brokers, `${name}.${database}.t`, sinks.messages);
  try {
    return await compareAll({
      mysql: { url: stack.url('mysql-primary') },
      mongo: { url: stack.url('mongo'), database: name },
      kafka: { brokers, prefix: name },
      tables: [{ database, table: 't' }],
      ...(keysAtOnce !== undefined && { keysAtOnce }),
    });
  } finally {
    await mirror.dropDatabase();
  }
}

function rowOf(sinks: Sinks, index: number): Fields {
  return sinks.documents[index]?.['row'] as Fields;
}

function replaceIn(sinks: Sinks, index: number, from: string, to: string): void {
  const message = sinks.messages[index];
  if (message?.value?.includes(from) !== true) throw new Error(`message ${index} does not contain ${from}`);
  sinks.messages[index] = { ...message, value: message.value.replace(from, to) };
}

const none = { missing: 0, extra: 0, different: 0 };

test.each([undefined, 1])('right sinks have no difference (keys at once: %s)', async (keysAtOnce) => {
  expect(await compareWith(() => undefined, keysAtOnce)).toEqual({
    tables: [
      {
        database,
        table: 't',
        rows: 3,
        mongo: { ...none, documents: 3, tombstones: 1 },
        kafka: { ...none, messages: 9, keys: 3, repeats: 2, outOfOrder: 0 },
      },
    ],
    differences: 0,
    samples: [],
  });
});

test('1.50 and 1.5, and another order of JSON keys, are equal', async () => {
  const { differences } = await compareWith((sinks) => {
    rowOf(sinks, 0)['price'] = Decimal128.fromString('1.50');
    rowOf(sinks, 0)['doc'] = { b: Long.fromNumber(1), a: [Decimal128.fromString('100.0'), null, '🦊'] };
    replaceIn(sinks, 0, '"1.50"', '"1.5"');
    replaceIn(sinks, 0, '{\\"a\\":[100,null,\\"🦊\\"],\\"b\\":1}', '{\\"b\\":1.0,\\"a\\":[1e2,null,\\"🦊\\"]}');
  });
  expect(differences).toBe(0);
});

describe('the mirror: each fault is found', () => {
  const faults: Readonly<Record<string, readonly [(sinks: Sinks) => unknown, Partial<typeof none>, RegExp]>> = {
    'a changed value': [
      (sinks) => (rowOf(sinks, 0)['price'] = Decimal128.fromString('1.51')),
      { different: 1 },
      /price: MySQL 1\.5, mongo 1\.51/,
    ],
    'a lost document': [(sinks) => void sinks.documents.splice(1, 1), { missing: 1 }, /missing/],
    'an extra document': [
      ({ documents }) => void documents.push({ ...documents[0], _id: { part: 'z', id: Long.fromNumber(9) } }),
      { extra: 1 },
      /extra/,
    ],
    'a tombstone for a row': [
      ({ documents }) => Reflect.deleteProperty(documents[2] ?? {}, 'row'),
      { missing: 1 },
      /missing/,
    ],
    'a tombstone that is a document': [
      ({ documents }) => (documents[3] = { ...documents[3], row: documents[0]?.['row'] }),
      { extra: 1 },
      /extra/,
    ],
    'a lost microsecond': [
      (sinks) => (rowOf(sinks, 0)['at'] = '2026-02-03T04:05:06.000000'),
      { different: 1 },
      /at: MySQL .*000007/,
    ],
    'a changed JSON number': [
      (sinks) => (rowOf(sinks, 2)['doc'] = [new Double(9007199254740992)]),
      { different: 1 },
      /doc: .*993.*992/,
    ],
    'NULL for empty text': [(sinks) => (rowOf(sinks, 2)['word'] = null), { different: 1 }, /word: MySQL , mongo NULL/],
    'binary without its padding': [
      (sinks) => (rowOf(sinks, 1)['raw'] = new Binary(Buffer.alloc(0))),
      { different: 1 },
      /raw: MySQL 00000000/,
    ],
    'the widened FLOAT': [
      (sinks) => (rowOf(sinks, 0)['ratio'] = new Double(Math.fround(0.1))),
      { different: 1 },
      /ratio: MySQL 0\.1, mongo 0\.10000000149/,
    ],
    'another type': [(sinks) => (rowOf(sinks, 0)['id'] = new Int32(1)), { different: 1 }, /id: .*no Long/],
    'a column that is absent': [
      (sinks) => Reflect.deleteProperty(rowOf(sinks, 1), 'word'),
      { different: 1 },
      /word: .*absent/,
    ],
    'a field that is not a column': [(sinks) => (rowOf(sinks, 1)['wort'] = null), { different: 1 }, /no columns/],
    'a key in another order': [
      ({ documents }) => (documents[0] = { ...documents[0], _id: { id: Long.fromNumber(1), part: 'a' } }),
      { missing: 1, extra: 1 },
      /missing|extra/,
    ],
  };

  test.each(Object.entries(faults))('%s', async (_name, [spoil, expected, sample]) => {
    const { tables, differences, samples } = await compareWith(spoil);
    expect(tables[0]?.mongo).toMatchObject({ ...none, ...expected });
    expect(tables[0]?.kafka).toMatchObject({ ...none, outOfOrder: 0 });
    expect(differences).toBe(Object.values(expected).reduce((sum, count) => sum + count, 0));
    expect(samples.join('\n')).toMatch(sample);
  });
});

describe('the topic: each fault is found', () => {
  const faults: Readonly<
    Record<string, readonly [(sinks: Sinks) => unknown, Partial<typeof none & { outOfOrder: number }>, RegExp]>
  > = {
    'a changed value': [
      (sinks) => replaceIn(sinks, 0, '"1.50"', '"1.05"'),
      { different: 1 },
      /price: MySQL 1\.5, kafka 1\.05/,
    ],
    'a lost message': [({ messages }) => void messages.splice(1, 1), { missing: 1 }, /missing/],
    'a lost delete': [({ messages }) => void messages.splice(4, 2), { extra: 1 }, /extra/],
    'a row that was never there': [
      ({ messages }) =>
        void messages.push({
          ...messages[0],
          key: '{"part":"z","id":9}',
          value: messages[0]?.value ?? null,
          version: versionAt(400),
        }),
      { extra: 1 },
      /extra/,
    ],
    'a delete of a row': [
      ({ messages }) => void messages.push({ key: '{"part":"a","id":1}', value: null, version: versionAt(400) }),
      { missing: 1 },
      /missing/,
    ],
    'a lost microsecond': [(sinks) => replaceIn(sinks, 0, '000007', '000000'), { different: 1 }, /at: MySQL .*000007/],
    'a changed JSON number': [
      (sinks) => replaceIn(sinks, 8, '9007199254740993', '9007199254740992'),
      { different: 1 },
      /doc: /,
    ],
    'digits lost from a BIGINT': [
      (sinks) => replaceIn(sinks, 1, '18446744073709551615', '18446744073709552000'),
      { different: 1 },
      /id: MySQL 18446744073709551615/,
    ],
    'a row without one of its columns': [
      (sinks) => replaceIn(sinks, 1, ',"word":null', ''),
      { different: 1 },
      /word: .*absent/,
    ],
    'a value that is no JSON': [(sinks) => replaceIn(sinks, 1, '"op"', 'op'), { different: 1 }, /no change message/],
    'an older message as the last one': [
      ({ messages }) =>
        void messages.splice(7, 2, {
          ...messages[3],
          key: messages[3]?.key ?? null,
          value: messages[3]?.value ?? null,
          version: versionAt(170),
        }),
      { different: 1, outOfOrder: 1 },
      /out of order/,
    ],
    'messages out of order': [
      ({ messages }) =>
        void messages.splice(0, 0, { key: '{"part":"a","id":1}', value: null, version: versionAt(101) }),
      { outOfOrder: 1 },
      /out of order/,
    ],
    'a repeat that is cut short': [({ messages }) => void messages.splice(8, 1), { different: 1 }, /price/],
    'a message without a version': [
      ({ messages }) => (messages[1] = { key: null, value: null, ...messages[1], version: 'none' }),
      { outOfOrder: 1 },
      /out of order/,
    ],
  };

  test.each(Object.entries(faults))('%s', async (_name, [spoil, expected, sample]) => {
    const { tables, differences, samples } = await compareWith(spoil);
    expect(tables[0]?.kafka).toMatchObject({ ...none, outOfOrder: 0, ...expected });
    expect(tables[0]?.mongo).toMatchObject(none);
    expect(differences).toBe(Object.values(expected).reduce((sum, count) => sum + count, 0));
    expect(samples.join('\n')).toMatch(sample);
  });

  test('a truncated table: only what came after counts', async () => {
    const { tables } = await compareWith((sinks) => {
      const truncate = { key: null, value: '{"before":null,"after":null,"op":"t"}', version: versionAt(350) };
      sinks.messages.push(truncate, {
        key: '{"part":"a","id":1}',
        value: sinks.messages[0]?.value ?? null,
        version: versionAt(400),
      });
    });
    expect(tables[0]?.kafka).toMatchObject({ ...none, missing: 2, keys: 1 });
  });
});

test('a topic and a collection that do not exist lack every row', async () => {
  const name = uniqueName('oracle');
  const { tables, differences } = await compareAll({
    mysql: { url: stack.url('mysql-primary') },
    mongo: { url: stack.url('mongo'), database: name },
    kafka: { brokers: stack.url('kafka').split(','), prefix: name },
    tables: [{ database, table: 't' }],
  });
  expect(tables[0]?.mongo.missing).toBe(3);
  expect(tables[0]?.kafka.missing).toBe(3);
  expect(differences).toBe(6);
});
