import { type TopicMessage } from '../oracle/topic-messages.ts';
import { type Fields } from './bson-damage.ts';
import { type DamagedDocument } from './mirror-saboteur.ts';
import { type DamagedKey } from './topic-saboteur.ts';

/** One damage, as the ledger knows it. */
export interface Damage {
  readonly sink: 'mongo' | 'kafka';
  readonly table: string;
  readonly kind: string;
  /** JSON text of the key's values; what is no key: a part of what is shown of it. */
  readonly key: string;
  readonly isKey: boolean;
  /** What was damaged has this version. */
  readonly version: string;
  /** Of a message: where it is. */
  readonly place: { readonly partition: number; readonly offset: bigint } | null;
}

interface Entry extends Damage {
  /** The first run that must find it: the first that began when it was done. */
  readonly dueIn: number;
  foundAs: string | null;
  /** When that run ended without having found it. */
  missedAtMs: number | null;
  /** Whether the table was read again meanwhile as a whole. */
  isReread: boolean;
  /** Whether it was gone a moment after it was done. */
  isExcused: boolean;
}

/** A mismatch, as far as it is needed here. */
interface Found {
  readonly sink: string;
  readonly table: string;
  readonly key: string;
  readonly isKey: boolean;
  readonly kind: string;
  readonly details: { readonly shown: string | null };
}

/** What a table's topic has of each key, in order; the keys as in `Damage`. */
export type Histories = ReadonlyMap<string, readonly TopicMessage[]>;

/** No change of the row can overwrite these: the version refuses it, or no row has the key. */
const STAYS: readonly string[] = [
  'no version',
  'malformed version',
  'forged future version',
  'extra row',
  'key that is no key',
];
const LIVE: readonly string[] = ['c', 'u', 'd'];
/** Also when a table is read again; the keys that only the mirror has end then. */
const READ_AGAIN: readonly string[] = [...LIVE, 'r'];

