import {
  EnvelopeWriter,
  asRowChanges,
  changeId,
  changeVersion,
  type RowChange,
  type TableChange,
} from '#change-events';

import { type MessagePage, type PartitionBounds, type TopicExtent, type TopicMessage } from '../src/topic-reader.ts';

type Stored = Omit<TopicMessage, 'offset'>;

/** One topic in memory, as `TopicReader` reads it forwards, in pages of three messages. */
export class FakePartitions {
  id = 'topic-1';
  settings: Record<string, string> = { 'cleanup.policy': 'compact' };
  settingsError: Error | null = null;
  /** Thrown by the next pages. */
  readonly failures: Error[] = [];
  /** Messages that were read since it was made. */
  read = 0;
  onPage: () => void = () => undefined;
  #partitions: { start: number; messages: (Stored | null)[] }[];

  constructor(partitions: number) {
    this.#partitions = Array.from({ length: partitions }, () => ({ start: 0, messages: [] }));
  }

  append(partition: number, ...messages: readonly Stored[]): void {
    this.#partitions[partition]?.messages.push(...messages);
  }

  addPartition(): void {
    this.#partitions.push({ start: 0, messages: [] });
  }

  /** As compaction does. */
  compactAway(partition: number, offset: number): void {
    (this.#partitions[partition] as { messages: (Stored | null)[] }).messages[offset] = null;
  }

  deleteBefore(partition: number, offset: number): void {
    (this.#partitions[partition] as { start: number }).start = offset;
  }

  cutAt(partition: number, offset: number): void {
    this.#partitions[partition]?.messages.splice(offset);
  }

  recreate(id: string): void {
    this.id = id;
    this.#partitions = this.#partitions.map(() => ({ start: 0, messages: [] }));
  }

  findExtent(): Promise<TopicExtent | null> {
    if (this.id === '') return Promise.resolve(null);
    const bounds = this.#partitions.map(({ start, messages }) => ({ start, end: messages.length }));
    return Promise.resolve({ id: this.id, bounds });
  }

  readSettings(): Promise<ReadonlyMap<string, string>> {
    if (this.settingsError !== null) return Promise.reject(this.settingsError);
    return Promise.resolve(new Map(Object.entries(this.settings)));
  }

  async *readForwards(
    _topic: string,
    partition: number,
    { start, end }: PartitionBounds,
    signal: AbortSignal,
  ): AsyncGenerator<MessagePage, void> {
    for (let from = start; from < end; from += 3) {
      await Promise.resolve();
      this.onPage();
      signal.throwIfAborted();
      const failure = this.failures.shift();
      if (failure !== undefined) throw failure;
      const next = Math.min(end, from + 3);
      const { messages } = this.#partitions[partition] as { messages: (Stored | null)[] };
      const page = messages
        .slice(from, next)
        .flatMap((message, i) => (message === null ? [] : [{ ...message, offset: from + i }]));
      this.read += page.length;
      yield { messages: page, next };
    }
  }
}

const TOMBSTONE = { publishedMs: 0, value: null };

/** The messages of a change: with its tombstone for a delete. `key`: as text. */
export function messagesOf(change: RowChange, key: string, source = 'eu'): Stored[] {
  const writer = new EnvelopeWriter(change.layout, { source, version: '1', bigint: 'number' });
  const changes = asRowChanges(change);
  const target = Buffer.alloc(writer.bound(changes, 0));
  const value = target.subarray(0, writer.write(changes, 0, 'whole', 1_770_000_000_999, target, 0));
  const message = {
    publishedMs: 0,
    key: Buffer.from(key),
    value,
    headers: headersOf(changeId(change), changeVersion(change)),
  };
  return change.op === 'delete' ? [message, { ...message, ...TOMBSTONE }] : [message];
}

export function endingOf(change: TableChange, source = 'eu'): Stored {
  const writer = new EnvelopeWriter(change.layout, { source, version: '1', bigint: 'number' });
  const value = writer.encodeTableChange(change, 1_770_000_000_999);
  return { publishedMs: 0, key: Buffer.from('null'), value, headers: headersOf('t', changeVersion(change)) };
}

function headersOf(id: string, version: string): Stored['headers'] {
  return [
    [Buffer.from('ditto.id'), Buffer.from(id)],
    [Buffer.from('ditto.version'), Buffer.from(version)],
  ];
}
