import { silentLogger } from '#kernel';

import { type FoldStore } from '../src/fold/fold-store.ts';
import { TopicFolds, TopicReader } from '../src/index.ts';

/** Folds a topic in a process of its own, so that its memory is the fold's; prints what it took as JSON. */
function countKeys(store: FoldStore): number {
  let count = 0;
  for (let page = store.list(null, 1_000); page.length > 0; page = store.list(page.at(-1) as Buffer, 1_000))
    count += page.length;
  return count;
}

const [brokers = '', topic = '', folder = ''] = process.argv.slice(2);
const { signal } = new AbortController();
const reader = new TopicReader({ brokers: brokers.split(','), clientId: 'fold', logger: silentLogger });
const folds = new TopicFolds({ reader, folder, maxBytes: 4 * 2 ** 30, logger: silentLogger });
await reader.findExtent(topic);
globalThis.gc?.();
const before = process.memoryUsage().rss;
let highest = before;
const watch = setInterval(() => (highest = Math.max(highest, process.memoryUsage().rss)), 20);
const beganMs = performance.now();
const cpu = process.cpuUsage();
await folds.use(topic, signal, () => null);
const tookMs = performance.now() - beganMs;
const { user, system } = process.cpuUsage(cpu);
const cpuMs = (user + system) / 1000;
const keys = await folds.use(topic, signal, (store) => (store === null ? 0 : countKeys(store)));
const grownBytes = Math.max(highest, process.memoryUsage().rss) - before;
const { messages, bytes } = folds.status().get(topic) ?? { messages: 0, bytes: 0 };
clearInterval(watch);
await folds.close();
await reader.close();
process.stdout.write(JSON.stringify({ keys, messages, bytes, tookMs, cpuMs, grownBytes }));
