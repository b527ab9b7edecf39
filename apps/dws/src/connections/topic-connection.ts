import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { type DittoConfig, requireSection, toKafkaOptions } from '#configuration';
import { TopicFolds, TopicReader } from '#kafka';
import { createLogger, InjectConfig } from '#platform';

export interface OpenedTopics {
  readonly reader: TopicReader;
  readonly folds: TopicFolds;
}

/** The topics of Kafka and their local stores, shared by all that this process verifies; opened when first needed. */
@Injectable()
export class TopicConnection implements OnApplicationShutdown {
  readonly #config: DittoConfig;
  readonly #logger = createLogger('topics');
  #opened: OpenedTopics | null = null;

  constructor(@InjectConfig() config: DittoConfig) {
    this.#config = config;
  }

  /** Connects at the first read. Throws `DITTO_KAFKA_FOLD_FOLDER`, and tries again at the next call. */
  open(): OpenedTopics {
    if (this.#opened !== null) return this.#opened;
    const kafka = requireSection(this.#config.kafka, 'kafka');
    const { folder = join(tmpdir(), 'ditto-folds'), maxBytes } = this.#config.dws.folds;
    const logger = this.#logger;
    const reader = new TopicReader({ ...toKafkaOptions(kafka), clientId: `${kafka.clientId}-dws`, logger });
    this.#opened = { reader, folds: new TopicFolds({ reader, folder, maxBytes, logger }) };
    return this.#opened;
  }

  /** Of the topics that have a store now. */
  status(): ReturnType<TopicFolds['status']> {
    return this.#opened?.folds.status() ?? new Map<string, never>();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#opened?.folds.close();
    await this.#opened?.reader.close();
  }
}
