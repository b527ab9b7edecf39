import { requireSection, toMySqlOptions } from './adapter-options.ts';
import { type SourceConfig } from './schema.ts';

type MySqlOptions = ReturnType<typeof toMySqlOptions>;

export interface ChosenEndpoints {
  /** The server whose log is streamed, and whose settings and tables count. */
  readonly streamed: MySqlOptions;
  /** The server that rows are read from, where it is another one; else null. */
  readonly replica: MySqlOptions | null;
}

/** The servers of a source that are used. */
export function chooseEndpoint({ name, endpoints, snapshot }: SourceConfig): ChosenEndpoints {
  const first = requireSection(endpoints[0], `sources.${name}.endpoints`);
  const read = endpoints[snapshot.endpoint] ?? first;
  return { streamed: toMySqlOptions(first), replica: read === first ? null : toMySqlOptions(read) };
}
