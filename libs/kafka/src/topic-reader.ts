import {
  Admin,
  type Broker,
  type ClusterMetadata,
  type ClusterTopicMetadata,
  ConfigResourceTypes,
  type Connection,
  ConnectionPool,
  fetchV12,
  listOffsetsV5,
  type metadataV12,
} from '@platformatic/kafka';

import { DittoError, withTimeout } from '#kernel';

import { ConnectionWatch, destroySockets } from './connection-watch.ts';
import { linksOf } from './error-chain.ts';
import { type KafkaConnectionOptions, type KafkaTimeouts, resolveTimeouts } from './kafka-connection-options.ts';
import { isMissingTopic, KAFKA_ERROR_CODES, timedOut, toKafkaError } from './kafka-errors.ts';

/** What the headers of a message say; '' where another program published. */
export interface MessageIdentity {
  readonly offset: number;
  readonly id: string;
  readonly version: string;
}

/** One message as it is in the topic. Its buffers are views of all that one fetch answered: what is kept is copied. */
export interface TopicMessage {
  readonly offset: number;
  /** When it was published, milliseconds since 1970. */
  readonly publishedMs: number;
  readonly key: Buffer | null;
  /** Null for a tombstone. */
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [name: Buffer | null, value: Buffer | null])[];
}

/** The messages that were sent at once; compaction may have removed some, or all. */
export interface StoredBatch<Message = MessageIdentity> {
  readonly firstOffset: number;
  /** Offset just after the batch. */
  readonly endOffset: number;
  readonly messages: readonly Message[];
}

export interface PartitionBounds {
  readonly start: number;
  /** Behind the newest message that all in-sync replicas have. */
  readonly end: number;
}

type MetadataAnswer = Awaited<ReturnType<typeof metadataV12.api.async>>;
type DescribedTopics = Pick<ClusterMetadata, 'topics' | 'brokers'>;
type FetchedBatch = NonNullable<
  Awaited<ReturnType<typeof fetchV12.api.async>>['responses'][number]['partitions'][number]['records']
>[number];

/** A topic as it is now: `id` is another one after it was deleted and made again. */
export interface TopicExtent {
  readonly id: string;
  /** By partition. */
  readonly bounds: readonly PartitionBounds[];
}

/** Messages in the order of the log. */
export interface MessagePage {
  readonly messages: readonly TopicMessage[];
  /** Where the next page begins. */
  readonly next: number;
}

const LATEST = -1n;
const EARLIEST = -2n;
const CONSUMER = -1;
const READ_UNCOMMITTED = 0;
const FETCH_BYTES = 1024 * 1024;
/** What reads all of a partition has whole messages in memory. */
const FORWARD_FETCH_BYTES = 256 * 1024;
const IS_APPEND_TIME = 1 << 3;
const IS_CONTROL = 1 << 5;
/** Kafka's protocol guide, "Error Codes": UNKNOWN_TOPIC_OR_PARTITION. */
const UNKNOWN_TOPIC = 3;
/** Each waits for half a second. */
const MOST_EMPTY_ANSWERS = 10;
export interface TopicReplication {
  /** Of its first partition. */
  readonly replicas: number;
  /** Partitions that no broker leads: nothing is written to them or read from them. */
  readonly leaderless: readonly number[];
}

const FIRST_PAGE_MESSAGES = 64;
const LARGEST_PAGE_MESSAGES = 4096;

/** An answer has an object, or an error with its stack, for each partition (I9). */
const TOPICS_AT_ONCE = 50;

/** What is kept of a message; null: nothing. */
type Choose<Message> = (message: TopicMessage) => Message | null;

/**
 * Reads what a partition holds, also backwards from its end, without a consumer group. In pages: as much as one fetch
 * answers is in memory, and what is kept of the messages of a page. Rejects with a `DittoError`; one that is retriable may go away when all is asked again.
 */
export class TopicReader {
  readonly #timeouts: KafkaTimeouts;
  readonly #admin: Admin;
  readonly #connections: ConnectionPool;

