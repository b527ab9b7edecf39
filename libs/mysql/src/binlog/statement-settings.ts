import { DEFAULT_SQL_MODE, type SqlMode } from '#change-events';

/** What a statement event says of its session's settings. */
export interface StatementSettings {
  readonly sqlMode: SqlMode;
  /** Id of the default collation of `character_set_client`; 0 when the event doesn't say. */
  readonly clientCollation: number;
}

/** Codes of status variables, in the order that servers write them (MySQL source, `sql/log_event.cc`, Query_log_event::write). */
const Variable = { flags: 0, sqlMode: 1, autoIncrement: 3, charset: 4, timeZone: 5, catalog: 6 } as const;

/** Bits of `sql_mode` (MySQL source, `sql/query_options.h`; MariaDB has the same). */
const ANSI_QUOTES = 0x4;
const NO_BACKSLASH_ESCAPES = 0x100000;

/** Reads the status variables between `start` and `end`, up to one after which none of these can come. */
export function readStatementSettings(bytes: Buffer, start: number, end: number): StatementSettings {
  let sqlMode = DEFAULT_SQL_MODE;
  let clientCollation = 0;
  for (let at = start; at < end;) {
    const code = bytes.readUInt8(at);
    const value = at + 1;
    const next = value + sizeOf(code, bytes[value] ?? 0);
    if (next === value) break;
    if (next > end) throw new RangeError('the status variables of a statement event are cut off');
    if (code === Variable.sqlMode) sqlMode = toSqlMode(bytes.readUInt32LE(value));
    if (code === Variable.charset) clientCollation = bytes.readUInt16LE(value);
    at = next;
  }
  return { sqlMode, clientCollation };
}

/** Bytes of a variable's value, its length prefix included; 0 for those that come last. */
function sizeOf(code: number, first: number): number {
  switch (code) {
    case Variable.flags:
    case Variable.autoIncrement:
      return 4;
    case Variable.sqlMode:
      return 8;
    case Variable.charset:
      return 6;
    case Variable.timeZone:
    case Variable.catalog:
      return 1 + first;
    default:
      return 0;
  }
}

function toSqlMode(bits: number): SqlMode {
  return { hasAnsiQuotes: (bits & ANSI_QUOTES) !== 0, hasEscapes: (bits & NO_BACKSLASH_ESCAPES) === 0 };
}
