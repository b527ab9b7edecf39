import { type RowDataPacket } from 'mysql2';
import { readCatalogue } from '../layout/catalogue-layout.ts';
import { type ColumnRules } from '../layout/column-choice.ts';
import { type MySqlSession } from '../mysql-session.ts';
import { textDecoder, type CharacterSetFacts } from '../values/charset.ts';

export interface TableInspection {
  readonly database: string;
  readonly table: string;
  readonly engine: string;
  readonly hasKey: boolean;
  /** All columns that the user may see, the excluded ones too. */
  readonly columns: readonly string[];
  /** Those of them that are replicated. */
  readonly selected: readonly string[];
  /** Excluded columns without which the table has no key or no column. */
  readonly needed: readonly string[];
  /** Columns without a canonical form or in character sets that can't be decoded exactly, each with its reason. */
  readonly unsupported: readonly string[];
  /** Foreign keys of this table by which its rows change without row events on servers that cascade in the engine. */
  readonly cascades: readonly string[];
}

interface EngineRow extends RowDataPacket {
  readonly db: string;
  readonly tbl: string;
  readonly engine: string | null;
}
interface CascadeRow extends RowDataPacket {
  readonly db: string;
  readonly tbl: string;
  readonly name: string;
}

/** The tables that exist among the included ones. */
export async function inspectTables(
  session: MySqlSession,
  includes: (database: string, table: string) => boolean,
  rules: ColumnRules,
  facts: CharacterSetFacts,
): Promise<readonly TableInspection[]> {
  const tables = await readCatalogue(session, includes, rules);
  const engines = await session.query<EngineRow>(
    "SELECT TABLE_SCHEMA AS db, TABLE_NAME AS tbl, ENGINE AS engine FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')",
  );
  const cascades = await session.query<CascadeRow>(
    `SELECT CONSTRAINT_SCHEMA AS db, TABLE_NAME AS tbl, CONSTRAINT_NAME AS name
     FROM information_schema.REFERENTIAL_CONSTRAINTS
     WHERE DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN ('CASCADE', 'SET NULL')`,
  );
  const nameOf = (db: string, tbl: string): string => JSON.stringify([db, tbl]);
  const engineOf = new Map(engines.map(({ db, tbl, engine }) => [nameOf(db, tbl), engine ?? '']));
  const cascadesOf = Map.groupBy(cascades, ({ db, tbl }) => nameOf(db, tbl));
  return tables.map(({ database, table, columns, selected, layout, unsupported, needed }) => ({
    database,
    table,
    columns,
    selected,
    needed,
    engine: engineOf.get(nameOf(database, table)) ?? '',
    hasKey: layout === null || layout.key.length > 0,
    unsupported: [
      ...unsupported,
      ...(layout?.columns ?? []).flatMap(({ name, kind, charset }) =>
        (kind === 'text' || kind === 'enum' || kind === 'set') && !canDecode(charset, facts)
          ? [`${name} (CHARACTER SET ${charset ?? '?'})`]
          : [],
      ),
    ],
    cascades: (cascadesOf.get(nameOf(database, table)) ?? []).map(({ name }) => name),
  }));
}

function canDecode(charset: string | null, facts: CharacterSetFacts): boolean {
  return charset === null || charset === 'binary' || textDecoder(charset, facts, false) !== null;
}
