import { type DeliveryResult, measureDelivery } from './delivery.ts';
import { type BenchEnvironment } from './environment.ts';
import { createTopic } from './kafka-topic.ts';
import { type CeilingResult, compareWithCeiling } from './mongo-ceiling.ts';
import { type DrainOptions } from './options.ts';
import { createTable, writeBacklog } from './workload.ts';

export interface DrainResult extends DeliveryResult, CeilingResult {
  readonly rows: number;
  readonly rowsPerTransaction: number;
}

/** A backlog of transactions is in the log before DSS continues from its checkpoint. */
export async function runDrain(environment: BenchEnvironment, options: DrainOptions): Promise<DrainResult> {
  const { stack, database, say, signal, sinks } = environment;
  const { rows, rowsPerTransaction } = options;
  const mysql = stack.url('mysql-primary');
  await createTable(mysql, database);
  if (sinks.includes('kafka')) await createTopic(environment);
  await setCheckpoint(environment);
  say(`Writing ${rows} rows in transactions of ${rowsPerTransaction} …`);
  await writeBacklog(mysql, database, { rows, rowsPerTransaction }, signal);
  say('The backlog is written. DSS starts.');
  const delivered = await measureDelivery(environment, rows);
  return { rows, rowsPerTransaction, ...delivered, ...(await compareWithCeiling(environment, rows, delivered)) };
}

/** Lets DSS see the source once: its checkpoint is then before the backlog. */
async function setCheckpoint(environment: BenchEnvironment): Promise<void> {
  environment.say('DSS sees the source for the first time …');
  const dss = environment.startDss();
  await environment.watch(dss, 100, ({ state, checkpoint }) => state === 'streaming' && checkpoint !== null);
  await dss.stop();
}
