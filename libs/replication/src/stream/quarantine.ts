import { formatTableName, type TableName, tableKey } from '#change-events';
import { Backoff, DittoError, type Logger, retry, sleep, toDittoError } from '#kernel';
import { type FailedEventStore, type QuarantineChanges } from '../ports/failed-event-store.ts';
import { isRead, type QuarantinedKey, QuarantinedKeys, type TableQuarantine } from '../ports/quarantined-keys.ts';
import { type RefusedChange, RefusedChanges } from '../ports/refused-changes.ts';
import { type Grant } from '../ports/stores.ts';

export interface QuarantineOptions {
  readonly grant: Grant;
  readonly store: FailedEventStore;
  readonly sinks: readonly string[];
  /** Rows of one table in one sink; the source stops at the next. 0: at the first. */
  readonly mostKeys: number;
  /** When a row that was refused is read again for the first time. */
  readonly retryAfterMs: number;
  /** A refusal was recorded durably: of a row that enters, or of one that is open already. */
  readonly onRecorded?: (sink: string, refused: RefusedChange, error: DittoError) => void;
  readonly backoff: { readonly initialMs: number; readonly maxMs: number };
  readonly logger: Logger;
  readonly nowMs: () => number;
}

export interface QuarantineStatus extends TableQuarantine {
  readonly sink: string;
  /** Changes held back by this process. */
  readonly heldChanges: number;
}

interface Pending {
  readonly held: Map<string, QuarantineChanges['held'][number]>;
  readonly delivered: Map<string, QuarantineChanges['delivered'][number]>;
  readonly endedTables: Map<string, QuarantineChanges['endedTables'][number]>;
}

const STORE_EVERY_MS = 1000;
/** In one write: it must be over before the state database gives it up, however much waits. */
const MOST_AT_ONCE = 25;

/**
 * The quarantine of one source, while this process owns it. A row enters when its record is durable, and only then does the
 * refused change count as confirmed (I1, I6). That a row has left, and how many changes were held back, is stored a moment
 * later: a crash in between leaves it in the quarantine, and the next read leads it out.
 */
export class Quarantine extends RefusedChanges {
  readonly #options: QuarantineOptions;
  readonly #keys: ReadonlyMap<string, QuarantinedKeys>;
  readonly #heldChanges = new Map<string, number>();
  /** Rows that are being recorded, by sink and table: they count. */
  readonly #entering = new Map<string, Set<string>>();
  #pending = nothingPending();
  /** What of it is being stored. */
  #storing = nothingPending();
  /** One write after the other: what a row did last must be stored last. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: QuarantineOptions) {
    super();
    this.#options = options;
    this.#keys = new Map(options.sinks.map((sink) => [sink, this.#watch(sink)]));
  }

  /** As the last owner of the source left it. */
  static async open(options: QuarantineOptions): Promise<Quarantine> {
    const quarantine = new Quarantine(options);
    for (const { sink, version, changeId, isDiscarded, ...key } of await options.store.load(options.grant.source)) {
      const keys = quarantine.#keys.get(sink);
      keys?.add(key, version);
      if (isDiscarded) keys?.discard(key, changeId);
    }
    return quarantine;
  }

  override keysOf(sink: string): QuarantinedKeys {
    const keys = this.#keys.get(sink);
    if (keys === undefined) throw new RangeError(`the source has no sink ${sink}`);
    return keys;
  }

