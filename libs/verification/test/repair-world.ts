import { encodeKeyValues, type Row, type TableLayout, type TableName } from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import { type NewRead, type RequestedRead } from '#replication';
import {
  CURRENT_STATES,
  type MismatchRecord,
  type MismatchState,
  MismatchStore,
  type NewMismatch,
} from '../src/ports/mismatch-store.ts';
import { RecordedStream, type RecordedTable } from '../src/ports/recorded-stream.ts';
import {
  type HeldRepairs,
  type OpenTable,
  type RepairBreaker,
  type RepairChange,
  type RepairRecord,
  type RepairState,
  RepairStore,
} from '../src/ports/repair-store.ts';
import { type StoredRow, VerifiedSink } from '../src/ports/verified-sink.ts';
import { RepairPlanner } from '../src/repairs/repair-planner.ts';
import { type RepairMode, RepairPolicy } from '../src/repairs/repair-policy.ts';
import { Repairer } from '../src/repairs/repairer.ts';
import { type Mismatch, type NotJudged, type Verdict } from '../src/row-verifier.ts';
import { layout } from './verification-model.ts';

export const SOURCE = 's';
const { database, table } = layout;
const FORGED = 'f'.repeat(44);

/** Everything durable; any call can be the last one of a process. */
class Crashes {
  left = Infinity;

  step(): Promise<void> {
    return this.left-- <= 0 ? Promise.reject(new Error('killed')) : Promise.resolve();
  }
}

export class MemoryMismatchStore extends MismatchStore {
  readonly records = new Map<string, MismatchRecord>();
  readonly #crashes: Crashes;
  #lastId = 0;

  constructor(crashes: Crashes) {
    super();
    this.#crashes = crashes;
  }

  async record(found: readonly NewMismatch[]): Promise<readonly NewMismatch[]> {
    await this.#crashes.step();
    return found.filter(({ seenAtMs, ...mismatch }) => {
      const known = [...this.records.values()].find(
        ({ key, sink, state }) => key === mismatch.key && sink === mismatch.sink && CURRENT_STATES.includes(state),
      );
      const id = known?.id ?? String(++this.#lastId);
      const fresh = { state: 'open', reason: null, actor: null, firstSeenMs: seenAtMs, timesSeen: 1 } as const;
      const runId = mismatch.runId ?? known?.runId ?? null;
      this.records.set(id, { ...fresh, changedAtMs: seenAtMs, ...known, ...mismatch, id, runId, lastSeenMs: seenAtMs });
      return known === undefined;
    });
  }

  async countIgnored(found: readonly NewMismatch[]): Promise<number> {
    await this.#crashes.step();
    const ignored = [...this.records.values()].filter(({ state }) => state === 'ignored');
    return found.filter(({ key, sink }) => ignored.some((one) => one.key === key && one.sink === sink)).length;
  }

  async find(id: string): Promise<MismatchRecord | null> {
    await this.#crashes.step();
    return this.records.get(id) ?? null;
  }

  async list(
    filter: { readonly table?: string; readonly states?: readonly MismatchState[] },
    { after, limit }: { readonly after: string | null; readonly limit: number },
  ): Promise<readonly MismatchRecord[]> {
    await this.#crashes.step();
    return [...this.records.values()]
      .filter((found) => found.table === filter.table && filter.states?.includes(found.state) === true)
      .filter(({ id }) => after === null || Number(id) > Number(after))
      .slice(0, limit);
  }

  async changeState(
    id: string,
    from: readonly MismatchState[],
    change: { readonly to: MismatchState; readonly reason?: string; readonly actor?: string },
  ): Promise<boolean> {
    await this.#crashes.step();
    const known = this.records.get(id);
    if (known === undefined || !from.includes(known.state)) return false;
    const { to: state, reason = null, actor = null } = change;
    this.records.set(id, { ...known, state, reason, actor });
    return true;
  }

  count(): Promise<readonly never[]> {
    return Promise.resolve([]);
  }

  sweep(): Promise<number> {
    return Promise.resolve(0);
  }
}

export class MemoryRepairStore extends RepairStore {
  readonly records = new Map<string, RepairRecord>();
  readonly breakers = new Map<string, RepairBreaker>();
  /** Of one list. */
  mostDue = Infinity;
  readonly #crashes: Crashes;
  readonly #mismatches: MemoryMismatchStore;

  constructor(crashes: Crashes, mismatches: MemoryMismatchStore) {
    super();
    this.#crashes = crashes;
    this.#mismatches = mismatches;
  }

