import { type TlsOptions } from 'node:tls';
import { type ClientTls, findTlsMaterialProblem, type TlsMaterial } from '#kernel';
import { type ServerTlsConfig } from './schema.ts';
import { type ConfiguredText } from './secret.ts';
import { type TlsConfig } from './tls-section.ts';

/** Undefined when the connection is not encrypted. */
export function toTlsOptions(tls: TlsConfig | undefined): ClientTls | undefined {
  if (!tls) return undefined;
  const { rejectUnauthorized, servername } = tls;
  return { rejectUnauthorized, ...(servername !== undefined && { servername }), ...readNewestMaterial(tls) };
}

/**
 * The three as their files hold them now, together: no connection can be made with a part of what was renewed. While the
 * files do not belong together, as in the middle of a renewal, those that did stay.
 */
function readNewestMaterial({ ca, cert, key }: TlsConfig): TlsMaterial {
  const texts = Object.entries({ ca, cert, key }).flatMap(([name, text]) => (text ? [{ name, text }] : []));
  const collect = (read: (text: ConfiguredText) => string): TlsMaterial =>
    Object.fromEntries(texts.map(({ name, text }) => [name, read(text)]));
  const last = collect((text) => text.reveal());
  const newest = collect((text) => text.readNewest());
  if (findTlsMaterialProblem(newest) !== null && findTlsMaterialProblem(last) === null) return last;
  for (const { name, text } of texts) text.keep(newest[name as keyof TlsMaterial] ?? text.reveal());
  return newest;
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
