import { Kafka, logLevel } from 'kafkajs';
import mongoose from 'mongoose';

const { Binary, Decimal128, Double, Int32, Long } = mongoose.mongo;

export type Fields = Record<string, unknown>;

export interface Message {
  readonly key: string | null;
  readonly value: string | null;
  readonly version: string;
}

/** A table with its rows, and by hand what the sinks must hold then. */
export const DEFINITION = `
  id BIGINT UNSIGNED NOT NULL, part VARCHAR(10) NOT NULL, price DECIMAL(9,2) NOT NULL, ratio FLOAT NULL, at DATETIME(6) NULL,
  stamp TIMESTAMP(3) NULL, doc JSON NULL, flag BIT(1) NOT NULL, raw BINARY(4) NOT NULL, word VARCHAR(20) CHARACTER SET latin1 NULL,
  PRIMARY KEY (part, id)`;

export const rows = [
  `(1, 'a', 1.50, 0.1, '2026-02-03 04:05:06.000007', '2026-02-03 04:05:06.5', '{"b": 1.0, "a": [1e2, null, "🦊"]}', b'1', x'0100', 'Ærø')`,
  `(18446744073709551615, 'é', -0.01, NULL, NULL, NULL, NULL, b'0', x'', NULL)`,
  `(3, 'c', 100.00, -2.5, '0000-00-00 00:00:00', NULL, '[9007199254740993]', b'1', x'FFFFFFFF', '')`,
] as const;

/** Lineage 1, file 1, a transaction at this offset. */
export function versionAt(offset: number): string {
  return `0000000100000001${offset.toString(16).padStart(12, '0')}${'0'.repeat(16)}`;
}

export function makeDocuments(): Fields[] {
  const first = Long.fromNumber(1);
  const last = Decimal128.fromString('18446744073709551615');
  const third = Long.fromNumber(3);
  return [
    {
      _id: { part: 'a', id: first },
      row: {
        ...{
          id: first,
          part: 'a',
          price: Decimal128.fromString('1.5'),
          ratio: new Double(0.1),
          at: '2026-02-03T04:05:06.000007',
        },
        ...{ stamp: '2026-02-03T04:05:06.500Z', doc: { a: [new Int32(100), null, '🦊'], b: new Double(1) } },
        ...{ flag: true, raw: new Binary(Buffer.from('01000000', 'hex')), word: 'Ærø' },
      },
      v: versionAt(100),
    },
    {
      _id: { part: 'é', id: last },
      row: {
        ...{
          id: last,
          part: 'é',
          price: Decimal128.fromString('-0.01'),
          ratio: null,
          at: null,
          stamp: null,
          doc: null,
        },
        ...{ flag: false, raw: new Binary(Buffer.alloc(4)), word: null },
      },
      v: versionAt(100),
    },
    {
      _id: { part: 'c', id: third },
      row: {
        ...{
          id: third,
          part: 'c',
          price: Decimal128.fromString('100'),
          ratio: new Double(-2.5),
          at: '0000-00-00T00:00:00.000000',
        },
        ...{
          stamp: null,
          doc: [Long.fromString('9007199254740993')],
          flag: true,
          raw: new Binary(Buffer.alloc(4, 255)),
          word: '',
        },
      },
      v: versionAt(300),
    },
    { _id: { part: 'gone', id: first }, v: versionAt(200), deletedAt: new Date() },
  ];
}

const FIRST_ROW = `"id":1,"part":"a","price":"1.50","ratio":0.1,"at":"2026-02-03T04:05:06.000007","stamp":"2026-02-03T04:05:06.500Z","doc":"{\\"a\\":[100,null,\\"🦊\\"],\\"b\\":1}","flag":true,"raw":"AQAAAA==","word":"Ærø"`;
const SECOND_ROW = `"id":18446744073709551615,"part":"é","price":"-0.01","ratio":null,"at":null,"stamp":null,"doc":null,"flag":false,"raw":"AAAAAA==","word":null`;
const THIRD_ROW = `"id":3,"part":"c","price":"100.00","ratio":-2.5,"at":"0000-00-00T00:00:00.000000","stamp":null,"doc":"[9007199254740993]","flag":true,"raw":"/////w==","word":""`;

/** Key changes, a delete with its tombstone, and a repeated suffix are in it. */
export function makeMessages(): Message[] {
  const key = (part: string, id: string): string => `{"part":"${part}","id":${id}}`;
  const say = (op: string, before: string | null, after: string | null): string =>
    `{"before":${before === null ? 'null' : `{${before}}`},"after":${after === null ? 'null' : `{${after}}`},"source":{},"op":"${op}","ts_ms":1,"transaction":null}`;
  const gone = FIRST_ROW.replace('"part":"a"', '"part":"gone"');
  return [
    { key: key('a', '1'), value: say('r', null, FIRST_ROW), version: versionAt(100) },
    { key: key('é', '18446744073709551615'), value: say('c', null, SECOND_ROW), version: versionAt(100) },
    { key: key('gone', '1'), value: say('c', null, gone), version: versionAt(150) },
    { key: key('c', '3'), value: say('c', null, THIRD_ROW.replace('100.00', '99.00')), version: versionAt(180) },
    { key: key('gone', '1'), value: say('d', gone, null), version: versionAt(200) },
    { key: key('gone', '1'), value: null, version: versionAt(200) },
    { key: key('c', '3'), value: say('u', null, THIRD_ROW), version: versionAt(300) },
    { key: key('c', '3'), value: say('c', null, THIRD_ROW.replace('100.00', '99.00')), version: versionAt(180) },
    { key: key('c', '3'), value: say('u', null, THIRD_ROW), version: versionAt(300) },
  ];
}

/** Everything goes to one partition, in order. */
export async function publish(brokers: readonly string[], topic: string, messages: readonly Message[]): Promise<void> {
  const kafka = new Kafka({ clientId: 'by-hand', brokers: [...brokers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  const producer = kafka.producer();
  await Promise.all([admin.connect(), producer.connect()]);
  try {
    await admin.createTopics({ topics: [{ topic, numPartitions: 3 }], waitForLeaders: true });
    await producer.send({
      topic,
      messages: messages.map(({ key, value, version }) => ({
        key,
        value,
        partition: 1,
        headers: { 'ditto.id': 'x', 'ditto.version': version },
      })),
    });
  } finally {
    await Promise.all([admin.disconnect(), producer.disconnect()]);
  }
}
