// A mirror writer whose server never answers: prints what it counts and what it holds.
// usage: node --expose-gc --conditions=source libs/mongo/test/stuck-mirror.ts TABLES ROWS_OF_EACH
import { type RowChanges, type TableLayout, ValueImages } from '#change-events';
import { silentLogger } from '#kernel';
import { QuarantinedKeys } from '#replication';
import { type mongo } from 'mongoose';
import { type DocumentSequence } from '../src/document-sequence.ts';
import { MirrorWriter, type MongoConnection } from '../src/index.ts';
import { makeColumn, makeLayout, makeTransaction } from './make-changes.ts';

const columns = [
  makeColumn('id', 'integer', 'int'),
  makeColumn('customer', 'bigint', 'bigint'),
  makeColumn('status', 'text', 'varchar'),
  makeColumn('total', 'decimal', 'decimal', { precision: 12, scale: 2 }),
  makeColumn('note', 'text', 'varchar'),
  makeColumn('token', 'bytes', 'binary'),
  makeColumn('weight', 'double', 'double'),
  makeColumn('created_at', 'datetime', 'datetime'),
  makeColumn('updated_at', 'timestamp', 'timestamp'),
  makeColumn('is_open', 'boolean', 'bit'),
];

function text(index: number, length: number): string {
  return Buffer.from(String(index).padEnd(length, 'abcdefgh')).toString();
}

function changesOf(layout: TableLayout, count: number): RowChanges {
  const rows = Array.from({ length: count }, (_, index) => [
    index,
    BigInt(2 ** 60) + BigInt(index),
    text(index, 8),
    text(index, 9).replace(/\D+/g, '.25'),
    text(index, 40),
    Buffer.from(text(index, 16)),
    index / 7,
    text(index, 26),
    text(index, 27),
    index % 2 === 0,
  ]);
  const place = { transaction: makeTransaction(1), firstRowIndex: 0, readSequence: 0, windowId: null };
  return { op: 'create', layout, count, before: null, after: new ValueImages(layout, rows), ...place };
}

/** Joins the parts of a command as the driver does, and keeps the message as long as there is no answer. */
const messages: Uint8Array[] = [];
const stuck: Promise<mongo.Document>[] = [];
function send(command: mongo.Document): Promise<mongo.Document> {
  const sequence = (command['documents'] ?? command['updates']) as DocumentSequence | undefined;
  if (sequence === undefined) return Promise.resolve({ ok: 1 });
  messages.push(Buffer.concat([sequence.toBin()]));
  const answer = Promise.withResolvers<mongo.Document>().promise;
  stuck.push(answer);
  return answer;
}

function held(): { readonly rss: number; readonly alive: number } {
  globalThis.gc?.();
  const { rss, arrayBuffers, heapUsed } = process.memoryUsage();
  return { rss, alive: arrayBuffers + heapUsed };
}

const [tables, rowsOfTable] = process.argv.slice(2).map(Number) as [number, number];
const ready = { listCollections: () => ({ hasNext: () => Promise.resolve(true) }) };
const db = { command: send, ...ready };
const connection = { db: () => db, ping: () => Promise.resolve() } as unknown as MongoConnection;
const writer = new MirrorWriter({ connection, source: 'stuck', isReplaying: () => false, logger: silentLogger });
const { signal } = new AbortController();
await writer.open({
  mayDeliver: () => true,
  refuse: (_refused, error) => Promise.reject(error),
  quarantined: new QuarantinedKeys(),
  onFatal: () => process.exit(1),
  signal,
});
const layouts = Array.from({ length: tables }, (_, index) => makeLayout(columns, [0], `table_${index}`));
// compiles what is kept for each table
for (const layout of layouts) writer.accept(changesOf(layout, 0), { acknowledge: () => undefined });

const before = held();
for (const layout of layouts) writer.accept(changesOf(layout, rowsOfTable), { acknowledge: () => undefined });
const gathered = held();
const countedGathered = writer.bytesInFlight;
writer.flush();
await new Promise(setImmediate);
const sent = held();
const result = {
  gathered: { counted: countedGathered, alive: gathered.alive - before.alive },
  sent: { counted: writer.bytesInFlight, alive: sent.alive - before.alive, rss: sent.rss - before.rss },
  commands: messages.length,
};
process.stdout.write(JSON.stringify(result));
process.exit(0);
