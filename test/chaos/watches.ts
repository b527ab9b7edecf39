import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import mongoose from 'mongoose';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import type { Deployment } from './deployment.ts';
import { ways } from './plan.ts';

/** Looks at something again and again; a server that does not answer is asked again later. */
abstract class Watch {
  readonly #stop = new AbortController();
  readonly #everyMs: number;
  #work: Promise<void> = Promise.resolve();

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  begin(): void {
    this.#work = this.#run();
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#work;
    await this.close();
  }

  abstract look(): Promise<void>;

  protected close(): Promise<void> {
    return Promise.resolve();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.look().catch(() => undefined); // a fault is under way there
      await sleep(this.#everyMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** I3: no version of a document ever decreases, and none disappears (tombstones are kept for a day). */
export class MirrorWatch extends Watch {
  readonly failures: string[] = [];
  /** Documents that were compared with themselves, as they were before. */
  comparisons = 0;
  readonly #client: mongoose.mongo.MongoClient;
  readonly #seen = new Map<string, string>();

  constructor(url: string) {
    super(3_000);
    this.#client = new mongoose.mongo.MongoClient(url, { serverSelectionTimeoutMS: 2_000, socketTimeoutMS: 10_000 });
  }

  async look(): Promise<void> {
    for (const way of ways) {
      const database = this.#client.db(`ditto_${way}`);
      for (const { name } of await database.listCollections({}, { nameOnly: true }).toArray()) {
        const documents = await database
          .collection(name)
          .find({}, { projection: { v: 1 } })
          .toArray();
        for (const { _id, v } of documents) this.note(`${name} ${JSON.stringify(_id)}`, String(v));
      }
    }
  }

  note(document: string, version: string): void {
    const before = this.#seen.get(document);
    if (before !== undefined) this.comparisons++;
    if (before !== undefined && version < before)
      this.failures.push(`the mirror went back: ${document} from ${before} to ${version}`);
    this.#seen.set(document, version);
  }

  protected override close(): Promise<void> {
    return this.#client.close();
  }
}

interface CheckpointRow extends RowDataPacket {
  readonly name: string;
  readonly newestToken: number;
  readonly token: number;
  readonly version: string;
}

/** I5: a checkpoint never goes back, and none is written with a token after a newer one was granted. */
export class CheckpointWatch extends Watch {
  readonly failures: string[] = [];
  writes = 0;
  readonly #url: string;
  readonly #seen = new Map<string, CheckpointRow>();

  constructor(url: string) {
    super(250);
    this.#url = url;
  }

  async look(): Promise<void> {
    const connection = await createConnection({ uri: `${this.#url}/chaos_state`, connectTimeout: 2_000 });
    connection.on('error', () => undefined); // rejects what is under way
    try {
      const [rows] = await connection.query<CheckpointRow[]>({
        sql: `SELECT s.name, s.token AS newestToken, c.token, c.version FROM sources s JOIN checkpoints c ON c.source = s.name`,
        timeout: 5_000,
      });
      for (const row of rows) this.note(row);
    } finally {
      connection.destroy();
    }
  }

  note(row: CheckpointRow): void {
    const before = this.#seen.get(row.name);
    this.#seen.set(row.name, row);
    if (before === undefined || (before.version === row.version && before.token === row.token)) return;
    this.writes++;
    if (row.version < before.version || row.token < before.token)
      this.failures.push(`the checkpoint of ${row.name} went back: ${describe(before)}, then ${describe(row)}`);
    if (row.token < before.newestToken)
      this.failures.push(`a checkpoint of ${row.name} from a stale owner: ${describe(before)}, then ${describe(row)}`);
  }
}

function describe({ token, version, newestToken }: CheckpointRow): string {
  return `version ${version}, token ${token} of ${newestToken}`;
}

/** The most memory that each kind of service took, and services that ended by themselves. */
export class ServiceWatch extends Watch {
  readonly memoryBytes: Record<string, number> = {};
  readonly ended = new Set<string>();
  readonly #deployment: Deployment;

  constructor(deployment: Deployment) {
    super(500);
    this.#deployment = deployment;
  }

  look(): Promise<void> {
    for (const ended of this.#deployment.findEnded()) this.ended.add(ended);
    for (const [name, { pid }] of this.#deployment.running) {
      const kind = name.slice(0, 3);
      this.memoryBytes[kind] = Math.max(this.memoryBytes[kind] ?? 0, readResidentBytes(pid));
    }
    return Promise.resolve();
  }
}

function readResidentBytes(pid: number): number {
  try {
    return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0; // it has ended
  }
}

const BUCKET = /^ditto_dss_commit_to_sink_seconds_bucket\{(.*)\} (\d+)/;

/** DSS's own histogram from commit to confirmation, over all its processes; not of one whose clock is wrong. */
export class LatencyWatch extends Watch {
  readonly #deployment: Deployment;
  /** By sink and upper bound, of processes as they were asked last. */
  readonly #byProcess = new Map<number, Map<string, number>>();

  constructor(deployment: Deployment) {
    super(1_000);
    this.#deployment = deployment;
  }

  async look(): Promise<void> {
    for (const [name, { url, pid }] of this.#deployment.running) {
      if (!name.startsWith('dss-') || this.#deployment.hasHadWrongClock.has(pid)) continue;
      const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
      if (answer?.ok === true) this.#byProcess.set(pid, readBuckets(await answer.text()));
    }
  }

  /** Upper bounds of the 99th percentile, in seconds, by sink. */
  p99Seconds(): Record<string, number> {
    const sums = new Map<string, Map<number, number>>();
    for (const [pid, buckets] of this.#byProcess) {
      if (this.#deployment.hasHadWrongClock.has(pid)) continue;
      for (const [key, count] of buckets) {
        const [sink = '', bound = ''] = key.split(' ');
        const bySink = sums.get(sink) ?? new Map<number, number>();
        const seconds = bound === '+Inf' ? Infinity : Number(bound);
        sums.set(sink, bySink.set(seconds, (bySink.get(seconds) ?? 0) + count));
      }
    }
    return Object.fromEntries([...sums].map(([sink, bySink]) => [sink, findPercentile(bySink, 0.99)]));
  }
}

function readBuckets(metrics: string): Map<string, number> {
  const buckets = new Map<string, number>();
  for (const line of metrics.split('\n')) {
    const [, labels = '', count] = BUCKET.exec(line) ?? [];
    const [sink, bound] = [/sink="([^"]+)"/.exec(labels)?.[1], /le="([^"]+)"/.exec(labels)?.[1]];
    if (sink === undefined || bound === undefined) continue;
    buckets.set(`${sink} ${bound}`, (buckets.get(`${sink} ${bound}`) ?? 0) + Number(count));
  }
  return buckets;
}

/** Counts are cumulative: each is of all values up to its bound. */
export function findPercentile(counts: ReadonlyMap<number, number>, share: number): number {
  const bounds = [...counts].sort(([a], [b]) => a - b);
  const all = counts.get(Infinity) ?? 0;
  return bounds.find(([, count]) => count >= share * all)?.[0] ?? Infinity;
}
