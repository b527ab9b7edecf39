import {
  decodeSelection,
  encodeKeyValues,
  GtidSet,
  type Row,
  rowOfKey,
  keyValues,
  type SelectionScope,
  type TableLayout,
  type TableName,
} from '#change-events';
import { Backoff, type BackoffOptions, DittoError, sleep } from '#kernel';
import { type KeysRead, type RowReader } from '#replication';
import { type Bounds, compare, type Fault, judge } from './judgement.ts';
import { type NamedChanges } from './ports/named-changes.ts';
import { sampleKeys } from './sample-keys.ts';
import { isNotVerifiable } from './ports/not-verifiable.ts';
import { type RecordedStream } from './ports/recorded-stream.ts';
import {
  type CoveredChanges,
  type KeyRange,
  type RowsOfChunk,
  type StoredRow,
  type VerifiedSink,
} from './ports/verified-sink.ts';

export interface RowVerifierOptions {
  /** Its `high` covers each transaction that a read can have seen, also those that the server has not counted yet. */
  readonly reader: RowReader;
  readonly sink: VerifiedSink;
  readonly stream: RecordedStream;
  /** For keys that never rest; without it they are unsettled. */
  readonly changes?: NamedChanges;
  /** What one read may take in memory, in bytes. */
  readonly maxBytes: number;
  /** How often a key is read before it counts as one that never rests; at least 2. */
  readonly attempts: number;
  /** Such a key is `unsettled` at once, without a look at the change that it names; no by default. */
  readonly leavesRestless?: boolean;
  /** Between the attempts. */
  readonly backoff: BackoffOptions;
  /** So long the checkpoint may take to cover what was read. */
  readonly waitMs: number;
  readonly pollMs: number;
  /** So long the sink keeps the trace of a deleted row at least; for ever when left out. */
  readonly tracesMs?: number;
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds, of a clock that is never set. */
  readonly nowMs?: () => number;
}

/** A row that is not in the sink as it is in the source, seen twice. */
export interface Mismatch extends Fault {
  /** A row as `rowOfKey` makes it. */
  readonly key: Row;
  readonly row: Row | null;
  readonly stored: StoredRow | null;
}

export interface Verdict {
  readonly state: 'judged';
  readonly equal: number;
  readonly mismatches: readonly Mismatch[];
  /** Keys that changed during every attempt and whose newest change is not to be had. */
  readonly unsettled: readonly Row[];
  /** Keys that differ because their changes wait in the quarantine. */
  readonly quarantined: readonly Row[];
}

/** Why nothing was judged. Only `not verifiable` stays so. */
export interface NotJudged {
  readonly state: 'waiting' | 'being re-read' | 'not verifiable';
  readonly reason: string;
}

export interface ChunkRequest {
  readonly table: TableName;
  /** Canonical values of a key, in key order, as `lastKey`. */
  readonly after: Row | null;
  /** Rows after this key do not belong to the chunk. */
  readonly upTo?: Row | null;
  /** Which rows; all when left out. */
  readonly scope?: SelectionScope;
  readonly limit: number;
  /** Share of the rows whose keys are wanted, as `sampleKeys` draws them; default 0. */
  readonly sampleShare?: number;
  /** Called once the rows are read, before anything is waited for. */
  readonly onRead?: (read: ChunkEnds) => Promise<void>;
}

export interface ChunkEnds {
  readonly layout: TableLayout;
  readonly lastKey: Row | null;
  readonly complete: boolean;
  readonly rows: number;
}

export interface ChunkVerdict {
  readonly verdict: Verdict | NotJudged;
  /** Keys of the rows that were sampled, as `sampleShare` says. */
  readonly sampled: readonly Row[];
  /** Where the next chunk begins; null when nothing was read, and at the end. */
  readonly lastKey: Row | null;
  /** True when the table has no row after these. */
  readonly complete: boolean;
  /** The range of the chunk when the sink sees extras, and may hold some in it; they are not judged yet. */
  readonly extrasIn: KeyRange | null;
}

/** One read of the source and of the sink between which nothing confirmed is missing. */
interface Fenced {
  readonly layout: TableLayout;
  readonly bounds: Bounds;
  /** Rows that are known to be equal; the keys are those of the others. */
  readonly equal: number;
  /** Of each key, in the order of `keys`. */
  readonly keys: readonly Row[];
  readonly rows: readonly (Row | null)[];
  readonly stored: readonly (StoredRow | null)[];
}

/** What a read of the source gave, and how the sink is asked for the same. */
interface SourceRead {
  readonly high: string;
  readonly compare: (checkpoint: CoveredChanges) => Promise<Compared>;
}

type Compared = Pick<Fenced, 'equal' | 'keys' | 'rows' | 'stored'>;

