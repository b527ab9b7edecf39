import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { type DittoConfig, type SinkName } from '#configuration';
import { DcsClient } from '#dcs-client';
import { DittoError } from '#kernel';
import { createLogger, InjectConfig } from '#platform';
import { StateDatabase } from '#state';
import { TopicConnection } from '../connections/topic-connection.ts';
import { MirrorConnection } from '../connections/mirror-connection.ts';
import { VerifiedSource } from './verified-source.ts';

/** The sources that this process verifies and repairs: each is opened when it is asked for first, once. */
@Injectable()
export class VerifiedSources implements OnApplicationShutdown {
  readonly #config: DittoConfig;
  readonly #dcs: DcsClient;
  readonly #state: StateDatabase;
  readonly #mirror: MirrorConnection;
  readonly #topics: TopicConnection;
  readonly #logger = createLogger('verification');
  readonly #sources = new Map<string, VerifiedSource>();

  constructor(
    @InjectConfig() config: DittoConfig,
    dcs: DcsClient,
    state: StateDatabase,
    mirror: MirrorConnection,
    topics: TopicConnection,
  ) {
    this.#config = config;
    this.#dcs = dcs;
    this.#state = state;
    this.#mirror = mirror;
    this.#topics = topics;
  }

  find(name: string): VerifiedSource {
    const opened = this.#sources.get(name);
    if (opened !== undefined) return opened;
    const source = this.#config.sources[name];
    if (source === undefined)
      throw new DittoError('DITTO_SOURCE_UNKNOWN', `there is no source ${name} in the configuration`, {
        remedy: `Configured are: ${Object.keys(this.#config.sources).join(', ')}.`,
      });
    const servers = { dcs: this.#dcs, state: this.#state, mirror: this.#mirror, topics: this.#topics };
    const fresh = new VerifiedSource({ source, config: this.#config, ...servers, logger: this.#logger });
    this.#sources.set(name, fresh);
    return fresh;
  }

  /** Those of its sinks that can be verified. */
  listSinks(source: string): readonly SinkName[] {
    return this.#config.sources[source]?.sinks ?? [];
  }

  onApplicationShutdown(): void {
    for (const source of this.#sources.values()) source.close();
  }
}
