import {
  coversChange,
  formatVersion,
  READ_ROW_INDEX,
  type ReadRows,
  type Row,
  type TableLayout,
  transactionEndVersion,
} from '#change-events';
import { type ChunkRead, type KeysRead, RowReader } from '#replication';
import { RecordedStream, type RecordedCheckpoint, type RecordedTable } from '../src/ports/recorded-stream.ts';
import {
  type CoveredChanges,
  type Difference,
  type ListedPage,
  type KeyRange,
  type RowsOfChunk,
  type StoredChunk,
  type StoredRow,
  VerifiedSink,
} from '../src/ports/verified-sink.ts';

/**
 * A model of what verification relies on: a source whose transactions are owned, logged, visible and counted in this
 * order, a replica that follows, a stream that gives changes to a sink, a sink that applies them whenever it likes, and
 * a checkpoint that follows. Each step of these is a choice of the test, also between any two steps of a verification.
 * Test code only.
 */

const SERVER = '11111111-1111-1111-1111-111111111111';
const OTHER_SERVER = '22222222-2222-2222-2222-222222222222';
export const KEYS = [0, 1, 2] as const;
/** So many steps the trace of a deleted row stays at least. */
export const TRACES_STEPS = 80;

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

/** Answers every open question of a run with the next number of a list, then with 0. */
export class Choices {
  readonly #numbers: readonly number[];
  #next = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  get areUsedUp(): boolean {
    return this.#next >= this.#numbers.length;
  }

  below(limit: number): number {
    return (this.#numbers[this.#next++] ?? 0) % limit;
  }
}

/**
 * What a transaction does. `set`: writes one row, or deletes it. `shift`: changes every row in a way that the log says
 * nothing of, so that DSS reads the table again. `prepare`: has a GTID, and no effect before its outcome is logged.
 */
type Effect =
  | { readonly kind: 'set'; readonly key: number; readonly value: number | null }
  | { readonly kind: 'shift' }
  | { readonly kind: 'prepare' }
  | { readonly kind: 'decide'; readonly prepared: number; readonly key: number; readonly value: number };

/** How far a server is: the numbers of the newest transactions that it owns, shows, and counts as executed. */
interface Server {
  owned: number;
  visible: number;
  executed: number;
}

interface Stored {
  version: string;
  /** Number of the transaction; 0 for none. */
  transaction: number;
  /** Null when deleted. */
  value: number | null;
  damage: string | null;
  /** When it was written, in steps. */
  atStep?: number;
}

/** A change on its way to the sink. */
interface Write {
  readonly key: number;
  readonly transaction: number;
  readonly version: string;
  readonly value: number | null;
  /** Of a re-read: the checkpoint does not wait for it. */
  readonly isRead: boolean;
}

/** A step of the rule that is left out, to see that the tests notice. */
export type LeftOut = 'wait' | 'only if' | 'owned' | 'generation' | 'lineage';

export class Model {
  readonly #choices: Choices;
  readonly #leftOut: LeftOut | null;
  readonly #transactions: Effect[] = [];
  readonly primary: Server = { owned: 0, visible: 0, executed: 0 };
  readonly replica: Server = { owned: 0, visible: 0, executed: 0 };
  /** Number of the newest transaction in the log. */
  logged = 0;
  #dispatched = 0;
  #checkpoint = 0;
  #lineage = 1;
  #checkpointVersion = transactionEndVersion(this.#prefixOf(0, 1));
  /** The lineage that each transaction was dispatched under. */
  readonly #versions: string[] = [];
  #readSequence = 0;
  #writes: Write[] = [];
  readonly sink = new Map<number, Stored>();
  #generation = 0;
  /** False from a change that needs a re-read until the sink has what was read. */
  #isCopied = true;
  #isReadDue = false;
  /** Keys whose stored row was changed by hand once. */
  readonly sabotaged = new Set<number>();
  isSabotageAllowed = false;
  /** Nothing moves any more. */
  isStill = false;
  /** The clock of the model. */
  steps = 0;

  constructor(choices: Choices, leftOut: LeftOut | null = null) {
    this.#choices = choices;
    this.#leftOut = leftOut;
  }

