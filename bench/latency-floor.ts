import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { sleep } from '#kernel';
import { Arrivals } from './arrivals.ts';
import { type BenchEnvironment } from './environment.ts';
import { watchKafka } from './kafka-arrivals.ts';
import { KafkaTopic } from './kafka-topic.ts';
import { type LatencyOptions } from './options.ts';
import { type Percentiles, percentilesOf } from './statistics.ts';
import { type Committed, writeSteadily } from './steady-writer.ts';
import { createTable, dropDatabase } from './workload.ts';

export interface LatencyFloor {
  readonly kafkaMs: Percentiles;
  readonly kafkaAppendMs: Percentiles;
}

/**
 * The same load on the same servers, but each row given to Kafka by a process that the writer tells of its commits:
 * what writing, Kafka and the measuring take by themselves on this machine.
 */
export async function measureFloor(
  { stack, brokers, topic: dssTopic, database: dssDatabase, options: settings, signal }: BenchEnvironment,
  { rate, seconds, rowsPerTransaction }: LatencyOptions,
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
    const [arrivals, appends] = [0, 1].map(() => new Arrivals({ last: rows, skipped: rate * warmUpSeconds }));
    if (arrivals === undefined || appends === undefined) throw new TypeError('two were made');
    const watching = watchKafka(brokers, topic, { arrivals, appends }, AbortSignal.any([signal, ended.signal]));
    const onCommitted = (committed: Committed): void => {
      publisher.send(committed);
    };
    const load = { database, ratePerSecond: rate, rowsPerTransaction, rows, onCommitted };
    await Promise.race([writeSteadily(mysql, load, signal), watching]);
    while (!arrivals.complete) await Promise.race([sleep(50, signal), once(publisher, 'exit')]);
    await watching;
    return { kafkaMs: percentilesOf(arrivals.delaysMs), kafkaAppendMs: percentilesOf(appends.delaysMs) };
  } finally {
    ended.abort();
    publisher.kill();
    await dropDatabase(mysql, database);
  }
}
