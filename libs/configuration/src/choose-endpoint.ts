import { requireSection, toMySqlOptions } from './adapter-options.ts';
import { type SourceConfig, type SourceEndpointConfig } from './schema.ts';

type MySqlOptions = ReturnType<typeof toMySqlOptions>;

export interface ChosenEndpoints {
  /** The server whose log is streamed, and whose settings and tables count. */
  readonly streamed: MySqlOptions;
  /** The server that rows are read from, where it is another one; else null. */
  readonly replica: MySqlOptions | null;
}

/** The servers of a source that are used when the log of the endpoint with this index is streamed. */
export function chooseEndpoint({ name, endpoints, snapshot }: SourceConfig, streamedIndex = 0): ChosenEndpoints {
  const streamed = requireSection(endpoints[streamedIndex], `sources.${name}.endpoints`);
  const read = snapshot.endpoint === undefined ? streamed : (endpoints[snapshot.endpoint] ?? streamed);
  return { streamed: toMySqlOptions(streamed), replica: read === streamed ? null : toMySqlOptions(read) };
}

/** `host:port`, as people and the heartbeats name an endpoint. */
export function formatEndpoint({ host, port }: Pick<SourceEndpointConfig, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
