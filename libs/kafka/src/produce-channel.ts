import { type Connection, produceV9, Reader, Writer } from '@platformatic/kafka';

import { DittoError } from '#kernel';

import { kafkaErrorCodes } from './kafka-errors.ts';

const produceApiKey = 0;
const produceApiVersion = 9;
const acksOfAllInSyncReplicas = -1;
/** Size and correlation id. */
const frameHeadBytes = 8;
/** Ours begin here; the connection's own requests, far fewer, count from 0. */
const firstCorrelationId = 0x40000000;

export interface ProduceRequest {
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
}

interface Pending {
  readonly topic: string;
  readonly partition: number;
  readonly sentAtMs: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

type ProduceResponse = ReturnType<typeof produceV9.parseResponse>;

/**
 * Sends record batches over an established connection of the client library, as they lie in memory: the library joins
 * every request into one new buffer and watches each with a timer of its own. What is sent in one turn goes out in one
 * system call. Answers to the library's own requests are handed to it, so that it can go on using the connection.
 */
export class ProduceChannel {
  private readonly socket: Connection['socket'];
  private readonly options: ProduceChannelOptions;
  private readonly pending = new Map<number, Pending>();
  private readonly watch: NodeJS.Timeout;
  private readonly toLibrary: (chunk: Buffer) => void;
  private correlationId = firstCorrelationId;
  private rest: Buffer | null = null;

  constructor(connection: Connection, options: ProduceChannelOptions) {
    this.options = options;
    this.socket = connection.socket;
    const [listener] = this.socket.listeners('data') as ((chunk: Buffer) => void)[];
    if (listener === undefined) throw new Error('the connection does not listen to its socket');
    this.toLibrary = listener;
    this.socket.removeAllListeners('data');
    this.socket.on('data', (chunk: Buffer) => {
      this.receive(chunk);
    });
    this.watch = setInterval(() => {
      this.endWhenSilent();
    }, options.requestTimeoutMs / 4);
    this.watch.unref();
    this.socket.once('close', () => {
      this.close();
    });
  }

  /**
   * Resolves when the answer says at which offset the batch stands; rejects with the broker's error, or when the
   * connection ends. The bytes of the batch must stay as they are until then.
   */
  send({ topic, partition, batch }: ProduceRequest): Promise<void> {
    if (this.socket.destroyed) return Promise.reject(connectionClosed());
    const id = this.correlationId++;
    if (this.correlationId > 0x7fffffff) this.correlationId = firstCorrelationId;
    const answered = new Promise<void>((resolve, reject) => {
      this.pending.set(id, { topic, partition, sentAtMs: performance.now(), resolve, reject });
    });
    const head = this.encodeHead(id, topic, partition, batch.length);
    const size = Buffer.allocUnsafe(4);
    size.writeInt32BE(head.length + batch.length + tail.length);
    this.corkForTurn();
    this.socket.write(size);
    this.socket.write(head);
    this.socket.write(batch);
    this.socket.write(tail);
    return answered;
  }

  /** Produce v9 up to the records: https://kafka.apache.org/protocol#The_Messages_Produce */
  private encodeHead(id: number, topic: string, partition: number, batchBytes: number): Buffer {
    return Writer.create()
      .appendInt16(produceApiKey)
      .appendInt16(produceApiVersion)
      .appendInt32(id)
      .appendString(this.options.clientId, false)
      .appendTaggedFields()
      .appendString(null) // no transactional id
      .appendInt16(acksOfAllInSyncReplicas)
      .appendInt32(this.options.serverTimeoutMs)
      .appendUnsignedVarInt(2) // one topic (compact array: length + 1)
      .appendString(topic)
      .appendUnsignedVarInt(2) // one partition
      .appendInt32(partition)
      .appendUnsignedVarInt(batchBytes + 1).buffer;
  }

  private corkForTurn(): void {
    if (this.socket.writableCorked > 0) return;
    this.socket.cork();
    process.nextTick(() => {
      this.socket.uncork();
    });
  }

  private receive(chunk: Buffer): void {
    const bytes = this.rest === null ? chunk : Buffer.concat([this.rest, chunk]);
    let at = 0;
    while (bytes.length - at >= frameHeadBytes) {
      const end = at + 4 + bytes.readInt32BE(at);
      if (end > bytes.length) break;
      this.answer(bytes.readInt32BE(at + 4), bytes.subarray(at, end));
      at = end;
    }
    this.rest = at === bytes.length ? null : bytes.subarray(at);
  }

  private answer(id: number, frame: Buffer): void {
    const pending = this.pending.get(id);
    if (pending === undefined) {
      this.toLibrary(frame);
      return;
    }
    this.pending.delete(id);
    try {
      const reader = Reader.from(frame.subarray(frameHeadBytes));
      reader.readTaggedFields();
      const response = produceV9.parseResponse(id, produceApiKey, produceApiVersion, reader);
      assertWritten(response, pending);
    } catch (error) {
      pending.reject(error);
      return;
    }
    pending.resolve();
  }

  /** A map keeps its order: the first is the oldest. */
  private endWhenSilent(): void {
    const [oldest] = this.pending.values();
    if (oldest !== undefined && performance.now() - oldest.sentAtMs > this.options.requestTimeoutMs)
      this.socket.destroy();
  }

  private close(): void {
    clearInterval(this.watch);
    for (const { reject } of this.pending.values()) reject(connectionClosed());
    this.pending.clear();
  }
}

/** No tagged fields: of the partition, the topic, the request. */
const tail = Buffer.from([0, 0, 0]);

function assertWritten({ responses }: ProduceResponse, { topic, partition }: Pending): void {
  const ofTopic = responses.find(({ name }) => name === topic);
  const answer = ofTopic?.partitionResponses.find(({ index }) => index === partition);
  if (answer?.errorCode === 0 && answer.baseOffset >= 0n) return;
  throw new DittoError(kafkaErrorCodes.unavailable, `the broker's answer lacks ${topic}/${partition}`, {
    retriable: true,
  });
}

function connectionClosed(): DittoError {
  return new DittoError(kafkaErrorCodes.unavailable, 'the connection to the broker ended before it answered', {
    retriable: true,
  });
}
