import { type DeliveryResult, measureDelivery } from './delivery.ts';
import { type BenchEnvironment } from './environment.ts';
import { createTopic } from './kafka-topic.ts';
import { type CeilingResult, compareWithCeiling } from './mongo-ceiling.ts';
import { type SnapshotOptions } from './options.ts';
import { createTable, writeBacklog } from './workload.ts';

const FILL_ROWS_PER_TRANSACTION = 1000;

export interface SnapshotResult extends DeliveryResult, CeilingResult {
  readonly rows: number;
}

/** The rows are in the table before the source is seen for the first time: all of them come as `read`. */
export async function runSnapshot(environment: BenchEnvironment, { rows }: SnapshotOptions): Promise<SnapshotResult> {
  const { stack, database, say, signal, sinks } = environment;
  const mysql = stack.url('mysql-primary');
  await createTable(mysql, database);
  if (sinks.includes('kafka')) await createTopic(environment);
  say(`Writing ${rows} rows …`);
  await writeBacklog(mysql, database, { rows, rowsPerTransaction: FILL_ROWS_PER_TRANSACTION }, signal);
  say('The table is filled. DSS starts.');
  const delivered = await measureDelivery(environment, rows);
  return { rows, ...delivered, ...(await compareWithCeiling(environment, rows, delivered)) };
}
