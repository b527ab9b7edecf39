import { tableKey, type TableLayout, type TableName } from '#change-events';
import { type CopyState, type TableRecord } from '../ports/stores.ts';
import { newRecord, planCopy, repeatCopy, restartCopy } from '../tables/table-record.ts';
import { type TableRecords } from '../tables/table-records.ts';
import {
  advance,
  begin,
  complete,
  completeRows,
  isAsked,
  isReading,
  KEYLESS_COPY,
  rowsReadOf,
} from '../tables/copy-state.ts';

export interface SnapshotProgressOptions {
  readonly records: TableRecords;
  /** Rest of a table between the end of a read that a cascade asked for and the next. */
  readonly cascadePauseMs: number;
  readonly nowMs: () => number;
}

/** One attempt at reading a table, from `take` to `release`. */
interface Attempt {
  /** False once a statement asked for the table: what it reads counts no more. */
  isWanted: boolean;
  hasBegun: boolean;
  /** Whether a cascade asked for the table since the attempt was taken up. */
  isAskedSince: boolean;
  /** When it began to copy rows, and how many had been read at that time. */
  copyingSince: { readonly atMs: number; readonly rowsRead: number } | null;
}

/** What this process knows of a table beside its record. */
interface TableWork {
  attempt: Attempt | null;
  /** Whether the reading that is under way was asked for by what takes rows away, so that the table rests when it ends. */
  restsAfterwards: boolean;
  restsUntilMs: number;
  /**
   * What earlier owners gave to the mirror: it may be newer than the stream; is passed by the stream; or is settled, by a
   * reading that began after that and has ended the rows that are gone.
   */
  earlier: 'unknown' | 'passed' | 'settled';
  readings: Readings;
}

/** The readings of a table by this process. */
export interface Readings {
  /** How many have begun at the first row. */
  readonly begun: number;
  /** Of these, the last one that is complete: its number; 0 when none is. */
  readonly completed: number;
  /** Rows that the last complete one has read. */
  readonly rowsRead: number;
}

const NO_READINGS: Readings = { begun: 0, completed: 0, rowsRead: 0 };

/**
 * How far the copy of each table has come, and which tables were asked for. One reading of a table is under way at a
 * time; a request of a statement abandons it, a request of a cascade lets it end and has the table read again.
 *
 * What happens counts in memory at once. It is durable when the promise of a request, or of a later `save`, has resolved.
 */
export class SnapshotProgress {
  readonly #options: SnapshotProgressOptions;
  readonly #works = new Map<string, TableWork>();

  constructor(options: SnapshotProgressOptions) {
    this.#options = options;
  }

  get(table: TableName): TableRecord | undefined {
    return this.#options.records.get(table);
  }

