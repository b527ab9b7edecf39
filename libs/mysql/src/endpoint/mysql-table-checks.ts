import { readDeclaredColumns } from '#change-events';
import { type Logger } from '#kernel';
import { type DefiningStatement, TableChecks } from '#replication';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { readCatalogueTables } from '../layout/catalogue-layout.ts';
import { type ColumnRuleOptions, columnRules } from '../layout/column-choice.ts';
import { MySqlSession } from '../mysql-session.ts';
import { refusal, VERSIONING } from '../layout/table-judgement.ts';
import { waitUntilVisible } from '../reader/read-window.ts';
import { readCharacterSets } from '../values/character-set-facts.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { checkTables } from './endpoint-checks.ts';
import { reportProblems } from './report-problems.ts';

export interface MySqlTableChecksOptions extends ColumnRuleOptions {
  /** Of the server whose log is streamed. */
  readonly connection: MySqlConnectionOptions;
  readonly logger: Logger;
  /** How long a check waits until the server has executed the dispatched set. */
  readonly waitMs?: number;
}

/** MariaDB's types that look in its log like BINARY and VARBINARY. */
const HIDDEN_TYPES = new Set(['UUID', 'INET4', 'INET6', 'VECTOR']);

/**
 * Over a short-lived connection: it is asked only when definitions change. The log alone does not do: MariaDB's calls a
 * UUID a BINARY(16), and does not say which rows belong to a history.
 */
export class MySqlTableChecks extends TableChecks {
  readonly #options: MySqlTableChecksOptions;
  #facts: CharacterSetFacts | null = null;

  constructor(options: MySqlTableChecksOptions) {
    super();
    this.#options = options;
  }

  override async check(statement: DefiningStatement, signal: AbortSignal, dispatchedSet: string): Promise<void> {
    const { connection, logger, waitMs = 30_000 } = this.#options;
    const session = await MySqlSession.open(connection, signal);
    try {
      await waitUntilVisible(session, dispatchedSet, waitMs, signal);
      this.#facts ??= await readCharacterSets(session);
      if (session.kind === 'mariadb') this.#assertDefinition(statement);
      const judging = { rules: columnRules(this.#options), facts: this.#facts };
      const found = await readCatalogueTables(session, statement.tables, judging);
      const checked = found.map((table) => ({ ...table, hasKey: (table.layout?.key.length ?? 1) > 0 }));
      reportProblems(checkTables(checked, session.kind), logger);
    } finally {
      session.close();
    }
  }

  /** What the statement itself says: another may have taken it back since, but not the rows that lie between the two. */
  #assertDefinition({ tables: [table], sql, sqlMode }: DefiningStatement): void {
    if (table === undefined) return;
    const { columns, isVersioned } = readDeclaredColumns(sql, sqlMode);
    const rules = columnRules(this.#options);
    const hidden = columns.filter(
      ({ name, type }) => HIDDEN_TYPES.has(type) && rules.columns(table.database, table.table, name),
    );
    const unsupported = hidden.map(({ name, type }) => `${name} (${type.toLowerCase()})`);
    if (isVersioned) unsupported.push(VERSIONING);
    if (unsupported.length > 0) throw refusal(table, { unsupported, needed: [] });
  }
}
