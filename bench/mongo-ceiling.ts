import mongoose from 'mongoose';
import { changeVersion, type RowChange, type TableLayout, type TransactionInfo, versionPrefix } from '#change-events';
import { silentLogger } from '#kernel';
import {
  BsonWriter,
  DocumentEncoder,
  type GuardedWrite,
  mirrorDatabase,
  MirrorWriter,
  openMongo,
  writeGuarded,
} from '#mongo';
import { MONGO_BATCH_OPERATIONS } from './configuration.ts';
import { type BenchEnvironment } from './environment.ts';
import { rateOf, round } from './statistics.ts';
import { createLayout, createRow } from './workload.ts';

/** Documents are made beforehand and held in memory. */
const MOST_ROWS = 200_000;
const ROWS_PER_TRANSACTION = 500;

export type MongoClient = InstanceType<typeof mongoose.mongo.MongoClient>;

export async function withMongo<T>(url: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = await new mongoose.mongo.MongoClient(url).connect();
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

export interface CeilingResult {
  /** Rate of the bare loop, and the share of it that DSS reached; only with MongoDB alone or among the sinks. */
  readonly ceilingRowsPerSecond?: number;
  readonly ofCeiling?: number;
  readonly ceilingRows?: number;
}

/** Nothing without MongoDB. DSS must be at rest. */
export async function compareWithCeiling(
  { sinks, stack, source, database, options, say, signal }: BenchEnvironment,
  rows: number,
  { rowsPerSecond }: { readonly rowsPerSecond: number },
): Promise<CeilingResult> {
  if (!sinks.includes('mongo')) return {};
  say('Writing the same documents in a bare loop …');
  const ceilingRows = Math.min(rows, MOST_ROWS);
  const { lanes } = options;
  const ceiling = await measureMongoCeiling(stack.url('mongo'), { source, database, rows: ceilingRows, lanes, signal });
  return { ceilingRowsPerSecond: ceiling, ofCeiling: round(rowsPerSecond / ceiling, 3), ceilingRows };
}

interface CeilingOptions {
  readonly source: string;
  readonly database: string;
  readonly rows: number;
  readonly lanes: number;
  readonly signal: AbortSignal;
}

/**
 * What the server takes at most: the writes that the mirror would get for `rows` created rows (guarded, one for each
 * key, sorted by `_id`, the same size of batch and as many lanes), from documents that are there already.
 */
async function measureMongoCeiling(
  url: string,
  { source, database, rows, lanes, signal }: CeilingOptions,
): Promise<number> {
  const logger = silentLogger;
  const connection = await openMongo({ url, logger, waitForServer: false, signal });
  try {
    const layout = createLayout(database, 'ceiling');
    const writer = new MirrorWriter({ connection, source, isReplaying: () => false, logger });
    await writer.prepareTable(layout);
    await writer.close();
    const batches = makeBatches(layout, rows, lanes);
    const db = connection.db(mirrorDatabase({ source }));
    const began = performance.now();
    await Promise.all(
      batches.map(async (lane) => {
        for (const batch of lane) {
          signal.throwIfAborted();
          await writeGuarded(db, `${database}.ceiling`, batch, { writeConcern: { w: 'majority', wtimeout: 10_000 } });
        }
      }),
    );
    return rateOf(rows, performance.now() - began);
  } finally {
    await connection.close();
  }
}

/** By lane, and in each the batches in order. */
function makeBatches(layout: TableLayout, rows: number, lanes: number): GuardedWrite[][][] {
  const encoder = new DocumentEncoder(layout);
  const writer = new BsonWriter();
  const batches: GuardedWrite[][][] = Array.from({ length: lanes }, () => []);
  let transaction = describeTransaction(0);
  for (let index = 0; index < rows; index++) {
    const rowIndex = index % ROWS_PER_TRANSACTION;
    if (rowIndex === 0) transaction = describeTransaction(index / ROWS_PER_TRANSACTION);
    const row = createRow(index + 1);
    const change: RowChange = {
      op: 'create',
      layout,
      before: null,
      after: row,
      transaction,
      rowIndex,
      readSequence: 0,
      windowId: null,
    };
    const document = encoder.upsert(writer, row, change, changeVersion(change));
    const lane = batches[index % lanes] as GuardedWrite[][];
    let batch = lane.at(-1);
    if (batch === undefined || batch.length === MONGO_BATCH_OPERATIONS) lane.push((batch = []));
    batch.push({ document, isNew: true });
  }
  return batches;
}

function describeTransaction(number: number): TransactionInfo {
  const offset = 4 + number * ROWS_PER_TRANSACTION * 170;
  return {
    gtid: `3e11fa47-71ca-11e1-9e33-c80aa9429562:${number + 1}`,
    serverId: 1,
    serverUuid: '3e11fa47-71ca-11e1-9e33-c80aa9429562',
    file: 'binlog.000001',
    offset,
    commitMicros: Date.now() * 1000,
    versionPrefix: versionPrefix(1, 'binlog.000001', offset),
  };
}
