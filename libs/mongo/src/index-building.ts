import { Backoff, type BackoffOptions, errorFields, type Logger, retry } from '#kernel';
import { type mongo } from 'mongoose';
import { createMirrorIndexes } from './mirror-indexes.ts';

export interface IndexBuildingOptions {
  readonly db: mongo.Db;
  readonly backoff: BackoffOptions;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * Builds the indexes of collections that are written at the same time, one collection after the other. Nobody waits for
 * it: the server may take hours, and a command that is given up does not end its work.
 */
export class IndexBuilding {
  readonly #options: IndexBuildingOptions;
  #last: Promise<void> = Promise.resolve();

  constructor(options: IndexBuildingOptions) {
    this.#options = options;
  }

  start(collection: string): void {
    const { logger, signal } = this.#options;
    this.#last = this.#last
      .then(() => this.#build(collection))
      .catch((error: unknown) => {
        if (!signal.aborted) logger.warn('indexes of the mirror were not built', { collection, ...errorFields(error) });
      });
  }

  async #build(collection: string): Promise<void> {
    const { db, backoff, logger, signal } = this.#options;
    logger.info('building indexes of the mirror', { collection });
    const message = 'indexes of the mirror are not built yet, trying again';
    const log = { logger, message, fields: { collection } };
    await retry(() => createMirrorIndexes(db, collection), { backoff: new Backoff(backoff), signal, log });
    logger.info('built indexes of the mirror', { collection });
  }
}
