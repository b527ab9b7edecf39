import {
  decodeKeyValues,
  decodeSelection,
  encodeKeyValues,
  type Row,
  rowOfKey,
  type RowSelection,
  type SelectionScope,
  type TableLayout,
} from '#change-events';
import {
  CURRENT_STATES,
  type DueChunk,
  type KeyRange,
  type ListedPage,
  type Mismatch,
  type MismatchRecord,
  type MismatchStore,
  type NewMismatch,
  type NotJudged,
  type RecordedTable,
  type RepairStore,
  type RowCounts,
  sampleKeys,
  type TakenChunk,
  toNewMismatch,
  type Verdict,
  type VerificationRunStore,
  type Way,
} from '#verification';
import { describeForeign } from './found-mismatches.ts';
import { type VerifiedSource } from './verified-source.ts';

export interface ChunkWorkOptions {
  readonly runs: VerificationRunStore;
  readonly mismatches: MismatchStore;
  readonly repairs: Pick<RepairStore, 'list' | 'change'>;
  readonly source: VerifiedSource;
  readonly chunkRows: number;
  /** Chunks that may begin now. */
  readonly onDue: (due: readonly DueChunk[]) => void;
  readonly onFound: (found: readonly NewMismatch[]) => void;
}

/** `lost`: another worker has it, or the table began again. */
export type ChunkOutcome =
  | {
      readonly kind: 'done';
      readonly counts: Readonly<Record<Way, RowCounts>>;
      readonly due: readonly DueChunk[];
    }
  | { readonly kind: 'begun again'; readonly due: readonly DueChunk[] }
  | { readonly kind: 'lost' }
  /** There is more in it than fits into one chunk: it is to be cut after this key. */
  | { readonly kind: 'crowded'; readonly at: string }
  | { readonly kind: 'not judged'; readonly hold: NotJudged };

const NO_ROWS: RowCounts = { rows: 0, equal: 0, mismatches: 0, ignored: 0, unsettled: 0, quarantined: 0 };
const NOTHING: Verdict = { state: 'judged', equal: 0, mismatches: [], unsettled: [], quarantined: [] };
const RECHECKED_AT_ONCE = 200;
/** Of repairs. */
const WAITING = ['planned', 'failed'] as const;
const UNDER_WAY = [...WAITING, 'reading', 'verifying'] as const;

/** Of what the sink has beside the rows of a chunk; where there are more, the chunk is cut. */
const MOST_PAGES = 8;

/** Does one chunk of a run, in whichever phase. Repeatable: what it records is recorded once. */
export class ChunkWork {
  readonly #options: ChunkWorkOptions;
  readonly #taken: TakenChunk;
  readonly #signal: AbortSignal;

  constructor(options: ChunkWorkOptions, taken: TakenChunk, signal: AbortSignal) {
    this.#options = options;
    this.#taken = taken;
    this.#signal = signal;
  }