  /** Some steps of the world, as many as the choices say. */
  live(): void {
    if (this.isStill) return;
    for (let steps = this.#choices.below(7); steps > 0; steps--) this.#step();
  }

  /** All goes its way until nothing moves any more. */
  settle(): void {
    while (this.#progress());
  }

  /** Until the server counts this transaction as executed; it is in the log. */
  waitFor(server: Server, number: number): void {
    while (server.executed < number)
      if (!this.#advance(server, this.logged)) throw new Error(`the server never gets transaction ${number}`);
  }

  /** The rows of the table after the first `count` transactions. */
  rowsAfter(count: number): Map<number, number> {
    const rows = new Map<number, number>();
    for (const effect of this.#transactions.slice(0, count)) {
      if (effect.kind === 'shift') for (const [key, value] of rows) rows.set(key, value + 100);
      else if (effect.kind === 'set' && effect.value === null) rows.delete(effect.key);
      else if (effect.kind === 'set' || effect.kind === 'decide') rows.set(effect.key, effect.value as number);
    }
    return rows;
  }

  /** Keys that the sink does not have as the source has them, once all is settled. */
  wrongKeys(): number[] {
    const rows = this.rowsAfter(this.logged);
    return KEYS.filter((key) => {
      const stored = this.sink.get(key);
      const isPossible = stored === undefined || (stored.damage === null && stored.version <= this.highestVersion());
      return !isPossible || (stored?.value ?? null) !== (rows.get(key) ?? null);
    });
  }

  highestVersion(): string {
    return transactionEndVersion(this.#prefixOf(this.logged, this.#lineage));
  }

  #prefixOf(number: number, lineage: number): string {
    return formatVersion({ lineage, fileNumber: 1, offset: number, rowIndex: 0, readSequence: 0 }).slice(0, 28);
  }

  #step(): void {
    this.steps++;
    switch (this.#choices.below(14)) {
      case 1:
        this.#begin();
        break;
      case 2:
      case 3:
        if (this.primary.owned > this.logged) this.logged++;
        break;
      case 4:
        this.#advance(this.primary, this.logged);
        break;
      case 5:
      case 6:
        this.#advance(this.replica, this.primary.executed);
        break;
      case 7:
        this.#dispatch();
        break;
      case 8:
      case 9:
        this.#applyWrite(this.#choices.below(8));
        break;
      case 10:
        this.#saveCheckpoint();
        break;
      case 11:
        if (this.#choices.below(8) === 0) this.#readAgain();
        break;
      case 12:
        this.#disturb();
        break;
      case 13:
        if (this.isSabotageAllowed) this.#sabotage();
        else this.#begin();
        break;
      default:
        this.#progress();
    }
  }

  /** What happens seldom. */
  #disturb(): void {
    switch (this.#choices.below(6)) {
      case 1:
        this.#crash();
        break;
      case 2:
        this.#crash();
        this.#raiseLineage();
        break;
      case 3:
        this.#sweep();
        break;
      default:
    }
  }

  /** A transaction is given its number, and is owned until it is counted. */
  #begin(): void {
    if (this.primary.owned > this.logged) return;
    const key = this.#choices.below(KEYS.length);
    const value = this.#choices.below(10);
    const prepared = this.#undecidedUpTo(this.primary.owned)[0];
    const kind = this.#choices.below(8);
    if (kind === 0) this.#transactions.push({ kind: 'shift' });
    else if (kind === 1) this.#transactions.push({ kind: 'prepare' });
    else if (kind === 2 && prepared !== undefined) this.#transactions.push({ kind: 'decide', prepared, key, value });
    else this.#transactions.push({ kind: 'set', key, value: value < 3 ? null : value });
    this.primary.owned++;
  }

  /** A prepared one is no transaction that a change can belong to. */
  #newestWithOutcome(count: number): number {
    return this.#transactions.slice(0, count).findLastIndex(({ kind }) => kind !== 'prepare') + 1;
  }

  /** The numbers up to this one of transactions that are prepared, and not decided up to it. */
  #undecidedUpTo(count: number): number[] {
    const undecided = new Set<number>();
    for (const [i, effect] of this.#transactions.slice(0, count).entries())
      if (effect.kind === 'prepare') undecided.add(i + 1);
      else if (effect.kind === 'decide') undecided.delete(effect.prepared);
    return [...undecided];
  }