  constructor(options: KafkaConnectionOptions) {
    this.#timeouts = resolveTimeouts(options);
    const watch = new ConnectionWatch(options);
    const { base } = watch;
    this.#admin = new Admin({ ...base, retries: 2, retryDelay: 200 });
    this.#connections = new ConnectionPool(options.clientId, { ...base, maxInflights: 64 });
    for (const pool of [this.#admin.connections, this.#connections]) watch.over(pool);
  }

  /** All that the user may see, those without a leader included; without internal ones. */
  listTopics(): Promise<string[]> {
    return this.#ask('listing topics', async () => {
      try {
        return await this.#admin.listTopics();
      } catch (error) {
        const names = findListedTopics(error);
        if (names === null) throw error;
        return names;
      }
    });
  }

  /** How many partitions each topic has, those without a leader included. */
  async countPartitions(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const part of cut(topics)) {
      const found = await this.#ask('reading topics', () => this.#describe(part));
      for (const topic of part) counts.set(topic, found.topics.get(topic)?.partitionsCount ?? 0);
    }
    return counts;
  }

  /** How these topics are replicated; without those that do not exist. */
  async readReplication(topics: readonly string[]): Promise<ReadonlyMap<string, TopicReplication>> {
    const found = new Map<string, TopicReplication>();
    for (const part of cut(topics)) {
      const described = await this.#ask('reading topics', () => this.#describe(part));
      for (const [topic, { partitions }] of described.topics)
        found.set(topic, {
          replicas: partitions[0]?.replicas.length ?? 0,
          leaderless: partitions.flatMap(({ leader }, index) => (described.brokers.has(leader) ? [] : [index])),
        });
    }
    return found;
  }

  /** Where the partitions of these topics end, by partition; without topics that do not exist. */
  async findEnds(topics: readonly string[]): Promise<ReadonlyMap<string, readonly number[]>> {
    const ends = new Map<string, readonly number[]>();
    for (const part of cut(topics)) {
      const found = await this.#ask('reading the ends of topics', () => this.#findEndsOf(part));
      for (const [topic, ofTopic] of found) ends.set(topic, ofTopic);
    }
    return ends;
  }

  /** Null when there is no such topic. */
  findExtent(topic: string): Promise<TopicExtent | null> {
    return this.#ask(`reading the ends of ${topic}`, async () => {
      const { topics, brokers } = await this.#describe([topic]);
      const described = topics.get(topic);
      if (described === undefined) return null;
      const byLeader = new Map<Broker, number[]>();
      for (const [partition, { leader }] of described.partitions.entries()) {
        const broker = brokers.get(leader);
        if (broker === undefined) throw withoutLeader(topic, partition);
        byLeader.set(broker, [...(byLeader.get(broker) ?? []), partition]);
      }
      const [starts, ends] = await Promise.all([
        this.#listOffsets(topic, byLeader, EARLIEST),
        this.#listOffsets(topic, byLeader, LATEST),
      ]);
      const bounds = described.partitions.map((_, partition) => {
        const [start, end] = [starts.get(partition), ends.get(partition)];
        if (start === undefined || end === undefined) throw withoutEnds(topic, partition);
        return { start, end };
      });
      return { id: described.id, bounds };
    });
  }

  /** The settings of a topic, in Kafka's words; one that is not shown is missing. */
  readSettings(topic: string): Promise<ReadonlyMap<string, string>> {
    return this.#ask(`reading the settings of ${topic}`, async () => {
      const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: null }];
      const [description] = await this.#admin.describeConfigs({ resources });
      return new Map(description?.configs.flatMap(({ name, value }) => (value == null ? [] : [[name, value]])));
    });
  }

  findBounds(topic: string, partition: number): Promise<PartitionBounds> {
    return this.#ask(`reading the ends of ${topic}/${partition}`, async () => {
      const connection = await this.#connectToLeader(topic, partition);
      const [start, end] = await Promise.all([
        findOffset(connection, topic, partition, EARLIEST),
        findOffset(connection, topic, partition, LATEST),
      ]);
      return { start, end };
    });
  }

  /** Pages of batches, the newest page first; each page is in the order of the log. */
  readBackwards(
    topic: string,
    partition: number,
    bounds: PartitionBounds,
    signal: AbortSignal,
  ): AsyncGenerator<readonly StoredBatch[], void> {
    return this.searchBackwards(topic, partition, bounds, signal, readIdentity);
  }

  /** The same with what `pick` keeps of the messages. */
  async *searchBackwards<Message>(
    topic: string,
    partition: number,
    { start, end }: PartitionBounds,
    signal: AbortSignal,
    pick: Choose<Message>,
  ): AsyncGenerator<readonly StoredBatch<Message>[], void> {
    let pageMessages = FIRST_PAGE_MESSAGES;
    for (let to = end; to > start;) {
      const from = Math.max(start, to - pageMessages);
      const page: StoredBatch<Message>[] = [];
      for (let next = from, empty = 0; next < to;) {
        signal.throwIfAborted();
        const batches = await this.#fetch(topic, partition, next, pick);
        const last = batches.at(-1);
        if (last === undefined) {
          // as below: there is a message, and who is not given it must not take that for the end
          if (++empty >= MOST_EMPTY_ANSWERS) throw withoutMessages(topic, partition, next);
          continue;
        }
        empty = 0;
        page.push(...batches.filter(({ firstOffset }) => firstOffset < to));
        next = last.endOffset;
      }
      yield page;
      // the first batch may begin before the page
      to = Math.min(from, page[0]?.firstOffset ?? from);
      pageMessages = Math.min(4 * pageMessages, LARGEST_PAGE_MESSAGES);
    }
  }

  /** What the partition holds from one offset up to another, in the order of the log. */
  async *readForwards(
    topic: string,
    partition: number,
    { start, end }: PartitionBounds,
    signal: AbortSignal,
  ): AsyncGenerator<MessagePage, void> {
    let empty = 0;
    for (let next = start; next < end;) {
      signal.throwIfAborted();
      const from = next;
      const isWanted = ({ offset }: TopicMessage): boolean => offset >= from && offset < end;
      const pick = (message: TopicMessage): TopicMessage | null => (isWanted(message) ? message : null);
      const batches = await this.#fetch(topic, partition, from, pick, FORWARD_FETCH_BYTES);
      const last = batches.at(-1);
      if (last === undefined) {
        // a broker may answer before it has read anything; the last message of a partition is never compacted away
        if (++empty >= MOST_EMPTY_ANSWERS) throw withoutMessages(topic, partition, next);
        continue;
      }
      empty = 0;
      next = Math.min(end, last.endOffset);
      yield { messages: batches.flatMap((batch) => batch.messages), next };
    }
  }

  async close(): Promise<void> {
    for (const pool of [this.#connections, this.#admin.connections]) destroySockets(pool);
    await Promise.all([this.#connections.close(), this.#admin.close()]);
  }

  /** The batch of this offset, or the next one that is left, and those after it. */
  #fetch<Message>(
    topic: string,
    partition: number,
    offset: number,
    pick: Choose<Message>,
    mostBytes = FETCH_BYTES,
  ): Promise<StoredBatch<Message>[]> {
    return this.#ask(`reading ${topic}/${partition}`, async () => {
      const connection = await this.#connectToLeader(topic, partition);
      const wanted = {
        partition,
        currentLeaderEpoch: -1,
        fetchOffset: BigInt(offset),
        lastFetchedEpoch: -1,
        partitionMaxBytes: mostBytes,
      };
      const { responses } = await fetchV12.api.async(
        connection,
        500,
        1,
        mostBytes,
        READ_UNCOMMITTED,
        0,
        -1,
        [{ topicId: topic, partitions: [wanted] }],
        [],
        '',
      );
      return (responses[0]?.partitions[0]?.records ?? []).map((batch) => readBatch(batch, pick));
    });
  }

  async #listOffsets(
    topic: string,
    byLeader: ReadonlyMap<Broker, readonly number[]>,
    timestamp: bigint,
  ): Promise<Map<number, number>> {
    const offsets = new Map<number, number>();
    for (const [leader, partitions] of byLeader)
      for (const { partitions: answers } of await listOffsets(
        await this.#connections.get(leader),
        new Map([[topic, partitions]]),
        timestamp,
      ))
        for (const { partitionIndex, offset } of answers) if (offset >= 0n) offsets.set(partitionIndex, Number(offset));
    return offsets;
  }

  async #findEndsOf(wanted: readonly string[]): Promise<ReadonlyMap<string, readonly number[]>> {
    const { topics, brokers } = await this.#describe(wanted);
    const ends = new Map([...topics.keys()].map((topic): [string, number[]] => [topic, []]));
    const byLeader = new Map<number, Map<string, number[]>>();
    for (const [topic, { partitions }] of topics)
      for (const [partition, { leader }] of partitions.entries()) {
        if (!brokers.has(leader)) throw withoutLeader(topic, partition);
        const ofLeader = byLeader.get(leader) ?? new Map<string, number[]>();
        byLeader.set(leader, ofLeader.set(topic, [...(ofLeader.get(topic) ?? []), partition]));
      }
    for (const [leader, partitions] of byLeader)
      for (const { name, partitions: answers } of await listOffsets(
        await this.#connections.get(brokers.get(leader) as Broker),
        partitions,
        LATEST,
      ))
        for (const { partitionIndex, offset } of answers) (ends.get(name) as number[])[partitionIndex] = Number(offset);
    return ends;
  }

  /**
   * What the brokers say of these topics; without those that do not exist. Of no others: a cluster may have many, and
   * some may be without a leader.
   */
  async #describe(topics: readonly string[]): Promise<DescribedTopics> {
    try {
      const found = await this.#admin.metadata({ topics: [...topics], forceUpdate: true, retries: 0 });
      const known = topics.map((topic) => [topic, found.topics.get(topic)] as const);
      return { topics: new Map(known.filter(isKnown)), brokers: found.brokers };
    } catch (cause) {
      // one that does not exist fails all that are asked for with it
      if (!isMissingTopic(cause)) return findDescribedTopics(cause);
      if (topics.length === 1) return { topics: new Map(), brokers: new Map() };
      const answers = await Promise.all(topics.map((topic) => this.#describe([topic])));
      return {
        topics: new Map(answers.flatMap((answer) => [...answer.topics])),
        brokers: new Map(answers.flatMap((answer) => [...answer.brokers])),
      };
    } finally {
      this.#admin.clearMetadata();
    }
  }

  async #connectToLeader(topic: string, partition: number): Promise<Connection> {
    const { topics, brokers } = await this.#admin.metadata({ topics: [topic] });
    const leader = topics.get(topic)?.partitions[partition]?.leader ?? -1;
    const broker: Broker | undefined = brokers.get(leader);
    if (broker !== undefined) return this.#connections.get(broker);
    throw withoutLeader(topic, partition);
  }

  async #ask<T>(what: string, work: () => Promise<T>): Promise<T> {
    const ms = this.#timeouts.deliveryTimeoutMs;
    try {
      return await withTimeout(work(), ms, () => timedOut(what, ms));
    } catch (cause) {
      this.#admin.clearMetadata();
      throw toKafkaError(cause, what);
    }
  }
}

