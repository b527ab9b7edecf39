import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { type DittoConfig, type SinkName } from '#configuration';
import { DcsClient } from '#dcs-client';
import { DittoError } from '#kernel';
import { createLogger, InjectConfig } from '#platform';
import { FailedEventStore } from '#replication';
import { StateDatabase } from '#state';
import { TopicConnection } from '../connections/topic-connection.ts';
import { MirrorConnection } from '../connections/mirror-connection.ts';
import { StreamedEndpoints } from '../probes/streamed-endpoints.ts';
import { VerifiedSource } from './verified-source.ts';

/** The sources that this process verifies and repairs: each is opened when it is asked for first, once. */
@Injectable()
export class VerifiedSources implements OnApplicationShutdown {
  readonly #config: DittoConfig;
  readonly #dcs: DcsClient;
  readonly #state: StateDatabase;
  readonly #mirror: MirrorConnection;
  readonly #topics: TopicConnection;
  readonly #endpoints: StreamedEndpoints;
  readonly #failedEvents: FailedEventStore;
  readonly #logger = createLogger('verification');
  readonly #sources = new Map<string, VerifiedSource>();

  constructor(
    @InjectConfig() config: DittoConfig,
    dcs: DcsClient,
    state: StateDatabase,
    mirror: MirrorConnection,
    topics: TopicConnection,
    endpoints: StreamedEndpoints,
    failedEvents: FailedEventStore,
  ) {
    this.#config = config;
    this.#dcs = dcs;
    this.#state = state;
    this.#mirror = mirror;
    this.#topics = topics;
    this.#endpoints = endpoints;
    this.#failedEvents = failedEvents;
  }

  /** On the server that it is streamed from. Rejects (retriable) while that one is not known. */
  async open(name: string): Promise<VerifiedSource> {
    const opened = this.#sources.get(name);
    if (opened !== undefined) return opened;
    const source = this.#config.sources[name];
    if (source === undefined)
      throw new DittoError('DITTO_SOURCE_UNKNOWN', `there is no source ${name} in the configuration`, {
        remedy: `Configured are: ${Object.keys(this.#config.sources).join(', ')}.`,
      });
    const servers = {
      ...{ dcs: this.#dcs, state: this.#state, mirror: this.#mirror, topics: this.#topics },
      failedEvents: this.#failedEvents,
    };
    const streamed = await this.#endpoints.find(source);
    const known = this.#sources.get(name); // opened meanwhile
    if (known !== undefined) return known;
    const fresh = new VerifiedSource({
      ...{ source, streamed, config: this.#config, ...servers, logger: this.#logger },
      onMoved: () => this.#forget(name, fresh),
    });
    this.#sources.set(name, fresh);
    return fresh;
  }

  /** What is under way with it fails, and is done again on the server that the source has moved to. */
  #forget(name: string, moved: VerifiedSource): void {
    if (this.#sources.get(name) !== moved) return;
    this.#sources.delete(name);
    moved.close();
  }

  /** Those of its sinks that can be verified. */
  listSinks(source: string): readonly SinkName[] {
    return this.#config.sources[source]?.sinks ?? [];
  }

  onApplicationShutdown(): void {
    for (const source of this.#sources.values()) source.close();
  }
}
