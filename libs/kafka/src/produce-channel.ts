import { type Connection, produceV9, ProtocolError, Reader, ResponseError, Writer } from '@platformatic/kafka';

import { DittoError } from '#kernel';
import { leaseLost } from '#replication';

import { KAFKA_ERROR_CODES } from './kafka-errors.ts';

const PRODUCE_API_KEY = 0;
const PRODUCE_API_VERSION = 9;
const ACKS_OF_ALL_IN_SYNC_REPLICAS = -1;
/** A request takes more batches until it holds so much; brokers refuse requests of 100 MiB (`socket.request.max.bytes`). */
const REQUEST_BYTES = 1024 * 1024;
/** A connection that something between has forgotten is found out also while there is nothing to send. */
const KEEP_ALIVE_MS = 30_000;
/** Size and correlation id. */
const FRAME_HEAD_BYTES = 8;
/** Ours begin here; the connection's own requests, far fewer, count from 0. */
const FIRST_CORRELATION_ID = 0x40000000;

export interface PartitionBatch {
  readonly topic: string;
  readonly partition: number;
  readonly batch: Buffer;
}

export interface ProduceChannelOptions {
  readonly clientId: string;
  /** How long the leader may wait for its replicas. */
  readonly serverTimeoutMs: number;
  /** Without an answer for so long the connection is given up. */
  readonly requestTimeoutMs: number;
  /** Asked right before each write (I5); default: yes. */
  readonly mayWrite?: () => boolean;
  /** The id of the first request; the ids count up from here to 2³¹ - 1, then from 2³⁰ again. */
  readonly correlationId?: number;
}

interface Sent extends PartitionBatch {
  readonly resolve: (offset: number) => void;
  readonly reject: (error: unknown) => void;
}

/** The batches of one topic in one request. */
type ByTopic = Map<string, Sent[]>;

interface Pending {
  readonly topics: ByTopic;
  readonly sentAtMs: number;
}

type ProduceResponse = ReturnType<typeof produceV9.parseResponse>;
type PartitionResponse = ProduceResponse['responses'][number]['partitionResponses'][number];

/**
 * Sends record batches over an established connection of the client library, as they lie in memory: the library joins
 * every request into one new buffer and watches each with a timer of its own. The batches of one turn go out as one
 * request: a broker works through the requests of a connection one after the other, each at a price of its own. Answers
 * to the library's own requests are handed to it, so that it can continue to use the connection.
 */
export class ProduceChannel {
  readonly #socket: Connection['socket'];
  readonly #options: ProduceChannelOptions;
  /** Given in this turn, not yet sent. */
  #gathered: Sent[] = [];
  readonly #pending = new Map<number, Pending>();
  readonly #watch: NodeJS.Timeout;
  readonly #toLibrary: (chunk: Buffer) => void;
  #correlationId: number;
  #rest: Buffer | null = null;
  #lastAnswerMs = 0;