  /** The next thing that must happen some time; false when there is nothing. */
  #progress(): boolean {
    if (this.primary.owned > this.logged) this.logged++;
    else if (this.#advance(this.primary, this.logged) || this.#advance(this.replica, this.primary.executed))
      return true;
    else if (this.#dispatch()) return true;
    else if (this.#writes.length > 0) this.#applyWrite(0);
    else return this.#readAgain() || this.#saveCheckpoint();
    return true;
  }

  #advance(server: Server, limit: number): boolean {
    if (server === this.replica && server.owned < limit && server.owned === server.executed) server.owned++;
    else if (server.visible < Math.min(server.owned, limit)) server.visible++;
    else if (server.executed < server.visible) server.executed++;
    else return false;
    return true;
  }

  #dispatch(): boolean {
    if (this.#dispatched === this.logged) return false;
    const number = ++this.#dispatched;
    const effect = this.#transactions[number - 1] as Effect;
    const prefix = this.#prefixOf(number, this.#lineage);
    this.#versions[number] = prefix;
    if (effect.kind === 'set' || effect.kind === 'decide')
      this.#writes.push({ ...effect, transaction: number, version: `${prefix}0000000000000000`, isRead: false });
    else if (effect.kind === 'shift') {
      this.#generation++;
      this.#isCopied = false;
      this.#isReadDue = true;
    }
    return true;
  }

  /** DSS reads the rows again, as of the newest transaction that it has given to the sink; then the sink must have them. */
  #readAgain(): boolean {
    if (this.#isReadDue) {
      this.#isReadDue = false;
      const rows = this.rowsAfter(this.#dispatched);
      const transaction = this.#newestWithOutcome(this.#dispatched);
      for (const key of KEYS) {
        const version =
          this.#prefixOf(this.#dispatched, this.#lineage) + hex(READ_ROW_INDEX) + hex(++this.#readSequence);
        this.#writes.push({ key, transaction, version, value: rows.get(key) ?? null, isRead: true });
      }
      return true;
    }
    if (this.#isCopied || this.#writes.some(({ isRead }) => isRead)) return false;
    this.#isCopied = true;
    return true;
  }

  /** Any write that is under way may be the next, but for those of its own key before it. */
  #applyWrite(choice: number): void {
    const wanted = this.#writes[choice % Math.max(this.#writes.length, 1)];
    const write = this.#writes.find(({ key }) => key === wanted?.key);
    if (write === undefined) return;
    this.#writes.splice(this.#writes.indexOf(write), 1);
    const { key, version, value, transaction } = write;
    const stored = this.sink.get(key);
    // the guard; a malformed version is never below
    if (stored !== undefined && (stored.damage === 'version' || stored.version >= version)) return;
    this.sink.set(key, { version, transaction, value, damage: null, atStep: this.steps });
  }

  #saveCheckpoint(): boolean {
    if (this.#checkpoint === this.#dispatched || this.#writes.some(({ isRead }) => !isRead)) return false;
    this.#checkpoint = this.#dispatched;
    this.#checkpointVersion = transactionEndVersion(this.#versions[this.#checkpoint] as string);
    return true;
  }

  /** What was not confirmed is given to the sink again. */
  #crash(): void {
    this.#writes = [];
    this.#dispatched = this.#checkpoint;
    this.#isReadDue = !this.#isCopied;
  }

