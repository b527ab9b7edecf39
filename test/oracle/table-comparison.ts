import { hash } from 'node:crypto';
import { joinTexts, type ValueText } from './canonical-text.ts';
import { readChangeMessage } from './change-message.ts';
import type { OracleTable } from './column.ts';
import { MessageOrder } from './message-order.ts';
import type { MirrorDocuments } from './mirror-documents.ts';
import type { SourceRows } from './source-rows.ts';
import type { TopicMessages } from './topic-messages.ts';

export interface SinkDifferences {
  /** Rows of MySQL that the sink doesn't have. */
  missing: number;
  /** What the sink has without a row in MySQL. */
  extra: number;
  /** Rows with another value in the sink. */
  different: number;
}

export interface TableDifferences {
  rows: number;
  readonly mongo: SinkDifferences & { documents: number; tombstones: number };
  readonly kafka: SinkDifferences & { messages: number; keys: number; repeats: number; outOfOrder: number };
}

export interface ComparedServers {
  readonly source: SourceRows;
  readonly mirror: MirrorDocuments;
  readonly topics: TopicMessages;
}

export type Problem = 'missing' | 'extra' | 'different' | 'out of order';

export interface Finding {
  readonly sink: 'mongo' | 'kafka';
  readonly problem: Problem;
  readonly key: string;
}

/** Digest of a row's values; null: the sink says that there is no row. */
type Print = string | null;

interface KeyState {
  readonly order: MessageOrder;
  readonly partition: number;
  version: string;
  print: Print;
}

/** The part of a table's keys that one pass looks at, so that memory stays bounded for tables of any size. */
export interface Part {
  readonly index: number;
  readonly of: number;
}

export function printRow(texts: readonly ValueText[]): string {
  return hash('sha256', joinTexts(texts), 'binary');
}

export function isInPart(key: string, { index, of }: Part): boolean {
  if (of === 1) return true;
  let sum = 7;
  for (let at = 0; at < key.length; at++) sum = (sum * 31 + key.charCodeAt(at)) | 0;
  return (sum >>> 0) % of === index;
}

/** Compares one part of a table, adds to `result`, and reports each finding; `topic` is null when it doesn't exist. */
export async function comparePart(
  table: OracleTable,
  topic: string | null,
  servers: ComparedServers,
  part: Part,
  result: TableDifferences,
  onFinding: (finding: Finding) => void,
): Promise<void> {
  const rows = new Map<string, string>();
  const documents = new Map<string, Print>();
  const report = (sink: Finding['sink']) => (problem: Problem, key: string) => onFinding({ sink, problem, key });
  const history = new TopicHistory(table, part, result.kafka, report('kafka'));
  await Promise.all([
    servers.source.read(table, ({ key, texts }) => {
      if (isInPart(key, part)) rows.set(key, printRow(texts));
    }),
    servers.mirror.read(table, ({ key, texts }) => {
      if (isInPart(key, part)) documents.set(key, texts === null ? null : printRow(texts));
    }),
    topic === null ? undefined : servers.topics.read(topic, (message) => history.add(message)),
  ]);
  result.rows += rows.size;
  const live = comparePrints(rows, documents, result.mongo, report('mongo'));
  result.mongo.documents += live;
  result.mongo.tombstones += documents.size - live;
  result.kafka.keys += comparePrints(rows, history.prints(), result.kafka, report('kafka'));
}

/** Returns how many keys the sink has a row for. */
function comparePrints(
  rows: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, Print>,
  counts: SinkDifferences,
  report: (problem: Problem, key: string) => void,
): number {
  let live = 0;
  const count = (problem: 'missing' | 'extra' | 'different', key: string): void => {
    counts[problem]++;
    report(problem, key);
  };
  for (const [key, print] of found) {
    if (print === null) continue;
    live++;
    const expected = rows.get(key);
    if (expected === undefined) count('extra', key);
    else if (expected !== print) count('different', key);
  }
  for (const key of rows.keys()) if ((found.get(key) ?? null) === null) count('missing', key);
  return live;
}

/** What the messages of a topic leave of each key, and whether they came in order. */
class TopicHistory {
  readonly #table: OracleTable;
  readonly #part: Part;
  readonly #counts: TableDifferences['kafka'];
  readonly #report: (problem: Problem, key: string) => void;
  readonly #keys = new Map<string, KeyState>();

  constructor(
    table: OracleTable,
    part: Part,
    counts: TableDifferences['kafka'],
    report: (problem: Problem, key: string) => void,
  ) {
    this.#table = table;
    this.#part = part;
    this.#counts = counts;
    this.#report = report;
  }

  add(message: Parameters<typeof readChangeMessage>[1]): void {
    const { key, version, says, texts } = readChangeMessage(this.#table, message);
    if (says === 'truncated') {
      this.#truncate(message.partition, version);
      return;
    }
    const text = key ?? '';
    if (!isInPart(text, this.#part)) return;
    this.#counts.messages++;
    const print = texts === null ? null : printRow(texts);
    let state = this.#keys.get(text);
    if (state === undefined) {
      state = { order: new MessageOrder(), partition: message.partition, version: '', print };
      this.#keys.set(text, state);
    }
    state.print = print;
    state.version = version ?? state.version;
    const step =
      version === null || state.partition !== message.partition
        ? 'out-of-order'
        : state.order.step(version, says === 'tombstone' ? '~' : '');
    if (step === 'repeat') this.#counts.repeats++;
    if (step !== 'out-of-order') return;
    this.#counts.outOfOrder++;
    this.#report('out of order', text);
  }

  prints(): Map<string, Print> {
    return new Map([...this.#keys].map(([key, { print }]) => [key, print]));
  }

  /** Every older row of this partition has ended; every partition gets such a message. */
  #truncate(partition: number, version: string | null): void {
    if (this.#part.index === 0) this.#counts.messages++;
    for (const state of this.#keys.values())
      if (state.partition === partition && version !== null && state.version < version) state.print = null;
  }
}
