import { decodeKeyValues, encodeKeyValues, rowOfKey } from '#change-events';
import { requireSection, type DittoConfig, type SinkName, type SourceConfig } from '#configuration';
import { KafkaVerifiedSink } from '#kafka';
import { readDriverTexts, VerifiedMirror } from '#mongo';
import { type FailedEventStore } from '#replication';
import { TextSink, type VerifiedSink } from '#verification';
import { type TopicConnection } from '../connections/topic-connection.ts';
import { type MirrorConnection } from '../connections/mirror-connection.ts';

export interface VerifiedSinkOptions {
  readonly source: SourceConfig;
  readonly config: DittoConfig;
  readonly mirror: MirrorConnection;
  readonly topics: TopicConnection;
  readonly failedEvents: Pick<FailedEventStore, 'findQuarantined'>;
}

/** One sink, as both ways of comparing see it. */
export interface OpenedSink {
  readonly sink: VerifiedSink;
  /** The same for rows that changed recently: it takes no room that runs use. */
  readonly recent: VerifiedSink;
  /** Gives texts of what it has. */
  readonly texts: VerifiedSink;
  /** So long it keeps the trace of a deleted row at least, where it does not look after that itself. */
  readonly tracesMs?: number;
}

/** Of each kind of sink. Their connections are shared, and closed with the process. */
export const VERIFIED_SINK_OPENERS: Readonly<Record<SinkName, (options: VerifiedSinkOptions) => Promise<OpenedSink>>> =
  {
    kafka: ({ source, config, topics, failedEvents }) => {
      const { bigint } = requireSection(config.kafka, 'kafka');
      const { folds } = topics.open();
      const listQuarantined = quarantineOf(failedEvents, source.name, 'kafka');
      const sink = new KafkaVerifiedSink({ folds, source: source.name, bigint, listQuarantined });
      const recent = new KafkaVerifiedSink({ folds, source: source.name, bigint, listQuarantined, mayEvict: false });
      const texts = new TextSink({
        sink,
        readTexts: (layout, stored, key) => sink.readTexts(layout, stored, key),
      });
      return Promise.resolve({ sink, recent, texts });
    },
    mongo: async ({ source, config, mirror, failedEvents }) => {
      const { databasePrefix, tombstoneRetentionMs } = requireSection(config.mongo, 'mongo');
      const sink = new VerifiedMirror(
        { connection: await mirror.open(), source: source.name, databasePrefix },
        quarantineOf(failedEvents, source.name, 'mongo'),
      );
      const texts = new TextSink({ sink, readTexts: (layout, { bytes }) => readDriverTexts(layout, bytes) });
      return { sink, recent: sink, texts, tracesMs: tombstoneRetentionMs };
    },
  };

function quarantineOf(
  failedEvents: VerifiedSinkOptions['failedEvents'],
  source: string,
  sink: SinkName,
): VerifiedSink['listQuarantined'] {
  return async (layout, keys) => {
    const texts = keys.map((key) => encodeKeyValues(layout, key));
    const found = await failedEvents.findQuarantined(source, sink, layout, texts);
    return found.map((key) => rowOfKey(layout, decodeKeyValues(layout, key)));
  };
}
