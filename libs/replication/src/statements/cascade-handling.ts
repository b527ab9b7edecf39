import {
  distinctTables,
  hasSameValues,
  type RowImages,
  type Statement,
  tableKey,
  type TableLayout,
  type TableName,
} from '#change-events';
import { CascadePlan } from './cascade-plan.ts';
import { type KnownTables } from '../tables/known-tables.ts';
import { type CascadeFacts, type CascadingKey } from '../ports/cascade-facts.ts';

/** How a pipeline deals with what the server changes by foreign keys and does not log. */
export interface CascadeOptions {
  readonly facts: CascadeFacts;
  /** The foreign keys as the catalogue showed them when the pipeline was made. */
  readonly keys: readonly CascadingKey[];
  /** Whether the tables that cascades reach are read again; if not, there are no such foreign keys. */
  readonly rereads: boolean;
  /** Whether each of the tables is going to be read for something that was asked before, and that can't be forgotten. */
  readonly isAsked: (tables: readonly TableName[]) => boolean;
  /**
   * These tables have rows that the log does not show as they now are. Resolves when that can't be forgotten any more.
   * Tried again on a retriable error.
   */
  readonly onCascade: (tables: readonly TableName[]) => Promise<void>;
}

interface CascadeHandlingOptions extends CascadeOptions {
  readonly includes: (database: string, table: string) => boolean;
  readonly tables: KnownTables;
  readonly signal: AbortSignal;
  readonly dispatchedSet: () => string;
  /** Runs the action until it works; what is down is waited for. */
  readonly hold: (action: () => Promise<void>) => Promise<void>;
}

/** A parent's cascades, by the indexes of a layout's columns; null: a column is not in it, so any update counts. */
interface CompiledCascades {
  readonly onDelete: readonly TableName[];
  readonly onUpdate: readonly { readonly indexes: readonly number[] | null; readonly tables: readonly TableName[] }[];
}

/**
 * Watches the stream for changes by which the server changes other rows without row events, and asks for those rows'
 * tables at the end of the transaction, before a checkpoint can pass it (I1).
 *
 * A transaction with `foreign_key_checks = 0` cascades nothing and is not distinguished from the others: a read too many.
 */
export class CascadeHandling {
  readonly #options: CascadeHandlingOptions;
  #plan: CascadePlan;
  #compiled = new WeakMap<TableLayout, CompiledCascades | 'none'>();
  readonly #reached = new Map<string, TableName>();

  constructor(options: CascadeHandlingOptions) {
    this.#options = options;
    this.#plan = new CascadePlan(options.keys);
  }

  /** Called for each rows event; only parents cost more than a look-up. */
  note(layout: TableLayout, before: RowImages | null, after: RowImages | null): void {
    let cascades = this.#compiled.get(layout);
    if (cascades === undefined) {
      cascades = this.#compile(layout);
      this.#compiled.set(layout, cascades);
    }
    if (cascades === 'none' || before === null) return;
    if (after === null) this.#reach(cascades.onDelete);
    else
      for (const { indexes, tables } of cascades.onUpdate)
        if (!this.#hasReached(tables) && changesAny(indexes, before, after)) this.#reach(tables);
  }

  /** Call at the end of each transaction, before anything counts it as ended. Undefined: nothing to wait for. */
  record(): Promise<void> | undefined {
    if (this.#reached.size === 0) return undefined;
    const tables = [...this.#reached.values()];
    this.#reached.clear();
    return this.#ask(tables);
  }

  /**
   * Reads the foreign keys of the tables that a statement concerns again. The catalogue may be ahead of the stream:
   * what a foreign key did that the statement took away, or that followed a table to another name, is made good by
   * reading the tables that it can have reached.
   */
  async learnFrom(statement: Statement, sql: string, named: readonly TableName[]): Promise<void> {
    const { facts, signal, dispatchedSet, hold, rereads } = this.#options;
    if (named.length === 0) return;
    const former = this.#plan;
    const concerned = former.tablesConcernedBy(named);
    await hold(async () => {
      this.#plan = former.withKeysOf(concerned, await facts.read(signal, dispatchedSet(), concerned));
    });
    this.#compiled = new WeakMap();
    if (!rereads || !mayEndForeignKey(statement, sql)) return;
    const isAltered = statement.kind !== 'drop' && statement.kind !== 'rename';
    const reached = named.flatMap((table) => [...former.descendantsOf(table), ...this.#plan.descendantsOf(table)]);
    const tables = distinctTables([...(isAltered ? named : []), ...reached]);
    if (tables.length > 0) await this.#ask(tables);
  }

  #ask(tables: readonly TableName[]): Promise<void> | undefined {
    const { isAsked, onCascade, hold } = this.#options;
    return isAsked(tables) ? undefined : hold(() => onCascade(tables));
  }

  #compile(layout: TableLayout): CompiledCascades | 'none' {
    const cascades = this.#plan.cascadesOf(layout);
    if (cascades === null) return 'none';
    const indexOf = new Map(layout.columns.map(({ name }, index) => [name.toLowerCase(), index]));
    const onUpdate = cascades.onUpdate.map(({ columns, tables }) => {
      const indexes = columns.flatMap((column) => indexOf.get(column) ?? []);
      return { indexes: indexes.length === columns.length ? indexes : null, tables };
    });
    return { onDelete: cascades.onDelete, onUpdate };
  }

  #hasReached(tables: readonly TableName[]): boolean {
    return tables.every((table) => this.#reached.has(tableKey(table)));
  }

  #reach(tables: readonly TableName[]): void {
    for (const table of tables) this.#reached.set(tableKey(table), table);
  }
}

/** What can't be decoded counts as changed. */
function changesAny(indexes: readonly number[] | null, before: RowImages, after: RowImages): boolean {
  if (indexes === null) return true;
  for (let i = 0; i < after.count; i++) {
    const [old, now] = [before.tryRow(i), after.tryRow(i)];
    if (old === null || now === null || !hasSameValues(indexes, old, now)) return true;
  }
  return false;
}

/** Whether a foreign key may be gone, or under another table's name, since the statement. A doubt counts as yes. */
function mayEndForeignKey({ kind }: Statement, sql: string): boolean {
  if (kind === 'drop' || kind === 'rename' || kind === 'unparsed') return true;
  const drop = sql.search(/\bDROP\b/i);
  return drop >= 0 && /\b(?:FOREIGN|CONSTRAINT)\b/i.test(sql.slice(drop));
}