/**
 * The library throws when any partition of the cluster has an error, as one without a leader has, and gives the whole
 * answer with it. Null when there was no answer, or one to something else.
 */
function findListedTopics(error: unknown): string[] | null {
  const topics = findAnswer(error)?.topics;
  if (topics === undefined) return null;
  const listed = topics.filter(({ isInternal, errorCode }) => !isInternal && errorCode !== UNKNOWN_TOPIC);
  return listed.map(({ name }) => name).filter((name) => typeof name === 'string');
}

/** The same of topics that were asked for by name. Throws the error unless it is one of partitions alone. */
function findDescribedTopics(error: unknown): DescribedTopics {
  const answer = findAnswer(error);
  if (answer === null || answer.topics.some(({ errorCode }) => errorCode !== 0)) throw error;
  const topics = answer.topics.map(({ name, topicId: id, partitions: listed }): [string, ClusterTopicMetadata] => {
    const partitions: ClusterTopicMetadata['partitions'] = [];
    for (const { partitionIndex, leaderId: leader, leaderEpoch, replicaNodes, isrNodes, offlineReplicas } of listed)
      partitions[partitionIndex] = { leader, leaderEpoch, replicas: replicaNodes, isr: isrNodes, offlineReplicas };
    return [name ?? '', { id, partitions, partitionsCount: listed.length, lastUpdate: 0 }];
  });
  return { topics: new Map(topics), brokers: new Map(answer.brokers.map((broker) => [broker.nodeId, broker])) };
}

