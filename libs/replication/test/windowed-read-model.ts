import {
  changeAt,
  GtidAccumulator,
  GtidSet,
  type Row,
  type RowChange,
  type RowChanges,
  type TableLayout,
  type TableName,
  ValueImages,
} from '#change-events';
import { ChangeSink, type Acknowledgement, type SinkStatus } from '../src/ports/change-sink.ts';
import { ChangeSource, type SourceBatch, type SourceItem } from '../src/ports/change-source.ts';
import { type CascadingKey } from '../src/ports/cascade-facts.ts';
import { type MirroredKeys } from '../src/ports/mirrored-keys.ts';
import { RowReader, type ChunkRead, type KeysRead } from '../src/ports/row-reader.ts';
import { type TableRecord } from '../src/ports/stores.ts';
import { TableRecords } from '../src/tables/table-records.ts';

/**
 * A model of what the windowed read relies on: a log that a transaction enters before it becomes visible, visibility
 * before `gtid_executed`, and sinks that apply and acknowledge whenever they like. Every step that a real server or
 * network decides is a choice of the test. Test code only.
 */

export const SERVER = '11111111-1111-1111-1111-111111111111';

export const layout: TableLayout = {
  database: 'd',
  table: 't',
  columns: ['id', 'value'].map((name) => ({
    name,
    kind: 'integer',
    type: 'int',
    unsigned: false,
    precision: 0,
    scale: 0,
    length: 0,
    charset: null,
    labels: [],
  })),
  key: [0],
  fingerprint: 'model',
};

/** A second table that is copied, with keys of its own: those from here on. */
export const otherLayout: TableLayout = { ...layout, table: 'u', fingerprint: 'other' };
export const OTHER_KEYS_FROM = 8;

function layoutOfKey(key: number): TableLayout {
  return key < OTHER_KEYS_FROM ? layout : otherLayout;
}

/** Rows of `layout` refer to rows of this table: that with the same remainder by three. */
export const parentLayout: TableLayout = { ...layout, table: 'p', fingerprint: 'parent' };

export const CASCADING_KEY: CascadingKey = {
  name: 'to_p',
  database: 'd',
  table: 't',
  columns: ['value'],
  parent: { database: 'd', table: 'p' },
  parentColumns: ['id'],
  onDelete: 'cascade',
  onUpdate: 'none',
};
const PARENTS = 3;

/** What a pipeline needs for tables whose keys stay as they are. */
export const STEADY_KEYS = {
  onKeyDoubted: () => undefined,
  listTables: () => Promise.resolve([]),
  canLookUpRows: true,
};

/** Records that are kept in memory only. */
export function createRecords(known: readonly TableRecord[] = []): TableRecords {
  const grant = { source: 's', owner: 'o', token: 1 };
  return new TableRecords({ grant, store: { save: () => Promise.resolve() }, known });
}

/** Answers every open question of the run with the next number of a list, then with 0. */
export class Choices {
  readonly #numbers: readonly number[];
  #next = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  get exhausted(): boolean {
    return this.#next >= this.#numbers.length;
  }

  below(limit: number): number {
    return (this.#numbers[this.#next++] ?? 0) % limit;
  }
}

/** Continuations that wait for their turn; the driver picks which continues. */
export class Turns {
  #waiting: (() => void)[] = [];

  get size(): number {
    return this.#waiting.length;
  }

  take(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  run(index: number): void {
    const [resume] = this.#waiting.splice(index, 1);
    resume?.();
  }
}

interface ModelRow {
  readonly key: number;
  readonly value: number;
}

/** Without a row before: an insert; without one after: a delete. An update may give the row another key. */
interface ModelChange {
  readonly before: ModelRow | null;
  readonly after: ModelRow | null;
}

export interface ModelTransaction {
  readonly number: number;
  readonly changes: readonly ModelChange[];
  /** The parent that the transaction deletes in the end, and what that does to rows without the log saying so. */
  readonly parent: number | null;
  readonly unlogged: readonly { readonly key: number; readonly after: number | null }[];
}

export class ModelServer {
  readonly log: ModelTransaction[] = [];
  readonly committed = new Map<number, number>();
  readonly visible = new Map<number, number>();
  visibleCount = 0;
  executedCount = 0;
  /** Values grow with the log, so that an older value is known by being smaller. */
  #values = 0;

  commit(choices: Choices, keys: number, cascades = false): void {
    const changes: ModelChange[] = [];
    for (let i = choices.below(4); i >= 0; i--) {
      const change = this.#chooseChange(choices, keys);
      applyTo(this.committed, change);
      changes.push(change);
    }
    const parent = cascades ? choices.below(PARENTS) : null;
    const unlogged = parent === null ? [] : this.#cascade(parent, choices.below(3) > 0);
    this.log.push({ number: this.log.length + 1, changes, parent, unlogged });
  }