const OTHER_LAYOUT: NotJudged = {
  state: 'being re-read',
  reason: 'the table has another layout than DSS has adopted',
};
/** Of a bound in bytes: rows are not all of the same size. */
const FILLED_SHARE = 0.8;
/** Of the time for which traces are kept: the clocks that it is measured by differ. */
const TRACES_SHARE = 0.5;

/** A key that is not settled yet. */
interface Pending {
  readonly key: Row;
  /** Whether it was found to be at fault once. */
  isSuspected: boolean;
  stored: StoredRow | null;
}

interface Settled {
  equal: number;
  readonly mismatches: Mismatch[];
  readonly pending: Map<string, Pending>;
}

/**
 * Compares rows of the source with what a sink holds of them while both change, without false alarms.
 *
 * Each read is fenced: the checkpoint is taken, the source is read when it has executed all that the checkpoint covers,
 * and the sink is read when the checkpoint covers all that the source's read can have seen. What the sink holds with a
 * version up to the first checkpoint's was then the same at both moments, and is judged; other keys are read again. A
 * fault counts only when it is found twice. A table is judged only while its generation stays the same from before the
 * first checkpoint until after the sink was read.
 */
export class RowVerifier {
  readonly #options: RowVerifierOptions;
  readonly #pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #nowMs: () => number;
  /** What a row of the newest chunk took. */
  readonly #rowBytes = new WeakMap<TableLayout, number>();