function findAnswer(error: unknown): MetadataAnswer | null {
  for (const { response } of linksOf(error)) {
    const answer = response as MetadataAnswer | undefined;
    if (answer?.topics !== undefined) return answer;
  }
  return null;
}

function cut(topics: readonly string[]): (readonly string[])[] {
  const parts = Array.from({ length: Math.ceil(topics.length / TOPICS_AT_ONCE) }, (_, index) => index * TOPICS_AT_ONCE);
  return parts.map((from) => topics.slice(from, from + TOPICS_AT_ONCE));
}

function isKnown(
  entry: readonly [string, ClusterTopicMetadata | undefined],
): entry is readonly [string, ClusterTopicMetadata] {
  return entry[1] !== undefined;
}

function withoutLeader(topic: string, partition: number): DittoError {
  return new DittoError(KAFKA_ERROR_CODES.unavailable, `${topic}/${partition} has no leader`, {
    retriable: true,
    context: { topic, partition },
  });
}

function withoutMessages(topic: string, partition: number, offset: number): DittoError {
  return new DittoError(
    KAFKA_ERROR_CODES.unavailable,
    `the broker gives no message of ${topic}/${partition} from offset ${offset} on`,
    { retriable: true, context: { topic, partition, offset } },
  );
}

function withoutEnds(topic: string, partition: number): DittoError {
  return new DittoError(
    KAFKA_ERROR_CODES.unavailable,
    `the broker does not say where ${topic}/${partition} begins and ends`,
    { retriable: true, context: { topic, partition } },
  );
}

