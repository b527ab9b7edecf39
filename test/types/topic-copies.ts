import { hash } from 'node:crypto';
import { TopicMessages, type TopicMessage } from '../oracle/topic-messages.ts';

export interface CopyReport {
  /** Values that were read, by number, and inserted again while the log was followed. */
  readonly pairs: number;
  /** Numbers whose two copies are not the same bytes. */
  readonly differing: readonly string[];
  /** Changes whose `before` is not the `after` that the key had last. */
  readonly wrongBefore: readonly string[];
  /** How many messages of each operation. */
  readonly operations: Readonly<Record<string, number>>;
}

interface Envelope {
  readonly op: string;
  readonly before: string;
  readonly after: string;
}

/**
 * The texts of both images as they are in the message: names in quotes can't be inside a value, its quotes are escaped.
 */
function splitEnvelope(value: Buffer): Envelope {
  const text = value.toString('utf8');
  const match = /^\{"before":(.*),"after":(.*),"source":\{.*\},"op":"(.)"/s.exec(text);
  return { before: match?.[1] ?? 'no before', after: match?.[2] ?? 'no after', op: match?.[3] ?? 'no op' };
}

function print(text: string): string {
  return hash('sha256', text, 'base64');
}

/**
 * Holds the messages of a topic against each other, byte for byte: the copy that the snapshot read against the one that
 * was inserted later (columns `copy`, 0 and 1, and `n`, which both share), and each `before` against the last `after`.
 */
class TopicCopies {
  readonly #read = new Map<string, string>();
  readonly #inserted = new Map<string, string>();
  readonly #last = new Map<string, string>();
  readonly #wrongBefore: string[] = [];
  readonly #operations: Record<string, number> = {};
  readonly #ids = new Set<string>();

  /** A change that was delivered before, as after a connection that was lost, says nothing new. */
  add({ key, value, partition, offset, headers }: TopicMessage): void {
    if (value === null || key === null) return;
    const id = String(headers.find(([name]) => name?.toString() === 'ditto.id')?.[1]);
    if (this.#ids.has(id)) return;
    this.#ids.add(id);
    const { op, before, after } = splitEnvelope(value);
    this.#operations[op] = (this.#operations[op] ?? 0) + 1;
    const name = key.toString('utf8');
    const expected = this.#last.get(name) ?? print('null');
    if (print(before) !== expected) this.#wrongBefore.push(`${name} (${op}, ${partition}:${offset})`);
    this.#last.set(name, print(after));
    const identity = /"copy":([01]),"n":(\d+),/.exec(after);
    if (identity === null || (op !== 'r' && op !== 'c')) return;
    const [found, copy, number = ''] = identity;
    const copies = op === 'r' && copy === '0' ? this.#read : op === 'c' && copy === '1' ? this.#inserted : null;
    copies?.set(number, print(after.slice(identity.index + found.length)));
  }

  report(): CopyReport {
    const pairs = [...this.#read].filter(([number]) => this.#inserted.has(number));
    return {
      pairs: pairs.length,
      differing: pairs.flatMap(([number, copy]) => (this.#inserted.get(number) === copy ? [] : [number])),
      wrongBefore: this.#wrongBefore,
      operations: this.#operations,
    };
  }
}

export async function compareCopies(brokers: readonly string[], topics: readonly string[]): Promise<CopyReport[]> {
  const messages = new TopicMessages(brokers);
  try {
    const reports: CopyReport[] = [];
    for (const topic of topics) {
      const copies = new TopicCopies();
      await messages.read(topic, (message) => {
        copies.add(message);
      });
      reports.push(copies.report());
    }
    return reports;
  } finally {
    await messages.close();
  }
}
