import { hostname } from 'node:os';
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
  return `${tls ? 'https' : 'http'}://${toAuthority({ host, port })}`;
}

/** Where other machines reach a REST API: `advertise`, or the listener under a host that means something to them. */
export function toAdvertisedUrl(listener: HttpListenerConfig): string {
  return listener.advertise ?? toListenerUrl({ ...listener, host: toAdvertisedHost(listener.host) });
}

/** `host:port` for other machines. */
export function toAdvertisedAddress({ host, port }: { readonly host: string; readonly port: number }): string {
  return toAuthority({ host: toAdvertisedHost(host), port });
}

/** All addresses of this machine are no address: its name is. */
function toAdvertisedHost(host: string): string {
  return ['0.0.0.0', '::'].includes(host) ? hostname() : host;
}

function toAuthority({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
