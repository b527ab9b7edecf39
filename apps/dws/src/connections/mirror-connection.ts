import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { type DittoConfig, requireSection, toMongoOptions } from '#configuration';
import { type MongoConnection, openMongo } from '#mongo';
import { createLogger, InjectConfig } from '#platform';

const MOST_CONNECTIONS = 4;

/** MongoDB, shared by all that this process does with it; connected when it is first needed. */
@Injectable()
export class MirrorConnection implements OnApplicationShutdown {
  readonly #config: DittoConfig;
  readonly #logger = createLogger('mongo');
  #connection: Promise<MongoConnection> | null = null;

  constructor(@InjectConfig() config: DittoConfig) {
    this.#config = config;
  }

  /** Rejects with a coded error when MongoDB does not answer, and tries again at the next call. */
  async open(): Promise<MongoConnection> {
    const options = toMongoOptions(requireSection(this.#config.mongo, 'mongo'));
    this.#connection ??= openMongo({
      ...options,
      maxConnections: MOST_CONNECTIONS,
      waitForServer: false,
      logger: this.#logger,
    });
    try {
      return await this.#connection;
    } catch (error) {
      this.#connection = null;
      throw error;
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await (await this.#connection?.catch(() => null))?.close();
  }
}
