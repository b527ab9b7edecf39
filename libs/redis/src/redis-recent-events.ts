import { type Redis } from 'ioredis';
import { mergeNewest, type StreamEntry } from './merge-newest.ts';
import { type RedisConnection } from './redis-connection.ts';

/** One change as it is in Kafka. Times are milliseconds since 1970. */
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

export type TableGap = RecentEventGap & { readonly table: string };

export interface WindowBounds {
  readonly perTable: number;
  readonly maxAgeMs: number;
}

const PAGE_SIZE = 500;
const MAX_GAPS = 200;
/** Of a search in all tables: the tables looked at, newest first; what is read of one at a time; what is read in all. */
const MOST_TABLES = 1_000;
const SMALL_PAGE = 20;
const MOST_READ = 20_000;
/** Tables whose gaps are read at a time. */
const TABLES_AT_ONCE = 20;

export interface RecentEventSearch {
  /** Newest first, by when they were put into the window. */
  readonly events: readonly (RecentEvent & { readonly table: string })[];
  /** Newest first. */
  readonly gaps: readonly TableGap[];
  /** Of all gaps, those above the limit too. */
  readonly skippedEvents: number;
  /** Whether there may be more in what was not looked at. */
  readonly isCutShort: boolean;
}

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
    const values = [table, MAX_GAPS, this.#bounds.maxAgeMs, '', JSON.stringify(gap)];
    await this.#redis.runScript('dittoAppendEvents', [keys.gaps(source, table), keys.tables(source)], values);
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
        if (!last || page.length < PAGE_SIZE) break;
        end = `(${last.id}`;
      }
      return found.slice(0, limit);
    });
  }

  /** In all tables. What is read and held depends on `limit`, not on the number of tables times `limit`. */
  async search(
    source: string,
    limit: number,
    matches: (key: string) => boolean = () => true,
  ): Promise<RecentEventSearch> {
    const { keys } = this.#redis;
    return this.#redis.run(async (client) => {
      const flat = await client.zrevrange(keys.tables(source), 0, MOST_TABLES, 'WITHSCORES');
      const found = flat.flatMap((table, i) => (i % 2 === 0 ? [{ table, newestMs: Number(flat[i + 1]) }] : []));
      const tables = found.slice(0, MOST_TABLES);
      const oldest = String(Date.now() - this.#bounds.maxAgeMs);
      const readEvents = (table: string, end: string) =>
        readPage(client, keys.events(source, table), end, oldest, SMALL_PAGE);
      const merged = await mergeNewest({ tables, limit, mostRead: MOST_READ, matches, readEvents });
      const gaps = await this.#searchGaps(
        client,
        source,
        tables.map(({ table }) => table),
        limit,
      );
      return {
        events: merged.events.map(({ table, entry }) => ({ ...(JSON.parse(entry) as RecentEvent), table })),
        gaps: gaps.newest,
        skippedEvents: gaps.skippedEvents,
        isCutShort: merged.isCutShort || gaps.isCutShort || found.length > MOST_TABLES,
      };
    });
  }

  /** Newest first. */
  async listGaps(source: string, table: string): Promise<readonly RecentEventGap[]> {
    return this.#redis.run((client) => this.#readGaps(client, source, table));
  }

  async #searchGaps(client: Redis, source: string, tables: readonly string[], limit: number) {
    let newest: readonly TableGap[] = [];
    let skippedEvents = 0;
    let read = 0;
    for (let start = 0; start < tables.length; start += TABLES_AT_ONCE) {
      if (read >= MOST_READ) return { newest, skippedEvents, isCutShort: true };
      const some = tables.slice(start, start + TABLES_AT_ONCE);
      const pages = await Promise.all(
        some.map(async (table) => (await this.#readGaps(client, source, table)).map((gap) => ({ ...gap, table }))),
      );
      const gaps = pages.flat();
      read += gaps.length;
      for (const { skipped } of gaps) skippedEvents += skipped;
      newest = [...newest, ...gaps].sort((a, b) => b.toMs - a.toMs).slice(0, limit);
    }
    return { newest, skippedEvents, isCutShort: false };
  }

  async #readGaps(client: Redis, source: string, table: string): Promise<readonly RecentEventGap[]> {
    const oldest = String(Date.now() - this.#bounds.maxAgeMs);
    const page = await readPage(client, this.#redis.keys.gaps(source, table), '+', oldest);
    return page.map(({ entry }) => JSON.parse(entry) as RecentEventGap);
  }
}

async function readPage(
  client: Redis,
  stream: string,
  end: string,
  oldest: string,
  size = PAGE_SIZE,
): Promise<readonly StreamEntry[]> {
  const entries = await client.xrevrange(stream, end, oldest, 'COUNT', size);
  return entries.map(([id, [, key = '', , entry = 'null']]) => ({ id, key, entry }));
}