  constructor(options: RowVerifierOptions) {
    this.#options = options;
    this.#pause = options.pause ?? sleep;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** Verifies up to `limit` rows whose keys are after `after`. Says nothing of rows that only the sink has. */
  async verifyChunk(request: ChunkRequest, signal: AbortSignal): Promise<ChunkVerdict> {
    const { table, after, upTo = null, scope, sampleShare = 0, onRead } = request;
    const { reader, maxBytes } = this.#options;
    let end: Pick<ChunkVerdict, 'lastKey' | 'complete'> = { lastKey: null, complete: false };
    let sampled: readonly Row[] = [];
    let extrasIn: KeyRange | null = null;
    const fenced = await this.#fence(table, signal, async (layout, dispatchedSet) => {
      const selected = scope && { selection: decodeSelection(layout, scope) };
      const at = { layout, after, upTo, ...selected, dispatchedSet, signal };
      // a read that its bound ends costs a connection
      const fitting = Math.floor((FILLED_SHARE * maxBytes) / (this.#rowBytes.get(layout) ?? 1));
      const limit = Math.max(1, Math.min(request.limit, fitting));
      let chunk = await reader.readUndecoded({ ...at, limit, maxBytes });
      // the first row alone goes beyond the bound
      if (chunk.rows.count === 0 && !chunk.complete) chunk = await reader.readUndecoded({ ...at, limit: 1 });
      const { rows, lastKey, complete, high, bytes } = chunk;
      if (rows.count > 0) this.#rowBytes.set(layout, bytes / rows.count);
      end = { lastKey, complete };
      // rows that are equal by their bytes are not decoded otherwise
      sampled = sampleKeys([...Array(rows.count).keys()], sampleShare).map((index) =>
        rowOfKey(layout, keyValues(layout, rows.row(index))),
      );
      await onRead?.({ layout, lastKey, complete, rows: rows.count });
      // of a selection the rows between are not known
      const seesExtras = scope === undefined && this.#options.sink.seesExtras(layout);
      const range = seesExtras ? { after, upTo: complete ? upTo : lastKey } : null;
      return {
        high,
        compare: async (checkpoint) => {
          const compared = await this.#compareChunk(layout, { rows, range }, checkpoint, signal);
          extrasIn = compared.mayHaveExtras ? range : null;
          return compared;
        },
      };
    });
    if ('state' in fenced) return { verdict: fenced, sampled: [], lastKey: null, complete: false, extrasIn: null };
    const settled = noneSettled(fenced.layout, fenced.keys);
    settled.equal = fenced.equal;
    note(fenced, settled);
    const verdict = await this.#settle(table, fenced.layout, settled, 2, signal);
    return { verdict, sampled, lastKey: end.lastKey, complete: end.complete, extrasIn };
  }

  /** Verifies the rows with these keys, whether source and sink have them or not. */
  async verifyKeys(
    table: TableName,
    layout: TableLayout,
    keys: readonly Row[],
    signal: AbortSignal,
  ): Promise<Verdict | NotJudged> {
    return this.#settle(table, layout, noneSettled(layout, keys), 1, signal);
  }

  async #settle(
    table: TableName,
    layout: TableLayout,
    settled: Settled,
    firstAttempt: number,
    signal: AbortSignal,
  ): Promise<Verdict | NotJudged> {
    const backoff = new Backoff(this.#options.backoff);
    for (let attempt = firstAttempt; settled.pending.size > 0 && attempt <= this.#options.attempts; attempt++) {
      if (attempt > 1) await this.#pause(backoff.nextMs(), signal);
      const stop = await this.#readPending(table, layout, settled, signal);
      if (stop !== null) return stop;
    }
    const unsettled = await this.#judgeRestless(layout, settled, signal);
    return this.#exceptQuarantined(layout, settled, unsettled, signal);
  }

  /** Reads each pending key once; null when that was possible. */
  async #readPending(
    table: TableName,
    layout: TableLayout,
    settled: Settled,
    signal: AbortSignal,
  ): Promise<NotJudged | null> {
    let keys = [...settled.pending.values()].map(({ key }) => key);
    while (keys.length > 0) {
      let unanswered: readonly Row[] = [];
      const asked = keys;
      const fenced = await this.#fence(table, signal, async (current, dispatchedSet) => {
        if (current.fingerprint !== layout.fingerprint) throw layoutChanged(layout);
        const read = await this.#readKeys(layout, asked, dispatchedSet, signal);
        unanswered = read.unanswered;
        return { high: read.high, compare: () => this.#compareKeys(layout, read, signal) };
      });
      if ('state' in fenced) return fenced;
      note(fenced, settled);
      keys = [...unanswered];
    }
    return null;
  }

  async #readKeys(
    layout: TableLayout,
    keys: readonly Row[],
    dispatchedSet: string,
    signal: AbortSignal,
  ): ReturnType<RowReader['readKeys']> {
    const { reader, maxBytes } = this.#options;
    const at = { layout, dispatchedSet, signal };
    const read = await reader.readKeys({ ...at, keys, maxBytes });
    if (read.unanswered.length < keys.length) return read;
    // the first row alone goes beyond the bound
    const first = await reader.readKeys({ ...at, keys: keys.slice(0, 1) });
    return { ...first, unanswered: keys.slice(1) };
  }

  /** Reads rows and what is stored of them, with the fence between. */
  async #fence(
    table: TableName,
    signal: AbortSignal,
    ask: (layout: TableLayout, dispatchedSet: string) => Promise<SourceRead>,
  ): Promise<Fenced | NotJudged> {
    const { stream, tracesMs = Infinity } = this.#options;
    const before = await stream.readTable(table, signal);
    if (before === null) return { state: 'waiting', reason: 'the table was not seen by DSS yet' };
    if (before.copied === 'never') return { state: 'not verifiable', reason: 'the sink does not get this table' };
    if (before.copied === 'no') return { state: 'being re-read', reason: 'a copy or re-read is not complete' };
    const { layout, generation } = before;
    if (layout.key.length === 0) return { state: 'not verifiable', reason: 'the table has no key' };
    const sinceMs = this.#nowMs();
    const checkpoint = await stream.readCheckpoint(signal);
    let read: SourceRead;
    try {
      read = await ask(layout, checkpoint.gtidSet);
    } catch (error) {
      if (!isLayoutChange(error)) throw error;
      return OTHER_LAYOUT;
    }
    if (!(await this.#isCovered(read.high, signal)))
      return { state: 'waiting', reason: 'the checkpoint does not come to cover what was read' };
    const covered = GtidSet.parse(checkpoint.gtidSet);
    let compared: Compared;
    try {
      compared = await read.compare({ version: checkpoint.version, covered });
    } catch (error) {
      if (isLayoutChange(error)) return OTHER_LAYOUT;
      if (!isNotVerifiable(error)) throw error;
      return { state: 'not verifiable', reason: error.message };
    }
    const keptTraces = this.#nowMs() - sinceMs <= tracesMs * TRACES_SHARE;
    const highest = await stream.readHighestVersion(signal);
    const after = await stream.readTable(table, signal);
    if (after?.generation !== generation || after.copied !== 'yes')
      return { state: 'being re-read', reason: 'the table was copied or re-read meanwhile' };
    // else what counts as equal could have a version above all that are possible
    if (compared.equal > 0 && checkpoint.version > highest)
      return { state: 'waiting', reason: 'the log ends before the place of the checkpoint' };
    return { layout, bounds: { checkpoint: checkpoint.version, covered, highest, keptTraces }, ...compared };
  }

  async #compareChunk(
    layout: TableLayout,
    chunk: RowsOfChunk,
    checkpoint: CoveredChanges,
    signal: AbortSignal,
  ): Promise<Compared & { readonly mayHaveExtras: boolean }> {
    const read = await this.#options.sink.readChunk(layout, chunk, checkpoint, signal);
    const { equal, others, stored, mayHaveExtras } = read;
    const rows = others.map((index) => chunk.rows.row(index));
    const keys = rows.map((row) => rowOfKey(layout, keyValues(layout, row)));
    return { equal, keys, rows, stored, mayHaveExtras };
  }

  async #compareKeys(
    layout: TableLayout,
    read: Pick<KeysRead, 'rows' | 'absent'>,
    signal: AbortSignal,
  ): Promise<Compared> {
    const keys = [...read.rows.map((row) => rowOfKey(layout, keyValues(layout, row))), ...read.absent];
    const stored = await this.#options.sink.read(layout, keys, signal);
    return { equal: 0, keys, rows: [...read.rows, ...read.absent.map(() => null)], stored };
  }

  /** Waits until the checkpoint covers `high`, as far as the streamed log can ever give it. */
  async #isCovered(high: string, signal: AbortSignal): Promise<boolean> {
    const { stream, reader, waitMs, pollMs } = this.#options;
    const wanted = GtidSet.parse(high).subtract(GtidSet.parse(reader.findErrant()));
    const untilMs = this.#nowMs() + waitMs;
    for (;;) {
      const { gtidSet, undecidedSet } = await stream.readCheckpoint(signal);
      if (GtidSet.parse(gtidSet).union(GtidSet.parse(undecidedSet)).contains(wanted)) return true;
      if (this.#nowMs() >= untilMs) return false;
      await this.#pause(pollMs, signal);
    }
  }

  /** Keys that never rest: what is stored must be what the change that its version names has left. */
  async #judgeRestless(layout: TableLayout, settled: Settled, signal: AbortSignal): Promise<Row[]> {
    const pending = [...settled.pending.values()];
    if (this.#options.leavesRestless === true) return pending.map(({ key }) => key);
    const unsettled: Row[] = [];
    const named = pending.flatMap(({ key, stored }) =>
      stored?.version == null ? [] : { key, version: stored.version },
    );
    const found = named.length === 0 ? [] : ((await this.#options.changes?.read(layout, named, signal)) ?? []);
    const rows = new Map(named.map(({ key }, i) => [key, found[i]]));
    for (const { key, stored, isSuspected } of pending) {
      const row = rows.get(key);
      if (stored === null || row === undefined) {
        unsettled.push(key);
        continue;
      }
      const judgement = compare(row, stored);
      if (judgement !== 'equal') settled.mismatches.push({ ...judgement, key, row, stored });
      // a newer change may be missing
      else if (isSuspected) unsettled.push(key);
      else settled.equal++;
    }
    return unsettled;
  }

  /** Looked at last: what came into the quarantine meanwhile is not a mismatch. */
  async #exceptQuarantined(
    layout: TableLayout,
    { equal, mismatches }: Settled,
    unsettled: readonly Row[],
    signal: AbortSignal,
  ): Promise<Verdict> {
    const open = [...mismatches.map(({ key }) => key), ...unsettled];
    const quarantined = open.length === 0 ? [] : await this.#options.sink.listQuarantined(layout, open, signal);
    const texts = new Set(quarantined.map((key) => encodeKeyValues(layout, key)));
    const isFree = (key: Row): boolean => !texts.has(encodeKeyValues(layout, key));
    return {
      state: 'judged',
      equal,
      mismatches: mismatches.filter(({ key }) => isFree(key)),
      unsettled: unsettled.filter(isFree),
      quarantined,
    };
  }
}

