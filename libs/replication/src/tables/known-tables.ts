import { tableKey, type TableLayout, type TableName, type TableNames } from '#change-events';

/**
 * The included tables of one source as the stream knows them. The catalogue, read at the start, may be ahead of the
 * stream by any number of statements: what it says is used for a table until the stream has shown its layout.
 */
export class KnownTables {
  readonly #tables = new Map<string, TableLayout>();
  /**
   * Layouts that every sink knows, each with its table's mark of that time. Readers make new layouts again and again,
   * so weakly.
   */
  readonly #prepared = new WeakMap<TableLayout, { isValid: boolean }>();
  readonly #marks = new Map<string, { isValid: boolean }>();
  /** Tables that a statement made, whether a row of them was shown or not. */
  readonly #made = new Map<string, TableName>();

  readonly #names: readonly TableNames[];

  /** `names`: what tables are called in the sinks; a table that comes later gets its name there, or is refused with a coded error. */
  constructor(catalogue: readonly TableLayout[], names: readonly TableNames[] = []) {
    this.#names = names;
    for (const layout of catalogue) this.#tables.set(tableKey(layout), layout);
  }

  /** The newest layout; undefined for a table that neither the catalogue nor the stream has shown. */
  layoutOf(database: string, table: string): TableLayout | undefined {
    return this.#tables.get(tableKey({ database, table }));
  }

  /** Whether the table was there at some time and has not ended since, as far as catalogue and statements say. */
  knows(table: TableName): boolean {
    return this.#tables.has(tableKey(table)) || this.#made.has(tableKey(table));
  }

  isPrepared(layout: TableLayout): boolean {
    return this.#prepared.get(layout)?.isValid === true;
  }

  markPrepared(layout: TableLayout): void {
    const key = tableKey(layout);
    const mark = this.#marks.get(key) ?? { isValid: true };
    this.#marks.set(key, mark);
    this.#prepared.set(layout, mark);
  }

  /** Tables of a database that were there at some time, whether their layout is known or not. */
  namesIn(database: string): TableName[] {
    const names = new Map<string, TableName>([...this.#tables, ...this.#made]);
    return [...names.values()].filter((name) => name.database === database);
  }

  /** Takes a layout that the stream has come to. */
  learn(layout: TableLayout): void {
    const key = tableKey(layout);
    if (!this.#tables.has(key)) this.#claimNames(layout);
    // a copy: what sinks and reads have compiled for the layout itself goes with the one who made it
    this.#tables.set(key, { ...layout });
  }

  add({ database, table }: TableName): void {
    this.#claimNames({ database, table });
    this.#made.set(tableKey({ database, table }), { database, table });
  }

  /** Each layout of the table is learned again when it comes, also one that was there before. */
  unprepare(table: TableName): void {
    const key = tableKey(table);
    const mark = this.#marks.get(key);
    if (mark !== undefined) mark.isValid = false;
    this.#marks.delete(key);
  }

  /** A table that comes again under its name is a new one. */
  forget(table: TableName): void {
    const key = tableKey(table);
    this.unprepare(table);
    this.#tables.delete(key);
    this.#made.delete(key);
    for (const ofSink of this.#names) ofSink.release(table);
  }

  #claimNames(table: TableName): void {
    for (const ofSink of this.#names) ofSink.claim(table);
  }
}
