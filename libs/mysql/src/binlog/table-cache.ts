import { tableKey, type TableLayout } from '#change-events';
import { RowCodec } from '../codec/row-codec.ts';
import { streamLayout } from '../layout/stream-layout.ts';
import { type ColumnRules } from '../layout/column-choice.ts';
import { type ServerKind } from '../server-kind.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { type EventBytes } from './event-header.ts';
import { RowSkipper } from './row-skipper.ts';
import { parseTableMap, readTableId, readTableName, type TableMap } from './table-map.ts';

/** How the rows of a table id are read. */
export type TableReader =
  | { readonly included: true; readonly layout: TableLayout; readonly codec: RowCodec; readonly skipper: RowSkipper }
  | { readonly included: false; readonly database: string; readonly table: string; readonly skipper: RowSkipper };

interface CachedMap {
  readonly bytes: Buffer;
  readonly reader: TableReader;
}

/** Columns of the one row that a sequence of MariaDB lies in (`sequence_structure` in `sql/sql_sequence.cc`). */
const SEQUENCE_COLUMNS = [
  'next_not_cached_value',
  'minimum_value',
  'maximum_value',
  'start_value',
  'increment',
  'cache_size',
  'cycle_option',
  'cycle_count',
].join();

/** A sequence's state is in the log like a table's row, but it is no table: the catalogue lists it apart. */
function isSequence({ names }: TableMap): boolean {
  return names?.length === 8 && names.join() === SEQUENCE_COLUMNS;
}

/** Old table ids are forgotten beyond this many; a log repeats each table map before its rows. */
const MOST_TABLE_IDS = 2000;
/** Tables beyond this many lose what was compiled for them, those first that came up least lately. */
const MOST_TABLES = 5000;

/**
 * Readers by table id. A server repeats a table's map before each statement: while its bytes stay the same, the cached
 * reader serves. The layout of a table is one object until its fingerprint changes, whatever table ids it comes under.
 * Excluded columns are no part of a layout, so its rows may lie in the log in several ways, each with a reader of its own.
 */
export class TableCache {
  readonly #includes: (database: string, table: string) => boolean;
  readonly #facts: CharacterSetFacts;
  readonly #kind: ServerKind;
  readonly #rules: ColumnRules;
  readonly #maps = new Map<number, CachedMap>();
  /** By table, the one that came up last at the end; readers of one table have one layout. */
  readonly #readers = new Map<string, readonly (TableReader & { included: true })[]>();

  constructor(options: {
    readonly includes: (database: string, table: string) => boolean;
    readonly facts: CharacterSetFacts;
    /** Who writes the log. */
    readonly kind: ServerKind;
    readonly rules: ColumnRules;
  }) {
    this.#includes = options.includes;
    this.#facts = options.facts;
    this.#kind = options.kind;
    this.#rules = options.rules;
  }

  /** Throws a coded error for an included table that can't be decoded. */
  learn(event: EventBytes): void {
    const tableId = readTableId(event);
    const cached = this.#maps.get(tableId);
    const { bytes, body, end } = event;
    if (cached !== undefined && isSame(cached.bytes, bytes, body, end)) return;
    this.#maps.set(tableId, { bytes: Buffer.from(bytes.subarray(body, end)), reader: this.#makeReader(event) });
  }

  reader(tableId: number): TableReader | undefined {
    return this.#maps.get(tableId)?.reader;
  }

  /** Only between statements: rows must not lose their map. */
  trim(): void {
    if (this.#maps.size > MOST_TABLE_IDS) this.#maps.clear();
  }

  #makeReader(event: EventBytes): TableReader {
    const { database, table } = readTableName(event);
    const map = parseTableMap(event, this.#kind);
    if (!this.#includes(database, table) || (this.#kind === 'mariadb' && isSequence(map)))
      return { included: false, database, table, skipper: new RowSkipper(map.columns) };
    const { layout, columns, key } = streamLayout(map, { facts: this.#facts, rules: this.#rules, kind: this.#kind });
    const name = tableKey({ database, table });
    const newest = this.#readers.get(name) ?? [];
    const known = newest[0]?.layout.fingerprint === layout.fingerprint ? newest : [];
    const alike = known.find(({ codec }) => codec.reads(columns));
    const reader = alike ?? {
      included: true as const,
      layout: known[0]?.layout ?? layout,
      codec: new RowCodec(columns, key),
      skipper: new RowSkipper(map.columns),
    };
    this.#readers.delete(name);
    this.#readers.set(name, alike === undefined ? [...known, reader] : known);
    if (this.#readers.size > MOST_TABLES) this.#forgetOldest();
    return reader;
  }

  #forgetOldest(): void {
    for (const name of this.#readers.keys()) {
      this.#readers.delete(name);
      return;
    }
  }
}

/** Most table maps are too short for a native call to pay. */
const NATIVE_FROM_BYTES = 512;

function isSame(known: Buffer, bytes: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (known.length !== length) return false;
  if (length >= NATIVE_FROM_BYTES) return known.compare(bytes, start, end) === 0;
  for (let i = 0; i < length; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
}
