import { type HttpListenerConfig } from './schema.ts';

/** The sections that say where a service listens. */
export const LISTENERS = [
  ['dss', 'http'],
  ['dcs', 'http'],
  ['dcs', 'rpc'],
  ['dws', 'http'],
] as const;

/** Where a REST API is reached on its own machine. */
export function toListenerUrl({ host, port, tls }: HttpListenerConfig): string {
  return `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
