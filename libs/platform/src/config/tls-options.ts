import { type ConnectionOptions } from 'node:tls';
import { type TlsConfig } from './schema.ts';

/** What Node's TLS and the drivers built on it take; undefined when the connection is not encrypted. */
export function toTlsOptions(tls: TlsConfig | undefined): ConnectionOptions | undefined {
  if (!tls) return undefined;
  return {
    rejectUnauthorized: tls.rejectUnauthorized,
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(tls.cert !== undefined && { cert: tls.cert }),
    ...(tls.key !== undefined && { key: tls.key.reveal() }),
    ...(tls.servername !== undefined && { servername: tls.servername }),
  };
}