  #chooseChange(choices: Choices, keys: number): ModelChange {
    const key = choices.below(keys);
    const value = this.committed.get(key);
    if (value === undefined) return { before: null, after: { key, value: ++this.#values } };
    const before = { key, value };
    const kind = choices.below(3);
    if (kind === 0) return { before, after: null };
    const other = choices.below(keys);
    const isMoved = kind === 1 && !this.committed.has(other) && layoutOfKey(other) === layoutOfKey(key);
    return { before, after: { key: isMoved ? other : key, value: ++this.#values } };
  }

  #cascade(parent: number, isDeleting: boolean): { key: number; after: number | null }[] {
    const children = [...this.committed.keys()].filter((key) => key < OTHER_KEYS_FROM && key % PARENTS === parent);
    const unlogged = children.map((key) => ({ key, after: isDeleting ? null : ++this.#values }));
    for (const { key, after } of unlogged)
      if (after === null) this.committed.delete(key);
      else this.committed.set(key, after);
    return unlogged;
  }

  show(): void {
    const transaction = this.log[this.visibleCount];
    if (transaction === undefined) return;
    for (const change of transaction.changes) applyTo(this.visible, change);
    for (const { key, after } of transaction.unlogged)
      if (after === null) this.visible.delete(key);
      else this.visible.set(key, after);
    this.visibleCount++;
  }

  execute(): void {
    if (this.executedCount < this.visibleCount) this.executedCount++;
  }

  executedSet(): string {
    return this.executedCount === 0 ? '' : `${SERVER}:1-${this.executedCount}`;
  }
}

function applyTo(rows: Map<number, number>, { before, after }: ModelChange): void {
  if (before !== null) rows.delete(before.key);
  if (after !== null) rows.set(after.key, after.value);
}

/** Where the next transaction begins when so many are in the log: a log has no gaps. */
export function offsetBehind(transactions: number): number {
  return (transactions + 1) * 100;
}

export class ModelSource extends ChangeSource {
  readonly #server: ModelServer;
  readonly #turns: Turns;

  constructor(server: ModelServer, turns: Turns) {
    super();
    this.#server = server;
    this.#turns = turns;
  }

  async *stream({ from, signal }: Parameters<ChangeSource['stream']>[0]): AsyncIterable<SourceBatch> {
    const known = new GtidAccumulator(GtidSet.parse(from.gtidSet ?? ''));
    for (let next = 0; !signal.aborted;) {
      await this.#turns.take();
      const transaction = this.#server.log[next];
      if (transaction === undefined) continue;
      next++;
      if (known.contains(GtidSet.parse(`${SERVER}:${transaction.number}`))) continue;
      for (const items of splitItems(transaction)) {
        yield { items, bytes: 100 };
        await this.#turns.take();
      }
    }
  }
}

/** A transaction comes in two batches, so that windows and stops can fall inside it; an event may have many rows. */
function splitItems({ number, changes, parent }: ModelTransaction): SourceItem[][] {
  const offset = offsetBehind(number - 1);
  const transaction = {
    gtid: `${SERVER}:${number}`,
    preparedGtid: null,
    serverId: 1,
    serverUuid: SERVER,
    file: 'binlog.000001',
    offset,
    commitMicros: number,
  };
  const rows: SourceItem[] = [];
  for (let first = 0, next = 0; first < changes.length; first = next) {
    const op = opOf(changes[first]);
    const of = layoutOfChange(changes[first]);
    while (next < changes.length && opOf(changes[next]) === op && layoutOfChange(changes[next]) === of) next++;
    const event = changes.slice(first, next);
    const before = event.flatMap(({ before: row }): Row[] => (row === null ? [] : [[row.key, row.value]]));
    const after = event.flatMap(({ after: row }): Row[] => (row === null ? [] : [[row.key, row.value]]));
    rows.push({
      type: 'rows',
      layout: of,
      op,
      before: before.length === 0 ? null : new ValueImages(of, before),
      after: after.length === 0 ? null : new ValueImages(of, after),
      firstRowIndex: first,
    });
  }
  if (parent !== null)
    rows.push({
      type: 'rows',
      layout: parentLayout,
      op: 'delete',
      before: new ValueImages(parentLayout, [[parent, 0]]),
      after: null,
      firstRowIndex: changes.length,
    });
  const half = rows.length >> 1;
  return [
    [{ type: 'begin', transaction }, ...rows.slice(0, half)],
    [...rows.slice(half), { type: 'end', file: 'binlog.000001', endOffset: offsetBehind(number) }],
  ];
}

function layoutOfChange(change: ModelChange | undefined): TableLayout {
  return layoutOfKey((change?.before ?? change?.after)?.key ?? 0);
}

function opOf(change: ModelChange | undefined): 'create' | 'update' | 'delete' {
  if (!change?.before) return 'create';
  return change.after === null ? 'delete' : 'update';
}

/** Every third read meets its bound before its first row, or half way through its rows. */
const CUT_EVERY = 3;

export class ModelReader extends RowReader {
  readonly mostRowBytes = 1_000_000;
  #reads = 0;

  readKeyOrder(): Promise<string> {
    return Promise.resolve('');
  }

  isGone(): Promise<boolean> {
    return Promise.resolve(false);
  }

  readonly #server: ModelServer;
  readonly #turns: Turns;

  constructor(server: ModelServer, turns: Turns) {
    super();
    this.#server = server;
    this.#turns = turns;
  }

  async listTables(): Promise<readonly TableLayout[]> {
    await this.#turns.take();
    return [layout, otherLayout];
  }

  async readLayout({ table }: TableName): Promise<TableLayout> {
    await this.#turns.take();
    return table === layout.table ? layout : otherLayout;
  }

  async estimateRows(tables: readonly TableName[]): Promise<readonly number[]> {
    await this.#turns.take();
    return tables.map(() => this.#server.visible.size);
  }

  async readChunk(request: {
    layout: TableLayout;
    after: Row | null;
    limit: number;
    maxBytes?: number;
    dispatchedSet: string;
    signal: AbortSignal;
  }): Promise<ChunkRead> {
    const { after, limit, maxBytes } = request;
    await this.#waitBehind(request);
    const bound = after === null ? -1 : (after[0] as number);
    const keys = [...this.#server.visible.keys()]
      .filter((key) => key > bound && layoutOfKey(key) === request.layout)
      .sort((a, b) => a - b);
    const taken = keys.slice(0, this.#cut(limit, maxBytes));
    const rows = taken.map((key): Row => [key, this.#server.visible.get(key) as number]);
    await this.#turns.take();
    const last = taken.at(-1);
    return {
      rows,
      lastKey: last === undefined ? null : [last],
      complete: taken.length === keys.length && taken.length < limit,
      bytes: 100 * taken.length,
      high: this.#server.executedSet(),
    };
  }

  async readKeys(request: {
    keys: readonly Row[];
    maxBytes?: number;
    dispatchedSet: string;
    signal: AbortSignal;
  }): Promise<KeysRead> {
    await this.#waitBehind(request);
    const values = request.keys.map((key) => ({ key, value: this.#server.visible.get(key[0] as number) }));
    const there = values.filter(({ value }) => value !== undefined);
    const given = there.slice(0, this.#cut(there.length, request.maxBytes));
    const isCut = given.length < there.length;
    const others = request.keys.filter((key) => !given.some((row) => row.key === key));
    await this.#turns.take();
    return {
      rows: given.map(({ key, value }): Row => [key[0] ?? null, value ?? null]),
      absent: isCut ? [] : others,
      unanswered: isCut ? others : [],
      bytes: 100 * given.length,
      high: this.#server.executedSet(),
    };
  }

  /** How many rows come before the bound. */
  #cut(rows: number, maxBytes = this.mostRowBytes): number {
    const isCut = maxBytes < this.mostRowBytes && ++this.#reads % CUT_EVERY === 0;
    return isCut ? (this.#reads % 2) * (rows >> 1) : rows;
  }

  async #waitBehind({ dispatchedSet, signal }: { dispatchedSet: string; signal: AbortSignal }): Promise<void> {
    const dispatched = GtidSet.parse(dispatchedSet);
    do {
      await this.#turns.take();
      signal.throwIfAborted();
    } while (!GtidSet.parse(this.#server.executedSet()).contains(dispatched));
  }
}

/** What a sink keeps outside the process: it outlives a crash. */
export class ModelSinkState {
  /** By key: the newest version with its value (null: a tombstone). */
  readonly mirror = new Map<number, { version: string; value: number | null }>();
  /** By key: values in the order of arrival. */
  readonly topic = new Map<number, (number | null)[]>();
  /** By key: values of the mirror that were older than one it had held before. */
  readonly wentBack: { key: number; from: number; to: number }[] = [];
  readonly #highest = new Map<number, number>();

  setMirror(key: number, version: string, value: number | null): void {
    this.mirror.set(key, { version, value });
    if (value === null) return;
    const from = this.#highest.get(key) ?? 0;
    if (value < from) this.wentBack.push({ key, from, to: value });
    else this.#highest.set(key, value);
  }
}

export class ModelMirror implements Pick<MirroredKeys, 'list' | 'newestVersion'> {
  readonly #state: ModelSinkState;
  readonly #turns: Turns;

  constructor(state: ModelSinkState, turns: Turns) {
    this.#state = state;
    this.#turns = turns;
  }

  async newestVersion({ table }: TableName): Promise<string> {
    await this.#turns.take();
    return [...this.#state.mirror]
      .filter(([key]) => layoutOfKey(key).table === table)
      .reduce((newest, [, { version }]) => (version > newest ? version : newest), '');
  }

  async *list({
    layout: of,
    above,
    below,
    tombstonesAbove,
  }: Parameters<MirroredKeys['list']>[0]): AsyncIterable<readonly Row[]> {
    for (const [key, { version, value }] of [...this.#state.mirror]) {
      if (layoutOfKey(key) !== of) continue;
      await this.#turns.take();
      const isGone = value === null;
      const from = isGone ? tombstonesAbove : above;
      if (version < below && from !== null && version > from) yield [[key, null]];
    }
  }
}

interface QueuedChange {
  /** Null: of a table that is not looked at. */
  readonly key: number | null;
  readonly value: number | null;
  readonly version: string;
  readonly acknowledge: () => void;
  applied: boolean;
}

export class ModelSink extends ChangeSink {
  readonly name = 'mongo';
  readonly #state: ModelSinkState;
  readonly #versionOf: (change: RowChange) => string;
  #queue: QueuedChange[] = [];

  constructor(state: ModelSinkState, versionOf: (change: RowChange) => string) {
    super();
    this.#state = state;
    this.#versionOf = versionOf;
  }

  open(): Promise<void> {
    return Promise.resolve();
  }

  prepareTable(): Promise<void> {
    return Promise.resolve();
  }

  accept(changes: RowChanges, acknowledgement: Acknowledgement): void {
    for (let i = 0; i < changes.count; i++) this.#enqueue(changeAt(changes, i), acknowledgement);
  }

  /** A row that gets another key leaves one and comes to the other. */
  #enqueue(change: RowChange, acknowledgement: Acknowledgement): void {
    const version = this.#versionOf(change);
    const keyOf = (row: Row | null): number | null =>
      row === null || change.layout.table === parentLayout.table ? null : (row[0] as number);
    const [from, to] = [keyOf(change.before), keyOf(change.after)];
    const value = change.after === null ? null : (change.after[1] as number);
    const isMoved = from !== null && to !== null && from !== to;
    let left = isMoved ? 2 : 1;
    const acknowledge = (): void => {
      if (--left === 0) acknowledgement.acknowledge(1);
    };
    const entry = { version, acknowledge, applied: false };
    if (isMoved) this.#queue.push({ ...entry, key: from, value: null });
    this.#queue.push({ ...entry, key: to ?? from, value });
  }

  flush(): void {
    // what was accepted waits for the test's choice
  }

  get size(): number {
    return this.#queue.length;
  }

  /** Applies the oldest waiting change of some key; acknowledging it is another step, which a crash may forestall. */
  apply(choice: number): void {
    const entry = this.#pick(choice);
    if (entry === undefined || entry.applied) return;
    entry.applied = true;
    const { key, value, version } = entry;
    if (key === null) return;
    const stored = this.#state.mirror.get(key);
    if (stored === undefined || version > stored.version) this.#state.setMirror(key, version, value);
    this.#state.topic.set(key, [...(this.#state.topic.get(key) ?? []), value]);
  }

  acknowledge(choice: number): void {
    const entry = this.#pick(choice);
    if (entry?.applied !== true) return;
    this.#queue.splice(this.#queue.indexOf(entry), 1);
    entry.acknowledge();
  }

  #pick(choice: number): QueuedChange | undefined {
    const chosen = this.#queue[choice % Math.max(1, this.#queue.length)];
    return chosen && this.#queue.find(({ key }) => key === chosen.key);
  }

  async drain(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#queue.length > 0) {
      this.apply(0);
      this.acknowledge(0);
    }
    return Promise.resolve();
  }

  applyTableChange(): Promise<void> {
    return Promise.resolve();
  }

  get bytesInFlight(): number {
    return this.#queue.length * 100;
  }

  status(): SinkStatus {
    return {
      bytesInFlight: this.bytesInFlight,
      changesInFlight: this.#queue.length,
      confirmedChanges: 0,
      retries: 0,
      counters: {},
      holdingBecause: null,
    };
  }

  close(): Promise<void> {
    this.#queue = [];
    return Promise.resolve();
  }
}