  async plan(mismatches: readonly MismatchRecord[], actor: string, nowMs: number): Promise<void> {
    await this.#crashes.step();
    for (const { id: mismatchId, details, ...mismatch } of mismatches) {
      const known = [...this.records.values()].find((r) => r.mismatchId === mismatchId && r.endedAtMs === null);
      const id = known?.id ?? String(this.records.size + 1);
      this.records.set(
        id,
        known ?? {
          ...{ ...mismatch, id, mismatchId, state: 'planned', attempts: 0, readId: null, before: details, after: null },
          ...{ actor, reason: null, plannedAtMs: nowMs, nextAtMs: nowMs, endedAtMs: null },
        },
      );
    }
  }

  find(id: string): Promise<RepairRecord | null> {
    return Promise.resolve(this.records.get(id) ?? null);
  }

  list(): Promise<readonly RepairRecord[]> {
    return Promise.resolve([...this.records.values()]);
  }

  async listDue(
    _: string,
    states: readonly RepairState[],
    nowMs: number,
    most: number,
    held?: HeldRepairs,
  ): Promise<readonly RepairRecord[]> {
    await this.#crashes.step();
    const isHeld = ({ actor, table: name }: RepairRecord): boolean =>
      actor === held?.actor && held.tables.some((found) => found.table === name);
    return [...this.records.values()]
      .filter((repair) => states.includes(repair.state) && repair.nextAtMs <= nowMs && !isHeld(repair))
      .slice(0, Math.min(most, this.mostDue));
  }

  async listWaitingTables(_: string, actor: string): Promise<readonly TableName[]> {
    await this.#crashes.step();
    const isWaiting = [...this.records.values()].some(
      (repair) => repair.actor === actor && (repair.state === 'planned' || repair.state === 'failed'),
    );
    return isWaiting ? [{ database, table }] : [];
  }

  async beginRead(ids: readonly string[], readId: string): Promise<void> {
    await this.#crashes.step();
    for (const id of ids) {
      const known = this.records.get(id);
      if (known?.state === 'planned' || known?.state === 'failed')
        this.records.set(id, { ...known, state: 'reading', readId, attempts: known.attempts + 1 });
    }
  }

  async listByRead(readId: string): Promise<readonly RepairRecord[]> {
    await this.#crashes.step();
    return [...this.records.values()].filter((r) => r.readId === readId && r.state === 'reading');
  }

  async change(ids: readonly string[], from: readonly RepairState[], change: RepairChange): Promise<number> {
    await this.#crashes.step();
    const { to: state, ...rest } = change;
    const hasEnded = state === 'repaired' || state === 'given up';
    const found = ids.flatMap((id) => this.records.get(id) ?? []).filter((known) => from.includes(known.state));
    for (const known of found) this.records.set(known.id, { ...known, ...rest, state, endedAtMs: hasEnded ? 1 : null });
    return found.length;
  }