  /** The stream begins again at the checkpoint, whose version is then the one of this beginning. */
  #raiseLineage(): void {
    this.#lineage++;
    this.#checkpointVersion = transactionEndVersion(this.#prefixOf(this.#checkpoint, this.#lineage));
  }

  /** Old tombstones that the checkpoint covers are removed. */
  #sweep(): void {
    for (const [key, { value, transaction, atStep = 0 }] of this.sink)
      if (value === null && transaction <= this.#checkpoint && atStep + TRACES_STEPS < this.steps)
        this.sink.delete(key);
  }

  #sabotage(): void {
    const key = this.#choices.below(KEYS.length);
    const stored = this.sink.get(key);
    const value = 1_000 + this.#choices.below(50);
    const place = {
      version: this.#checkpointVersion,
      transaction: this.#newestWithOutcome(this.#checkpoint),
      ...stored,
    };
    this.sabotaged.add(key);
    switch (this.#choices.below(5)) {
      case 0:
        this.sink.delete(key);
        break;
      case 1:
        this.sink.set(key, { ...place, value, damage: null });
        break;
      case 2:
        this.sink.set(key, { ...place, version: `7${'0'.repeat(43)}`, value, damage: null });
        break;
      case 3:
        this.sink.set(key, { ...place, value, damage: 'version' });
        break;
      default:
        this.sink.set(key, { ...place, version: '0'.repeat(44), value, damage: null });
    }
  }

  recordedCheckpoint(isFence: boolean): RecordedCheckpoint {
    const undecided = this.#undecidedUpTo(this.#checkpoint);
    const isBlind = isFence && this.#leftOut === 'only if';
    const version = isBlind ? hex(this.#lineage).padEnd(44, 'f') : this.#checkpointVersion;
    const isTooFar = !isFence && this.#leftOut === 'wait';
    const covered = isTooFar ? this.#transactions.length : this.#checkpoint;
    const numbers = Array.from({ length: covered }, (_, i) => i + 1).filter((number) => !undecided.includes(number));
    return { gtidSet: gtids(numbers), version, undecidedSet: gtids(undecided) };
  }

  recordedTable(): RecordedTable {
    const isBlind = this.#leftOut === 'generation';
    return {
      generation: isBlind ? 0 : this.#generation,
      copied: isBlind || this.#isCopied ? 'yes' : 'no',
      layout,
    };
  }

  storedRow(stored: Stored): StoredRow {
    const { version, transaction, value, damage } = stored;
    return {
      fingerprint: fingerprintOf(stored),
      gtid: transaction === 0 || this.#leftOut === 'lineage' ? null : `${SERVER}:${transaction}`,
      version: damage === 'version' ? null : version,
      isDeleted: value === null,
      damage: null,
      compare: ([, expected]): readonly Difference[] => {
        if (expected === value) return [];
        return [{ column: 'value', source: String(expected), sink: String(value) }];
      },
    };
  }

  /** What a read's `high` is made of, in the order in which it is asked for. */
  readHigh(server: Server): string {
    const owned = this.#leftOut === 'owned' ? 0 : server.owned;
    this.live();
    const numbers = Array.from({ length: Math.max(owned, server.executed) }, (_, i) => i + 1);
    return [gtids(numbers), `${OTHER_SERVER}:1`].filter((text) => text !== '').join(',');
  }
}

/** Of growing numbers. */
function gtids(numbers: readonly number[]): string {
  let text = '';
  for (let i = 0; i < numbers.length;) {
    const start = i++;
    while (i < numbers.length && numbers[i] === (numbers[i - 1] as number) + 1) i++;
    text += `:${numbers[start]}-${numbers[i - 1]}`;
  }
  return text === '' ? '' : SERVER + text;
}

export class ModelReader extends RowReader {
  readonly mostRowBytes = 1_000_000;
  readonly #model: Model;
  readonly #server: Server;

  constructor(model: Model, server: Server) {
    super();
    this.#model = model;
    this.#server = server;
  }

  override findErrant(): string {
    return `${OTHER_SERVER}:1`;
  }

  override listTables(): Promise<readonly TableLayout[]> {
    return Promise.resolve([layout]);
  }

  override readKeyOrder(): Promise<string> {
    return Promise.resolve('');
  }

  override readLayout(): Promise<TableLayout> {
    return Promise.resolve(layout);
  }

  override isGone(): Promise<boolean> {
    return Promise.resolve(false);
  }

  override estimateRows(): Promise<readonly number[]> {
    return Promise.resolve([KEYS.length]);
  }

  override readChunk(request: {
    readonly after: Row | null;
    readonly limit: number;
    readonly dispatchedSet: string;
  }): Promise<ChunkRead> {
    const rows = this.#select(request.dispatchedSet);
    const high = this.#model.readHigh(this.#server);
    const from = request.after === null ? -1 : (request.after[0] as number);
    const after = KEYS.filter((key) => key > from && rows.has(key));
    const found = after.slice(0, request.limit).map((key): Row => [key, rows.get(key) ?? null]);
    const last = found.at(-1)?.[0];
    return Promise.resolve({
      rows: found,
      lastKey: last === undefined ? null : [last],
      complete: after.length <= request.limit,
      bytes: found.length,
      high,
    });
  }

  override readKeys(request: { readonly keys: readonly Row[]; readonly dispatchedSet: string }): Promise<KeysRead> {
    const rows = this.#select(request.dispatchedSet);
    const high = this.#model.readHigh(this.#server);
    const isThere = (key: Row): boolean => rows.has(key[0] as number);
    return Promise.resolve({
      rows: request.keys.filter(isThere).map((key): Row => [key[0] ?? null, rows.get(key[0] as number) ?? null]),
      absent: request.keys.filter((key) => !isThere(key)),
      unanswered: [],
      bytes: 0,
      high,
    });
  }

