import { requireSection, type DittoConfig, type SinkName, type SourceConfig } from '#configuration';
import { KafkaVerifiedSink, PublishedChanges } from '#kafka';
import { VerifiedMirror } from '#mongo';
import { type VerifiedSink } from '#verification';
import { type TopicConnection } from '../connections/topic-connection.ts';
import { type MirrorConnection } from '../connections/mirror-connection.ts';

export interface VerifiedSinkOptions {
  readonly source: SourceConfig;
  readonly config: DittoConfig;
  readonly mirror: MirrorConnection;
  readonly topics: TopicConnection;
}

/** Of each kind of sink. Their connections are shared, and closed with the process. */
export const VERIFIED_SINK_OPENERS: Readonly<
  Record<SinkName, (options: VerifiedSinkOptions) => Promise<VerifiedSink>>
> = {
  kafka: ({ source, config, topics }) => {
    const { bigint } = requireSection(config.kafka, 'kafka');
    const { reader, folds } = topics.open();
    const changes = new PublishedChanges({ reader, source: source.name, bigint });
    return Promise.resolve(new KafkaVerifiedSink({ folds, changes, source: source.name, bigint }));
  },
  mongo: async ({ source, config, mirror }) => {
    const { databasePrefix } = requireSection(config.mongo, 'mongo');
    return new VerifiedMirror({ connection: await mirror.open(), source: source.name, databasePrefix });
  },
};