  async listOpenTables(): Promise<readonly OpenTable[]> {
    await this.#crashes.step();
    const open = [...this.#mismatches.records.values()].filter(({ state }) => state === 'open').length;
    return open === 0 ? [] : [{ database, table, open }];
  }

  countFound(_: string, __: TableName, sinceMs: number): Promise<number> {
    return Promise.resolve([...this.#mismatches.records.values()].filter((m) => m.firstSeenMs > sinceMs).length);
  }

  countPlanned(_: string, __: TableName, actor: string, sinceMs: number): Promise<number> {
    const own = [...this.records.values()].filter((r) => r.actor === actor && r.plannedAtMs > sinceMs);
    return Promise.resolve(own.length);
  }

  listBreakers(): Promise<readonly RepairBreaker[]> {
    return Promise.resolve([...this.breakers.values()]);
  }

  async openBreaker(source: string, name: TableName, found: number, openedAtMs: number): Promise<boolean> {
    await this.#crashes.step();
    const known = this.breakers.get(name.table);
    if (known !== undefined && known.openedAtMs !== null) return false;
    const closed = { closedAtMs: null, closedBy: null };
    this.breakers.set(name.table, { ...closed, ...known, source, database, table, openedAtMs, found });
    return true;
  }

  closeBreaker(_: string, name: TableName, closedBy: string, closedAtMs: number): Promise<boolean> {
    const known = this.breakers.get(name.table);
    if (known === undefined || known.openedAtMs === null) return Promise.resolve(false);
    this.breakers.set(name.table, { ...known, openedAtMs: null, closedAtMs, closedBy });
    return Promise.resolve(true);
  }
}

/** What a sink has wrong of a key. */
export interface Wrong {
  readonly kind: Mismatch['kind'];
  fingerprint: string;
  /** Whether a read that is newer than all changes overwrites it. */
  isOverwritable: boolean;
  /** Whether `demote` works. */
  readonly isDemotable: boolean;
}

/** Rows with integers as keys, wrong in one sink until they are read again. */
export class RepairWorld {
  readonly crashes = new Crashes();
  readonly mismatches = new MemoryMismatchStore(this.crashes);
  readonly repairs = new MemoryRepairStore(this.crashes, this.mismatches);
  readonly wrong = new Map<number, Wrong>();
  readonly foreign = new Set<string>();
  /** Whether the sink can remove what is stored under no key. */
  canRemove = true;
  readonly reads = new Map<string, NewRead & Pick<RequestedRead, 'state' | 'error'>>();
  readonly audit: string[] = [];
  nowMs = 10_000_000;
  copied: RecordedTable['copied'] = 'yes';
  notJudged: NotJudged | null = null;
  /** Keys that are read, but not put right. */
  readonly stubborn = new Set<number>();
  /** Keys of rows that nothing can read: each fails what it is part of. */
  readonly tooLarge = new Set<number>();
  /** The same for DSS alone. */
  readonly unreadable = new Set<number>();
  /** Keys that the second way finds to differ: until they are read, or always. */
  readonly disagreeing = new Map<number, 'until read' | 'always'>();
  /** Keys that never rest for the second way. */
  readonly restless = new Set<number>();
  readError: RequestedRead['error'] = null;
  verifyError: DittoError | null = null;
  /** How often keys were verified. */
  verified = 0;
  /** Those that do not open. */
  readonly closedSinks = new Set<string>();
  mode: RepairMode = 'repair';
  limits = { perHour: 1000, breakerPerHour: 1000, attempts: 3 };

  async find(
    key: number,
    kind: Mismatch['kind'] = 'different',
    given: Partial<Wrong> = {},
    sink = 'mongo',
  ): Promise<void> {
    const found = { kind, fingerprint: 'seen', isOverwritable: kind !== 'damaged', isDemotable: true, ...given };
    this.wrong.set(key, found);
    await this.mismatches.record([{ ...this.#describe(encodeKeyValues(layout, [key, null]), true, found), sink }]);
  }

  /** By the second way alone. */
  async findBySecond(key: number, lasts: 'until read' | 'always'): Promise<void> {
    this.disagreeing.set(key, lasts);
    const found = { kind: 'different', fingerprint: 'seen', isOverwritable: true, isDemotable: true } as const;
    const { details, ...mismatch } = this.#describe(encodeKeyValues(layout, [key, null]), true, found);
    await this.mismatches.record([{ ...mismatch, details: { ...details, way: 'second' } }]);
  }

  /** Of a key that the table had before. */
  async findUnder(text: string): Promise<void> {
    const wrong = { kind: 'different', fingerprint: 'seen', isOverwritable: true, isDemotable: true } as const;
    await this.mismatches.record([this.#describe(text, true, wrong)]);
  }

  async findForeign(id: string): Promise<void> {
    this.foreign.add(id);
    await this.mismatches.record([
      this.#describe(id, false, { kind: 'damaged', fingerprint: 'seen', isOverwritable: false, isDemotable: true }),
    ]);
  }

  /** A worker's turn, and then DSS's. */
  async turn(): Promise<void> {
    const signal = new AbortController().signal;
    const policy = new RepairPolicy({ mode: this.mode, tables: {}, ...this.limits });
    const audit = ({ action }: { readonly action: string }): Promise<void> => {
      this.audit.push(action);
      return Promise.resolve();
    };
    const { mismatches, repairs } = this;
    const shared = { source: SOURCE, policy, mismatches, repairs, audit, logger: silentLogger };
    const nowMs = (): number => this.nowMs;
    await new RepairPlanner({ ...shared, nowMs }).plan(signal);
    await new Repairer({
      ...{ ...shared, nowMs },
      reads: {
        accept: async (read) => {
          await this.crashes.step();
          const known = this.reads.get(read.id);
          if (known !== undefined && JSON.stringify(known.scope) !== JSON.stringify(read.scope))
            throw new Error('the id is taken');
          if (known === undefined) this.reads.set(read.id, { ...read, state: 'accepted', error: null });
        },
        find: (id) => Promise.resolve((this.reads.get(id) ?? null) as RequestedRead | null),
      },
      stream: new WorldStream(this),
      findSink: (name) => {
        if (this.closedSinks.has(name)) return Promise.reject(new DittoError('DITTO_TEST_CLOSED', 'does not open'));
        const verifyKeys = (_: TableName, __: TableLayout, keys: readonly Row[]): Promise<Verdict | NotJudged> => {
          this.verified++;
          if (this.verifyError !== null) return Promise.reject(this.verifyError);
          for (const [key] of keys)
            if (this.tooLarge.has(Number(key)))
              return Promise.reject(new DittoError('DITTO_SOURCE_ROW_TOO_LARGE', `row ${Number(key)}`));
          return Promise.resolve(this.#verify(keys));
        };
        const secondVerifier = {
          verifyKeys: (_: TableName, __: TableLayout, keys: readonly Row[]) =>
            Promise.resolve(this.#verifySecond(keys)),
        };
        return Promise.resolve({ sink: new WorldSink(this), verifier: { verifyKeys }, secondVerifier });
      },
      onEnd: () => undefined,
      retryMs: { initial: 1, max: 10 },
    }).turn(signal);
  }

  executeReads(): void {
    for (const [id, read] of this.reads) {
      if (read.state !== 'accepted') continue;
      const keys = read.scope.kind === 'keys' ? read.scope.keys.map((text) => (JSON.parse(text) as [number])[0]) : [];
      const unreadable = keys.find((key) => this.unreadable.has(key));
      const error =
        unreadable === undefined ? this.readError : { code: 'DITTO_TEST_UNREADABLE', message: `row ${unreadable}` };
      if (error === null)
        for (const key of keys) {
          if (this.disagreeing.get(key) === 'until read') this.disagreeing.delete(key);
          if (this.wrong.get(key)?.isOverwritable === true && !this.stubborn.has(key)) this.wrong.delete(key);
        }
      this.reads.set(id, { ...read, state: error === null ? 'done' : 'failed', error });
    }
  }

  async settle(turns = 50): Promise<void> {
    for (let i = 0; i < turns; i++) {
      await this.turn();
      this.executeReads();
      this.nowMs += 3000;
    }
  }

  states(): string[] {
    return [...this.repairs.records.values()].map(({ state }) => state);
  }

  mismatchStates(): string[] {
    return [...this.mismatches.records.values()].map(({ state }) => state);
  }

  #verify(keys: readonly Row[]): Verdict | NotJudged {
    if (this.notJudged !== null) return this.notJudged;
    const mismatches = keys.flatMap((key): Mismatch[] => {
      const found = this.wrong.get(Number(key[0]));
      if (found === undefined) return [];
      const { kind, fingerprint } = found;
      const damage = kind === 'damaged' ? 'its version is impossible' : null;
      return [{ kind, differences: [], damage, key, row: null, stored: stored(fingerprint) }];
    });
    const equal = keys.length - mismatches.length;
    return { state: 'judged', equal, mismatches, unsettled: [], quarantined: [] };
  }

  #verifySecond(keys: readonly Row[]): Verdict {
    const isIn = (known: { has(key: number): boolean }) => (key: Row) => known.has(Number(key[0]));
    const differences = [{ column: 'price', source: '1', sink: '2' }];
    const mismatches = keys.filter(isIn(this.disagreeing)).map((key): Mismatch => ({
      ...{ kind: 'different', differences, damage: null, key, row: null, stored: stored('seen') },
    }));
    const unsettled = keys.filter(isIn(this.restless));
    const equal = keys.length - mismatches.length - unsettled.length;
    return { state: 'judged', equal, mismatches, unsettled, quarantined: [] };
  }

  #describe(key: string, isKey: boolean, { kind, fingerprint }: Wrong): NewMismatch {
    return {
      ...{ source: SOURCE, sink: 'mongo', database, table, key, isKey, kind, runId: null, seenAtMs: this.nowMs },
      details: { way: 'first', differences: [], damage: null, storedVersion: FORGED, fingerprint, shown: null },
    };
  }
}

function stored(fingerprint: string): StoredRow {
  return { version: FORGED, gtid: null, isDeleted: false, damage: null, fingerprint, compare: () => [] };
}

class WorldStream extends RecordedStream {
  readonly #world: RepairWorld;

  constructor(world: RepairWorld) {
    super();
    this.#world = world;
  }

  readCheckpoint(): Promise<never> {
    return Promise.reject(new Error('not asked for here'));
  }

  readTable(): Promise<RecordedTable> {
    return Promise.resolve({ generation: 1, copied: this.#world.copied, layout });
  }

  readHighestVersion(): Promise<string> {
    return Promise.resolve('');
  }
}

class WorldSink extends VerifiedSink {
  readonly #world: RepairWorld;

  constructor(world: RepairWorld) {
    super();
    this.#world = world;
  }

  read(_: TableLayout, keys: readonly Row[]): Promise<readonly (StoredRow | null)[]> {
    return Promise.resolve(keys.map(() => stored('new')));
  }

  async *list(): AsyncIterable<never> {
    // not asked for here
  }

  listQuarantined(): Promise<readonly Row[]> {
    return Promise.resolve([]);
  }

  override async demote(
    _: TableLayout,
    place: { readonly key: Row } | { readonly foreign: string },
    fingerprint: string,
  ): Promise<boolean | null> {
    const world = this.#world;
    await world.crashes.step();
    if (!world.canRemove) return null;
    if ('foreign' in place) return fingerprint === 'seen' && world.foreign.delete(place.foreign);
    const found = world.wrong.get(Number(place.key[0]));
    if (found?.isDemotable !== true || found.fingerprint !== fingerprint) return false;
    found.isOverwritable = true;
    found.fingerprint = 'demoted';
    return true;
  }
}
