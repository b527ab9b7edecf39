import { type EnvelopeOperation, isEnvelopeOperation } from '#change-events';

/** What a message of a source's topic says, without its rows taken apart. */
export interface PublishedEvent {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** When the message was published, milliseconds since 1970. */
  readonly publishedMs: number;
  /** The key as it is in Kafka, `{"id":1}`; null for a table without a key. */
  readonly key: string | null;
  /** The headers `ditto.id` and `ditto.version`; '' where another program published. */
  readonly id: string;
  readonly version: string;
  readonly op: EnvelopeOperation;
  readonly source: string;
  readonly database: string;
  readonly table: string;
  readonly gtid: string | null;
  /** Commit time at the source, milliseconds since 1970. */
  readonly commitMs: number;
  /** The whole envelope as it is in Kafka: JSON.parse would lose digits of large numbers. */
  readonly value: string;
}

export interface ReceivedMessage {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
}

interface Envelope {
  readonly op: EnvelopeOperation;
  readonly source?: {
    readonly name?: unknown;
    readonly db?: unknown;
    readonly table?: unknown;
    readonly gtid?: unknown;
    readonly ts_ms?: unknown;
  };
}

function text(value: unknown): string {
  return typeof value === 'string' || Buffer.isBuffer(value) ? value.toString() : '';
}

function parseEnvelope(value: string): Envelope | null {
  try {
    const parsed = JSON.parse(value) as Envelope | null;
    return parsed !== null && typeof parsed === 'object' && isEnvelopeOperation(parsed.op) ? parsed : null;
  } catch {
    return null;
  }
}

/** Null for a tombstone, and for what is not an envelope. */
export function parsePublishedEvent(topic: string, partition: number, message: ReceivedMessage): PublishedEvent | null {
  if (message.value === null) return null;
  const value = message.value.toString();
  const envelope = parseEnvelope(value);
  if (envelope === null) return null;
  const { source } = envelope;
  return {
    topic,
    partition,
    offset: Number(message.offset),
    publishedMs: Number(message.timestamp),
    key: message.key?.toString() ?? null,
    id: text(message.headers?.['ditto.id']),
    version: text(message.headers?.['ditto.version']),
    op: envelope.op,
    source: text(source?.name),
    database: text(source?.db),
    table: text(source?.table),
    gtid: typeof source?.gtid === 'string' ? source.gtid : null,
    commitMs: typeof source?.ts_ms === 'number' ? source.ts_ms : 0,
    value,
  };
}
