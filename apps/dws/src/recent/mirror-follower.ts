import { Injectable } from '@nestjs/common';
import { encodeKeyValues, type TableLayout } from '#change-events';
import { type DittoConfig, requireSection, toRedisOptions } from '#configuration';
import { MongoMirroredKeys } from '#mongo';
import { createLogger, InjectConfig, LongWork, Shutdown } from '#platform';
import { RedisConnection, RedisRecentPlaces } from '#redis';
import { isCopied, type TableRecord } from '#replication';
import { StateDatabase, StateTableStore } from '#state';
import { MirrorConnection } from '../connections/mirror-connection.ts';
import { RecurringJobs } from '../jobs/recurring-jobs.ts';
import { JobMetrics } from '../metrics/job-metrics.ts';
import { VerifiedSources } from '../verification/verified-sources.ts';
import { lookThrough, type MirrorLook } from './mirror-look.ts';
import { MirrorTurns, type VersionRange } from './mirror-turns.ts';
import { RecentRows } from './recent-rows.ts';

const EVERY_MS = 500;
const PAGE_KEYS = 1_000;
/** One look notes about as many keys as a second of a topic; what is more is passed over. */
const MOST_KEYS = 20_000;
const LOOK_MS = 5_000;
/** A table that comes is noticed so soon. */
const TABLES_KEPT_MS = 2_000;

/**
 * Notes the keys of the rows that change, from the mirror of the sources without topics. The checkpoint says up to which
 * version all changes are in the mirror: each turn looks, by the indexes on `v`, for what is newer than the turn before. It
 * is taken by any worker, which then verifies what it has found; a source has one turn at a time.
 */
@Injectable()
export class MirrorFollower extends LongWork {
  readonly #config: DittoConfig;
  readonly #rows: RecentRows;
  readonly #state: StateDatabase;
  readonly #tables: StateTableStore;
  readonly #mirror: MirrorConnection;
  readonly #turns: MirrorTurns;
  readonly #jobs: RecurringJobs<{ readonly source: string }, { readonly keys: number }> | null;
  readonly #records = new Map<string, { readonly readAtMs: number; readonly records: readonly TableRecord[] }>();

  constructor(
    @InjectConfig() config: DittoConfig,
    rows: RecentRows,
    sources: VerifiedSources,
    redis: RedisConnection,
    state: StateDatabase,
    mirror: MirrorConnection,
    metrics: JobMetrics,
    shutdown: Shutdown,
  ) {
    super(shutdown);
    this.#config = config;
    this.#rows = rows;
    this.#state = state;
    this.#tables = new StateTableStore(state);
    this.#mirror = mirror;
    this.#turns = new MirrorTurns({
      places: new RedisRecentPlaces(redis),
      readCheckpoint: async (source, signal) =>
        (await (await sources.open(source)).stream.readCheckpoint(signal)).version,
      look: (source, range, signal) => this.#lookThrough(source, range, signal),
      onGap: (source, reason) => rows.noteGap(source, reason),
    });
    const names = rows.listFollowed('mongo', config).map(({ name }) => name);
    this.#jobs =
      names.length === 0
        ? null
        : new RecurringJobs({
            name: 'recent',
            redis: toRedisOptions(config.redis),
            prefix: redis.keys.jobs(),
            everyMs: EVERY_MS,
            // a source that does not answer keeps no other waiting
            concurrency: names.length,
            schedules: new Map(names.map((source) => [source, { source }])),
            run: ({ source }, signal) => this.#turns.run(source, signal),
            keptResults: 0,
            signal: shutdown.signal,
            metrics,
            logger: createLogger('verification'),
          });
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    if (this.#jobs === null) return;
    await this.#state.whenOpened(signal);
    await this.#jobs.run();
  }

  /** Why the changes of the source could not be looked for lately; null while they are, and for a source with topics. */
  holdingBecause(source: string): string | null {
    return this.#turns.holdingBecause(source);
  }

  async #lookThrough(source: string, range: VersionRange, signal: AbortSignal): Promise<MirrorLook> {
    const mirror = await this.#openMirror(source);
    await mirror.awaitMajority();
    return lookThrough({
      layouts: await this.#listTables(source),
      list: (layout) => mirror.listChanged({ layout, ...range, limit: PAGE_KEYS }),
      note: (layout, rows) => {
        const keys = rows.map((row) => encodeKeyValues(layout, row));
        this.#rows.note(source, layout, keys);
      },
      ...{ mostKeys: MOST_KEYS, mostMs: LOOK_MS, signal },
    });
  }

  async #openMirror(source: string): Promise<MongoMirroredKeys> {
    const { databasePrefix } = requireSection(this.#config.mongo, 'mongo');
    const connection = await this.#mirror.open();
    return new MongoMirroredKeys({ connection, source, databasePrefix, logger: createLogger('mongo') });
  }

  /** Those whose rows can be verified now. */
  async #listTables(source: string): Promise<readonly TableLayout[]> {
    let known = this.#records.get(source);
    if (known === undefined || performance.now() >= known.readAtMs + TABLES_KEPT_MS) {
      known = { readAtMs: performance.now(), records: await this.#tables.load(source) };
      this.#records.set(source, known);
    }
    return known.records.flatMap((record) => {
      const layout = record.adopted?.layout ?? null;
      return isCopied(record) === 'yes' && layout !== null && layout.key.length > 0 ? [layout] : [];
    });
  }
}
