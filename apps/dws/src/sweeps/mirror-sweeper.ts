import { Injectable } from '@nestjs/common';
import { GtidSet } from '#change-events';
import { DcsClient } from '#dcs-client';
import { TombstoneSweeper } from '#mongo';
import { type DittoConfig, requireSection } from '#configuration';
import { createLogger, InjectConfig } from '#platform';
import { MirrorConnection } from '../connections/mirror-connection.ts';
import { JobMetrics } from '../metrics/job-metrics.ts';

export interface SweepOutcome {
  /** Collections that were looked through. */
  readonly collections: number;
  readonly removed: number;
  /** The checkpoint's; null while the source has none: then nothing is removed. */
  readonly belowVersion: string | null;
}

/** Removes tombstones that are older than `mongo.tombstoneRetentionMs` *and* covered by the checkpoint of their source. */
@Injectable()
export class MirrorSweeper {
  readonly #config: DittoConfig;
  readonly #dcs: DcsClient;
  readonly #mirror: MirrorConnection;
  readonly #metrics: JobMetrics;
  readonly #logger = createLogger('sweeps');

  constructor(@InjectConfig() config: DittoConfig, dcs: DcsClient, mirror: MirrorConnection, metrics: JobMetrics) {
    this.#config = config;
    this.#dcs = dcs;
    this.#mirror = mirror;
    this.#metrics = metrics;
  }

  /** Rejects with a coded error when DCS or MongoDB does not answer; what was already removed stays removed. */
  async sweep(source: string, signal: AbortSignal): Promise<SweepOutcome> {
    const { databasePrefix, writeConcern, tombstoneRetentionMs } = requireSection(this.#config.mongo, 'mongo');
    const checkpoint = (await this.#dcs.getOffset(source))?.checkpoint;
    const belowVersion = checkpoint?.version ?? '';
    if (checkpoint === undefined || belowVersion === '') return { collections: 0, removed: 0, belowVersion: null };
    const connection = await this.#mirror.open();
    const sweeper = new TombstoneSweeper({ connection, databasePrefix, writeConcern, logger: this.#logger });
    const { collections, removed } = await sweeper.sweep({
      source,
      olderThanMs: tombstoneRetentionMs,
      belowVersion,
      covered: GtidSet.parse(checkpoint.position.gtidSet),
      signal,
    });
    this.#metrics.swept(source, removed);
    return { collections, removed, belowVersion };
  }
}
