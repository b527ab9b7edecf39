import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type BenchEnvironment } from './environment.ts';
import { KafkaArrivals, watchKafka } from './kafka-arrivals.ts';
import { KafkaTopic } from './kafka-topic.ts';
import { type LatencyOptions } from './options.ts';
import { type Committed, writeSteadily } from './steady-writer.ts';
import { createTable, dropDatabase } from './workload.ts';

export type LatencyFloor = ReturnType<KafkaArrivals['delays']>;

/**
 * The same load on the same servers, but each row given to Kafka by a process to which the writer reports its commits:
 * what writing, Kafka and the measuring take by themselves on this machine.
 */
export async function measureFloor(
  { stack, brokers, topic: dssTopic, database: dssDatabase, options: settings, signal }: BenchEnvironment,
  { rate, seconds, rowsPerTransaction, read }: LatencyOptions,
  warmUpSeconds: number,
): Promise<LatencyFloor> {
  const [topic, database, mysql] = [`${dssTopic}.floor`, `${dssDatabase}_floor`, stack.url('mysql-primary')];
  const created = new KafkaTopic(brokers, topic);
  await created.connect();
  await created.create(settings.partitions);
  await created.close();
  await createTable(mysql, database);
  const publisher = fork(
    join(import.meta.dirname, 'floor-publisher.ts'),
    [brokers.join(','), topic, String(settings.partitions), settings.compression],
    { signal },
  );
  const ended = new AbortController();
  try {
    await once(publisher, 'message', { signal });
    const rows = rate * (seconds + warmUpSeconds);
    const arrivals = new KafkaArrivals({ last: rows, skipped: rate * warmUpSeconds });
    const watch = (): Promise<void> => watchKafka(brokers, topic, arrivals, AbortSignal.any([signal, ended.signal]));
    const live = read === 'live' ? watch() : null;
    const onCommitted = (committed: Committed): void => {
      publisher.send(committed);
    };
    const load = { database, ratePerSecond: rate, rowsPerTransaction, rows, onCommitted };
    await Promise.race([writeSteadily(mysql, load, signal), ...(live === null ? [] : [live])]);
    await (live ?? watch());
    return arrivals.delays(read);
  } finally {
    ended.abort();
    publisher.kill();
    await dropDatabase(mysql, database);
  }
}
