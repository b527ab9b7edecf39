import {
  checkEndpoint,
  type EndpointInspection,
  type MySqlConnectionOptions,
  MySqlEndpoint,
  type TableInspection,
  type TableRules,
} from '#mysql';
import { type CheckFinding } from '#kernel';
import { type SourceConfig } from '#configuration';
import { cascadeChoice } from './cascade-choice.ts';

export interface SourceInspection {
  readonly endpoint: EndpointInspection;
  /** The included tables, not as they were before the position of `endpoint`. */
  readonly tables: readonly TableInspection[];
  /** What is wrong with the server for this source. Without an error each table has a layout. */
  readonly problems: readonly CheckFinding[];
}

/** Asks a server of the source; changes nothing there. Throws a coded error when it can't be asked. */
export async function inspectSource({
  source,
  connection,
  rules,
  signal,
}: {
  readonly source: SourceConfig;
  readonly connection: MySqlConnectionOptions;
  readonly rules: TableRules;
  readonly signal: AbortSignal;
}): Promise<SourceInspection> {
  const server = new MySqlEndpoint(connection);
  const endpoint = await server.inspect(signal);
  const tables = await server.inspectTables(rules.includes, rules, signal);
  const grants = await server.readGrants(signal);
  return { endpoint, tables, problems: checkEndpoint(endpoint, tables, grants, cascadeChoice(source)) };
}
