// A process that publishes rows when their commits are reported to it: fork(…, [brokers, topic, partitions]).
import { type KafkaCompression, batchOf, PlatformaticKafkaClient } from '#kafka';
import { silentLogger } from '#kernel';
import { type Committed } from './steady-writer.ts';

/** About what a row's message holds in addition to its id and time. */
const filler = 'x'.repeat(480);

const [brokers = '', topic = '', partitions = '', compression = 'none'] = process.argv.slice(2);
const client = new PlatformaticKafkaClient({
  brokers: brokers.split(','),
  clientId: 'bench-floor',
  logger: silentLogger,
  compression: compression as KafkaCompression,
});
const queues = Array.from({ length: Number(partitions) }, () => ({ rows: [] as [number, string][], isBusy: false }));

async function publish(partition: number): Promise<void> {
  const queue = queues[partition];
  if (queue === undefined || queue.isBusy) return;
  queue.isBusy = true;
  while (queue.rows.length > 0) {
    const records = queue.rows.map(([id, placedAt]) => ({
      key: JSON.stringify({ id }),
      value: JSON.stringify({ before: null, after: { id, placed_at: placedAt, filler } }),
      headers: {},
    }));
    queue.rows = [];
    await client.produce(topic, partition, batchOf(records));
  }
  queue.isBusy = false;
}

process.on('message', ({ first, count, placedAt }: Committed) => {
  for (let id = first; id < first + count; id++) queues[id % queues.length]?.rows.push([id, placedAt]);
  for (const partition of queues.keys()) void publish(partition);
});
await client.connect();
process.send?.('ready');
