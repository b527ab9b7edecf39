import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { DcsClient } from '#dcs-client';
import { type MongoConnection, openMongo, TombstoneSweeper } from '#mongo';
import { type DittoConfig, requireSection, toMongoOptions } from '#configuration';
import { createLogger, InjectConfig } from '#platform';
import { JobMetrics } from '../metrics/job-metrics.ts';

export interface SweepOutcome {
  /** Collections that were looked through. */
  readonly collections: number;
  readonly removed: number;
  /** The checkpoint's; null while the source has none: then nothing is removed. */
  readonly belowVersion: string | null;
}

/** Removes tombstones that are older than `mongo.tombstoneRetentionMs` *and* below the checkpoint of their source. */
@Injectable()
export class MirrorSweeper implements OnApplicationShutdown {
  readonly #config: DittoConfig;
  readonly #dcs: DcsClient;
  readonly #metrics: JobMetrics;
  readonly #logger = createLogger('sweeps');
  #connection: Promise<MongoConnection> | null = null;

  constructor(@InjectConfig() config: DittoConfig, dcs: DcsClient, metrics: JobMetrics) {
    this.#config = config;
    this.#dcs = dcs;
    this.#metrics = metrics;
  }

  /** Rejects with a coded error when DCS or MongoDB does not answer; what was already removed stays removed. */
  async sweep(source: string, signal: AbortSignal): Promise<SweepOutcome> {
    const { databasePrefix, writeConcern, tombstoneRetentionMs } = requireSection(this.#config.mongo, 'mongo');
    const belowVersion = (await this.#dcs.getOffset(source))?.checkpoint.version ?? '';
    if (belowVersion === '') return { collections: 0, removed: 0, belowVersion: null };
    const connection = await this.#open();
    const sweeper = new TombstoneSweeper({ connection, databasePrefix, writeConcern, logger: this.#logger });
    const { collections, removed } = await sweeper.sweep({
      source,
      olderThanMs: tombstoneRetentionMs,
      belowVersion,
      signal,
    });
    this.#metrics.swept(source, removed);
    return { collections, removed, belowVersion };
  }

  async onApplicationShutdown(): Promise<void> {
    await (await this.#connection)?.close();
  }

  /** At the first sweep, and again after an attempt that failed. */
  async #open(): Promise<MongoConnection> {
    const options = toMongoOptions(requireSection(this.#config.mongo, 'mongo'));
    this.#connection ??= openMongo({ ...options, maxConnections: 2, waitForServer: false, logger: this.#logger });
    try {
      return await this.#connection;
    } catch (error) {
      this.#connection = null;
      throw error;
    }
  }
}
