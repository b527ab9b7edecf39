import { once } from 'node:events';
import { createConnection } from 'mysql2';
import { TopicMessages } from '../test/oracle/topic-messages.ts';
import { type BenchEnvironment } from './environment.ts';
import { type BenchSink } from './options.ts';
import { withMongo } from './mongo-ceiling.ts';
import { rateOf } from './statistics.ts';
import { TABLE_NAME } from './workload.ts';

const DOCUMENTS_AT_ONCE = 2_000;

/**
 * Rows per second at which the source and one sink can be read together in one process, with nothing done with what
 * comes: rows of the table in key order as arrays, documents as their bytes, messages as their bytes.
 */
export async function measureBareRead(environment: BenchEnvironment, sink: BenchSink, rows: number): Promise<number> {
  const { stack, database, mongoDatabase, collection, topic, signal } = environment;
  const began = performance.now();
  const read =
    sink === 'mongo'
      ? readDocuments(stack.url('mongo'), mongoDatabase, collection)
      : readMessages(environment.brokers, topic);
  await Promise.all([readRows(stack.url('mysql-primary'), database), read]);
  signal.throwIfAborted();
  return rateOf(rows, performance.now() - began);
}

async function readRows(uri: string, database: string): Promise<void> {
  const connection = createConnection({ uri, charset: 'utf8mb4', timezone: 'Z', supportBigNumbers: true });
  try {
    const sql = `SELECT * FROM \`${database}\`.\`${TABLE_NAME}\` ORDER BY id`;
    const query = connection.query({ sql, rowsAsArray: true });
    query.on('result', () => undefined);
    await once(query, 'end');
  } finally {
    connection.destroy();
  }
}

function readDocuments(url: string, database: string, collection: string): Promise<void> {
  return withMongo(url, async (client) => {
    const options = { raw: true, batchSize: DOCUMENTS_AT_ONCE, readConcern: { level: 'majority' } } as const;
    const cursor = client.db(database).collection(collection).find({}, options);
    while (await cursor.hasNext()) cursor.readBufferedDocuments();
  });
}

async function readMessages(brokers: readonly string[], topic: string): Promise<void> {
  const messages = new TopicMessages(brokers);
  try {
    await messages.read(topic, () => undefined);
  } finally {
    await messages.close();
  }
}