  async run(): Promise<ChunkOutcome> {
    const { chunk, run, table } = this.#taken;
    const { runs, source } = this.#options;
    const recorded = await source.stream.readTable(chunk, this.#signal);
    const hold = findHold(recorded);
    if (recorded === null || hold !== null) return { kind: 'not judged', hold: hold ?? NOT_SEEN };
    const { layout } = recorded;
    const sink = await source.sink(chunk.sink);
    const seesExtras = this.#isWhole && sink.seesExtras(layout);
    const keySignature = signKey(layout, await source.reader.readKeyOrder(layout, this.#signal), seesExtras);
    if (chunk.phase === 'planning') {
      const due = await runs.plan(chunk, { estimatedRows: await this.#estimate(), keySignature });
      return { kind: 'done', counts: { first: NO_ROWS, second: NO_ROWS }, due };
    }
    if (table.keySignature !== keySignature) return { kind: 'begun again', due: await runs.restart(chunk) };
    switch (chunk.phase) {
      case 'rows':
        return run.scope.kind === 'keys'
          ? this.#verifyScope(layout, run.scope.keys)
          : this.#verifyRows(recorded, seesExtras);
      case 'extras':
        return this.#verifyListed(recorded, seesExtras ? 'no range' : undefined);
      case 'rechecks':
        return this.#recheck(layout);
      case 'done':
        return { kind: 'lost' };
    }
  }

  /** 0 where nothing is known. */
  async #estimate(): Promise<number> {
    const { chunk, run } = this.#taken;
    if (run.scope.kind === 'keys') return run.scope.keys.length;
    if (this.#selected !== null) return 0;
    const [rows = 0] = await this.#options.source.reader.estimateRows([chunk], this.#signal);
    return rows;
  }

  get #isWhole(): boolean {
    const { kind } = this.#taken.run.scope;
    return kind === 'source' || kind === 'tables';
  }

  /** Null for whole tables, and for keys. */
  get #selected(): SelectionScope | null {
    const { scope } = this.#taken.run;
    return scope.kind === 'range' || scope.kind === 'filter' ? scope : null;
  }

  /** `seesExtras`: what the sink has beside the rows is found along with them. */
  async #verifyRows(recorded: RecordedTable, seesExtras: boolean): Promise<ChunkOutcome> {
    const { layout } = recorded;
    const { chunk } = this.#taken;
    const { source, runs, chunkRows, onDue } = this.#options;
    const verifier = await source.verifier(chunk.sink);
    let isLost = false as boolean; // set by what is called back
    let after = chunk.after === null ? null : decodeKeyValues(layout, chunk.after);
    let total = NO_ROWS;
    let second = NO_ROWS;
    let listed = 0;
    for (;;) {
      const isFirst = chunk.end === null;
      const until = chunk.end?.until ?? null;
      const upTo = until === null ? null : decodeKeyValues(layout, until);
      const scope = this.#selected;
      const sampleShare = this.#taken.run.secondWayShare;
      const request = { table: chunk, after, upTo, ...(scope && { scope }), limit: chunkRows, sampleShare };
      const { verdict, sampled, lastKey, complete, extrasIn } = await verifier.verifyChunk(
        {
          ...request,
          onRead: async (read) => {
            if (!isFirst) return;
            const last = read.complete ? null : encodeKey(read.layout, read.lastKey);
            const { end, next } = await runs.recordEnd(chunk, { until: last, isLast: last === null }, read.rows);
            if (next !== null) onDue([next]);
            isLost = end.until !== last;
          },
        },
        this.#signal,
      );
      if (isLost) return { kind: 'lost' };
      if (verdict.state !== 'judged') return { kind: 'not judged', hold: verdict };
      const again = await this.#verifySecond(layout, sampled);
      if (again.state !== 'judged') return { kind: 'not judged', hold: again };
      const extras = extrasIn === null ? NO_ROWS : await this.#verifyExtras(recorded, extrasIn);
      if ('kind' in extras) return extras;
      const counts = await this.#note(layout, verdict, () => true);
      if (seesExtras) listed += counts.rows;
      total = add(add(total, counts), { ...extras, rows: 0, equal: 0 });
      second = add(second, await this.#noteSecond(layout, again, verdict));
      if (isFirst || complete || lastKey === null) return this.#complete(total, second, listed);
      after = lastKey;
    }
  }

  async #verifyScope(layout: TableLayout, texts: readonly string[]): Promise<ChunkOutcome> {
    const { chunk } = this.#taken;
    const { source, runs } = this.#options;
    await runs.recordEnd(chunk, { until: null, isLast: true }, texts.length);
    const verifier = await source.verifier(chunk.sink);
    const keys = texts.map((text) => rowOfKey(layout, decodeKeyValues(layout, text)));
    const verdict = await verifier.verifyKeys(chunk, layout, keys, this.#signal);
    if (verdict.state !== 'judged') return { kind: 'not judged', hold: verdict };
    const sampled = await this.#verifySample(layout, keys);
    if (sampled.state !== 'judged') return { kind: 'not judged', hold: sampled };
    const counts = await this.#note(layout, verdict, () => true);
    return this.#complete(counts, await this.#noteSecond(layout, sampled, verdict));
  }

  /** Some of the rows once more, by the way that shares no code with the first. */
  async #verifySample(layout: TableLayout, keys: readonly Row[]): Promise<Verdict | NotJudged> {
    return this.#verifySecond(layout, sampleKeys(keys, this.#taken.run.secondWayShare));
  }

  async #verifySecond(layout: TableLayout, keys: readonly Row[]): Promise<Verdict | NotJudged> {
    if (keys.length === 0) return NOTHING;
    const { chunk } = this.#taken;
    const verifier = await this.#options.source.verifier(chunk.sink, 'second');
    return verifier.verifyKeys(chunk, layout, keys, this.#signal);
  }

  /** What the sink has in a range whose rows were compared. */
  async #verifyExtras({ layout, generation }: RecordedTable, range: KeyRange): Promise<RowCounts | ChunkOutcome> {
    const { source, chunkRows } = this.#options;
    const sink = await source.sink(this.#taken.chunk.sink);
    let total = NO_ROWS;
    let pages: ListedPage[] = [];
    const verify = async (): Promise<NotJudged | null> => {
      for (const page of pages) {
        const counts = await this.#verifyPage(layout, generation, page, null);
        if ('state' in counts) return counts;
        total = add(total, counts);
      }
      pages = [];
      return null;
    };
    for await (const page of sink.list({ layout, part: range, after: null, limit: chunkRows }, this.#signal)) {
      if (pages.length === MOST_PAGES) {
        const at = findCut(layout, pages, range.upTo);
        if (at !== null) return { kind: 'crowded', at };
        const hold = await verify();
        if (hold !== null) return { kind: 'not judged', hold };
      }
      pages.push(page);
    }
    const hold = await verify();
    return hold === null ? total : { kind: 'not judged', hold };
  }

  /**
   * Rows that the source has were compared before; here only what it lacks counts. A chunk that is done again goes on until
   * the place where it ended before: pages may be cut elsewhere then, and what is between must not be left out.
   */
  async #verifyListed({ layout, generation }: RecordedTable, part: 'no range' | undefined): Promise<ChunkOutcome> {
    const { chunk } = this.#taken;
    const { source, runs, chunkRows, onDue } = this.#options;
    const until = chunk.end?.until ?? null;
    const sink = await source.sink(chunk.sink);
    let total = NO_ROWS;
    let isEmpty = true;
    const scope = this.#selected;
    const selection = scope && decodeSelection(layout, scope);
    const which = { ...(selection && { selection }), ...(part && { part }) };
    const request = { layout, ...which, after: chunk.after, limit: chunkRows };
    for await (const page of sink.list(request, this.#signal)) {
      isEmpty = false;
      if (chunk.end === null) {
        const { end, next } = await runs.recordEnd(chunk, { until: page.after, isLast: false }, page.keys.length);
        if (next !== null) onDue([next]);
        if (end.until !== page.after) return { kind: 'lost' };
      }
      const counts = await this.#verifyPage(layout, generation, page, selection);
      if ('state' in counts) return { kind: 'not judged', hold: counts };
      total = add(total, counts);
      if (chunk.end === null || page.after === until) break;
    }
    if (isEmpty) await runs.recordEnd(chunk, { until: null, isLast: true }, 0);
    return this.#complete(total, NO_ROWS, total.rows);
  }

  async #verifyPage(
    layout: TableLayout,
    generation: number,
    { keys, foreign, isExact }: ListedPage,
    selection: RowSelection | null,
  ): Promise<RowCounts | NotJudged> {
    const { chunk, run } = this.#taken;
    const { source, mismatches, onFound } = this.#options;
    const verifier = await source.verifier(chunk.sink);
    // a row that the source has at this moment is not one that it lacks
    const filter = isExact && selection?.kind === 'filter' ? { selection } : {};
    const absent = await source.reader.findAbsent({ layout, keys, ...filter, signal: this.#signal });
    const verdict = await verifier.verifyKeys(chunk, layout, absent, this.#signal);
    if (verdict.state !== 'judged') return verdict;
    // a row that does not fulfil the filter any more was not compared before
    const counts = await this.#note(layout, verdict, ({ row }) => row === null || 'selection' in filter);
    const now = await source.stream.readTable(chunk, this.#signal);
    if (now?.generation !== generation) return COPIED_MEANWHILE;
    const strange = foreign.map((row) => describeForeign(run.source, chunk, row));
    onFound(await mismatches.record(strange));
    const ignored = counts.ignored + (await this.#countIgnored(strange));
    return { ...counts, rows: keys.length, mismatches: counts.mismatches + strange.length, ignored };
  }

  /** Those that this run has not met: a row that is gone on both sides, a foreign one that is not listed any more. */
  async #recheck(layout: TableLayout): Promise<ChunkOutcome> {
    const { chunk, run } = this.#taken;
    const { source, runs, mismatches, onDue } = this.#options;
    const { database, table, sink } = chunk;
    // whether a message is in a topic is not looked for again
    const filter = { source: run.source, database, table, sink, states: CURRENT_STATES, exceptKind: 'gap' } as const;
    const page = { after: chunk.after, limit: RECHECKED_AT_ONCE };
    const open = await mismatches.list({ ...filter, seenBeforeMs: run.createdAtMs }, page);
    const last = open.at(-1);
    const isLast = open.length < RECHECKED_AT_ONCE;
    const { next } = await runs.recordEnd(chunk, { until: isLast ? null : (last?.id ?? null), isLast }, open.length);
    if (next !== null) onDue([next]);
    const known = open.filter(({ isKey, key }) => isKey && isKeyOf(layout, key));
    const keys = toKeys(layout, known);
    const verifier = await source.verifier(sink);
    const verdict = await verifier.verifyKeys(chunk, layout, keys, this.#signal);
    if (verdict.state !== 'judged') return { kind: 'not judged', hold: verdict };
    const stays = new Set(listOpen(verdict).map((key) => encodeKeyValues(layout, key)));
    // what the first way could never see it can't find gone either
    const bySecond = known.filter(({ key, details }) => details.way === 'second' && !stays.has(key));
    const again = await this.#verifySecond(layout, toKeys(layout, bySecond));
    if (again.state !== 'judged') return { kind: 'not judged', hold: again };
    for (const key of listOpen(again)) stays.add(encodeKeyValues(layout, key));
    const counts = await this.#note(layout, verdict, () => true);
    const second = await this.#noteSecond(layout, again, verdict);
    const hasListed = run.scope.kind !== 'keys';
    for (const mismatch of open)
      if (mismatch.isKey ? !stays.has(mismatch.key) : hasListed) await this.#endMismatch(mismatch);
    return this.#complete({ ...counts, rows: 0, equal: 0 }, { ...second, rows: 0, equal: 0 });
  }

  /** A repair that has begun verifies its row itself; one that only waits, as in a dry run, has nothing to do any more. */
  async #endMismatch({ id, state }: MismatchRecord): Promise<void> {
    const { mismatches, repairs } = this.#options;
    if (state === 'repairing') {
      const page = { after: null, limit: 1 };
      const [repair] = await repairs.list({ mismatchId: id, states: UNDER_WAY }, page);
      const given = { to: 'given up', reason: 'a run has found it equal before it was repaired' } as const;
      if (repair !== undefined && (await repairs.change([repair.id], WAITING, given)) === 0) return;
    }
    await mismatches.changeState(id, [state], { to: 'gone' });
  }

  async #complete(first: RowCounts, second: RowCounts, listed = 0): Promise<ChunkOutcome> {
    const due = await this.#options.runs.complete(this.#taken.chunk, first, second, listed);
    return { kind: 'done', counts: { first, second }, due };
  }

  async #note(layout: TableLayout, verdict: Verdict, counts: (mismatch: Mismatch) => boolean): Promise<RowCounts> {
    const found = await this.#record(layout, verdict.mismatches, 'first');
    const counted = found.filter((_, i) => counts(verdict.mismatches[i] as Mismatch));
    return { ...countRows(verdict), mismatches: counted.length, ignored: await this.#countIgnored(counted) };
  }

  /** What the first way has found is recorded as it has found it. */
  async #noteSecond(layout: TableLayout, verdict: Verdict, first: Verdict): Promise<RowCounts> {
    const known = new Set(first.mismatches.map(({ key }) => encodeKeyValues(layout, key)));
    const own = verdict.mismatches.filter(({ key }) => !known.has(encodeKeyValues(layout, key)));
    await this.#record(layout, own, 'second');
    const all = this.#describe(layout, verdict.mismatches, 'second');
    return { ...countRows(verdict), ignored: await this.#countIgnored(all) };
  }

  async #record(layout: TableLayout, mismatches: readonly Mismatch[], way: Way): Promise<readonly NewMismatch[]> {
    const found = this.#describe(layout, mismatches, way);
    this.#options.onFound(await this.#options.mismatches.record(found));
    return found;
  }

  #describe(layout: TableLayout, mismatches: readonly Mismatch[], way: Way): readonly NewMismatch[] {
    const { chunk, run } = this.#taken;
    const where = { source: run.source, sink: chunk.sink, layout, way, runId: run.id, seenAtMs: Date.now() };
    return mismatches.map((mismatch) => toNewMismatch(mismatch, where));
  }

  /** As they are when the run meets them: a later run does not change what this one has found. */
  async #countIgnored(found: readonly NewMismatch[]): Promise<number> {
    return found.length === 0 ? 0 : this.#options.mismatches.countIgnored(found);
  }
}

const NOT_SEEN: NotJudged = { state: 'waiting', reason: 'the table was not seen by DSS yet' };
const COPIED_MEANWHILE: NotJudged = { state: 'being re-read', reason: 'the table was copied or re-read meanwhile' };

/** The last key of these pages, which come in the order of keys; null when no key is left after it in the range. */
function findCut(layout: TableLayout, pages: readonly ListedPage[], upTo: Row | null): string | null {
  const last = pages.findLast(({ keys }) => keys.length > 0)?.keys.at(-1);
  if (last === undefined) return null;
  const text = encodeKeyValues(layout, last);
  return text === encodeKey(layout, upTo) ? null : text;
}

function findHold(recorded: RecordedTable | null): NotJudged | null {
  if (recorded === null) return NOT_SEEN;
  const { copied, layout } = recorded;
  if (copied === 'never') return { state: 'not verifiable', reason: 'the sink does not get this table' };
  if (copied === 'no') return { state: 'being re-read', reason: 'a copy or re-read is not complete' };
  if (layout.key.length === 0) return { state: 'not verifiable', reason: 'the table has no key' };
  return null;
}

/** Key texts of one signature have the same order and meaning, and all of their chunks look for extras or none does. */
function signKey({ columns, key }: TableLayout, order: string, seesExtras: boolean): string {
  const parts = key.map((index) => {
    const { name, type, kind, labels } = columns[index] ?? {};
    return [name, type, kind, labels];
  });
  return JSON.stringify([parts, order, ...(seesExtras ? ['with extras'] : [])]);
}

function encodeKey(layout: TableLayout, values: Row | null): string | null {
  return values === null ? null : encodeKeyValues(layout, rowOfKey(layout, values));
}

function toKeys(layout: TableLayout, records: readonly { readonly key: string }[]): readonly Row[] {
  return records.map(({ key }) => rowOfKey(layout, decodeKeyValues(layout, key)));
}

/** Keys that were not found equal. */
function listOpen({ mismatches, unsettled, quarantined }: Verdict): readonly Row[] {
  return [...mismatches.map(({ key }) => key), ...unsettled, ...quarantined];
}

function countRows({ equal, mismatches, unsettled, quarantined }: Verdict): RowCounts {
  return {
    rows: equal + mismatches.length + unsettled.length + quarantined.length,
    equal,
    mismatches: mismatches.length,
    ignored: 0,
    unsettled: unsettled.length,
    quarantined: quarantined.length,
  };
}

function isKeyOf(layout: TableLayout, text: string): boolean {
  try {
    decodeKeyValues(layout, text);
    return true;
  } catch {
    return false;
  }
}

function add(a: RowCounts, b: RowCounts): RowCounts {
  return {
    rows: a.rows + b.rows,
    equal: a.equal + b.equal,
    mismatches: a.mismatches + b.mismatches,
    ignored: a.ignored + b.ignored,
    unsettled: a.unsettled + b.unsettled,
    quarantined: a.quarantined + b.quarantined,
  };
}
