import { type Column, type ColumnKind, type TableLayout } from '#change-events';

/** The facts of a column, in addition to its type, that its values depend on. */
type Fact = 'unsigned' | 'precision' | 'scale' | 'charset' | 'labels';

interface KindOfColumns {
  /** Their DATA_TYPEs. */
  readonly types: readonly string[];
  /** All others are left out of a `Column`, whatever the log or the catalogue says. */
  readonly facts: readonly Fact[];
  /** Whether rows can be looked up by such a column. The configuration may name columns that no server takes as a key. */
  readonly canBeKey: boolean;
}

export const MYSQL_TYPES: Readonly<Record<ColumnKind, KindOfColumns>> = {
  integer: { types: ['tinyint', 'smallint', 'mediumint', 'int', 'year'], facts: ['unsigned'], canBeKey: true },
  bigint: { types: ['bigint'], facts: ['unsigned'], canBeKey: true },
  decimal: { types: ['decimal'], facts: ['unsigned', 'precision', 'scale'], canBeKey: true },
  float: { types: ['float'], facts: ['unsigned'], canBeKey: true },
  double: { types: ['double'], facts: ['unsigned'], canBeKey: true },
  text: {
    types: ['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext'],
    facts: ['charset'],
    canBeKey: true,
  },
  bytes: { types: ['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob'], facts: [], canBeKey: true },
  boolean: { types: ['bit'], facts: [], canBeKey: true },
  bits: { types: ['bit'], facts: [], canBeKey: true },
  date: { types: ['date'], facts: [], canBeKey: true },
  time: { types: ['time'], facts: ['scale'], canBeKey: true },
  datetime: { types: ['datetime'], facts: ['scale'], canBeKey: true },
  timestamp: { types: ['timestamp'], facts: ['scale'], canBeKey: true },
  enum: { types: ['enum'], facts: ['charset', 'labels'], canBeKey: true },
  set: { types: ['set'], facts: ['charset', 'labels'], canBeKey: true },
  json: { types: ['json'], facts: [], canBeKey: false },
  geometry: {
    types: [
      ...['geometry', 'point', 'linestring', 'polygon'],
      ...['multipoint', 'multilinestring', 'multipolygon', 'geomcollection'],
    ],
    facts: [],
    canBeKey: true,
  },
  vector: { types: ['vector'], facts: [], canBeKey: false },
};

const KIND_OF_TYPE: ReadonlyMap<string, ColumnKind> = new Map(
  Object.entries(MYSQL_TYPES).flatMap(([kind, { types }]) => types.map((type) => [type, kind as ColumnKind] as const)),
);

/** What both the log and the catalogue know about a column. */
export interface ColumnDescription {
  readonly name: string;
  /** MySQL's DATA_TYPE: `bigint`, `varchar`, `geomcollection`… */
  readonly type: string;
  readonly unsigned: boolean;
  readonly precision: number;
  /** Digits after the point of a decimal; fraction digits of a temporal type. */
  readonly scale: number;
  /** Bits of a BIT; declared length of CHAR, VARCHAR (characters), BINARY, VARBINARY (bytes). */
  readonly length: number;
  readonly charset: string | null;
  readonly labels: readonly string[];
}

/** Null when Ditto has no canonical form for the type. */
export function kindOf(type: string, length: number): ColumnKind | null {
  if (type === 'bit') return length === 1 ? 'boolean' : 'bits';
  return KIND_OF_TYPE.get(type) ?? null;
}

const WITH_LENGTH = new Set(['bit', 'char', 'varchar', 'binary', 'varbinary']);

/** Makes the one form of a column that the log's metadata and the catalogue must agree on; null for an unknown type. */
export function makeColumn(description: ColumnDescription): Column | null {
  const { name, type } = description;
  const kind = kindOf(type, description.length);
  if (kind === null) return null;
  const has = (fact: Fact): boolean => MYSQL_TYPES[kind].facts.includes(fact);
  return {
    name,
    kind,
    type,
    unsigned: has('unsigned') && type !== 'year' && description.unsigned,
    precision: has('precision') ? description.precision : 0,
    scale: has('scale') ? description.scale : 0,
    length: WITH_LENGTH.has(type) ? description.length : 0,
    charset: has('charset') ? description.charset : null,
    labels: has('labels') ? description.labels : [],
  };
}

export function makeLayout(
  database: string,
  table: string,
  columns: readonly Column[],
  key: readonly number[],
): TableLayout {
  const parts = columns.map((column) => [
    column.name,
    column.type,
    column.unsigned ? 1 : 0,
    column.precision,
    column.scale,
    column.length,
    column.charset ?? '',
    ...column.labels,
  ]);
  return { database, table, columns, key, fingerprint: JSON.stringify([database, table, key, parts]) };
}
