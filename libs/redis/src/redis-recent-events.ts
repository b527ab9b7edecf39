import { type Redis } from 'ioredis';
import { type RedisConnection } from './redis-connection.ts';

/** One change as it stands in Kafka. Times are milliseconds since 1970. */
export interface RecentEvent {
  /** The message key, JSON text; null for a table without a key. */
  readonly key: string | null;
  readonly op: string;
  /** The headers `ditto.id` and `ditto.version`. */
  readonly id: string;
  readonly version: string;
  readonly gtid: string | null;
  readonly commitMs: number;
  readonly publishedMs: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** The message value, JSON text; null when it was left out because of its size. */
  readonly value: string | null;
  /** Size of a value that was left out; else 0. */
  readonly omittedBytes: number;
}

/** Events that the window of a table lacks, because there were more than are kept per second. */
export interface RecentEventGap {
  readonly skipped: number;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface WindowBounds {
  readonly perTable: number;
  readonly maxAgeMs: number;
}

const pageSize = 500;
const maxGaps = 200;

/** A window of recent events per table, bounded by count and age. Appending twice shows an event twice. */
export class RedisRecentEvents {
  readonly #redis: RedisConnection;
  readonly #bounds: WindowBounds;

  constructor(redis: RedisConnection, bounds: WindowBounds) {
    this.#redis = redis;
    this.#bounds = bounds;
  }

  /** `table` is `database.table`. */
  async append(source: string, table: string, events: readonly RecentEvent[]): Promise<void> {
    if (events.length === 0) return;
    const { keys } = this.#redis;
    const keysAndEntries = events.flatMap((event) => [event.key ?? '', JSON.stringify(event)]);
    const values = [table, this.#bounds.perTable, this.#bounds.maxAgeMs, ...keysAndEntries];
    await this.#redis.runScript('dittoAppendEvents', [keys.events(source, table), keys.tables(source)], values);
  }

  async appendGap(source: string, table: string, gap: RecentEventGap): Promise<void> {
    const { keys } = this.#redis;
    const values = [table, maxGaps, this.#bounds.maxAgeMs, '', JSON.stringify(gap)];
    await this.#redis.runScript('dittoAppendEvents', [keys.gaps(source, table), keys.tables(source)], values);
  }

  /** Tables with events or gaps in the window. */
  async listTables(source: string): Promise<readonly string[]> {
    const tables = await this.#redis.run((client) => client.zrange(this.#redis.keys.tables(source), 0, -1));
    return tables.sort();
  }

  /** Newest first, at most `limit`; only those whose message key `matches`. An event without a key has the key ''. */
  async query(
    source: string,
    table: string,
    limit: number,
    matches: (key: string) => boolean = () => true,
  ): Promise<readonly RecentEvent[]> {
    const stream = this.#redis.keys.events(source, table);
    return this.#redis.run(async (client) => {
      const found: RecentEvent[] = [];
      const oldest = String(Date.now() - this.#bounds.maxAgeMs);
      for (let end = '+'; found.length < limit;) {
        const page = await readPage(client, stream, end, oldest);
        for (const entry of page) if (matches(entry.key)) found.push(JSON.parse(entry.entry) as RecentEvent);
        const last = page.at(-1);
        if (!last || page.length < pageSize) break;
        end = `(${last.id}`;
      }
      return found.slice(0, limit);
    });
  }

  /** Newest first. */
  async listGaps(source: string, table: string): Promise<readonly RecentEventGap[]> {
    const stream = this.#redis.keys.gaps(source, table);
    const page = await this.#redis.run((client) =>
      readPage(client, stream, '+', String(Date.now() - this.#bounds.maxAgeMs)),
    );
    return page.map(({ entry }) => JSON.parse(entry) as RecentEventGap);
  }
}

interface StreamEntry {
  readonly id: string;
  readonly key: string;
  readonly entry: string;
}

async function readPage(client: Redis, stream: string, end: string, oldest: string): Promise<readonly StreamEntry[]> {
  const entries = await client.xrevrange(stream, end, oldest, 'COUNT', pageSize);
  return entries.map(([id, [, key = '', , entry = 'null']]) => ({ id, key, entry }));
}