  #select(dispatchedSet: string): Map<number, number> {
    this.#model.live();
    const needed = Math.max(0, ...[...dispatchedSet.matchAll(/:\d+-(\d+)/g)].map(([, number]) => Number(number)));
    this.#model.waitFor(this.#server, needed);
    const rows = this.#model.rowsAfter(this.#server.visible);
    this.#model.live();
    return rows;
  }
}

export class ModelStream extends RecordedStream {
  readonly #model: Model;
  #isFence = false;

  constructor(model: Model) {
    super();
    this.#model = model;
  }

  override readCheckpoint(): Promise<RecordedCheckpoint> {
    this.#model.live();
    const checkpoint = this.#model.recordedCheckpoint(this.#isFence);
    this.#isFence = false;
    return Promise.resolve(checkpoint);
  }

  override readTable(): Promise<RecordedTable> {
    this.#model.live();
    this.#isFence = true;
    return Promise.resolve(this.#model.recordedTable());
  }

  override readHighestVersion(): Promise<string> {
    this.#model.live();
    return Promise.resolve(this.#model.highestVersion());
  }
}

export class ModelSink extends VerifiedSink {
  readonly #model: Model;
  readonly #seesExtras: boolean;

  constructor(model: Model, seesExtras = false) {
    super();
    this.#model = model;
    this.#seesExtras = seesExtras;
  }

  override seesExtras(): boolean {
    return this.#seesExtras;
  }

  override read(_: TableLayout, keys: readonly Row[]): Promise<readonly (StoredRow | null)[]> {
    return Promise.resolve(
      keys.map(([key]) => {
        this.#model.live();
        const stored = this.#model.sink.get(key as number);
        return stored === undefined ? null : this.#model.storedRow(stored);
      }),
    );
  }

  /** Counts what is equal row by row, as a sink does that makes nothing of it. */
  override async readChunk(
    _: TableLayout,
    chunk: RowsOfChunk,
    checkpoint: CoveredChanges,
    signal: AbortSignal,
  ): Promise<StoredChunk> {
    const { rows } = chunk;
    const all = await super.readChunk(layout, chunk, checkpoint, signal);
    const others = all.others.filter((i) => !this.#isEqual(rows.row(i), all.stored[i] ?? null, checkpoint));
    return {
      mayHaveExtras: chunk.range === null || this.#listKeys(chunk.range).some((key) => !keysOf(rows).has(key)),
      equal: all.others.length - others.length,
      others,
      stored: others.map((i) => all.stored[i] ?? null),
    };
  }

  #isEqual(row: Row, stored: StoredRow | null, checkpoint: CoveredChanges): boolean {
    if (stored?.damage !== null || stored.isDeleted || stored.version === null) return false;
    const { version, gtid } = stored;
    return coversChange(checkpoint, { version, gtid }) && stored.compare(row)?.length === 0;
  }

  /** Of rows in the range. */
  #listKeys({ after, upTo }: KeyRange): number[] {
    const [first, last] = [Number(after?.[0] ?? -1), Number(upTo?.[0] ?? Infinity)];
    return KEYS.filter((key) => key > first && key <= last && (this.#model.sink.get(key)?.value ?? null) !== null);
  }

  override async *list({ part }: { readonly part?: KeyRange | 'no range' }): AsyncIterable<ListedPage> {
    this.#model.live();
    await Promise.resolve();
    const keys = part === 'no range' ? [] : this.#listKeys(part ?? { after: null, upTo: null });
    yield { keys: keys.map((key): Row => [key, null]), foreign: [], isExact: true, after: String(KEYS.at(-1)) };
  }

  override listQuarantined(): Promise<readonly Row[]> {
    return Promise.resolve([]);
  }

  override demote(
    _: TableLayout,
    place: { readonly key: Row } | { readonly foreign: string },
    fingerprint: string,
  ): Promise<boolean> {
    this.#model.live();
    const key = 'key' in place ? (place.key[0] as number) : NaN;
    const stored = this.#model.sink.get(key);
    if (stored === undefined || fingerprintOf(stored) !== fingerprint) return Promise.resolve(false);
    this.#model.sink.set(key, { ...stored, version: '0'.repeat(44), transaction: 0, damage: null });
    return Promise.resolve(true);
  }
}

function fingerprintOf(stored: Stored): string {
  return JSON.stringify(stored);
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

function keysOf(rows: ReadRows): ReadonlySet<unknown> {
  return new Set(Array.from({ length: rows.count }, (_, i) => rows.row(i)[0]));
}