type ListedOffsets = Awaited<ReturnType<typeof listOffsetsV5.api.async>>['topics'];

/**
 * Rejects with a retriable error while a new leader does not know yet how far its partition was confirmed
 * (OFFSET_NOT_AVAILABLE, KIP-207): an end never goes back unless messages are gone.
 */
async function listOffsets(
  connection: Connection,
  partitions: ReadonlyMap<string, readonly number[]>,
  timestamp: bigint,
): Promise<ListedOffsets> {
  const wanted = [...partitions].map(([name, indexes]) => ({
    name,
    partitions: indexes.map((partitionIndex) => ({ partitionIndex, currentLeaderEpoch: -1, timestamp })),
  }));
  const { topics } = await listOffsetsV5.api.async(connection, CONSUMER, READ_UNCOMMITTED, wanted);
  return topics;
}

async function findOffset(
  connection: Connection,
  topic: string,
  partition: number,
  timestamp: bigint,
): Promise<number> {
  const [answer] = await listOffsets(connection, new Map([[topic, [partition]]]), timestamp);
  const offset = answer?.partitions[0]?.offset;
  if (offset !== undefined && offset >= 0n) return Number(offset);
  throw withoutEnds(topic, partition);
}

function readBatch<Message>(batch: FetchedBatch, pick: Choose<Message>): StoredBatch<Message> {
  const { lastOffsetDelta, attributes, records } = batch;
  const firstOffset = Number(batch.firstOffset);
  // markers of transactions are not messages
  const isControl = (attributes & IS_CONTROL) !== 0;
  const messages: Message[] = [];
  if (!isControl)
    for (const record of records) {
      const picked = pick(toMessage(batch, firstOffset, record));
      if (picked !== null) messages.push(picked);
    }
  return { firstOffset, endOffset: firstOffset + lastOffsetDelta + 1, messages };
}

function toMessage(batch: FetchedBatch, firstOffset: number, record: FetchedBatch['records'][number]): TopicMessage {
  const { firstTimestamp, maxTimestamp, attributes } = batch;
  const isAppendTime = (attributes & IS_APPEND_TIME) !== 0;
  return {
    offset: firstOffset + record.offsetDelta,
    publishedMs: Number(isAppendTime ? maxTimestamp : firstTimestamp + record.timestampDelta),
    key: record.key,
    value: record.value,
    headers: record.headers,
  };
}

/** The text of a header; '' where there is none. */
export function readHeader({ headers }: TopicMessage, name: string): string {
  for (const [given, value] of headers)
    if (given?.length === name.length && given.toString() === name) return String(value);
  return '';
}

function readIdentity(message: TopicMessage): MessageIdentity {
  return {
    offset: message.offset,
    id: readHeader(message, 'ditto.id'),
    version: readHeader(message, 'ditto.version'),
  };
}