  constructor(connection: Connection, options: ProduceChannelOptions) {
    this.#options = options;
    this.#correlationId = options.correlationId ?? FIRST_CORRELATION_ID;
    this.#socket = connection.socket;
    this.#socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const [listener] = this.#socket.listeners('data') as ((chunk: Buffer) => void)[];
    if (listener === undefined) throw new Error('the connection does not listen to its socket');
    this.#toLibrary = listener;
    this.#socket.removeAllListeners('data');
    this.#socket.on('data', (chunk: Buffer) => {
      this.#receive(chunk);
    });
    this.#watch = setInterval(() => {
      this.#endWhenSilent();
    }, options.requestTimeoutMs / 4);
    this.#watch.unref();
    this.#socket.once('close', () => {
      this.#close();
    });
  }

  /**
   * Resolves with the offset of the batch's first record, as the answer says; rejects with the broker's error, or when the
   * connection ends. The bytes of the batch must stay as they are until then, and no other batch of the partition may
   * be given.
   */
  send(batch: PartitionBatch): Promise<number> {
    if (this.#socket.destroyed) return Promise.reject(connectionClosed(batch));
    if (this.#gathered.length === 0)
      process.nextTick(() => {
        this.#sendGathered();
      });
    return new Promise<number>((resolve, reject) => {
      this.#gathered.push({ ...batch, resolve, reject });
    });
  }

  #sendGathered(): void {
    const gathered = this.#gathered;
    this.#gathered = [];
    if (this.#socket.destroyed) {
      for (const sent of gathered) sent.reject(connectionClosed(sent));
      return;
    }
    const { mayWrite = () => true } = this.#options;
    if (!mayWrite()) {
      for (const sent of gathered) sent.reject(leaseLost());
      return;
    }
    this.#socket.cork();
    for (let first = 0; first < gathered.length;) {
      let bytes = 0;
      let end = first;
      while (end < gathered.length && (end === first || bytes < REQUEST_BYTES))
        bytes += (gathered[end++] as Sent).batch.length;
      this.#request(gathered.slice(first, end));
      first = end;
    }
    this.#socket.uncork();
  }

  /** Produce v9: https://kafka.apache.org/protocol#The_Messages_Produce */
  #request(batches: readonly Sent[]): void {
    const id = this.#correlationId++;
    if (this.#correlationId > 0x7fffffff) this.#correlationId = FIRST_CORRELATION_ID;
    const topics: ByTopic = new Map();
    for (const batch of batches) {
      const ofTopic = topics.get(batch.topic);
      if (ofTopic === undefined) topics.set(batch.topic, [batch]);
      else ofTopic.push(batch);
    }
    this.#pending.set(id, { topics, sentAtMs: performance.now() });
    const parts = this.#encode(id, topics);
    const size = Buffer.allocUnsafe(4);
    size.writeInt32BE(parts.reduce((sum, { length }) => sum + length, 0));
    this.#socket.write(size);
    for (const part of parts) this.#socket.write(part);
  }

  /** The request without its size; each batch is a part of its own. */
  #encode(id: number, topics: ByTopic): Buffer[] {
    const parts: Buffer[] = [];
    let writer = this.#encodeHead(id, topics.size);
    for (const [topic, batches] of topics) {
      writer.appendString(topic).appendUnsignedVarInt(batches.length + 1);
      for (const { partition, batch } of batches) {
        parts.push(writer.appendInt32(partition).appendUnsignedVarInt(batch.length + 1).buffer, batch);
        writer = Writer.create().appendTaggedFields(); // of the partition
      }
      writer.appendTaggedFields(); // of the topic
    }
    parts.push(writer.appendTaggedFields().buffer);
    return parts;
  }

  /** Up to the topics; the length of a compact array is written as one more. */
  #encodeHead(id: number, topics: number): Writer {
    return Writer.create()
      .appendInt16(PRODUCE_API_KEY)
      .appendInt16(PRODUCE_API_VERSION)
      .appendInt32(id)
      .appendString(this.#options.clientId, false)
      .appendTaggedFields()
      .appendString(null) // no transactional id
      .appendInt16(ACKS_OF_ALL_IN_SYNC_REPLICAS)
      .appendInt32(this.#options.serverTimeoutMs)
      .appendUnsignedVarInt(topics + 1);
  }

  #receive(chunk: Buffer): void {
    this.#lastAnswerMs = performance.now();
    const bytes = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const end = at + 4 + bytes.readInt32BE(at);
      if (end > bytes.length) break;
      this.#answer(bytes.readInt32BE(at + 4), bytes.subarray(at, end));
      at = end;
    }
    this.#rest = at === bytes.length ? null : bytes.subarray(at);
  }

  #answer(id: number, frame: Buffer): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      this.#toLibrary(frame);
      return;
    }
    this.#pending.delete(id);
    try {
      settle(pending, parseResponse(id, frame));
    } catch (cause) {
      for (const sent of batchesOf(pending)) sent.reject(unreadable(sent, cause));
    }
  }

  /** A slow link may take longer for all that waits: what counts is that answers, which come in order, keep coming. */
  #endWhenSilent(): void {
    const [oldest] = this.#pending.values();
    if (oldest === undefined) return;
    const silentMs = performance.now() - Math.max(oldest.sentAtMs, this.#lastAnswerMs);
    if (silentMs > this.#options.requestTimeoutMs) this.#socket.destroy();
  }

  #close(): void {
    clearInterval(this.#watch);
    for (const pending of this.#pending.values())
      for (const sent of batchesOf(pending)) sent.reject(connectionClosed(sent));
    this.#pending.clear();
  }
}

function batchesOf({ topics }: Pending): Sent[] {
  return [...topics.values()].flat();
}

/** The library throws when any partition has an error, and gives the whole answer with it. */
function parseResponse(id: number, frame: Buffer): ProduceResponse {
  const reader = Reader.from(frame.subarray(FRAME_HEAD_BYTES));
  reader.readTaggedFields();
  try {
    return produceV9.parseResponse(id, PRODUCE_API_KEY, PRODUCE_API_VERSION, reader);
  } catch (error) {
    if (error instanceof ResponseError && error['response'] !== undefined) return error['response'] as ProduceResponse;
    throw error;
  }
}

/** Each batch has its own outcome. */
function settle(pending: Pending, { responses }: ProduceResponse): void {
  const unanswered = new Set(batchesOf(pending));
  for (const { name, partitionResponses } of responses)
    for (const response of partitionResponses) {
      const sent = pending.topics.get(name)?.find(({ partition }) => partition === response.index);
      if (sent === undefined) continue;
      if (response.errorCode !== 0) sent.reject(refusal(response));
      else if (response.baseOffset >= 0n) sent.resolve(Number(response.baseOffset));
      else continue;
      unanswered.delete(sent);
    }
  for (const sent of unanswered) sent.reject(notAnswered(sent));
}

function refusal({ errorCode, errorMessage, recordErrors }: PartitionResponse): Error {
  return new ProtocolError(errorCode, errorMessage ?? recordErrors[0]?.batchIndexErrorMessage ?? null);
}

function notAnswered(batch: PartitionBatch): DittoError {
  return unconfirmed(batch, 'the answer does not name it');
}

/** An error code, say, that the library does not know: what became of the batch is open. */
function unreadable(batch: PartitionBatch, cause: unknown): DittoError {
  return unconfirmed(batch, `the answer can't be read: ${String(cause)}`, cause);
}

function connectionClosed(batch: PartitionBatch): DittoError {
  return unconfirmed(batch, 'the connection ended before the broker answered');
}

function unconfirmed({ topic, partition }: PartitionBatch, why: string, cause?: unknown): DittoError {
  return new DittoError(KAFKA_ERROR_CODES.unavailable, `sending to ${topic}/${partition}: ${why}`, {
    retriable: true,
    context: { topic, partition },
    cause,
  });
}