  /** Those that are copied, are to be, or can't be. */
  list(): TableRecord[] {
    return [...this.#options.records.all()].filter(({ copy }) => copy.state !== 'none');
  }

  /** The next table to read, among those that are free: one that was begun comes first. */
  next(isFree: (record: TableRecord) => boolean): TableRecord | undefined {
    const nowMs = this.#options.nowMs();
    let first: TableRecord | undefined;
    for (const record of this.#options.records.all()) {
      if (isReading(record.copy)) {
        if (isFree(record)) return record;
      } else if (record.copy.state === 'pending' && first === undefined)
        if ((this.#works.get(tableKey(record))?.restsUntilMs ?? 0) <= nowMs && isFree(record)) first = record;
    }
    return first;
  }

  /** How long until the next of the tables that rest may be read; null when none rests. */
  restMs(): number | null {
    const nowMs = this.#options.nowMs();
    let untilMs = Infinity;
    for (const { restsUntilMs } of this.#works.values())
      if (restsUntilMs > nowMs) untilMs = Math.min(untilMs, restsUntilMs);
    return untilMs === Infinity ? null : untilMs - nowMs;
  }

  /** A statement: the table is read from its first row. `losesRows`: rows may be gone. */
  async request(table: TableName, losesRows = false): Promise<void> {
    const { records } = this.#options;
    records.set(restartCopy(this.#recordOf(table), losesRows));
    const work = this.#workOf(table);
    work.restsUntilMs = 0;
    if (work.attempt !== null) work.attempt.isWanted = false;
    await records.save([table]);
  }

  /** Whether `ask` would change nothing: a reading that is still to begin covers whatever the tables go through now. */
  isAsked(tables: readonly TableName[]): boolean {
    const { records } = this.#options;
    return tables.every((table) => {
      if (this.#works.get(tableKey(table))?.attempt?.hasBegun === false) return false;
      return records.isDurably(table, ({ copy }) => isAsked(copy));
    });
  }

  /** A cascade: rows of the tables changed or went without row events. */
  async ask(tables: readonly TableName[]): Promise<void> {
    const { records } = this.#options;
    for (const table of tables) {
      const record = this.#recordOf(table);
      const { attempt } = this.#workOf(table);
      if (attempt !== null) attempt.isAskedSince = true;
      if (!isAsked(record.copy)) records.set(repeatCopy(record));
    }
    await records.save(tables);
  }

  /** Copies tables that nobody asked for; those without a key are not copied. */
  async plan(tables: readonly { readonly layout: TableLayout; readonly estimatedRows: number }[]): Promise<void> {
    const { records } = this.#options;
    for (const { layout, estimatedRows } of tables) {
      const record = this.#recordOf(layout);
      // what the sinks have from before may have gone while the table was not included
      const pending = { state: 'pending', endsGone: record.adopted !== null } as const;
      if (record.copy.state === 'none')
        records.set(planCopy(record, estimatedRows, layout.key.length === 0 ? KEYLESS_COPY : pending));
    }
    await records.save(tables.map(({ layout }) => layout));
  }

  /** An attempt at the table is taken up: what is asked from here on is not covered by it, unless it begins later still. */
  take(table: TableName): void {
    this.#workOf(table).attempt = { isWanted: true, hasBegun: false, isAskedSince: false, copyingSince: null };
  }

  /** The attempt has ended, whatever came of it. */
  release(table: TableName): void {
    const work = this.#works.get(tableKey(table));
    if (work !== undefined) work.attempt = null;
  }

  /** False once a statement asked for the table since the attempt was taken up. */
  isWanted(table: TableName): boolean {
    return this.#works.get(tableKey(table))?.attempt?.isWanted ?? true;
  }

  /** Whether the stream has passed what earlier owners of the source gave to the mirror, and whether that is settled. */
  earlierOf(table: TableName): TableWork['earlier'] {
    return this.#works.get(tableKey(table))?.earlier ?? 'unknown';
  }

  /** The stream has passed all that the mirror has of the table. */
  passEarlier(table: TableName): void {
    const work = this.#workOf(table);
    if (work.earlier === 'unknown') work.earlier = 'passed';
  }

  readingsOf(table: TableName): Readings {
    return this.#works.get(tableKey(table))?.readings ?? NO_READINGS;
  }

  /**
   * The reading continues, or begins: then with the version that rows which it does not meet are older than, null when it
   * ends none. It covers every cascade until this very call, so what it reads must be read after all of them.
   */
  begin(table: TableName, goneBelow: string | null): void {
    this.#change(table, (copy, work) => {
      if (work.attempt !== null) work.attempt.hasBegun = true;
      if (copy.state !== 'pending') return copy;
      work.readings = { ...work.readings, begun: work.readings.begun + 1 };
      work.restsAfterwards = copy.endsGone;
      return begin(goneBelow);
    });
    const { attempt } = this.#workOf(table);
    const rowsRead = rowsReadOf(this.#recordOf(table).copy);
    if (attempt !== null) attempt.copyingSince = { atMs: this.#options.nowMs(), rowsRead };
  }

  /** So many rows more are confirmed, up to this key; null when there were none. */
  record(table: TableName, lastKey: string | null, rows: number): void {
    this.#change(table, (copy) => (copy.state === 'copying' ? advance(copy, lastKey, rows) : copy));
  }

  /** All rows are read and confirmed: what is left is to end those that are gone, if the reading ends any. */
  completeRows(table: TableName): void {
    this.#change(table, (copy, work) => {
      if (copy.state !== 'copying') return copy;
      const next = completeRows(copy);
      if (next.state !== 'ending') this.#complete(work, copy.rowsRead);
      return next;
    });
  }

  /** Rows that are gone have ended, all of it confirmed. */
  completeEnding(table: TableName): void {
    this.#change(table, (copy, work) => {
      if (copy.state !== 'ending') return copy;
      if (work.earlier === 'passed') work.earlier = 'settled';
      this.#complete(work, copy.rowsRead);
      return complete(copy);
    });
  }

  /** The table can't be read; if something was asked since the attempt was taken up, the table is looked at again. */
  fail(table: TableName, reason: string): void {
    this.#change(table, (copy, { attempt }) =>
      attempt?.isAskedSince === true ? copy : { state: 'unavailable', reason },
    );
  }

  /** Resolves when what counts of the table now, or later, is stored. */
  save(table: TableName): Promise<void> {
    return this.#options.records.save([table]);
  }

  /** Rows per second of the attempt under way; 0 when none copies. */
  rateOf(table: TableName): number {
    const since = this.#works.get(tableKey(table))?.attempt?.copyingSince ?? null;
    const record = this.get(table);
    if (since === null || record === undefined) return 0;
    const seconds = (this.#options.nowMs() - since.atMs) / 1000;
    return seconds <= 0 ? 0 : (rowsReadOf(record.copy) - since.rowsRead) / seconds;
  }

  #complete(work: TableWork, rowsRead: number): void {
    work.readings = { ...work.readings, completed: work.readings.begun, rowsRead };
    const { cascadePauseMs, nowMs } = this.#options;
    if (work.restsAfterwards) work.restsUntilMs = nowMs() + cascadePauseMs;
    work.restsAfterwards = false;
  }

  #workOf(table: TableName): TableWork {
    const key = tableKey(table);
    let work = this.#works.get(key);
    if (work === undefined) {
      work = { attempt: null, restsAfterwards: false, restsUntilMs: 0, earlier: 'unknown', readings: NO_READINGS };
      this.#works.set(key, work);
    }
    return work;
  }

  #recordOf(table: TableName): TableRecord {
    return this.get(table) ?? newRecord(table);
  }

  #set(record: TableRecord, copy: CopyState): void {
    if (copy !== record.copy) this.#options.records.set({ ...record, copy });
  }

  /** A change by the attempt under way: none once that is not wanted any more. */
  #change(table: TableName, apply: (copy: CopyState, work: TableWork) => CopyState): void {
    if (!this.isWanted(table)) return;
    const record = this.#recordOf(table);
    this.#set(record, apply(record.copy, this.#workOf(table)));
  }
}
