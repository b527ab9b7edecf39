import { type TableName } from '#change-events';
import { CascadeFacts, type CascadingKey } from '#replication';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { type ColumnRuleOptions, columnRules } from '../layout/column-choice.ts';
import { MySqlSession } from '../mysql-session.ts';
import { waitUntilVisible } from '../reader/read-window.ts';
import { checkCascades, type CascadeHandlingChoice } from './cascade-checks.ts';
import { type ServerSettings } from './mysql-endpoint.ts';
import { assertNoErrors } from './report-problems.ts';
import { inspectCascades } from './table-inspection.ts';

export interface MySqlCascadeFactsOptions {
  /** Of the server whose log is streamed. */
  readonly connection: MySqlConnectionOptions;
  readonly settings: ServerSettings;
  readonly includes: (database: string, table: string) => boolean;
  readonly keys?: ColumnRuleOptions['keys'];
  /** Which columns are replicated; all by default. */
  readonly columns?: ColumnRuleOptions['columns'];
  readonly handling: CascadeHandlingChoice;
  /** How long a read waits until the server has executed the dispatched set. */
  readonly waitMs?: number;
}

/** Over a short-lived connection: it is asked only when definitions change. */
export class MySqlCascadeFacts extends CascadeFacts {
  readonly #options: MySqlCascadeFactsOptions;

  constructor(options: MySqlCascadeFactsOptions) {
    super();
    this.#options = options;
  }

  override async read(
    signal: AbortSignal,
    dispatchedSet: string,
    tables: readonly TableName[],
  ): Promise<readonly CascadingKey[]> {
    const { connection, settings, includes, handling, waitMs = 30_000 } = this.#options;
    const session = await MySqlSession.open(connection, signal);
    try {
      await waitUntilVisible(session, dispatchedSet, waitMs, signal);
      const included = tables.filter(({ database, table }) => includes(database, table));
      const cascaded = await inspectCascades(session, included, includes, columnRules(this.#options));
      assertNoErrors(checkCascades(cascaded, settings, handling));
      return cascaded.flatMap(({ cascades }) => cascades);
    } finally {
      session.close();
    }
  }
}
