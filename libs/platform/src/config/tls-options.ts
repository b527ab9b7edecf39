import { type TlsOptions } from 'node:tls';
import { type ClientTls } from '#kernel';
import { type ServerTlsConfig, type TlsConfig } from './schema.ts';

/** Undefined when the connection is not encrypted. */
export function toTlsOptions(tls: TlsConfig | undefined): ClientTls | undefined {
  if (!tls) return undefined;
  return {
    rejectUnauthorized: tls.rejectUnauthorized,
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(tls.cert !== undefined && { cert: tls.cert }),
    // as it was read with `cert`: a newer one does not belong to that
    ...(tls.key !== undefined && { key: tls.key.reveal() }),
    ...(tls.servername !== undefined && { servername: tls.servername }),
  };
}

/** What a server of Node takes; undefined when connections are not encrypted. */
export function toServerTlsOptions(tls: ServerTlsConfig | undefined): TlsOptions | undefined {
  if (!tls) return undefined;
  const { cert, key, ca } = tls;
  return {
    cert,
    key: key.reveal(),
    minVersion: 'TLSv1.2',
    ...(ca !== undefined && { ca, requestCert: true, rejectUnauthorized: true }),
  };
}