  override async record(sink: string, { table, key, ...refused }: RefusedChange, error: DittoError): Promise<void> {
    const keys = this.keysOf(sink);
    const of = { ...table, key };
    const name = tableName(sink, table);
    const entering = this.#entering.get(name) ?? new Set();
    this.#entering.set(name, entering);
    const isOpen = keys.has(of) && !keys.isDiscarded(of);
    const isNew = !isOpen && !entering.has(key) && !keys.wasDiscarded(of, refused);
    if (isNew) this.#assertRoom(sink, table, keys.countOf(table) + entering.size, error);
    if (isNew) entering.add(key);
    try {
      const { grant, store, retryAfterMs, nowMs } = this.#options;
      const event = { ...refused, table, key, sink, code: error.code, message: error.message };
      const isNowOpen = await this.#inTurn(async () => {
        // the row may have left a moment ago
        await this.#storePending();
        const recorded = await store.record(grant, event, nowMs() + retryAfterMs);
        if (recorded) keys.add(of, refused.version);
        // which change it was for is learned with the other discards
        else if (!isRead(refused.version)) keys.discard(of, refused.id);
        entering.delete(key);
        return recorded;
      });
      if (isNowOpen) this.#options.onRecorded?.(sink, { table, key, ...refused }, error);
    } finally {
      if (isNew) entering.delete(key);
      if (entering.size === 0) this.#entering.delete(name);
    }
  }

  /** These rows are about to be read: a change of the log that comes before the read is as new, and is tried as well. */
  tryNext(table: TableName, keys: readonly string[]): void {
    for (const quarantined of this.#keys.values())
      if (quarantined.hasAny(table))
        for (const key of keys) quarantined.tryNext({ database: table.database, table: table.table, key });
  }

  override async endTable(sink: string, { database, table }: TableName, version: string): Promise<void> {
    const keys = this.keysOf(sink);
    if (keys.hasAny({ database, table })) {
      keys.removeTable({ database, table });
      this.#noteEnd(sink, { database, table }, version);
    }
    // also what an earlier attempt has left; what other tables have to store is not waited for
    const name = tableName(sink, { database, table });
    if ([this.#pending, this.#storing].some((changes) => frees(changes, name)))
      await this.#inTurn(() => this.#storePending());
  }

  #noteEnd(sink: string, { database, table }: TableName, version: string): void {
    const name = tableName(sink, { database, table });
    this.#pending.endedTables.set(name, { sink, database, table, version });
    for (const changes of [this.#pending.held, this.#pending.delivered])
      for (const [at, one] of changes) if (tableName(one.sink, one) === name) changes.delete(at);
  }

  status(): readonly QuarantineStatus[] {
    return [...this.#keys].flatMap(([sink, keys]) =>
      keys.counts().map((of) => ({ sink, ...of, heldChanges: this.#heldChanges.get(tableName(sink, of)) ?? 0 })),
    );
  }

  /** Stores what changes, and learns what was discarded. Rejects when `signal` is aborted, and without the ownership. */
  async run(signal: AbortSignal): Promise<never> {
    const { backoff, logger } = this.#options;
    for (;;) {
      await sleep(STORE_EVERY_MS, signal);
      const work = (): Promise<void> =>
        this.#inTurn(async () => {
          await this.#storePending();
          await this.#learnDiscards();
        });
      const log = { logger, message: 'the quarantine can not be stored, trying again' };
      await retry(work, { backoff: new Backoff(backoff), signal, log });
    }
  }

  /** After the drain. What is not stored stays in the quarantine, and is led out again. */
  async storeLast(): Promise<void> {
    try {
      await this.#inTurn(() => this.#storePending());
    } catch (cause) {
      const { code, message } = toDittoError(cause);
      this.#options.logger.warn('the last changes of the quarantine could not be stored', { code, error: message });
    }
  }

  #watch(sink: string): QuarantinedKeys {
    const keys = new QuarantinedKeys();
    keys.onHeld = (of) => {
      const { database, table, key } = of;
      const name = tableName(sink, of);
      this.#heldChanges.set(name, (this.#heldChanges.get(name) ?? 0) + 1);
      const count = (this.#pending.held.get(keyName(sink, of))?.count ?? 0) + 1;
      const lastMs = this.#options.nowMs();
      this.#pending.held.set(keyName(sink, of), { sink, database, table, key, count, lastMs });
    };
    keys.onTaken = (of, version) => {
      const { database, table, key } = of;
      this.#pending.delivered.set(keyName(sink, of), { sink, database, table, key, version });
    };
    return keys;
  }

  #assertRoom(sink: string, table: TableName, count: number, error: DittoError): void {
    const { mostKeys } = this.#options;
    if (mostKeys === 0) throw error;
    if (count < mostKeys) return;
    throw new DittoError(
      'DITTO_QUARANTINE_FULL',
      `the quarantine of ${sink} has ${count} rows of ${formatTableName(table)}, and one more is refused: ${error.message}`,
      {
        remedy:
          'So many rows are seldom at fault one by one: look for what they share (GET /failed-events of DWS), change the sink or the rows, and restart the source. Discarding failed events makes room, and so does a greater failedEvents.mostKeys.',
        context: { ...error.context, sink, ...table },
        cause: error,
      },
    );
  }

  async #storePending(): Promise<void> {
    const { grant, store } = this.#options;
    const pending = this.#pending;
    this.#pending = nothingPending();
    this.#storing = pending;
    try {
      for (let part = firstOf(pending); part !== null; part = firstOf(pending)) {
        await store.settle(grant, toChanges(part));
        remove(part, pending);
      }
    } catch (error) {
      this.#pending = unite(pending, this.#pending);
      throw error;
    } finally {
      this.#storing = nothingPending();
    }
  }

  async #learnDiscards(): Promise<void> {
    if ([...this.#keys.values()].every((keys) => keys.isEmpty)) return;
    const { grant, store } = this.#options;
    for (const { sink, database, table, key, changeId } of await store.load(grant.source, 'discarded'))
      this.#keys.get(sink)?.discard({ database, table, key }, changeId);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

function nothingPending(): Pending {
  return { held: new Map(), delivered: new Map(), endedTables: new Map() };
}

/** Whether rows of the table have left, or all have ended. */
function frees({ delivered, endedTables }: Pending, table: string): boolean {
  return endedTables.has(table) || [...delivered.values()].some((one) => tableName(one.sink, one) === table);
}

/** In the order in which it is to be stored; null: there is nothing. */
function firstOf({ held, delivered, endedTables }: Pending): Pending | null {
  let room = MOST_AT_ONCE;
  const take = <T>(from: ReadonlyMap<string, T>): Map<string, T> => {
    const taken = new Map<string, T>();
    for (const [name, one] of from) {
      if (room === 0) break;
      taken.set(name, one);
      room--;
    }
    return taken;
  };
  const part = { held: take(held), delivered: take(delivered), endedTables: take(endedTables) };
  return room === MOST_AT_ONCE ? null : part;
}

function toChanges({ held, delivered, endedTables }: Pending): QuarantineChanges {
  return {
    held: [...held.values()],
    delivered: [...delivered.values()],
    endedTables: [...endedTables.values()],
  };
}

function remove(part: Pending, from: Pending): void {
  for (const name of ['held', 'delivered', 'endedTables'] as const)
    for (const key of part[name].keys()) from[name].delete(key);
}

/** Nothing of `newer` is lost, and a row that did both is as the newer says. */
function unite(older: Pending, newer: Pending): Pending {
  const held = new Map(older.held);
  for (const [name, one] of newer.held) held.set(name, { ...one, count: one.count + (held.get(name)?.count ?? 0) });
  return {
    held,
    delivered: new Map([...older.delivered, ...newer.delivered]),
    endedTables: new Map([...older.endedTables, ...newer.endedTables]),
  };
}

function tableName(sink: string, table: TableName): string {
  return `${sink}\0${tableKey(table)}`;
}

function keyName(sink: string, { key, ...table }: QuarantinedKey): string {
  return `${tableName(sink, table)}\0${key}`;
}
