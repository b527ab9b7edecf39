/** What a column's values are, in the words of the canonical table. */
export type Kind =
  | 'integer'
  | 'decimal'
  | 'float'
  | 'double'
  | 'text'
  | 'bytes'
  | 'boolean'
  | 'temporal'
  | 'json'
  | 'geometry'
  | 'vector';

export interface ColumnFacts {
  readonly name: string;
  /** `information_schema.columns.DATA_TYPE`, lower case. */
  readonly dataType: string;
  readonly unsigned: boolean;
  /** DECIMAL and BIT: digits or bits; else 0. */
  readonly precision: number;
  readonly isMariaDb?: boolean;
}

export interface OracleColumn {
  readonly name: string;
  readonly kind: Kind;
  /** Whether every value fits into 32 signed bits (integer), or 34 digits (decimal). */
  readonly small: boolean;
  /** The expression by which MySQL renders the value itself. */
  readonly select: string;
}

export interface OracleTable {
  readonly database: string;
  readonly table: string;
  readonly columns: readonly OracleColumn[];
  /** Indexes of the primary key's columns in key order. */
  readonly key: readonly number[];
}

const geometryTypes: ReadonlySet<string> = new Set([
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geomcollection',
  'geometrycollection',
]);

export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

const integerTypes: ReadonlySet<string> = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'year']);
const textTypes: ReadonlySet<string> = new Set([
  'char',
  'varchar',
  'tinytext',
  'text',
  'mediumtext',
  'longtext',
  'enum',
  'set',
]);
const bytesTypes: ReadonlySet<string> = new Set(['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob']);

/** Throws for a type that this comparison does not know: nothing may pass unseen. */
export function describeColumn({ name, dataType, unsigned, precision, isMariaDb }: ColumnFacts): OracleColumn {
  const column = quoteName(name);
  const text = `CAST(${column} AS CHAR)`;
  // a number without the zeros that YEAR and ZEROFILL print
  if (integerTypes.has(dataType))
    return {
      name,
      kind: 'integer',
      small: dataType !== 'bigint' && !(dataType === 'int' && unsigned),
      select: `CAST(${column} + 0 AS CHAR)`,
    };
  if (dataType === 'decimal') return { name, kind: 'decimal', small: precision <= 34, select: text };
  // through the binary protocol, which carries the bits; as text MySQL rounds a FLOAT to six digits
  if (dataType === 'float' || dataType === 'double') return { name, kind: dataType, small: false, select: column };
  if (textTypes.has(dataType)) return { name, kind: 'text', small: false, select: `CONVERT(${column} USING utf8mb4)` };
  if (bytesTypes.has(dataType)) return { name, kind: 'bytes', small: false, select: `HEX(${column})` };
  if (dataType === 'bit') return describeBits(name, precision);
  if (dataType === 'date' || dataType === 'time') return { name, kind: 'temporal', small: false, select: text };
  if (dataType === 'datetime') return { name, kind: 'temporal', small: false, select: `REPLACE(${text}, ' ', 'T')` };
  if (dataType === 'timestamp')
    return { name, kind: 'temporal', small: false, select: `CONCAT(REPLACE(${text}, ' ', 'T'), 'Z')` };
  if (dataType === 'json') return { name, kind: 'json', small: false, select: text };
  if (dataType === 'vector') return { name, kind: 'vector', small: false, select: `HEX(${column})` };
  // longitude first, as it is stored
  if (geometryTypes.has(dataType))
    return {
      name,
      kind: 'geometry',
      small: false,
      select: `CONCAT(ST_SRID(${column}), ' ', HEX(ST_AsWKB(${column}${isMariaDb === true ? '' : ", 'axis-order=long-lat'"})))`,
    };
  throw new Error(`The comparison does not know columns of type ${dataType} (${name}).`);
}

function describeBits(name: string, width: number): OracleColumn {
  const number = `CAST(${quoteName(name)} AS UNSIGNED)`;
  if (width === 1)
    return { name, kind: 'boolean', small: false, select: `CASE ${number} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END` };
  const digits = Math.ceil(width / 8) * 2;
  return { name, kind: 'bytes', small: false, select: `LPAD(HEX(${number}), ${digits}, '0')` };
}
