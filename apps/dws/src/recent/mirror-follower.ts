import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { encodeKeyValues, type TableLayout } from '#change-events';
import { type DittoConfig, requireSection, toRedisOptions } from '#configuration';
import { DittoError, isAbort, toDittoError, withTimeout } from '#kernel';
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
import { RecentRows } from './recent-rows.ts';

const EVERY_MS = 500;
const PAGE_KEYS = 1_000;
/** One look notes about as many keys as a second of a topic; what is more is passed over. */
const MOST_KEYS = 20_000;
const LOOK_MS = 5_000;
/** A turn that MongoDB does not answer is given up; a worker that is killed leaves its turn to the others soon after. */
const TURN_MS = 10_000;
const TURN_KEPT_MS = 15_000;
/** Another worker may have had the turns since, so an error that was not met again is not kept for longer. */
const TROUBLE_KEPT_MS = 60_000;
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
  readonly #sources: VerifiedSources;
  readonly #places: RedisRecentPlaces;
  readonly #jobs: RecurringJobs<{ readonly source: string }, { readonly keys: number }> | null;
  readonly #records = new Map<string, { readonly readAtMs: number; readonly records: readonly TableRecord[] }>();

  readonly #troubles = new Map<string, { readonly reason: string; readonly atMs: number }>();
  /** Sources whose place was known before. */
  readonly #placed = new Set<string>();

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
    this.#sources = sources;
    this.#state = state;
    this.#tables = new StateTableStore(state);
    this.#mirror = mirror;
    this.#places = new RedisRecentPlaces(redis);
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
            run: ({ source }, signal) => this.#turn(source, signal),
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
    const trouble = this.#troubles.get(source);
    return trouble !== undefined && performance.now() < trouble.atMs + TROUBLE_KEPT_MS ? trouble.reason : null;
  }

  async #turn(source: string, signal: AbortSignal): Promise<{ readonly keys: number }> {
    const owner = randomUUID();
    try {
      // the queue brings the next turn when this one begins
      if (!(await this.#places.beginTurn(source, owner, TURN_KEPT_MS))) return { keys: 0 };
      try {
        const keys = await this.#look(source, owner, signal);
        this.#troubles.delete(source);
        return { keys };
      } finally {
        // else it ends by itself
        await this.#places.endTurn(source, owner).catch(() => undefined);
      }
    } catch (error) {
      if (!isAbort(error)) {
        const { code, message } = toDittoError(error);
        this.#troubles.set(source, { reason: `${code}: ${message}`, atMs: performance.now() });
      }
      throw error;
    }
  }

  async #look(source: string, owner: string, signal: AbortSignal): Promise<number> {
    const { version: upTo } = await this.#sources.find(source).stream.readCheckpoint(signal);
    const above = await this.#places.load(source);
    if (above !== null) this.#placed.add(source);
    else if (this.#placed.delete(source)) this.#rows.noteGap(source, 'place lost');
    let keys = 0;
    // a lineage that is raised makes higher versions; a lower one is of a stream that began again, and its place is kept
    // once the higher one is forgotten
    if (above !== null && above < upTo) {
      const late = (): Error =>
        new DittoError('DITTO_MONGO_UNAVAILABLE', `the mirror of ${source} did not answer for ${TURN_MS} ms`, {
          retriable: true,
        });
      const looked = await withTimeout(this.#lookThrough(source, { above, upTo }, signal), TURN_MS, late);
      if (!looked.isWhole) this.#rows.noteGap(source, 'too many');
      keys = looked.keys;
    }
    if (await this.#places.save(source, owner, upTo)) this.#placed.add(source);
    return keys;
  }

  async #lookThrough(
    source: string,
    range: { readonly above: string; readonly upTo: string },
    signal: AbortSignal,
  ): Promise<MirrorLook> {
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