/** All damages of a test: each must be found by the first run that begins after it, or have been overwritten. */
export class DamageLedger {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** Damages that were found when they had to be, and those that are not due yet. */
  get counting(): number {
    return [...this.#entries.values()].filter(({ missedAtMs }) => missedAtMs === null).length;
  }

  /** A row is damaged once, in one sink: a repair writes to both. */
  has(table: string, key: string): boolean {
    return this.#entries.has(`${table} ${key}`);
  }

  add(damage: Damage, dueIn: number): void {
    this.#entries.set(`${damage.table} ${damage.key}`, {
      ...damage,
      dueIn,
      foundAs: null,
      missedAtMs: null,
      isReread: false,
      isExcused: false,
    });
  }

  /** It was no longer there a moment later: no run need find it, and one that ran by then may have. */
  excuse({ table, key }: Damage): void {
    const entry = this.#entries.get(`${table} ${key}`);
    if (entry !== undefined) entry.isExcused = true;
  }

  /** Takes what is found by now; gives what no damage explains. */
  note(mismatches: readonly Found[]): readonly Found[] {
    const seen = new Set<Entry>();
    const shown = [...this.#entries.values()].filter(({ isKey }) => !isKey);
    return mismatches.filter((found) => {
      const entry = found.isKey
        ? this.#entries.get(`${found.table} ${found.key}`)
        : shown.find(({ key, table }) => table === found.table && (found.details.shown ?? found.key).includes(key));
      // a second record of one damage: it was found again when it had been repaired
      if (entry?.sink !== found.sink || seen.has(entry)) return true;
      seen.add(entry);
      entry.foundAs ??= found.kind;
      return false;
    });
  }

  /**
   * A run has ended: what it had to find and has not was overwritten before, or it was missed. `reread`: tables that
   * were read again as a whole until then.
   */
  endRun(run: number, endedAtMs: number, reread: readonly string[] = []): void {
    for (const entry of this.#entries.values()) {
      if (entry.dueIn > run || entry.foundAs !== null || entry.missedAtMs !== null) continue;
      entry.missedAtMs = endedAtMs;
      entry.isReread = reread.includes(entry.table);
    }
  }

  /** Each damage with what became of it; `missed` has those that nothing excuses. */
  close(histories: ReadonlyMap<string, Histories>): Outcome {
    const outcome: Outcome = { found: {}, overwritten: {}, missed: [] };
    const count = (counts: Record<string, number>, { sink, kind }: Damage): void => {
      const name = `${sink} ${kind}`;
      counts[name] = (counts[name] ?? 0) + 1;
    };
    for (const entry of this.#entries.values())
      if (entry.missedAtMs === null && entry.foundAs !== null) count(outcome.found, entry);
      else if (entry.isExcused || isOverwritten(entry, histories.get(entry.table)?.get(entry.key) ?? []))
        count(outcome.overwritten, entry);
      else outcome.missed.push(entry);
    return outcome;
  }
}

export interface Outcome {
  /** By sink and kind. */
  readonly found: Record<string, number>;
  readonly overwritten: Record<string, number>;
  readonly missed: Damage[];
}

/** Whether the topic has a change of the row that came after the damage, and before the run had ended. */
function isOverwritten(entry: Entry, history: readonly TopicMessage[]): boolean {
  const { sink, kind, version, place, missedAtMs, isReread } = entry;
  const operations = isReread ? READ_AGAIN : LIVE;
  const isInTime = (message: TopicMessage): boolean => {
    const { op = '', ts_ms: atMs = Infinity } = envelopeOf(message);
    return operations.includes(op) && atMs <= (missedAtMs ?? -Infinity);
  };
  if (sink === 'mongo') {
    if (STAYS.includes(kind) && !(isReread && kind === 'extra row')) return false;
    return history.some((message) => versionOf(message) > version && isInTime(message));
  }
  if (place === null || kind === 'extra row') return false;
  const own = history.filter(({ partition }) => partition === place.partition);
  const at = own.findIndex(({ offset }) => offset === place.offset);
  // the row was deleted between the saboteur's reading and its writing: its tombstone says what is true
  const before = own[at - 1];
  if (kind === 'lost row' && before !== undefined && [null, 'd'].includes(operationOf(before))) return true;
  return own.slice(at + 1).some(isInTime);
}

/** Null of a tombstone. */
function operationOf(message: TopicMessage): string | null {
  return message.value === null ? null : (envelopeOf(message).op ?? '');
}

function envelopeOf({ value }: TopicMessage): { readonly op?: string; readonly ts_ms?: number } {
  if (value === null) return {};
  try {
    return JSON.parse(value.toString()) as { op?: string; ts_ms?: number };
  } catch {
    return {};
  }
}

function versionOf({ headers }: TopicMessage): string {
  const version = headers.find(([name]) => name?.toString() === 'ditto.version')?.[1]?.toString() ?? '';
  return /^[0-9a-f]{44}$/.test(version) ? version : '';
}

export function damageOfDocument(table: string, { kind, id, version }: DamagedDocument): Damage {
  const isKey = kind !== 'key that is no key';
  return { sink: 'mongo', table, kind, key: isKey ? keyOfId(id) : String(id), isKey, version, place: null };
}

export function damageOfMessage(table: string, { kind, key, version, partition, offset }: DamagedKey): Damage {
  return { sink: 'kafka', table, kind, key: keyOfMessage(key), isKey: true, version, place: { partition, offset } };
}

/** JSON text of the values of an `_id` with the driver's own types. */
export function keyOfId(id: unknown): string {
  const isBare = typeof id !== 'object' || id === null || Object.getPrototypeOf(id) !== Object.prototype;
  const values = isBare ? [id] : Object.values(id as Fields);
  return `[${values.map((value) => (typeof value === 'string' ? JSON.stringify(value) : String(value))).join(',')}]`;
}

/** The same of a message's key. Its numbers must fit into a double. */
export function keyOfMessage(key: string): string {
  return JSON.stringify(Object.values(JSON.parse(key) as object));
}
