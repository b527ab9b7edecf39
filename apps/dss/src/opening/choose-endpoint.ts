import { type MySqlConnectionOptions } from '#mysql';
import { requireSection, type SourceConfig, toMySqlOptions } from '#configuration';

export interface ChosenEndpoints {
  /** The server whose log is streamed, and whose settings and tables count. */
  readonly streamed: MySqlConnectionOptions;
  /** The server that rows are read from, where it is another one; else null. */
  readonly replica: MySqlConnectionOptions | null;
}

/** The servers of a source that are used. */
export function chooseEndpoint({ name, endpoints, snapshot }: SourceConfig): ChosenEndpoints {
  const first = requireSection(endpoints[0], `sources.${name}.endpoints`);
  const read = endpoints[snapshot.endpoint] ?? first;
  return { streamed: toMySqlOptions(first), replica: read === first ? null : toMySqlOptions(read) };
}