function noneSettled(layout: TableLayout, keys: readonly Row[]): Settled {
  const pending = keys.map((key): [string, Pending] => [
    encodeKeyValues(layout, key),
    { key, isSuspected: false, stored: null },
  ]);
  return { equal: 0, mismatches: [], pending: new Map(pending) };
}

/** Takes what one fenced read says of the pending keys. */
function note({ layout, bounds, keys, rows, stored }: Fenced, settled: Settled): void {
  for (const [i, key] of keys.entries()) {
    const text = encodeKeyValues(layout, key);
    const pending = settled.pending.get(text);
    if (pending === undefined) continue;
    pending.stored = stored[i] ?? null;
    const row = rows[i] ?? null;
    const judgement = judge(row, pending.stored, bounds);
    if (judgement === 'moving') continue;
    if (judgement === 'equal') settled.equal++;
    else if (pending.isSuspected) settled.mismatches.push({ ...judgement, key, row, stored: pending.stored });
    else {
      pending.isSuspected = true;
      continue;
    }
    settled.pending.delete(text);
  }
}

function layoutChanged({ database, table }: TableLayout): DittoError {
  return new DittoError('DITTO_SOURCE_LAYOUT_CHANGED', `${database}.${table} has another layout now.`, {
    retriable: true,
  });
}

function isLayoutChange(error: unknown): boolean {
  return error instanceof DittoError && error.code === 'DITTO_SOURCE_LAYOUT_CHANGED';
}
